"""Choosing from the hits what an answer may quote: at most two quotes, together short enough to be read.

A quote that reads like an order to a model is none: whoever copies it would say what the order wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Protocol, TypeVar

from pilotage.evidence.quotes import BUDGET
from pilotage.evidence.weights import ANSWERABLE
from pilotage.guard.fence import suspects

QUOTES = 2


class Scored(Protocol):
    """A quote with its score: a Hit, or what a tool's result shows of one."""

    @property
    def quote(self) -> str: ...
    @property
    def score(self) -> float: ...


Some = TypeVar("Some", bound=Scored)


def choose(hits: Sequence[Some]) -> list[Some]:
    """The hits worth most together, at most two and BUDGET characters; [] when the best is under ANSWERABLE."""
    hits = [hit for hit in hits if not suspects(hit.quote)]
    if max((hit.score for hit in hits), default=0.0) < ANSWERABLE:
        return []
    fitting = [
        group
        for size in range(1, QUOTES + 1)
        for group in combinations(hits, size)
        if sum(len(hit.quote) for hit in group) <= BUDGET
    ]
    best: tuple[Some, ...] = max(fitting, key=lambda group: sum(hit.score for hit in group), default=())
    return sorted(best, key=lambda hit: -hit.score)
