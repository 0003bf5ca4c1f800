"""Choosing from the hits what an answer may quote: at most two quotes, together short enough to be read."""

from __future__ import annotations

from collections.abc import Sequence

from pilotage.evidence.knowledge import Hit

ANSWERABLE = 0.5  # the best score below which the evidence does not say
QUOTES = 2
CHARACTERS = 450


def choose(hits: Sequence[Hit]) -> list[Hit]:
    """At most QUOTES hits of at most CHARACTERS together; [] when the best score is under ANSWERABLE."""
    if not hits or hits[0].score < ANSWERABLE:
        return []
    chosen: list[Hit] = []
    for hit in hits:
        if len(chosen) < QUOTES and sum(len(c.quote) for c in chosen) + len(hit.quote) <= CHARACTERS:
            chosen.append(hit)
    return chosen
