"""What a rule against a claim found."""

from __future__ import annotations

from dataclasses import dataclass

from pilotage.checks.grounding.lines import Line
from pilotage.checks.grounding.pairing import Pairing


@dataclass(frozen=True, slots=True)
class Finding:
    """Of which kind, in words for people; `strength` 0 to 1, where 1 decides alone."""

    kind: str
    reason: str
    strength: float


def near_shared(pairing: Pairing, mine: int, theirs: int, reach: int = 3) -> int:
    """How many counterparts stand close to both places."""
    around = range(theirs - reach - 1, theirs + reach + 2)
    return sum(
        any(place in around for place in pairing.partners.get(at, ()))
        for at in range(mine - reach, mine + reach + 1)
        if at != mine
    )


def shown(line: Line, start: int, end: int) -> str:
    return " ".join(item.raw for item in line.items[start:end])
