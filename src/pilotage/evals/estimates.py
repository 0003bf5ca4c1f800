"""Figures with their 95 % intervals, and whether two series of answers differ by more than chance.

    wilson      for a share of single answers (Wilson 1927)
    bootstrap   when each question was asked more than once: answers to one question resemble each other, so that
                questions are drawn anew, not answers (percentile bootstrap, fixed seed); for medians and means always
    pass_all    pass^k, the chance that k attempts at one question are all right, from c right ones of n: C(c,k)/C(n,k)
    sign_test   exact, two-sided; with one answer to each question it is McNemar's exact test

What is not covered: many figures looked at together; of twenty intervals one misses by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Figure = Callable[[Array], Array]  # along the last axis

Z = 1.959963984540054  # of the normal distribution, for 95 %
SEED, RESAMPLES = 0, 2000
AT_ONCE = 2_000_000  # values that are drawn at once
Groups = Sequence[Sequence[float]]
"""By question, the values of its answers."""


@dataclass(frozen=True)
class Estimate:
    """A figure of `of` answers, from `low` to `high` with 95 % confidence, by `method`; None when there is none."""

    value: float | None
    low: float | None
    high: float | None
    of: int
    method: str

    def as_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


def wilson(right: float, of: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    >>> [round(end, 4) for end in wilson(10, 10)]
    [0.7225, 1.0]
    """
    share = right / of
    centre = share + Z * Z / (2 * of)
    half = Z * sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    low, high = (centre - half) / (1 + Z * Z / of), (centre + half) / (1 + Z * Z / of)
    return (0.0 if right == 0 else low, 1.0 if right == of else high)


def share_of(groups: Groups) -> Estimate:
    """The share of values of 1, or the mean of what lies between 0 and 1, with its interval."""
    groups = [group for group in groups if group]
    values = [value for group in groups for value in group]
    if not values:
        return Estimate(None, None, None, 0, "")
    mean = sum(values) / len(values)
    means = {round(sum(group) / len(group), 12) for group in groups}
    once = len(values) == len(groups) and set(values) <= {0.0, 1.0}
    if once or len(means) == 1:  # nothing varies: drawing anew would claim certainty
        low, high = wilson(mean * len(groups), len(groups))
        return Estimate(mean, low, high, len(values), "wilson" if once else "wilson over questions")
    low, high = bootstrap(groups, average)
    return Estimate(mean, low, high, len(values), "bootstrap over questions")


def figure_of(groups: Groups, figure: Figure) -> Estimate:
    """Another figure of all values, such as `median`, with its bootstrap interval."""
    import numpy as np

    groups = [group for group in groups if group]
    if not groups:
        return Estimate(None, None, None, 0, "")
    values = np.array([value for group in groups for value in group], float)
    low, high = bootstrap(groups, figure)
    return Estimate(float(figure(values)), low, high, len(values), "bootstrap over questions")


def bootstrap(groups: Groups, figure: Figure, *, seed: int = SEED, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the figure over questions drawn anew, each with all its values."""
    import numpy as np

    rng, sizes = np.random.default_rng(seed), np.array([len(group) for group in groups])
    at_once = max(1, AT_ONCE // int(sizes.sum()))
    drawn = (
        rng.integers(len(groups), size=(min(at_once, resamples - done), len(groups)))
        for done in range(0, resamples, at_once)
    )
    figures = np.concatenate([_figures(groups, sizes, rows, figure) for rows in drawn])
    low, high = np.quantile(figures, [0.025, 0.975])
    return float(low), float(high)


def median(values: Array) -> Array:
    import numpy as np

    return np.asarray(np.median(values, axis=-1))


def p95(values: Array) -> Array:
    """The smallest value that 95 % of them do not pass."""
    import numpy as np

    return np.asarray(np.quantile(values, 0.95, axis=-1, method="inverted_cdf"))


def average(values: Array) -> Array:
    import numpy as np

    return np.asarray(values.mean(axis=-1))


def _figures(groups: Groups, sizes: Array, rows: Array, figure: Figure) -> Array:
    """The figure of each row of questions; all rows in one go where that can be."""
    import numpy as np

    if figure is average:
        sums = np.array([sum(group) for group in groups])
        return np.asarray(sums[rows].sum(axis=1) / sizes[rows].sum(axis=1))
    if len(set(sizes.tolist())) == 1:
        return figure(np.array(groups, float)[rows].reshape(len(rows), -1))
    arrays = [np.array(group, float) for group in groups]
    return np.array([float(figure(np.concatenate([arrays[at] for at in row]))) for row in rows])


def pass_all(of: int, right: int, k: int) -> float:
    """pass^k without bias (tau-bench, Yao and others 2024), k at most `of`.

    >>> pass_all(4, 2, 2) == 1 / 6
    True
    """
    return comb(right, k) / comb(of, k)


def pass_any(of: int, right: int, k: int) -> float:
    """pass@k without bias (Chen and others 2021): the chance that at least one of k attempts is right."""
    return 1 - comb(of - right, k) / comb(of, k)


def sign_test(better: int, worse: int) -> float:
    """The chance of a split at least as uneven, when better and worse are equally likely; ties say nothing.

    >>> sign_test(0, 6)
    0.03125
    """
    of = better + worse
    if not of:
        return 1.0
    tail = sum(comb(of, few) for few in range(min(better, worse) + 1))
    return float(min(1.0, 2 * tail / 2**of))
