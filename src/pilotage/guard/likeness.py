"""What of a text stays when only its form differs, and how alike two texts are.

normal   arguments: JSON read, keys sorted, case, white space, quotes, end punctuation and forms of numbers unified
masked   results: without what differs by itself: times of day, time stamps, durations, ids of requests
words    a text as a bag of words; scripts without spaces as pairs of characters

What is not covered: synonyms, translations, and results that are the same in other words.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

CUT = 2000  # characters of a text that are compared; all of it counts for being the same
DEEPEST = 40  # levels of nested arguments that are read

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\"'`“”„‘’‚«»‹›「」『』]")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ZEROS = re.compile(r"(?<=\d)\.0+(?![\d.])|(?<=\.\d)0+(?![\d.])")
_ENDS = re.compile(r"(?<=\w)[.,;:!?…。]+(?= |$)|[ .,;:!?…。]+$")
_DIGITS = re.compile(r"\d+")
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])+")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_PASSING = re.compile(
    r"""\b(?:
      (?=\d)(?:
          \d{4}-\d\d-\d\d[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\ ?Z|\ ?[+-]\d\d:?\d\d)?      # a date with a time
        | \d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b(?:\ ?[ap]m\b)?                                    # a time of day
        | 1[4-9]\d{8}(?:\d{3})?(?:\.\d+)?\b                                                       # epoch, 2014 to 2033
        | \d+(?:\.\d+)?\ ?(?:[mµun]s|millis\w*)\b | \d+\.\d+\ ?s(?:ec\w*)?\b                    # 12 ms, 0.12 s
      )
    | (?=[\da-f]{8})(?:
          [\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}\b                                              # uuid
        | (?=[a-f]*\d)(?=\d*[a-f])[\da-f]{12,}\b                                                  # a hash, an id
      )
    | (?=[telducrs])(?:
          (?:took|elapsed|duration|latency|uptime)\w*\W{1,4}\d+(?:\.\d+)?(?:\ ?[mµun]?s\b|\ ?sec\w*)?
        | (?:request|trace|correlation|span|session)[-_\ ]?id\W{1,4}[\w-]+ | req(?:uest)?[-_\#][\w-]{4,}
      )
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def normal(value: Any) -> str:
    """Arguments in one form, whatever the form they came in.

    >>> normal('{"limit": 1000.0, "query": "Red  Foxes?"}') == normal({"query": "red foxes", "limit": "1,000"})
    True
    """
    return json.dumps(_unified(read_json(value)), sort_keys=True, ensure_ascii=False)


def plain(text: str) -> str:
    """A text without differences of case, white space, quotes, end punctuation and forms of numbers."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = " ".join(_INVISIBLE.sub("", text).split())
    if not text.isalpha():
        text = _ZEROS.sub("", _GROUPED.sub("", text))
    return _ENDS.sub("", text) or text


def masked(text: str) -> str:
    """A result without what differs by itself. Progress ("10 %", "3 of 9") stays.

    >>> masked("3 of 9 at 12:30:01, took 0.31 s") == masked("3 of 9 at 12:31:07, took 0.29 s")
    True
    """
    text = " ".join(text.split())
    return _PASSING.sub("~", text) if _DIGITS.search(text) else text


def skeleton(text: str) -> str:
    """A text with all its numbers alike."""
    return _DIGITS.sub("0", text)


def words(text: str) -> list[str]:
    """The words of a plain text in order, cut at CUT characters.

    >>> words("red foxes 東京都")
    ['red', 'foxes', '東京', '京都']
    """
    if text.isascii():
        return _PLAIN_WORD.findall(text[:CUT])
    found: list[str] = []
    for word in _WORD.findall(text[:CUT]):
        if len(word) > 1 and _IS_UNSPACED.match(word):
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


class Vocabulary:
    """Words by their number, so that a bag of words is one integer and two bags are compared in a moment."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def bag(self, found: Iterable[str]) -> int:
        """A bit for each word.

        >>> vocabulary = Vocabulary()
        >>> vocabulary.bag(["red", "foxes"]), vocabulary.bag(["foxes"])
        (3, 2)
        """
        numbers = [self._numbers.setdefault(word, len(self._numbers)) for word in found]
        bits = bytearray(len(self._numbers) // 8 + 1)
        for number in numbers:
            bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")


def alike(one: int, other: int, least: float) -> bool:
    """Whether at least `least` of what the two bags hold, on average, is common to both (Dice)."""
    held = one.bit_count() + other.bit_count()
    return held > 0 and 2 * (one & other).bit_count() >= least * held


def read_json(value: Any) -> Any:
    """What a text that is JSON holds; anything else as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in ("{", "[", '"'):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _unified(value: Any, depth: int = 0) -> Any:
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {plain(str(key)): _unified(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [_unified(item, depth + 1) for item in value]
    return plain(value if isinstance(value, str) else str(value))
