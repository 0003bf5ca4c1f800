"""Which word of one question stands for which of the other, and what stands alone.

A pair needs a reason: the same base form, a group of our list, one root, a measure and its quality, or a usual meaning
that WordNet gives both and that their vectors in these two sentences bear out. Numbers pair with equal numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilotage.answers.question import Question
from pilotage.language.content import Word
from pilotage.language.lexicon import Lexicon, lexicon
from pilotage.language.words import CONVERSES, LIGHT

AGENT = ("er", "or", "ist", "ee", "ant", "ent")
_ESTRANGED_WORDS = "hardly lately nearly mostly shortly barely scarcely largely fairly highly"
DEEDS = frozenset({"act", "event", "process", "state"})
ESTRANGED = frozenset(_ESTRANGED_WORDS.split())
"""Adverbs that have left their adjectives."""
_MAKERS_WORDS = "inventor author writer painter composer discoverer founder designer builder creator architect"
MAKERS = frozenset(_MAKERS_WORDS.split())
"""Who is one now for what was done once."""
Nearness = Callable[[Word, Word], float]
"""The cosine of two words' vectors in their sentences."""


@dataclass(frozen=True)
class Pair:
    """Places in both questions, and why they are a pair: same, own, root, measure, wordnet, joined."""

    a: int
    b: int
    why: str


@dataclass(frozen=True)
class Rules:
    """What a WordNet meaning must be to count: how usual at most, and how near the vectors at least."""

    rarest: int = 3
    total: int = 4
    near: float = 0.45
    near_own: float = 0.4
    rarest_verb: int = 8  # a verb has many meanings, and here its vectors must be nearer
    near_verb: float = 0.6


RULES = Rules()
NOWHERE = (0, 0)  # where a word stands that a frame put in
SCORES = {
    "same": 6,
    "spelling": 5,
    "joined": 5,
    "own": 4,
    "measure": 4,
    "root": 3,
    "agent": 3,
    "again": 3,
    "wordnet": 2,
}


def pair_words(a: Question, b: Question, near: Nearness) -> list[Pair]:
    """One partner at most for each word, the surest first; among equals those at like places."""
    found = sorted(_candidates(a, b, near), key=lambda pair: (-SCORES[pair.why], _shift(pair, a, b), pair.a, pair.b))
    pairs: list[Pair] = []
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    for pair in found:
        if pair.a not in taken_a and pair.b not in taken_b:
            pairs.append(pair)
            taken_a.add(pair.a)
            taken_b.add(pair.b)
    pairs += _joined(a.words, b.words, taken_a, taken_b)
    pairs += [Pair(pair.b, pair.a, pair.why) for pair in _joined(b.words, a.words, taken_b, taken_a)]
    return sorted(pairs, key=lambda pair: pair.a)


def _shift(pair: Pair, a: Question, b: Question) -> float:
    """Alpha Corp, Beta Corp: a word goes with its neighbours, else with the like place."""
    before = (a.words[pair.a - 1] if pair.a else None, b.words[pair.b - 1] if pair.b else None)
    if before[0] and before[1] and not before[0].bases & before[1].bases:
        return 1 + abs(pair.a / len(a.words) - pair.b / len(b.words))
    return abs(pair.a / len(a.words) - pair.b / len(b.words))


def _candidates(a: Question, b: Question, near: Nearness) -> Iterator[Pair]:
    for i, one in enumerate(a.words):
        for j, other in enumerate(b.words):
            if why := _doer(a, i, b, j) or _doer(b, j, a, i) or relation(one, other, near) or _again(a, i, b, j):
                yield Pair(i, j, why)


def _doer(a: Question, i: int, b: Question, j: int) -> str:
    """who is the inventor of it, who invented it"""
    if not (a.kind == b.kind == "who" and i == j == 0 and len(a.words) > 1 and a.words[1].marker == "of"):
        return ""
    book = lexicon()
    noun, verb = a.words[0], b.words[0]
    if noun.bases & verb.bases or (a.tense != b.tense and not noun.bases & MAKERS):
        return ""  # who is the owner, who owned it
    is_doer = not b.has_do and not b.is_passive and not verb.follows and a.asks_with == b.asks_with == ""
    return "agent" if is_doer and any(_does(x, y, book) for x in noun.bases for y in verb.bases) else ""


def _does(noun: str, verb: str, book: Lexicon) -> bool:
    doers = {noun, *(other for other in book.synonyms(noun, 2))}
    return any(doer.endswith(("er", "or")) and book.is_root(doer, verb) and book.knows(verb, "v") for doer in doers)


def _again(a: Question, i: int, b: Question, j: int) -> str:
    """restart it, start it again"""
    for one, other, question in ((a.words[i], b.words[j], b), (b.words[j], a.words[i], a)):
        if any("re" + base in one.bases for base in other.bases) and any(w.text == "again" for w in question.words):
            return "again"
    return ""


