"""How well each sentence of the passages found answers a question.

Two small models, fitted by benchmarks/fit_ranker.py. The first spreads the chance over the sentences (a softmax), the
second tells the chance that any of them answers at all (a logistic); their product is a sentence's score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotage.evidence.answertype import answer_type, offers, words_of
from pilotage.evidence.functionwords import content
from pilotage.evidence.passages import Passage
from pilotage.evidence.terms import STOP, is_foreign, terms
from pilotage.evidence.weights import GROUPS, LEXICAL, WITH_VECTORS, Weights

Floats = NDArray[np.float64]

# The columns of `features`, for each sentence. Coverage is the share of the question's weight (rarity) that is found.
FEATURES = (
    "own",  # coverage by the sentence and its title and heading
    "whole",  # coverage by the passage
    "bm25",  # of the passage, against the best passage
    "cosine",  # of the sentence
    "around",  # cosine of the passage: mean of its sentences
    "type",  # offers the kind of answer that is asked for: 1, -1, or 0
    "before",  # coverage that the sentence before adds: "He ..." follows a name
    "after",  # coverage that the sentence after adds
)


@dataclass(frozen=True, slots=True)
class Words:
    """The stems of a passage: a set for each sentence, and those of title and heading."""

    sentences: list[frozenset[str]]
    name: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may answer: its sentences (id, start, stop), their stems, its BM25, its sentences' vectors."""

    passage: Passage
    spans: list[tuple[int, int, int]]
    words: Words
    bm25: float
    rows: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question's stems with their weights (rarity in the folder), and its vector where the model knows it."""

    text: str
    weights: dict[str, float]
    vector: NDArray[np.float32] | None


def content_words(text: str) -> list[str]:
    """The words of a question that carry meaning, each once."""
    if is_foreign(text):
        text = content(text)
    return [word for word in dict.fromkeys(terms(text)) if word not in STOP]


def rarity(passages: int, frequency: int) -> float:
    """BM25's inverse document frequency."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def features(question: Question, candidates: list[Candidate]) -> Floats:
    """A row for each sentence of each candidate, in order; the columns are FEATURES."""
    best = max((candidate.bm25 for candidate in candidates), default=0.0) or 1.0
    kind, asked = answer_type(question.text), words_of(question.text)
    rows: list[tuple[float, ...]] = []
    for candidate in candidates:
        name, sentences = candidate.words.name, candidate.words.sentences
        whole = _coverage(question, name.union(*sentences))
        cosines, around = _cosines(question, candidate)
        for place, (_, start, stop) in enumerate(candidate.spans):
            words = sentences[place] | name
            own = _coverage(question, words)
            before = _coverage(question, words | sentences[place - 1]) - own if place else 0.0
            after = _coverage(question, words | sentences[place + 1]) - own if place + 1 < len(sentences) else 0.0
            offered = offers(kind, asked, candidate.passage.text[start:stop])
            rows.append((own, whole, candidate.bm25 / best, cosines[place], around, offered, before, after))
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def scores(question: Question, candidates: list[Candidate]) -> list[Floats]:
    """For each candidate the chance, 0 to 1, that each of its sentences answers the question."""
    table = features(question, candidates)
    if not len(table) or not question.weights:
        return [np.zeros(len(candidate.spans)) for candidate in candidates]
    if question.vector is not None:
        return chances(table, candidates, WITH_VECTORS)
    return chances(table, candidates, GROUPS if is_foreign(question.text) else LEXICAL)


def chances(table: Floats, candidates: list[Candidate], weights: Weights) -> list[Floats]:
    """`scores` from the table of features."""
    shares = spread(table, weights)
    edges = np.cumsum([len(candidate.spans) for candidate in candidates])[:-1]
    return list(np.split(shares * answerable(table, shares, weights), edges))


def spread(table: Floats, weights: Weights) -> Floats:
    """The share of each sentence in the chance; they add up to 1."""
    marks = table @ np.array(weights.rank)
    powers = np.exp(marks - marks.max())
    return np.asarray(powers / powers.sum())


def evidence(table: Floats, shares: Floats) -> Floats:
    """What the second model looks at: the best sentence's features and how far it stands out."""
    best = int(np.argmax(shares))
    return np.append(table[best], math.log(shares[best]))


def answerable(table: Floats, shares: Floats, weights: Weights) -> float:
    """The chance that one of the sentences answers."""
    return 1 / (1 + math.exp(-float(evidence(table, shares) @ np.array(weights.answer)) - weights.bias))


def _coverage(question: Question, words: frozenset[str]) -> float:
    covered = sum(weight for word, weight in question.weights.items() if word in words)
    return covered / (sum(question.weights.values()) or 1.0)


def _cosines(question: Question, candidate: Candidate) -> tuple[list[float], float]:
    if question.vector is None or candidate.rows is None:
        return [0.0] * len(candidate.spans), 0.0
    mean = candidate.rows.mean(axis=0)
    around = float(mean @ question.vector) / (float(np.linalg.norm(mean)) or 1.0)
    return [float(cosine) for cosine in candidate.rows @ question.vector], around
