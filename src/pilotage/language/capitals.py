"""Whether capitals tell two words apart: Polish and polish, AIDS and aids, Mb and MB, Rust and rust.

A capital against lower case says nothing at the beginning of a sentence, in a heading, and in a word that is no common
one (Germany, germany). In a question typed without any capital a word may also stand for a name that is more usual
than itself (vat, VAT).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from pilotage.language.amounts import unit_of
from pilotage.language.lexicon import lexicon

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_OPENING = re.compile(r"(?:^|[.?!:]\s)[\s\"'(¿¡«“‘]*(?:(?:hi|hello|hey|please|so)[ ,!.]+)*$", re.IGNORECASE)
_WINDOW = 40  # characters looked at before a word, so that a long text costs no more than its length
_SMALL_WORDS = "a an the us it who is in on or no am me may as at be by do he we so to up if all can has not"
SMALL = frozenset(_SMALL_WORDS.split())
"""Small words that capitals turn into a sign or a name."""


@dataclass(frozen=True)
class Spelled:
    """A word as it is written; `opens` a sentence, and so its capital says nothing; `known` as a name by its run."""

    raw: str
    opens: bool
    is_name: bool = False
    is_unit: bool = False  # a short word after a number

    @property
    def low(self) -> str:
        return self.raw.lower()


def find_capital_fault(a: str, b: str) -> str:
    """The first word that capitals make another in one of the questions, or ""."""
    one, other = read_spelling(a), read_spelling(b)
    is_plain = a == a.lower() or b == b.lower()
    theirs: dict[str, list[Spelled]] = {}
    for word in other:
        for base in _bases(word):
            theirs.setdefault(base, []).append(word)
    for word in one:
        found = [partner for base in _bases(word) for partner in theirs.get(base, [])]
        if found and not any(_agree(word, partner, is_plain) for partner in found):
            return f"“{word.raw}” against “{found[0].raw}”"
    return ""


def read_spelling(question: str) -> list[Spelled]:
    """The words as written, in their order; those of a loud question and of a heading in lower case."""
    text = _plain(question)
    words = [
        Spelled(found[0], _opens(text, found.start()), is_unit=_follows_number(text, found))
        for found in _WORD.finditer(text)
    ]
    inner = [word.raw for word in words if not word.opens and word.raw[0].isalpha()]
    if text.isupper() or (len(inner) > 2 and all(raw[0].isupper() for raw in inner)):
        return [replace(word, raw=word.low) for word in words]
    return _named(words)


def fold_capitals(question: str) -> str:
    """The question without the capitals that say nothing."""
    text = _plain(question)
    found, end = [], 0
    for place, word in zip(_WORD.finditer(text), read_spelling(text), strict=True):
        found += [text[end : place.start()], word.raw if word.is_unit or _is_telling(word) else word.low]
        end = place.end()
    return "".join([*found, text[end:]])


def _opens(text: str, at: int) -> bool:
    before = text[:at] if at <= _WINDOW else "x" + text[at - _WINDOW : at]
    return bool(_OPENING.search(before))


def _follows_number(text: str, found: re.Match[str]) -> bool:
    before = text[max(found.start() - 3, 0) : found.start()].rstrip(" ")
    return before[-1:].isdigit() and len(found[0]) < 5


def _plain(question: str) -> str:
    return unicodedata.normalize("NFC", question).replace("’", "'")


def _is_telling(word: Spelled) -> bool:
    shape = _shape(word)
    if word.raw[0].isdigit():
        return True
    if len(word.raw) < 4 and any(unit_of(raw, after_number=True) for raw in (word.raw, word.raw.upper())):
        return True  # MB, Mb
    if shape in ("mixed", "loud"):
        return shape == "mixed" or (not is_foldable(word.low, False) and word.low != "i")
    return shape == "title" and not (word.is_name or is_foldable(word.low, False))


def _named(words: list[Spelled]) -> list[Spelled]:
    """Capitalised words in a row are a name as soon as one of them is no common word: Eiffel Tower."""
    found: list[Spelled] = []
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and words[end].raw.istitle() and not words[end].opens:
            end += 1
        run = words[at:end]
        is_name = any(not lexicon().is_common(word.low) for word in run)
        found += [replace(word, is_name=is_name) for word in run] or [words[at]]
        at = max(end, at + 1)
    return found


def _bases(word: Spelled) -> frozenset[str]:
    return lexicon().bases(word.low) | {word.low}


def _agree(one: Spelled, other: Spelled, is_plain: bool) -> bool:
    if one.raw == other.raw or one.low == "i" == other.low:
        return True
    if one.raw[0].isdigit() or (one.is_unit and other.is_unit and not is_plain):
        return one.low != other.low  # 5k, 5K; 1 Cal, 1 cal
    if len(one.raw) < 4 and all(unit_of(word.raw, after_number=True) for word in (one, other)):
        return False  # mg, Mg
    shapes = [_shape(one), _shape(other)]
    if "mixed" in shapes:
        return one.low != other.low or _agree_mixed(one, other, is_plain)
    if shapes[0] == shapes[1] or ("opening" in shapes and "loud" not in shapes):
        return True
    if "lower" not in shapes and "opening" not in shapes:
        return not lexicon().is_common(one.low) and len(one.raw) > 3  # NATO, Nato
    capital = one if shapes[1] in ("lower", "opening") else other
    return capital.is_name or is_foldable(capital.low, is_plain)


def _agree_mixed(one: Spelled, other: Spelled, is_plain: bool) -> bool:
    """JavaScript, javascript; but not maxIter, MaxIter, nor kB, kb."""
    if one.raw != one.low and other.raw != other.low and not (one.opens or other.opens):
        return False
    camel = one if one.raw != one.low else other
    if any(unit_of(word.raw, after_number=True) for word in (one, other)) or (len(camel.raw) < 3 and not is_plain):
        return False
    return is_foldable(camel.low, is_plain) and (is_plain or camel.raw[0].isupper())


def is_foldable(low: str, is_plain: bool) -> bool:
    """Whether the word means the same with and without its capital."""
    book = lexicon()
    return low not in SMALL and (not book.is_common(low) or (is_plain and book.is_mostly_name(low)))


def _shape(word: Spelled) -> str:
    raw = word.raw.partition("'")[0]
    if raw == raw.lower():
        return "lower"
    if raw.isupper() and (len(raw) > 1 or not word.opens):
        return "loud"
    if raw[0].isupper() and raw[1:] == raw[1:].lower():
        return "opening" if word.opens else "title"
    return "mixed"
