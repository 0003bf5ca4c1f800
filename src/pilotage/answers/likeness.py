"""Whether two questions ask the same, so that the verified answer to one may be served for the other.

Nothing is served on similarity alone: every word must have its partner, and kind of answer, tense, modality, negation,
numbers and roles must agree. What is not covered: questions in other languages, which only the same wording can hit;
what a question leaves unsaid; paraphrases too far apart for the lexicon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotage.answers.capitals import find_capital_fault
from pilotage.answers.content import Word
from pilotage.answers.lexicon import lexicon
from pilotage.answers.order import find_fault
from pilotage.answers.pairing import Pair, pair_words
from pilotage.answers.question import Question, is_english, read_question
from pilotage.answers.signs import has_formula, signs_of
from pilotage.answers.wording import normal_form
from pilotage.answers.words import BLAND, DESIGNATORS, LIGHT, SPANS, SUMS

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder

__all__ = ["Likeness", "compare", "normal_form"]

SIMILARITY = 0.5  # of whole questions; paraphrases reach down to it, and the vetoes do the rest
LONGEST = 400  # characters: what is longer is no question but a text, and only the same wording can hit
ABILITY = frozenset({"can", "may", "able"})
EVENTS = frozenset({"take place", "happen", "occur"})


@dataclass(frozen=True)
class Likeness:
    """The verdict: served or not, the cosine of the two questions, and why in words that a person can read."""

    hit: bool
    similarity: float
    reason: str


def compare(
    a: str, b: str, embedder: Embedder | None = None, similarity: float | None = None, cosine: float | None = None
) -> Likeness:
    """Whether question `b` asks what `a` asks; without an embedder only the same wording can.

    `similarity` is the least cosine of a hit (default 0.5). Who knows the `cosine` of both questions says so: then the
    model runs only for those that nothing else tells apart.
    """
    is_same = normal_form(a).lower() == normal_form(b).lower()  # but for capitals, which come next
    if capital := find_capital_fault(a, b):
        return Likeness(False, 1.0 if is_same else 0.0, capital)
    if is_same:
        return Likeness(True, 1.0, "same words")
    if embedder is None:
        return Likeness(False, 0.0, "other words, and no embedder to judge them by")
    if max(len(a), len(b)) > LONGEST or not (is_english(a) and is_english(b)):
        return Likeness(False, 0.0, "not a question in English: only the same wording can be served")
    one, other = read_question(a), read_question(b)
    early = find_signs(a, b) or find_difference(one, other, pair_words(one, other, _any))
    if early and cosine is not None:
        return Likeness(False, cosine, early)  # whatever the vectors of the words would say
    from pilotage.answers.vectors import Sentences

    sentences = Sentences(a, b, embedder)
    least = SIMILARITY if similarity is None else similarity
    if sentences.similarity < least:
        return Likeness(False, sentences.similarity, f"similarity {sentences.similarity:.2f} against {least:g}")
    if early:
        return Likeness(False, sentences.similarity, early)
    pairs = pair_words(one, other, sentences.nearness)
    fault = find_difference(one, other, pairs)
    return Likeness(not fault, sentences.similarity, fault or _explained(one, other, pairs))


def _any(one: Word, other: Word) -> float:
    return 1.0


def find_signs(a: str, b: str) -> str:
    """Which code or signs only one question has, or ""."""
    if has_formula(a) or has_formula(b):
        return "a formula, which only the same wording can hit"
    one, other = signs_of(a), signs_of(b)
    if one == other:
        return ""
    return f"“{' '.join(one) or 'no sign'}” against “{' '.join(other) or 'no sign'}”"


def find_difference(a: Question, b: Question, pairs: list[Pair]) -> str:
    """The first thing that one question has and the other has not, or ""."""
    return (
        _kinds(a, b)
        or _alone(a, b, pairs)
        or _times(a, b, pairs)
        or _modals(a, b, pairs)
        or _persons(a, b)
        or _states(a, b, pairs)
        or find_fault(a, b, pairs)
    )


def _states(a: Question, b: Question, pairs: list[Pair]) -> str:
    """When does it open, when is it open"""
    if not a.kind == b.kind == "when" or a.has_do == b.has_do or a.is_passive or b.is_passive:
        return ""
    book = lexicon()
    for pair in pairs:
        word = a.words[pair.a]
        is_last = pair.a == len(a.words) - 1 and pair.b == len(b.words) - 1
        if is_last and word.text == b.words[pair.b].text and all(book.knows(word.text, part) for part in "av"):
            return f"“{word.raw}” is done in one and is so in the other"
    return ""


def _kinds(a: Question, b: Question) -> str:
    kinds = {a.kind, b.kind}
    if len(kinds) == 1 or kinds in ({"when", "year"}, {"when", "day"}):
        return ""
    if a.alternatives and b.alternatives and "polar" in kinds and kinds & {"what", "who"}:
        return ""  # is it 30 or 50: which of both
    return f"one asks {a.kind}, the other {b.kind}"


def _alone(a: Question, b: Question, pairs: list[Pair]) -> str:
    mine = _left(a, {pair.a for pair in pairs})
    theirs = _left(b, {pair.b for pair in pairs})
    if a.names_kind and b.names_kind and not any(pair.a == 0 for pair in pairs):
        return f"“{a.words[0].raw}” against “{b.words[0].raw}”"
    if any(pair.why == "again" for pair in pairs):
        mine, theirs = ([word for word in words if word.text != "again"] for words in (mine, theirs))
    if a.kind == "what" and [word.text for word in mine + theirs] == ["how high"]:
        return ""  # how high is the rate: what is the rate
    if a.kind == "what" and [word.text for word in mine + theirs] == ["cost"] and _is_sum(a) and _is_sum(b):
        return ""  # how much is the fee: what is the fee
    light = LIGHT | BLAND | (SPANS if a.kind == "duration" else frozenset())
    heavy = [word for word in mine + theirs if word.kind != "word" or word.degree or not word.bases & light]
    if not heavy and not (mine and theirs):
        return ""
    return _stands_alone(mine, theirs, (heavy or mine)[0])


def _is_sum(question: Question) -> bool:
    """Whether the noun that is asked about, behind the inserted `cost` if there is one, is a sum of money."""
    words = [word for word in question.words if word.text != "cost" or word.spans != ((0, 0),)]
    for place, word in enumerate(words[:4]):
        ends = place + 1 == len(words) or words[place + 1].marker or words[place + 1].kind != "word"
        if ends:
            return bool(word.bases & SUMS)
    return False


def _stands_alone(mine: list[Word], theirs: list[Word], word: Word) -> str:
    numbers = [[word.raw for word in words if word.kind == "number"] for words in (mine, theirs)]
    if all(numbers):
        return f"number {numbers[0][0]} against {numbers[1][0]}"
    return f"“{word.raw}” has no counterpart" if word.kind == "word" else f"“{word.raw}” in one only"


def _left(question: Question, paired: set[int]) -> list[Word]:
    return [word for i, word in enumerate(question.words) if i not in paired and not _is_idle(question, i)]


def _is_idle(question: Question, place: int) -> bool:
    """`city` of which city is the capital; `code` of status code 404; `this` of this error."""
    words = question.words
    after = words[place + 1] if place + 1 < len(words) else None
    if words[place].kind == "closed":
        return words[place].text == "this" and not (after and after.kind == "number")
    if place == 0:
        return question.names_kind and words[place].kind == "word"
    return bool(words[place].bases & DESIGNATORS and after and (after.kind == "number" or after.is_name))


def _times(a: Question, b: Question, pairs: list[Pair]) -> str:
    if any(pair.why == "agent" for pair in pairs):
        return ""  # the inventor is one who invented
    is_event = any(word.bases & EVENTS for word in a.words + b.words)
    if is_event and {a.tense, b.tense} == {"present", "future"} and {a.kind, b.kind} <= {"when", "day"}:
        return ""  # when is the meeting, when will it take place
    if a.tense != b.tense:
        return f"{a.tense} against {b.tense}"
    return "" if a.tells_past == b.tells_past else "the past in one only"


def _modals(a: Question, b: Question, pairs: list[Pair]) -> str:
    """In a yes-or-no question a modal is what is asked; elsewhere `can` and `should` may be left out."""
    free = _free_modals(a, b, pairs)
    are_named = a.modals & free and b.modals & free
    one, other = (a.modals, b.modals) if are_named else (a.modals - free, b.modals - free)
    if not {"may", "able"} <= one | other:  # `can` is either
        one, other = (frozenset("can" if name in ABILITY else name for name in names) for names in (one, other))
    if one == other:
        return ""
    return f"“{' '.join(sorted(a.modals)) or 'no modal'}” against “{' '.join(sorted(b.modals)) or 'no modal'}”"


def _free_modals(a: Question, b: Question, pairs: list[Pair]) -> frozenset[str]:
    if a.kind == "duration":
        return ABILITY | {"should", "must"}  # how long does it take, how long must it
    if a.kind == "who" and not (a.is_anyone or b.is_anyone or a.is_passive or b.is_passive):
        return frozenset()  # who can enter, who enters
    if a.kind != "polar":
        return ABILITY | {"should"}
    for pair in pairs:
        one, other = a.words[pair.a], b.words[pair.b]
        if one.text in ("at-most", "at-least"):
            return ABILITY  # it may have at most, it is limited to
        if {one.text, other.text} == {"safe", "safely"}:
            return ABILITY  # is it safe to, can it be done safely
    return frozenset()


def _persons(a: Question, b: Question) -> str:
    """`Can you …` is anybody, unless it stands beside `my`: then you and I are two."""
    one, other = a.pronouns, b.pronouns
    if one == other:
        return ""
    if {"my", "your"} <= set(one) ^ set(other):
        return "“my” against “your”"
    for persons in (one, other):
        if ("me" in persons and {"I", "you"} & set(persons)) or {"you", "my"} <= set(persons):
            return f"“{' '.join(one)}” against “{' '.join(other)}”"
    return "" if ("me" in one) == ("me" in other) else "“me” in one only"


def _explained(a: Question, b: Question, pairs: list[Pair]) -> str:
    told = [f"“{a.words[pair.a].raw}” for “{b.words[pair.b].raw}”" for pair in pairs if pair.why != "same"]
    return ", ".join(told) or "same words in another order or frame"
