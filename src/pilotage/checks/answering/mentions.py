"""Whether a text speaks of a name, in this spelling or a near one: an inflection, initials, a slip of the keyboard.

Lenient on purpose: it decides that a name is absent, so what is like it counts as there. Not covered: another name of
the same person or thing.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from pilotage.checks.answering.stems import stem_words
from pilotage.evidence.terms import terms
from pilotage.language.amounts import unit_of
from pilotage.language.lexicon import lexicon

_LIKE = 0.7  # of the letters, for one word to be a slip of the other
_LONG = 5  # letters from which a part of a word may stand for it


class Words:
    """The words of a text, made ready for `mentions` once."""

    def __init__(self, text: str) -> None:
        self.words = terms(text)
        self.stems = frozenset(stem_words(self.words))
        self.initials = "".join(word[0] for word in self.words)


def mentions(words: Words, name: str) -> bool:
    """
    >>> mentions(Words("the United States of America"), "US")
    True
    """
    parts = terms(name)
    if not parts or unit_of(name, after_number=False) or not words.stems.isdisjoint(stem_words(parts)):
        return True
    if name.isupper() and len(name) < _LONG:
        return _is_short_for(name.lower(), words)
    return any(_is_near(part, words) for part in parts)


def absent(words: Words, names: Iterable[str]) -> list[str]:
    """The names that the text does not mention; a name whose neighbours give its initials is not among them."""
    listed = list(names)
    initials = "".join(name[0].lower() for name in listed)
    if any(len(word) > 1 and word in initials for word in words.words if len(word) <= len(initials)):
        return []
    return [name for name in listed if not mentions(words, name)]


def _is_short_for(name: str, words: Words) -> bool:
    """TV of television, AAA of American Automobile Association."""
    return name in words.initials or any(
        word[0] == name[0] and len(word) > 2 * len(name) and _is_within(name, word) for word in words.words
    )


def _is_within(letters: str, word: str) -> bool:
    rest = iter(word)
    return all(letter in rest for letter in letters)


def _is_near(part: str, words: Words) -> bool:
    roots = lexicon()
    for word in dict.fromkeys(words.words):
        if roots.is_root(part, word) or (len(part) >= _LONG and len(word) >= _LONG and _overlaps(part, word)):
            return True
    return False


def _overlaps(part: str, word: str) -> bool:
    if part in word or word in part or part[: _LONG - 1] == word[: _LONG - 1]:
        return True
    return part[0] == word[0] and SequenceMatcher(None, part, word, autojunk=False).ratio() >= _LIKE
