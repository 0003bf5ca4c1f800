"""Words for the full-text index: what is written into it and what a question is turned into.

Latin letters go through SQLite's own tokenizer (accents folded, Porter stems). Scripts written without spaces, and
Korean with its particles, become overlapping character pairs; other alphabets with rich endings become character
groups of three or four (McNamee & Mayfield, "Character N-Gram Tokenization", 2004). No dictionary is needed.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from functools import cache

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"

# English function words: a closed class, so that they neither find nor weigh anything.
_STOP = (
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing during each for from had has have he her hers him his how i if in into is it its itself many may me "
    "might more most much must my no nor not of off on only or other our out over own s same she should so some such "
    "t than that the their them then there these they this those through to too under until up upon was we were what "
    "when where which while who whom whose why will with would you your"
)
STOP = frozenset(_STOP.split())

_PAIRS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_PAIRS += "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_TRIPLES = "\u0590-\u0fff"  # Hebrew, Arabic, the scripts of India (Thai is taken by _PAIRS first)
_FOURS = "\u0370-\u058f\u10a0-\u10ff\u1200-\u139f"  # Greek, Cyrillic, Armenian, Georgian, Ethiopic
_FOREIGN = re.compile(f"[{_PAIRS}{_TRIPLES}{_FOURS}]")
_VOWEL_SIGNS = re.compile("[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")
_ARABIC = str.maketrans("أإآىة", "ااايه")
_LINK = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\))*\)|https?://\S+")
_DOTTED = re.compile(r"\b(?:[A-Z]\.){2,}")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def is_foreign(text: str) -> bool:
    """Whether most letters belong to a script that is indexed by character groups."""
    letters = sum(map(str.isalpha, text))
    return letters > 0 and len(_FOREIGN.findall(text)) * 2 > letters


def plain(text: str) -> str:
    """Text without link targets, addresses, the commas inside numbers and the dots inside `U.N.`"""
    text = _DOTTED.sub(lambda found: found.group().replace(".", ""), _LINK.sub(" ", text))
    return _GROUPED.sub("", text)


def terms(text: str) -> list[str]:
    """The words of a text in order, lower case, before stemming.

    >>> terms("Kühe, 1,200 Euro")
    ['kühe', '1200', 'euro']
    >>> terms("서울은 수도")
    ['서울', '울은', '수도']
    """
    text = plain(text).lower()
    if not _FOREIGN.search(text):
        return _words().findall(text)
    text = _VOWEL_SIGNS.sub("", unicodedata.normalize("NFKC", text)).translate(_ARABIC)
    found: list[str] = []
    for pairs, triples, fours, word in _runs().findall(text):
        if word:
            found.append(word)
        else:
            found += _groups(pairs or triples or fours, 2 if pairs else 3 if triples else 4)
    return found


def column(text: str) -> str:
    """What is written into the full-text column for a text."""
    text = plain(text)
    return " ".join(terms(text)) if _FOREIGN.search(text) else text


class Stems:
    """Stems of words as the full-text index sees them: SQLite's own tokenizer, asked once for each word."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f'create virtual table t using fts5(w, content="", tokenize="{TOKENIZER}")')
        self._db.execute("create virtual table v using fts5vocab(t, instance)")

    def of(self, words: list[str]) -> list[str]:
        """The stem of each word; a word that is no token keeps its own spelling."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            self._learn(new)
        return [self._known[word] for word in words]

    def _learn(self, new: list[str]) -> None:
        if len(self._known) > 200_000:
            self._known.clear()
        self._db.execute("insert into t(t) values('delete-all')")
        self._db.executemany("insert into t(rowid, w) values(?, ?)", enumerate(new))
        stems = dict(self._db.execute("select doc, term from v where offset = 0"))
        self._known.update((word, stems.get(number, word)) for number, word in enumerate(new))

    def close(self) -> None:
        self._db.close()


def _groups(run: str, size: int) -> list[str]:
    return [run] if len(run) <= size else [run[i : i + size] for i in range(len(run) - size + 1)]


@cache
def _words() -> re.Pattern[str]:
    return re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")


@cache
def _runs() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in range(0x300, 0x1100) if unicodedata.category(chr(code)).startswith("M"))
    latin = rf"(?:(?![{_PAIRS}{_TRIPLES}{_FOURS}])(?:[^\W_]|[\u0300-\u036f]))+"
    return re.compile(rf"((?:[{_PAIRS}](?<=[\w{marks}]))+)|((?:[{_TRIPLES}](?<=[\w{marks}]))+)|([{_FOURS}]+)|({latin})")
