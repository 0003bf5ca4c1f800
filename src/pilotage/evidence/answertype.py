"""What kind of answer a question asks for, and whether a sentence has one to offer. English only; else no opinion."""

from __future__ import annotations

import re

from pilotage.evidence.terms import STOP

_KINDS = (
    ("number", r"\bhow (?:many|much|long|far|old|large|big|tall|high|often|fast|deep|wide)\b"),
    ("number", r"\bwhat (?:percent\w*|number|amount|fraction|proportion|age)\b"),
    ("date", r"\bwhen\b|\b(?:what|which) (?:year|century|decade|date|day|month)\b"),
    ("name", r"\bwh(?:o|om|ose|ere)\b|\b(?:what|which) (?:city|country|state|place|region|town|location)\b"),
)
_PATTERNS = [(kind, re.compile(pattern, re.I)) for kind, pattern in _KINDS]
_DATE = re.compile(
    r"\d+|centur(?:y|ies)|January|February|March|April|\bMay\b|June|July|August|September|October|November|December"
)
_NUMBER = re.compile(r"\d[\d,.]*")
_COUNTING = (
    "one two three four five six seven eight nine ten eleven twelve hundred thousand million billion half third "
    "quarter dozen twice once several first second"
)
_NUMERALS = frozenset(_COUNTING.split())
_WORD = re.compile(r"\w[\w’'-]*")


def answer_type(question: str) -> str:
    """`number`, `date`, `name`, or "" when the question does not tell."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(question)), "")


def offers(kind: str, asked: frozenset[str], sentence: str) -> float:
    """1 when the sentence has a word of that kind that the question has not, -1 when not, 0 without a kind.

    >>> offers("date", words_of("When did it open?"), "It opened in 1890.")
    1.0
    """
    if not kind:
        return 0.0
    if kind == "number":
        new = any(number not in asked for number in _NUMBER.findall(sentence))
        there = new or not _NUMERALS.isdisjoint(words_of(sentence) - asked)
    elif kind == "date":
        there = any(date.lower() not in asked for date in _DATE.findall(sentence))
    else:
        words = _WORD.findall(sentence)[1:]
        there = any(w[0].isupper() and w.lower() not in asked and w.lower() not in STOP for w in words)
    return 1.0 if there else -1.0


def words_of(text: str) -> frozenset[str]:
    """The words of a text in lower case."""
    return frozenset(re.findall(r"\w+", text.lower()))
