"""Which word of the evidence stands for each word of a claim, and how well: by form, by WordNet, by vectors.

Greedy: each word of the claim takes its best partner on its own. Not covered: one word said by a whole phrase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pilotage.checks.grounding.tokens import Word
from pilotage.language.lexicon import lexicon

Floats = NDArray[np.float32]

SAME, ROOT, SYNONYM, STEM = 1.0, 0.9, 0.8, 0.7
RAREST = 5  # the sum of the two ranks of a meaning that still counts as shared
_STEM = 5  # letters that two words must begin with to count as cousins


@dataclass(frozen=True, slots=True)
class Match:
    """The best partner of a word by form or WordNet: its place among the words of the evidence, -1 for none."""

    at: int
    strength: float
    is_opposite: bool = False


def align(words: Sequence[Word], others: Sequence[Word]) -> list[Match]:
    """A match for each word."""
    places: dict[str, list[int]] = {}
    for at, other in enumerate(others):
        for base in other.bases:
            places.setdefault(base, []).append(at)
    content = [(at, other) for at, other in enumerate(others) if not other.is_small]
    found: list[Match] = []
    for word in words:
        same = [at for base in word.bases for at in places.get(base, ())]
        found.append(Match(_next(same, found), SAME) if same else _related(word, content))
    return found


def _next(same: list[int], found: list[Match]) -> int:
    """Of several places the one nearest after the last match, so that the order of the words is kept."""
    last = found[-1].at if found else -1
    return min(same, key=lambda at: (at <= last, abs(at - last)))


def _related(word: Word, content: list[tuple[int, Word]]) -> Match:
    best, opposite = Match(-1, 0.0), False
    if word.is_number:
        return best
    for at, other in content:
        strength = relation(word.low, other.low)
        if strength < 0:
            opposite = True
        elif strength > best.strength:
            best = Match(at, strength)
    return Match(best.at, best.strength, opposite and not best.strength)


@lru_cache(maxsize=8192)
def relation(one: str, other: str) -> float:
    """How near two different words are in meaning, 0 for unknown, -1 for opposites."""
    book = lexicon()
    mine, theirs = book.bases(one) | {one}, book.bases(other) | {other}
    pairs = [(a, b) for a in mine for b in theirs]
    if any(book.is_opposite(a, b) for a, b in pairs):
        return -1.0
    if any(book.is_root(a, b) for a, b in pairs):
        return ROOT
    if any(sum(book.rank(a, b)) <= RAREST for a, b in pairs):
        return SYNONYM
    if len(one) > _STEM and len(other) > _STEM and one[:_STEM] == other[:_STEM]:
        return STEM
    return 0.0
