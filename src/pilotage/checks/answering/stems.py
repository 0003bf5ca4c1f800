"""The stems of a text, as the search of the knowledge folder sees them: one stemmer for the whole process."""

from __future__ import annotations

import re
from functools import cache
from threading import Lock

from pilotage.evidence.functionwords import content
from pilotage.evidence.terms import STOP, Stems, is_foreign, terms
from pilotage.language.lexicon import lexicon

FEW = 5  # words: fewer tell nothing of their language
FUNCTION_WORDS = 0.15  # the least share of them in an English text; German or French ones have under 0.08
KNOWN = 0.6  # the least share of its words of four lower-case letters and more that WordNet has
_PLAIN = re.compile(r"\b[^\W\d_A-Z]{4,}\b")
_ENGLISH = STOP - {
    "a",
    "an",
    "am",
    "as",
    "in",
    "on",
    "no",
    "me",
    "s",
    "t",
    "his",
    "do",
    "has",
    "so",
    "was",
    "by",
    "she",
}

_lock = Lock()


@cache
def _stemmer() -> Stems:
    return Stems()


def stem_words(words: list[str]) -> list[str]:
    """The stem of each word; safe to call from several threads."""
    with _lock:
        return _stemmer().of(words)


def stems_of(text: str) -> frozenset[str]:
    """All stems of a text, small words included.

    >>> "found" in stems_of("It was founded.")
    True
    """
    return frozenset(stem_words(terms(text)))


def is_english(text: str) -> bool:
    """Whether small English words make out enough of the text, or most of its long lower-case words are English ones.

    A few words in Latin letters tell nothing and are taken for English.
    """
    words = terms(text)
    if is_foreign(text) or len(words) < FEW:
        return not is_foreign(text)
    if sum(word in _ENGLISH for word in words) >= FUNCTION_WORDS * len(words):
        return True
    book, long = lexicon(), [word for word in _PLAIN.findall(text) if word not in STOP]
    known = sum(any(book.knows(base) for base in book.bases(word)) for word in long)
    return known >= KNOWN * len(long)


def content_words(text: str) -> list[str]:
    """The words that carry meaning, in order, each once."""
    return [word for word in dict.fromkeys(terms(content(text) if is_foreign(text) else text)) if word not in STOP]


def content_stems(text: str) -> frozenset[str]:
    return frozenset(stem_words(content_words(text)))
