"""What of a text stays when only its form differs, and how alike two texts are.

normal   arguments: JSON read, keys sorted, case, white space, quotes, end punctuation and forms of numbers unified
masked   results: without what differs by itself: colours, times, rates, addresses, ids of requests, cursors
words    a text as a bag of words; scripts without spaces as pairs of characters

What is not covered: synonyms, translations, and results that are the same in other words. Every pattern takes
time in proportion to the text, and sees LONGEST characters of it: whoever writes a text may write it to stop a run.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

CUT = 2000  # characters of a text that are compared; all of it counts for being the same
LONGEST = 50_000  # characters of a text whose form is unified; what is beyond counts as it stands
DEEPEST = 40  # levels of nested arguments that are read

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\"'`“”„‘’‚«»‹›「」『』]")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ZEROS = re.compile(r"(?<=\d)\.0+(?![\d.])|(?<=\.\d)0+(?![\d.])")
_ENDS = re.compile(r"(?<=\w)[.,;:!?…。]++(?= )")
_LAST = " .,;:!?…。"
_DIGITS = re.compile(r"\d+")
_COUNTERS = re.compile(r"(?<![\w.-])[v#]?\d{1,2}(?![\w-])")
_NAMES = re.compile(r"(?!v\d)(?=\D*\d)(?=\d*\D)\w+|\d{3,}")  # a7 and 300, neither v2 nor 12
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])+")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_PASSING = re.compile(
    r"""\b(?:
      (?=\d)(?:
          0x[\da-f]{4,}\b                                                                        # an address
        | \d{4}-\d\d-\d\d[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\ ?Z|\ ?[+-]\d\d:?\d\d)?      # a date with a time
        | \d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b(?:\ ?[ap]m\b)?                                    # a time of day
        | 1[4-9]\d{8}(?:\d{3})?(?:\.\d+)?\b                                                       # epoch, 2014 to 2033
        | \d+(?:\.\d+)?\ ?(?:(?:[mµun]s|millis\w*)\b|[kmg]i?b/s) | \d+\.\d+\ ?s(?:ec\w*)?\b    # 12 ms, 9 kB/s, 0.1 s
      )
    | (?=[\da-f]{8})(?:
          [\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}\b                                              # uuid
        | (?=[a-f]*\d)(?=\d*[a-f])[\da-f]{12,}\b                                                  # a hash, an id
      )
    | (?=[telducrsn])(?:
          (?:took|elapsed|duration|latency|uptime)\w*\W{1,4}\d+(?:\.\d+)?(?:\ ?[mµun]?s\b|\ ?sec\w*)?
        | (?:request|trace|correlation|span|session)[-_\ ]?id\W{1,4}[\w-]+ | req(?:uest)?[-_\#][\w-]{4,}
        | (?:nonce|seed|ray|ref(?:erence)?|cursor|token|etag|digest|next_?(?:page_?)?(?:cursor|token))
          (?:[-_\ ]?id)?\W{1,4}(?=[\w-]{0,64}\d)[\w-]+
      )
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_COLOURS = re.compile(r"\x1b\[[\d;?]*+[a-z]", re.IGNORECASE)
_IN_QUERIES = re.compile(r"(?<=[?&])\w++=(?=[a-f]*\d)(?=\d*[a-f])[\da-f]{6,}\b", re.IGNORECASE)


def normal(value: Any) -> str:
    """Arguments in one form, whatever the form they came in.

    >>> normal('{"limit": 1000.0, "query": "Red  Foxes?"}') == normal({"query": "red foxes", "limit": "1,000"})
    True
    """
    return json.dumps(_unified(read_json(value)), sort_keys=True, ensure_ascii=False)


def plain(text: str) -> str:
    """A text without differences of case, white space, quotes, end punctuation and forms of numbers."""
    rest = _rest(text)
    text = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    text = " ".join(_INVISIBLE.sub("", text).split())
    if not text.isalpha():
        text = _ZEROS.sub("", _GROUPED.sub("", text))
    return (_ENDS.sub("", text).rstrip(_LAST) or text) + rest


def masked(text: str) -> str:
    """A result without what differs by itself. Progress ("10 %", "3 of 9") stays.

    >>> masked("3 of 9 at 12:30:01, took 0.31 s") == masked("3 of 9 at 12:31:07, took 0.29 s")
    True
    """
    rest, text = _rest(text), text[:LONGEST]
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    text = " ".join(text.split())
    if "=" in text:
        text = _IN_QUERIES.sub("~", text)
    return (_PASSING.sub("~", text) if _DIGITS.search(text) else text) + rest


def _rest(text: str) -> str:
    """A mark of what is beyond LONGEST characters: the same for the same rest, within one process."""
    return f" …{hash(text[LONGEST:])}" if len(text) > LONGEST else ""


def skeleton(text: str) -> str:
    """A text with all its numbers alike."""
    return _DIGITS.sub("0", text)


def without_counters(text: str) -> str:
    """A text with its small counters alike: numbers that stand alone. 300 and A-7 are names of something.

    >>> without_counters("try 3 for order 1007"), without_counters("try 12 for order 1008")
    ('try 0 for order 1007', 'try 0 for order 1008')
    """
    return _COUNTERS.sub("0", text)


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
        self._names = 0  # the bag of all words that name one thing among others: ids, numbers of orders

    def bag(self, found: Iterable[str]) -> int:
        """A bit for each word.

        >>> vocabulary = Vocabulary()
        >>> vocabulary.bag(["red", "foxes"]), vocabulary.bag(["foxes"])
        (3, 2)
        """
        numbers = [self._numbers[word] if word in self._numbers else self._learn(word) for word in found]
        bits = bytearray(len(self._numbers) // 8 + 1)
        for number in numbers:
            bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")

    def differ_by_name(self, one: int, other: int) -> bool:
        """Whether two bags differ, and in nothing but names: the same doing to something else."""
        differing = one ^ other
        return differing > 0 and not differing & ~self._names

    def _learn(self, word: str) -> int:
        number = self._numbers[word] = len(self._numbers)
        if _NAMES.fullmatch(word):
            self._names |= 1 << number
        return number


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


def shown(value: Any) -> str:
    """Any value as text; only its type, where Python refuses: a tower of lists, a number of thousands of digits."""
    try:
        return str(value)
    except (ValueError, RecursionError):
        return f"<{type(value).__name__}>"


def _unified(value: Any, depth: int = 0) -> Any:
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {plain(shown(key)): _unified(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [_unified(item, depth + 1) for item in value]
    return plain(shown(value))
