"""The vectors of two questions and of their words, from one pass of the model for each."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from pilotage.evidence.embedder import Embedder, TokenVectors
from pilotage.language.content import Word

KEPT = 512  # questions whose vectors stay in memory: the entries of a cache are compared again and again

_kept: OrderedDict[tuple[int, str], TokenVectors] = OrderedDict()
_lock = threading.Lock()


class Sentences:
    def __init__(self, a: str, b: str, embedder: Embedder) -> None:
        self._a, self._b = _embedded(a, embedder), _embedded(b, embedder)
        self.similarity = float(np.clip(self._a.sentence @ self._b.sentence, 0.0, 1.0))

    def nearness(self, one: Word, other: Word) -> float:
        """The cosine of a word of the first question and a word of the second; 0 for a word that has no place."""
        first, second = self._a.of(one.spans), self._b.of(other.spans)
        if first is None or second is None:
            return 0.0
        return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _embedded(text: str, embedder: Embedder) -> TokenVectors:
    key = (id(embedder), text)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = embedder.embed_tokens(text)
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made