def relation(one: Word, other: Word, near: Nearness) -> str:
    """Why two words may stand for each other, or ""."""
    if one.kind != "word" or other.kind != "word":
        return "same" if one.kind == other.kind and one.text == other.text else ""
    book = lexicon()
    if one.degree != other.degree:
        return ""
    if is_misspelt(one, other, book) or is_misspelt(other, one, book):
        return "spelling"
    if one.bases & other.bases:
        return "" if _is_apart(one, other, book) else "same"
    if " " in one.text + other.text and one.text.replace(" ", "") == other.text.replace(" ", ""):
        return "joined"  # take off, takeoff
    if one.degree or _is_opposite(one, other, book):
        return ""
    if _is_measure(one, other, book) or _is_measure(other, one, book):
        return "measure"
    if one.groups & other.groups and not (one.is_name and other.is_name):
        is_phrase = " " in one.text + other.text  # the mean of its words tells nothing
        is_made = NOWHERE in one.spans + other.spans  # by the frame
        return "own" if is_phrase or is_made or near(one, other) >= RULES.near_own else ""
    if _has_root(one, other, book):
        return "root"
    if _is_known(one, other, book) and near(one, other) >= RULES.near:
        return "wordnet"
    if _is_verb_known(one, other, book) and near(one, other) >= RULES.near_verb:
        return "wordnet"
    return ""


def is_misspelt(one: Word, other: Word, book: Lexicon) -> bool:
    """trak, track: a word that is none, but for a letter that is missing, too many or in its neighbour's place"""
    wrong, right = one.text, other.text
    is_word = right.isalpha() and wrong.isalpha() and len(right) > 4 and wrong[0] == right[0]
    if not is_word or one.raw[:1].isupper() or any(book.knows(base) for base in one.bases | {wrong}):
        return False
    return book.is_common(right) and _is_slip(wrong, right)


def _is_slip(wrong: str, right: str) -> bool:
    at = next((i for i, (x, y) in enumerate(zip(wrong, right, strict=False)) if x != y), min(len(wrong), len(right)))
    missing = wrong[:at] + right[at : at + 1] + wrong[at:] == right
    doubled = right[:at] + wrong[at : at + 1] + right[at:] == wrong
    swapped = wrong[at : at + 2] == right[at : at + 2][::-1] and wrong[at + 2 :] == right[at + 2 :]
    return missing or doubled or swapped


def _is_apart(one: Word, other: Word, book: Lexicon) -> bool:
    """arm, arms: a plural of another meaning"""
    plural, single = (one, other) if book.is_own_plural(one.text) else (other, one)
    return plural.text != single.text and book.is_own_plural(plural.text) and single.text in plural.bases


def _is_opposite(one: Word, other: Word, book: Lexicon) -> bool:
    """Opposites; economic and economical have grown apart as well."""
    if any(x.endswith("ic") and x + "al" == y for x, y in ((one.text, other.text), (other.text, one.text))):
        return True
    pairs = [(x, y) for x in one.bases for y in other.bases]
    return any(book.is_opposite(x, y) or frozenset((x, y)) in CONVERSES for x, y in pairs)


def _is_measure(one: Word, other: Word, book: Lexicon) -> bool:
    quality = one.text.removeprefix("how ")
    if quality == one.text:
        return False
    return bool(book.measures(quality) & other.bases) or any(book.is_root(quality, base) for base in other.bases)


def _has_root(one: Word, other: Word, book: Lexicon) -> bool:
    for x in one.bases:
        for y in other.bases:
            if book.is_root(x, y) and not _is_agent(x, book) and not _is_agent(y, book):
                return True
            if _is_adverb(x, y) or _is_adverb(y, x):
                return True
    return False


def _is_agent(word: str, book: Lexicon) -> bool:
    """inventor, applicant; not payment"""
    return word.endswith(AGENT) and not word.endswith("ment") and book.noun_class(word) not in DEEDS


def _is_adverb(one: str, other: str) -> bool:
    return one not in ESTRANGED and one in (other + "ly", other[:-1] + "ily", other[:-1] + "y")


def _is_known(one: Word, other: Word, book: Lexicon) -> bool:
    for x in one.bases:
        for y in other.bases:
            first, second = book.rank(x, y)
            if max(first, second) <= RULES.rarest and first + second <= RULES.total:
                return True
    return False


def _is_verb_known(one: Word, other: Word, book: Lexicon) -> bool:
    pairs = [(x, y) for x in one.bases - LIGHT for y in other.bases - LIGHT]
    return any(max(book.rank(x, y, verbs=True)) <= RULES.rarest_verb for x, y in pairs)


def _joined(one: tuple[Word, ...], other: tuple[Word, ...], taken: set[int], theirs: set[int]) -> list[Pair]:
    """Two words that the other question writes as one: hair dryer, hairdryer."""
    found = []
    for i in range(len(one) - 1):
        if i in taken or i + 1 in taken:
            continue
        text = one[i].text + one[i + 1].text
        bases = {text, one[i].text + next(iter(one[i + 1].bases))}
        for j, word in enumerate(other):
            if j not in theirs and bases & (word.bases | {word.text}):
                taken |= {i, i + 1}
                theirs.add(j)
                found += [Pair(i, j, "joined"), Pair(i + 1, j, "joined")]
                break
    return found
