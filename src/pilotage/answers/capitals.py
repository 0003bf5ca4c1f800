"""Whether capitals tell two words apart: Polish and polish, AIDS and aids, Mb and MB, the White House and a white house.

A capital against lower case says nothing at the beginning of a sentence, in a heading, and in a word that is no common
one (Germany, germany). In a question typed without any capital a word may also stand for a name that is more usual
than itself (vat, VAT).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pilotage.answers.amounts import unit_of
from pilotage.answers.lexicon import lexicon

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_OPENING = re.compile(r"(?:^|[.?!:]\s)[\s\"'(¿¡«“‘]*(?:(?:hi|hello|hey|please|so)[ ,!.]+)*$", re.IGNORECASE)
_SMALL = frozenset(
    "a an the us it who is in on or no am me may as at be by do he we so to up if all can has not".split()
)


@dataclass(frozen=True)
class Spelled:
    """A word as it is written; `opens` a sentence, and so its capital says nothing; `known` as a name by its run."""

    raw: str
    opens: bool
    is_name: bool = False

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
    text = unicodedata.normalize("NFC", question).replace("’", "'")
    words = [Spelled(found[0], bool(_OPENING.search(text[: found.start()]))) for found in _WORD.finditer(text)]
    inner = [word.raw for word in words if not word.opens and word.raw[0].isalpha()]
    if text.isupper() or (len(inner) > 2 and all(raw[0].isupper() for raw in inner)):
        return [Spelled(word.low, word.opens) for word in words]
    return _named(words)


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
        found += [Spelled(word.raw, word.opens, is_name) for word in run] or [words[at]]
        at = max(end, at + 1)
    return found


def _bases(word: Spelled) -> frozenset[str]:
    return lexicon().bases(word.low) | {word.low}


def _agree(one: Spelled, other: Spelled, is_plain: bool) -> bool:
    if one.raw == other.raw or one.low == "i" == other.low:
        return True
    shapes = [_shape(one), _shape(other)]
    if "mixed" in shapes:
        return one.low != other.low or _agree_mixed(one, other, is_plain)
    if shapes[0] == shapes[1] or "opening" in shapes and "loud" not in shapes:
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
    if any(unit_of(word.raw, after_number=True) for word in (one, other)) or len(camel.raw) < 3 and not is_plain:
        return False
    return is_foldable(camel.low, is_plain) and (is_plain or camel.raw[0].isupper())


def is_foldable(low: str, is_plain: bool) -> bool:
    """Whether the word means the same with and without its capital."""
    book = lexicon()
    return low not in _SMALL and (not book.is_common(low) or (is_plain and book.is_mostly_name(low)))


def _shape(word: Spelled) -> str:
    raw = word.raw.partition("'")[0]
    if raw == raw.lower():
        return "lower"
    if raw.isupper() and len(raw) > 1 or raw.isupper() and not word.opens:
        return "loud"
    if raw[0].isupper() and raw[1:] == raw[1:].lower():
        return "opening" if word.opens else "title"
    return "mixed"
