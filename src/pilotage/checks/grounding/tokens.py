"""Words of a text as the grounding grader sees them: base forms, small words apart, names and numbers marked.

Not covered: scripts without spaces between words (each run of letters is one word there), compounds.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from pilotage.language.amounts import ONES, ORDINALS, TENS
from pilotage.language.lexicon import lexicon
from pilotage.language.words import NEGATIONS, QUANTIFIERS

_WORD = re.compile(r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th|s)?|[^\W_]+(?:['’][^\W_]+)?|[$€£¥%]")
_OPENING = re.compile(r"(?:^|[.?!:;\n]\s*|[\"“”'(])$")
_SMALL = (
    "a about after all also am an and any are as at be been before being between both but by can could did do does "
    "during each either for from had has have he her here hers him his how however i if in into is it its itself just "
    "may me might more most must my no nor not of off on only onto or other our out over own per rather s same shall "
    "she should since so some such than that the their them then there these they this those through thus to too "
    "under until up upon us very was we well were what when where which while who whom whose why will with within "
    "without would yet you your lrb rrb lsb rsb n't t ve re ll d"
)
SMALL = frozenset(_SMALL.split())
_DIGITS = {word: str(value) for word, value in (*ONES.items(), *TENS.items(), *ORDINALS.items())} | {
    "once": "1", "twice": "2", "hundred": "100", "thousand": "1000", "dozen": "12",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its place in the text. `bases` are what it may stand for; two words match when they share one."""

    low: str
    bases: frozenset[str]
    start: int
    end: int
    is_name: bool
    is_number: bool
    is_small: bool


def read_words(text: str) -> list[Word]:
    """Every word of the text in order."""
    return [_word(text, found) for found in _WORD.finditer(text)]


@lru_cache(maxsize=64)
def read_bases(text: str) -> frozenset[str]:
    """What any word of the text may stand for."""
    found: set[str] = set()
    for raw in set(_WORD.findall(text)):
        found |= bases_of(fold(raw))
    return frozenset(found)


def _word(text: str, found: re.Match[str]) -> Word:
    raw = found[0]
    low = fold(raw)
    is_number = raw[0].isdigit() or raw in "$€£¥%" or low in _DIGITS
    is_small = low in SMALL or low in NEGATIONS or low in QUANTIFIERS or low.endswith("n't")
    is_name = raw[0].isupper() and not is_small and (not _opens(text, found.start()) or not _is_common(low))
    return Word(low, bases_of(low), found.start(), found.end(), is_name and not is_number, is_number, is_small)


@lru_cache(maxsize=8192)
def fold(raw: str) -> str:
    """Lower case, without accents, without the ending of the owner; 1,200 without its comma."""
    text = "".join(c for c in unicodedata.normalize("NFKD", raw.replace("’", "'").lower()) if not _is_mark(c))
    if text[:1].isdigit():
        return re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return text.removesuffix("'s")


@lru_cache(maxsize=8192)
def bases_of(low: str) -> frozenset[str]:
    if low[:1].isdigit():
        return frozenset({low.rstrip("stndrh")})
    return lexicon().bases(low) | {low} | ({_DIGITS[low]} if low in _DIGITS else set())


@lru_cache(maxsize=8192)
def _is_common(low: str) -> bool:
    return lexicon().is_common(low)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) == "Mn"


def _opens(text: str, at: int) -> bool:
    return bool(_OPENING.search(text[max(0, at - 3) : at])) or at < 2
