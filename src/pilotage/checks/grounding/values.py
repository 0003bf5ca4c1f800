"""Every number and month that a text names, in digits or words, to look a claim's figures up in a whole page.

What is not covered: fractions in words, and numbers of other scripts.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from pilotage.checks.grounding.lines import read_line
from pilotage.language.amounts import MONTHS, ONES, ORDINALS, SCALES, TENS

_WORDS = {
    **ORDINALS, **TENS, **ONES, "half": 2, "dozen": 12, "twice": 2, "once": 1, "both": 2, "double": 2, "triple": 3,
}  # fmt: skip
_SPELLED = "|".join(sorted([*_WORDS, *SCALES], key=len, reverse=True))
_SCALE = r"(?:[ -]?(hundred|thousand|million|billion|trillion|bn|m|k|mn|tn)\b)?"
_FIGURE = re.compile(
    rf"(?<![\w.,])[$€£¥]?(\d[\d,]*(?:\.\d+)?)(?:st|nd|rd|th|s)?{_SCALE}"
    rf"|(?<![A-Za-z])(\d+(?:\.\d+)?)|\b(?:{_SPELLED})(?:[- ](?:and )?(?:{_SPELLED}))*\b",
    re.IGNORECASE,
)
_LETTERS = {"bn": 10**9, "m": 10**6, "mn": 10**6, "k": 1000, "tn": 10**12}
_MONTH = re.compile(rf"\b(?:{'|'.join(MONTHS)})\b", re.IGNORECASE)
_SPAN = re.compile(r"\b(\d{4})[-–/](\d\d)\b(?!-)")  # 2018-19
_ISO_MONTH = re.compile(r"\d{4}-(\d\d)-\d\d")


@lru_cache(maxsize=128)
def values_of(text: str) -> frozenset[Fraction]:
    """Every number of a text, with and without the word that scales it; those of words too."""
    found: set[Fraction] = set()
    for match in _FIGURE.finditer(text):
        digits, scale, bare = match.groups()
        if digits or bare:
            value = Fraction((digits or bare).replace(",", ""))
            factor = (scale or "").lower()
            found |= {value, value * (_LETTERS.get(factor) or SCALES.get(factor, 1))}
        else:
            found |= _spelled(match[0])
    found |= {Fraction(int(one[:2] + two)) for one, two in _SPAN.findall(text)}
    return frozenset(found)


def _spelled(text: str) -> set[Fraction]:
    whole = {figure.value for figure in read_line(text).figures}
    return whole | {Fraction(_WORDS[word]) for word in re.split(r"[- ]", text.lower()) if word in _WORDS}


@lru_cache(maxsize=128)
def months_of(text: str) -> frozenset[int]:
    named = {MONTHS[found.lower()] for found in _MONTH.findall(text)}
    return frozenset(named | {int(month) for month in _ISO_MONTH.findall(text)})
