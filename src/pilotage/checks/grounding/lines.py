"""A sentence as the rules against a claim read it: words with base forms, runs of names, figures with what they count.

What is not covered: grammar beyond closed classes, names in a text without capitals, languages other than English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pilotage.language.amounts import MONTHS, ONES, ORDINALS, TENS, read_amount
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, tokenize
from pilotage.language.words import ARTICLES, CLOSED, QUANTIFIERS

_BRACKETS = re.compile(r"-(?:LRB|RRB|LSB|RSB)-|``|''")
_CENTURIES = re.compile(r"\b(\d{2,3}0)['’]s\b")  # 1900's
_SPANS = re.compile(r"\b(\d{4})[-–/]\d\d\b(?!-)")  # 2018-19
_YEAR = re.compile(r"1\d{3}|20\d\d")
_EXTRA = "such than who which that this these those there then also however well very s t been being am"
SMALL = (CLOSED - frozenset(QUANTIFIERS)) | ARTICLES | frozenset(_EXTRA.split())
"""Words that a claim may have without the evidence."""
_CENTURY = frozenset({"century", "centuries"})
_BOUNDS = {
    "over": "more", "above": "more", "least": "more", "exceeding": "more", "minimum": "more", "under": "less",
    "below": "less", "nearly": "about", "almost": "about", "about": "about", "around": "about",
    "approximately": "about", "roughly": "about", "circa": "about", "some": "about", "estimated": "about",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """A word: in lower case, its base forms, whether it is small, part of a name or of a figure."""

    raw: str
    low: str
    bases: frozenset[str]
    is_small: bool = False
    is_name: bool = False
    in_figure: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, date or amount.

    `base` is its value in the base `unit`, `head` what it counts, `bound` more, less or about.
    """

    text: str
    kind: str  # number, ordinal, amount, date, decade, century, time
    value: Fraction
    base: Fraction
    unit: str
    head: frozenset[str]
    bound: str
    start: int  # place among the items
    end: int
    date: tuple[int, int, int] = (0, 0, 0)  # year, month, day; 0 where it is not said


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence that has been read. `names` are stretches of items."""

    text: str
    items: tuple[Item, ...]
    figures: tuple[Figure, ...]
    names: tuple[tuple[int, int], ...]

    def content(self) -> list[int]:
        """Places of the words that mean something and are no figure."""
        return [at for at, item in enumerate(self.items) if not (item.is_small or item.in_figure)]


@lru_cache(maxsize=512)
def read_line(text: str) -> Line:
    """
    >>> [figure.text for figure in read_line("Born on 3 May 1993, he won two of 1.5 million.").figures]
    ['3 May 1993', 'two', '1.5 million']
    """
    tokens = tokenize(_SPANS.sub(r"\1", _CENTURIES.sub(r"\1s", _BRACKETS.sub(" ", text))))
    figures = tuple(_figures(tokens))
    taken = {at for figure in figures for at in range(figure.start, figure.end)}
    names = tuple(_names(tokens, taken))
    named = {at for start, end in names for at in range(start, end)}
    items = tuple(_item(token, at in named, at in taken) for at, token in enumerate(tokens))
    return Line(text, items, figures, names)


def _item(token: Token, is_name: bool, in_figure: bool) -> Item:
    is_mark = not token.text[:1].isalnum()
    return Item(token.raw, token.text, bases_of(token.text.lower()), is_mark or token.text in SMALL, is_name, in_figure)


@lru_cache(maxsize=8192)
def bases_of(low: str) -> frozenset[str]:
    return lexicon().bases(low) | {low}


def _names(tokens: list[Token], taken: set[int]) -> list[tuple[int, int]]:
    """Runs of capitalised words; the first word of a sentence only where it is no common word or goes on as a name."""
    found: list[tuple[int, int]] = []
    at = 0
    capitals = [at not in taken and token.raw[:1].isupper() for at, token in enumerate(tokens)]
    while at < len(tokens):
        end = at
        while end < len(tokens) and (capitals[end] or _joins(tokens, capitals, at, end)):
            end += 1
        start = at
        while start < end and _opens(tokens, start) and _is_plain(tokens[start].text, end - start):
            start += 1
        if end > start and any(token.text not in SMALL for token in tokens[start:end]):
            found.append((start, end))
        at = max(end, at + 1)
    return found


def _joins(tokens: list[Token], capitals: list[bool], start: int, at: int) -> bool:
    """`of` in Bank of England."""
    return at > start and tokens[at].text in ("of", "de", "von", "van", "la") and capitals[at + 1 : at + 2] == [True]


def _opens(tokens: list[Token], at: int) -> bool:
    return at == 0 or tokens[at - 1].text in (".", "?", "!", ":")


def _is_plain(low: str, length: int) -> bool:
    book = lexicon()
    return low in CLOSED or low in SMALL or (book.is_common(low) and (length == 1 or not book.knows(low, "n")))


def _figures(tokens: list[Token]) -> list[Figure]:
    raws = [token.raw for token in tokens]
    found: list[Figure] = []
    at = 0
    while at < len(raws):
        figure = _dated(raws, at) or _figure(raws, at) if _may_begin(raws[at]) else None
        if figure:
            found.append(figure)
        at = figure.end if figure else at + 1
    return found


def _may_begin(raw: str) -> bool:
    return raw[0].isdigit() or raw[0] in "$€£¥" or raw.lower() in _STARTS


_STARTS = frozenset({*ONES, *TENS, *ORDINALS, *MONTHS})


def _dated(raws: Sequence[str], at: int) -> Figure | None:
    """A date, also with commas in it (May 3 , 1993) and by month alone."""
    window = list(raws[at : at + 5])
    found, length = read_amount(window, 0)
    if not found.startswith("date"):
        parts = [raw for raw in window if raw != ","]
        found, length = read_amount(parts, 0)
        if found.startswith("date"):
            length += window[: length + 1].count(",")
    if found.startswith("date"):
        return _as_date(found, raws, at, length)
    low = raws[at].lower()
    is_month = (
        low in MONTHS and raws[at][0].isupper() and (low not in ("may", "march", "mar", "dec") or _is_in(raws, at))
    )
    return _as_date(f"date {MONTHS[low]:02}", raws, at, 1) if is_month else None


def _is_in(raws: Sequence[str], at: int) -> bool:
    return at > 0 and raws[at - 1].lower() in ("in", "of", "since", "until", "by", "late", "early", "last", "next")


def _as_date(found: str, raws: Sequence[str], at: int, length: int) -> Figure:
    parts = [int(part) for part in found.removeprefix("date ").split("-")]
    year = parts.pop(0) if parts[0] > 31 else 0
    month, day = [*parts, 0, 0][:2]
    text = " ".join(raws[at : at + length]).replace(" ,", ",")
    value = Fraction(year)
    return Figure(text, "date", value, value, "", frozenset(), _bound(raws, at), at, at + length, (year, month, day))


def _figure(raws: Sequence[str], at: int) -> Figure | None:
    found, length = read_amount(raws[at : at + 8], 0)
    if not found:
        return None
    kind, _, rest = found.partition(" ")
    value_text, _, unit = rest.partition(" ")
    if kind == "time":
        return _made(raws, at, length, "time", Fraction(value_text.replace(":", "")), "")
    if value_text.startswith("#"):
        is_century = at + length < len(raws) and raws[at + length].lower() in _CENTURY
        number = Fraction(value_text[1:])
        return _made(raws, at, length + is_century, "century" if is_century else "ordinal", number, "")
    if value_text.endswith("s"):
        return _made(raws, at, length, "decade", Fraction(value_text[:-1]), "")
    value = Fraction(value_text)
    if kind == "amount":
        return _made(raws, at, length, "amount", value, unit)
    if length == 1 and _YEAR.fullmatch(raws[at]):
        figure = _made(raws, at, 1, "date", value, "")
        return figure if not figure.head else _made(raws, at, 1, "number", value, "")
    return _made(raws, at, length, "number", value, "")


def _made(raws: Sequence[str], at: int, length: int, kind: str, base: Fraction, unit: str) -> Figure:
    end = at + length
    value = _plain_value(raws, at, length) if unit else base
    date = (int(base), 0, 0) if kind == "date" else (0, 0, 0)
    # a year counts things only where a plain plural follows: 1200 miles, not 2008 film
    head = _head(raws, end, plural=kind == "date") if not unit else frozenset({raws[end - 1].lower()})
    return Figure(" ".join(raws[at:end]), kind, value, base, unit, head, _bound(raws, at), at, end, date)


def _plain_value(raws: Sequence[str], at: int, length: int) -> Fraction:
    """The number of an amount without its unit."""
    for start, stop in ((at, at + length - 1), (at + 1, at + length), (at, at + length - 2)):
        found, taken = read_amount(raws[start:stop], 0)
        if found.startswith("number ") and taken == stop - start:
            return Fraction(found.split(" ")[1].strip("#s"))
    return Fraction(0)


def _head(raws: Sequence[str], at: int, plural: bool) -> frozenset[str]:
    """Base forms of the words that the number counts: up to three, as far as the next small word or mark."""
    words: list[str] = []
    for raw in raws[at : at + (1 if plural else 3)]:
        low = raw.lower()
        if not raw[0].isalpha() or low in SMALL:
            break
        words.append(low)
        if low.endswith("s") and not low.endswith("ss"):
            break
    if plural and not (words and words[-1].endswith("s") and raws[at].islower()):
        return frozenset()
    return frozenset().union(*(bases_of(word) for word in words))


def _bound(raws: Sequence[str], at: int) -> str:
    before = [raw.lower() for raw in raws[max(at - 3, 0) : at]]
    if not before:
        return ""
    if before[-1] == "than":
        return "less" if before[-2:-1] in (["less"], ["fewer"]) else "more"
    if before[-2:] == ["up", "to"] or before[-2:] == ["at", "most"]:
        return "less"
    return _BOUNDS.get(before[-1], "")
