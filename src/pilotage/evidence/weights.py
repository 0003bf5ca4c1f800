"""The ranker's weights, printed by benchmarks/fit_ranker.py; see there for the data and the held-out figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """`rank`: for ranking.FEATURES. `answer`: for those of the best sentence and the log of its share; and a bias."""

    rank: tuple[float, ...]
    answer: tuple[float, ...]
    bias: float


WITH_VECTORS = Weights(
    rank=(7.8, 3.0, 1.0, 4.6, 10.2, 0.8, 3.9, 2.6),
    answer=(8.17, 3.8, 0.0, 8.18, 2.1, 0.0, 5.0, 0.0, 0.3),
    bias=-11.0,
)
LEXICAL = Weights(
    rank=(7.8, 3.0, 1.0, 0.0, 0.0, 0.8, 3.9, 2.6),
    answer=(7.0, 8.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.3),
    bias=-8.0,
)
ANSWERABLE = 0.2  # the bound on the best score
