"""Numbers, dates and units of a claim that the evidence does not have, or has of another thing.

A number that is said with "over" or "about" holds by its bound; a year holds a decade and a century. What is not
covered: numbers that follow from others by counting or reckoning.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from pilotage.checks.grounding.lines import Figure, Line, read_line
from pilotage.checks.grounding.pairing import Pairing
from pilotage.checks.grounding.values import months_of, values_of

_TENTH = Fraction(1, 10)
_EXTENTS = frozenset({"old", "long", "high", "tall", "wide", "deep", "away", "ago", "later", "earlier"})
_LONG = 2000  # characters
_SMALLEST = 2  # "one" is an article as often as a number


def stands(figure: Figure, whole: str) -> bool:
    """Whether the text has the number, or a number that holds it."""
    if figure.kind == "time":
        return figure.text in whole or any(
            figure.value == other.value for other in _told(whole) if other.kind == "time"
        )
    if figure.kind == "date":
        return all(_has_part(part, place, whole) for place, part in enumerate(figure.date) if part)
    if _is_written(figure, whole):
        return True
    values = values_of(whole)
    if figure.kind == "decade":
        years = 100 if figure.base % 100 == 0 else 10
        return any(figure.base <= value < figure.base + years for value in values)
    if figure.kind == "century":
        return figure.base in values or any(_century(value) == figure.base for value in values)
    return (
        bool({figure.value, figure.base} & values)
        or any(_holds(figure, value) for value in values)
        or (bool(figure.unit) and any(_is_same_amount(figure, other) for other in _told(whole)))
    )


def _is_same_amount(one: Figure, other: Figure) -> bool:
    return one.unit == other.unit and one.base == other.base


def _has_part(part: int, place: int, whole: str) -> bool:
    """Whether the text has this year, month or day."""
    if place == 1:
        return part in months_of(whole)
    if _stands_alone(str(part), whole) or Fraction(part) in values_of(whole):
        return True
    return place == 0 and f"{part % 100:02}" in re.findall(r"(?<=['’/–-])\d\d\b", whole)


def _is_written(figure: Figure, whole: str) -> bool:
    """Whether the number stands in the text in digits: the quick way."""
    if figure.value.denominator > 1:
        return False
    number = int(figure.value)
    return any(_stands_alone(text, whole) for text in {str(number), f"{number:,}"})


def _stands_alone(text: str, whole: str) -> bool:
    at = whole.find(text)
    while at >= 0:
        end = at + len(text)
        if (whole[max(at - 1, 0) : at] or " ")[0] not in ".,0123456789" and not re.match(
            r"[.,]?\d", whole[end : end + 2]
        ):
            return True
        at = whole.find(text, end)
    return False


def _century(value: Fraction) -> Fraction:
    return Fraction((int(value) - 1) // 100 + 1) if 1000 <= value < 2100 and value.denominator == 1 else Fraction(-1)


def _holds(figure: Figure, value: Fraction) -> bool:
    """over 250: 300 holds it; about 500: 520 does."""
    if figure.bound == "about":
        return _is_rounder(figure.value, value) and abs(value - figure.value) <= figure.value * _TENTH
    if figure.bound == "more":
        return figure.value <= value <= figure.value * 3
    return figure.bound == "less" and figure.value / 3 <= value <= figure.value


def _is_rounder(one: Fraction, other: Fraction) -> bool:
    """Whether the number has fewer figures that are not zeros at its end."""
    lengths = [len(str(float(value)).removesuffix(".0").rstrip("0").replace(".", "")) for value in (one, other)]
    return lengths[0] < lengths[1]


@lru_cache(maxsize=128)
def _told(whole: str) -> tuple[Figure, ...]:
    """The figures of a text with their units; none of a long one, which would take too long to read."""
    return read_line(whole).figures if len(whole) < _LONG else ()


def telling(claim: tuple[Figure, ...]) -> list[Figure]:
    """The figures that a claim can be held to: not `one` and `first` by words, not 24/7."""
    return [
        figure
        for figure in claim
        if "/" not in figure.text
        and not (figure.kind in ("number", "ordinal") and figure.value < _SMALLEST and figure.text.isalpha())
    ]


def is_firm(figure: Figure, claim: Line) -> bool:
    """Whether the figure is what is claimed, and no part of a name or thing (14th Dalai Lama, 2008 film)."""
    before = claim.items[figure.start - 1].low if figure.start else ""
    after = claim.items[figure.end] if figure.end < len(claim.items) else None
    if figure.kind == "ordinal":
        return after is None or not after.is_name
    if figure.kind != "date" or before in ("before", "after", "by", "until", "since", "between", "-"):
        return figure.kind != "date"
    is_attribute = after is not None and not after.is_small and before not in ("in", "on", "of", "from", "to")
    return not (is_attribute and figure.date[1:] == (0, 0))


def find_slot(figure: Figure, pairing: Pairing) -> Figure | None:
    """Another figure of the sentence behind the same words: `from 1974` where it says `from 1969`."""
    one = _left(pairing.claim, figure.start)
    for other in pairing.sentence.figures:
        theirs = _left(pairing.sentence, other.start)
        if other.kind != figure.kind or not one[1] or one[1] != theirs[1] or agree(figure, other):
            continue
        if one[0] is None or theirs[0] in pairing.partners.get(one[0], ()):
            same = [figure.date[i] == 0 or other.date[i] != 0 for i in range(3)]
            return other if all(same) and not _is_twice(pairing, other, one[1]) else None
    return None


def _is_twice(pairing: Pairing, figure: Figure, links: tuple[str, ...]) -> bool:
    """Whether the same small words stand before several figures of the sentence."""
    sentence = pairing.sentence
    return sum(_left(sentence, other.start)[1] == links for other in sentence.figures if other.kind == figure.kind) > 1


def _left(line: Line, start: int) -> tuple[int | None, tuple[str, ...]]:
    """The content word before a place and the small words between."""
    links: list[str] = []
    for at in range(start - 1, max(start - 4, -1), -1):
        item = line.items[at]
        if not item.is_small:
            return (None if item.in_figure else at), tuple(links)
        links.append(item.low)
    return None, tuple(links)


def find_rival(figure: Figure, pairing: Pairing) -> Figure | None:
    """The figure of the sentence that stands for the same thing with another value."""
    theirs = [other for other in pairing.sentence.figures if other.kind == figure.kind]
    if figure.kind == "date":
        return _other_date(figure, theirs)
    same = [other for other in theirs if _counts_same(figure, other)]
    return same[0] if same and not any(agree(figure, other) for other in same) else None


def _other_date(figure: Figure, theirs: list[Figure]) -> Figure | None:
    """A date of which one part agrees or that is as full, and another part differs."""
    if any(agree(figure, other) for other in theirs):
        return None
    full = [bool(part) for part in figure.date]
    return next((other for other in theirs if [bool(part) for part in other.date] == full), None)


def _counts_same(one: Figure, other: Figure) -> bool:
    if one.unit or other.unit:
        return one.unit == other.unit
    return bool(one.head & other.head) if one.head and other.head else one.kind == "ordinal"


def agree(one: Figure, other: Figure) -> bool:
    """Whether what the claim says of a number or date follows from the other."""
    if one.kind == "date":
        return all(not a or a == b for a, b in zip(one.date, other.date, strict=True))
    if one.bound in ("more", "less") and one.value != other.value:
        return (other.value > one.value) == (one.bound == "more")
    return one.base == other.base or _holds(one, other.value)


def find_other_unit(figure: Figure, pairing: Pairing) -> str:
    """What the sentence counts with this number instead, or "" when it counts the same or says nothing."""
    theirs = [other for other in pairing.sentence.figures if other.value == figure.value and other.kind != "date"]
    if figure.kind == "date" or not theirs or not figure.head:
        return ""
    if any(
        not other.head or other.head & figure.head or (other.unit and other.unit == figure.unit) for other in theirs
    ):
        return ""
    words = {base for item in pairing.sentence.items for base in item.bases}
    if (figure.head - _EXTENTS) & words:
        return ""
    return (
        ""
        if figure.end in pairing.partners
        else theirs[0].text + ("" if theirs[0].unit else f" {max(theirs[0].head, key=len)}")
    )
