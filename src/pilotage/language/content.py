"""The words of a question as they are taken in: names and numbers, phrases of our list, negations inside a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pilotage.language import words as w
from pilotage.language.lexicon import DETERMINERS, Lexicon, lexicon
from pilotage.language.wording import Token

TO_DO = "to do"  # the marker of an infinitive
PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "a")
_STATES_WORDS = "available suitable comfortable valuable reasonable considerable remarkable fashionable"
OWNERS = ((frozenset({"my", "our"}), "my"), (frozenset({"your"}), "your"))
STATES = frozenset(_STATES_WORDS.split())


@dataclass(frozen=True)
class Word:
    """A word that must have its partner. `marker` is the preposition or conjunction in front of its group."""

    text: str
    raw: str
    kind: str  # word, number, not, closed (a quantifier, "and", …)
    bases: frozenset[str]
    marker: str = ""
    groups: frozenset[int] = frozenset()
    degree: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    is_name: bool = False
    is_owner: bool = False  # has 's
    is_participle: bool = False
    article: str = ""
    follows: bool = False  # directly after another word, nothing between


@dataclass
class Reading:
    """What is known while the words are read from left to right."""

    main: str = ""  # the tense of the first auxiliary

    words: list[Word] = field(default_factory=list)
    modals: set[str] = field(default_factory=set)
    marker: str = ""
    there: bool = False
    dummy: bool = False
    past: bool = False
    aux: bool = False
    be: bool = False
    do: bool = False
    inverted: bool = False  # may the tenant …
    verb: int = -1
    anyone: bool = False
    pronouns: list[str] = field(default_factory=list)
    fresh: bool = True  # a group of words begins
    stranded: str = ""
    article: str = ""
    open: bool = False  # after `be`, whatever stood before it
    clause: bool = False  # a relative pronoun or a conjunction with a clause of its own
    joins: frozenset[int] = frozenset()  # the groups of phrases.txt whose phrases are read as one word here


def negation(token: Token) -> Word:
    return Word("not", token.raw, "not", frozenset({"not"}), spans=((token.start, token.end),))


def closed_word(token: Token, name: str) -> Word:
    return Word(name, token.raw, "closed", frozenset({name}), spans=((token.start, token.end),))


def plain_word(token: Token, marker: str, book: Lexicon) -> Word:
    text = token.text
    bases = book.bases(text)
    degree = book.degree(text)
    groups = frozenset(number for base in bases | {text} for number in book.own.get(base, ()))
    is_name = token.raw[:1].isupper() or any(c.isdigit() for c in text)
    return Word(
        text, token.raw, "word", bases, marker, groups, degree, ((token.start, token.end),), is_name,
        is_participle=book.is_participle(text) and not _is_acronym(token),
    )  # fmt: skip


def _is_acronym(token: Token) -> bool:
    """LED is no form of lead."""
    return len(token.raw) > 1 and token.raw.isupper()


def _joined(tokens: list[Token], phrase: str, book: Lexicon) -> Word:
    raw = " ".join(token.raw for token in tokens)
    spans = tuple((token.start, token.end) for token in tokens)
    groups = frozenset(book.own[phrase])
    is_participle = book.is_participle(tokens[0].text) and not phrase.startswith(tokens[0].text)
    return Word(phrase, raw, "word", frozenset({phrase}), groups=groups, spans=spans, is_participle=is_participle)


def take_phrase(tokens: list[Token], at: int, reading: Reading) -> int:
    """Several tokens that stand as one in our lists: `money back`, `hand in my notice`."""
    book = lexicon()
    for count, phrase in find_phrases(tokens, at, book):
        if not is_read(phrase, reading) or _begins_phrase(tokens, at + count - 1, book):
            continue
        add(reading, _joined(tokens[at : at + count], phrase, book))
        inside = {token.text for token in tokens[at : at + count]}
        reading.pronouns += [name for owners, name in OWNERS if owners & inside]
        return count
    return 0


def is_read(phrase: str, reading: Reading) -> bool:
    """Whether the phrase stands as one word here: one of phrases.txt does where the other question has its like."""
    book = lexicon()
    groups = book.own.get(phrase, set())
    return any(number < book.short or number in reading.joins for number in groups)


def find_phrases(tokens: list[Token], at: int, book: Lexicon) -> Iterator[tuple[int, str]]:
    """How many tokens from `at` on are which phrase of our lists, the longest first."""
    if tokens[at].text in DETERMINERS:
        return
    for count in range(min(book.longest + 1, len(tokens) - at), 1, -1):
        span = tokens[at : at + count]
        texts = [token.text for token in span if token.text not in DETERMINERS]
        if span[-1].text in DETERMINERS or len(texts) < 2 or len(texts) > book.longest:
            continue
        for first in book.bases(texts[0]) | {texts[0]}:
            for last in book.bases(texts[-1]) | {texts[-1]}:
                phrase = " ".join([first, *texts[1:-1], last])
                if phrase in book.own:
                    yield count, phrase


def _begins_phrase(tokens: list[Token], at: int, book: Lexicon) -> bool:
    """`on` in `take on average`."""
    text = " ".join(token.text for token in tokens[at : at + 2])
    return tokens[at].text in w.PARTICLES and text in book.own and at + 2 <= len(tokens)


def take_word(token: Token, reading: Reading) -> None:
    book = lexicon()
    text = token.text
    last = reading.words[-1] if reading.words else None
    if text == "free" and last and last.kind == "word" and last.spans[-1][1] == token.start - 1:
        before = replace(negation(token), marker=last.marker, follows=last.follows)
        reading.words[-1:] = [before, replace(last, marker="", follows=True)]
        return  # gluten-free: without gluten
    if verb := _doable(text, reading, book):
        set_modal(reading, "can")
        add(reading, replace(plain_word(token, "", book), text=verb, bases=frozenset({verb}), is_participle=True))
        return
    is_whole = any(number < book.short for number in book.own.get(text, ()))
    for prefix in () if is_whole else PREFIXES:
        base = text.removeprefix(prefix)
        if base != text and len(base) > 3 and _is_negated(text, base, book):
            add(reading, negation(token))
            add(reading, plain_word(replace(token, text=base, raw=token.raw[len(prefix) :]), "", book))
            return
    add(reading, plain_word(token, reading.marker, book))


def _doable(text: str, reading: Reading, book: Lexicon) -> str:
    """The verb of `drinkable` in `is it drinkable`: it can be drunk."""
    if text in STATES or not (text.endswith(("able", "ible")) and reading.be and reading.words and len(text) > 6):
        return ""
    base = text[:-4]
    return next((verb for verb in (base, base + "e", base[:-1]) if book.knows(verb, "v")), "")


def _is_negated(text: str, base: str, book: Lexicon) -> bool:
    if not any(book.knows(b) for b in book.bases(base)):
        return False
    if book.is_opposite(text, base):
        return True
    if book.knows(text, "a") and any(book.is_opposite(x, y) for x in book.bases(text) for y in book.bases(base)):
        return True  # dissatisfied
    if any(one != text and one.startswith(text[:2]) and book.knows(one, "v") for one in book.bases(text)):
        return False  # undone, of undo
    if text.startswith(("un", "non")) and (book.knows(base, "a") or book.is_participle(base)) and base not in w.CLOSED:
        return True
    return any(book.is_opposite(one, other) for one in book.bases(text) | {text} for other in book.bases(base) | {base})


def add(reading: Reading, word: Word) -> None:
    follows = not reading.fresh
    marker = reading.marker if reading.fresh else ""
    if (
        reading.be
        and reading.verb < 0
        and word.kind == "word"
        and word.is_participle
        and (reading.open or not reading.do)
    ):
        reading.verb = len(reading.words)
    reading.words.append(replace(word, marker=marker, follows=follows, article=reading.article))
    reading.fresh = False
    reading.article = reading.article if word.kind == "closed" else ""
    if word.kind in ("word", "number"):
        reading.marker = ""
    else:
        reading.fresh = bool(reading.marker)


def set_modal(reading: Reading, name: str) -> None:
    """`must not` forbids, as `may not` does; `not have to` leaves free."""
    negated = bool(reading.words) and reading.words[-1].kind == "not" and reading.words[-1].follows
    if name == "must" and negated:
        name = "need"
    if name != "would":
        reading.modals.add(name)
    reading.marker, reading.fresh = "", True
