"""The ranker's weights, printed by benchmarks/fit_ranker.py; see there for the data and the held-out figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """`rank`: for ranking.FEATURES. `answer`: for those of the best sentence and the log of its share; and a bias."""

    rank: tuple[float, ...]
    answer: tuple[float, ...]
    bias: float


# Held out by document: 93.0 % answered, 96.3 % withheld when the document is not there.
WITH_VECTORS = Weights(
    rank=(8.07, 3.22, 0.38, 4.94, 10.67, 0.81, 4.32, 2.54),
    answer=(6.80, 3.39, 0.00, 10.21, 4.75, 0.00, 2.86, 0.90, 0.50),
    bias=-10.72,
)
# Held out by document: 85.5 % answered, 96.6 % withheld. The bias is moved so that one bound serves both.
LEXICAL = Weights(
    rank=(9.96, 2.02, 4.24, 0.00, 0.00, 0.85, 3.94, 2.65),
    answer=(11.84, 7.07, 0.00, 0.00, 0.00, 0.00, 10.30, 3.29, -0.53),
    bias=-9.63,
)
# Scripts indexed by character groups: groups of endings are never found, so coverage is lower. There is no data to fit;
# the slopes are set by hand, so that about two fifths of the question's weight has to be found. See test_scripts.py.
GROUPS = Weights(
    rank=LEXICAL.rank,
    answer=(9.0, 5.0, 0.00, 0.00, 0.00, 0.00, 9.0, 3.0, 0.00),
    bias=-6.7,
)
ANSWERABLE = 0.23  # the bound on the best score
