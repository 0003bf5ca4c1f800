"""Whether an answer holds the kind of thing that was asked for: a date, a number, a name, a place, a cause, a way.

`offers` says yes, no or cannot tell. Only a missing date or number is certain enough to decide by itself; in a question
with several parts a missing name, place, cause or way is too. Not covered: whether it is the right one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pilotage.checks.answering.asked import Kind
from pilotage.language.amounts import MONTHS, ONES, ORDINALS, SCALES, TENS
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, tokenize
from pilotage.language.words import CLOSED

CERTAIN = frozenset({"when", "number"})
"""Kinds whose absence alone shows that the question was not addressed."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WEEKDAYS = _set("monday tuesday wednesday thursday friday saturday sunday")
_TIMES = _set(
    "century centuries decade year years month months week weeks day days hour hours minute minutes today yesterday "
    "tomorrow tonight now spring summer autumn fall winter morning noon evening night midnight ago early late recently "
    "immediately annually daily weekly monthly yearly era age period eon epoch season start beginning end always never "
    "once currently soon later earlier"
)
_CLAUSES_OF_TIME = _set("when after before during until till since while whenever as upon following once")
_TIME_WORDS = MONTHS.keys() | _WEEKDAYS | _TIMES | _CLAUSES_OF_TIME
_COUNTS = _set(
    "half third quarter quarters thirds dozen dozens twice thrice once single double triple pair couple several few "
    "many most none no all both every each zero no-one majority a an only unlimited infinite tens hundreds thousands "
    "millions billions forever indefinitely always never sole"
)
_CAUSES = _set(
    "because since due for to as so reason reasons cause causes caused thus therefore hence owing thanks result "
    "results resulted resulting lead leads led enable enables allow allows make makes means prevent prevents avoid "
    "avoiding lest otherwise given believed by from through attributed"
)
_WAYS = _set("by with through via using use uses used from as like without into in to on step steps first then")
_PLACES = _set(
    "in at on near from to into inside outside within between across along beside under over above below around "
    "through here there north south east west central off of home abroad everywhere nowhere locally"
)
_PERSONS = _set("he she they i we you him her them his their everyone everybody anyone someone nobody one none owner")
_DIGIT = re.compile(r"\d")
_NUMERALS = ONES.keys() | TENS.keys() | SCALES.keys() | ORDINALS.keys()


def offers(kind: Kind, asked: frozenset[str], answer: str) -> bool | None:
    """Whether the answer has something of this kind beyond the words in `asked`; None where nothing can be told.

    >>> offers("when", frozenset({"did", "it", "open"}), "It opened in May.")
    True
    """
    test = _TESTS.get(kind)
    return test(tokenize(answer), asked) if test else None


def _has_time(tokens: list[Token], asked: frozenset[str]) -> bool:
    """A date, a time or an event. Any number in digits may be a year or an hour; `two lanes` are no date."""
    return any(
        (bool(_DIGIT.search(token.text)) and token.text not in asked)
        or token.text in ORDINALS
        or (token.text in _TIME_WORDS and not (token.text == "may" and token.raw != "May"))
        for token in tokens
    )


def _has_number(tokens: list[Token], asked: frozenset[str]) -> bool:
    return any(_is_number(token) or token.text in _COUNTS for token in tokens if token.text not in asked - _COUNTS)


def _is_number(token: Token) -> bool:
    return bool(_DIGIT.search(token.text)) or token.text in _NUMERALS


def _has_person(tokens: list[Token], asked: frozenset[str]) -> bool:
    return _has_name(tokens, asked) or any(token.text in _PERSONS for token in tokens) or _has_noun(tokens, asked)


def _has_place(tokens: list[Token], asked: frozenset[str]) -> bool:
    return _has_name(tokens, asked) or any(token.text in _PLACES for token in tokens)


def _has_cause(tokens: list[Token], asked: frozenset[str]) -> bool:
    return any(token.text in _CAUSES and token.text not in asked - CLOSED for token in tokens)


def _has_way(tokens: list[Token], asked: frozenset[str]) -> bool:
    return any(token.text in _WAYS or token.text.endswith(("ing", "ly")) for token in tokens)


def _has_noun(tokens: list[Token], asked: frozenset[str]) -> bool:
    book = lexicon()
    return any(
        book.knows(base, "n") for token in tokens if token.text not in asked | CLOSED for base in book.bases(token.text)
    )


def _has_name(tokens: list[Token], asked: frozenset[str]) -> bool:
    return any(token.raw[:1].isupper() and token.text not in asked | CLOSED for token in tokens)


_TESTS: dict[Kind, Callable[[list[Token], frozenset[str]], bool]] = {
    "when": _has_time, "number": _has_number, "who": _has_person, "where": _has_place, "why": _has_cause,
    "how": _has_way,
}  # fmt: skip
