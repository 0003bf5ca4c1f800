"""What a grader says of one claim or answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "unsupported", "unsure"]


@dataclass(frozen=True)
class Grade:
    """A verdict with its reason in words for people, such as "number 450 not in source".

    `score` is the calibrated probability, 0 to 1, that the claim holds; `evidence` the sentence it was judged by;
    `layer` who decided: quote, veto, scorer or judge; `kind` what a veto is about: number, date, unit, negation,
    quantifier, antonym, comparative, name, roles.
    """

    verdict: Verdict
    score: float
    reason: str
    evidence: str = ""
    layer: str = ""
    kind: str = ""
