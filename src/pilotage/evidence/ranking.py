"""How well each sentence of the passages found answers a question: features, and the model that weighs them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pilotage.evidence.passages import Passage
from pilotage.evidence.terms import STOP, Stems, terms

Floats = NDArray[np.float64]

_NAME = re.compile(r"(?<![.!?\"“(\n] )(?<!^)\b[A-Z][\w'’-]+")
_NUMBER = re.compile(r"\d")
_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})\b|\b\d{1,4}s\b|\bcentur(?:y|ies)\b|\bBCE?\b|\bAD\b")


@dataclass(slots=True)
class Candidate:
    """A passage that may answer: its sentences, their words, and how the two searches judged it."""

    passage: Passage
    spans: list[tuple[int, int, int]]  # sentence id, start, stop
    bm25: float = 0.0
    words: list[frozenset[str]] = field(default_factory=list)
    name: frozenset[str] = frozenset()
    rows: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question's words with their weights (rarity in the folder) and what kind of answer it wants."""

    text: str
    weights: dict[str, float]
    vector: NDArray[np.float32] | None

    @property
    def total(self) -> float:
        return sum(self.weights.values()) or 1.0


def content_words(text: str) -> list[str]:
    """The words of a question that carry meaning, each once."""
    return [word for word in dict.fromkeys(terms(text)) if word not in STOP]


def rarity(passages: int, frequency: int) -> float:
    """BM25's inverse document frequency."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def coverage(question: Question, words: frozenset[str]) -> float:
    """The share of the question's weight that these words cover."""
    return sum(weight for word, weight in question.weights.items() if word in words) / question.total


def prepare(candidate: Candidate, stems: Stems) -> None:
    """Stem the candidate's words."""
    text = candidate.passage.text
    candidate.words = [frozenset(stems.of(terms(text[start:stop]))) for _, start, stop in candidate.spans]
    candidate.name = frozenset(stems.of(terms(f"{candidate.passage.title} {candidate.passage.heading}")))


def scores(question: Question, candidates: list[Candidate]) -> list[Floats]:
    """For each candidate the chance, 0 to 1, that each of its sentences answers the question."""
    top = max((candidate.bm25 for candidate in candidates), default=0.0) or 1.0
    found = []
    for candidate in candidates:
        whole = candidate.name.union(*candidate.words)
        paragraph = coverage(question, whole)
        own = np.array([coverage(question, words | candidate.name) for words in candidate.words])
        cosines = candidate.rows @ question.vector if candidate.rows is not None and question.vector is not None else own
        found.append(1 / (1 + np.exp(-(3 * own + 2 * paragraph + 4 * cosines + candidate.bm25 / top - 5.5))))
    return found
