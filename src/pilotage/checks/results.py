"""What the agents hand to one another: findings, verdicts, the explanation; and how they are read from text."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

Result = TypeVar("Result", bound=BaseModel)


class Finding(BaseModel):
    """One piece of evidence: what is claimed, the words that prove it, and where they stand."""

    claim: str
    quote: str = Field(description="copied letter by letter from the passage")
    source: str = Field(description="the source id exactly as the tool gave it")


class Findings(BaseModel):
    findings: list[Finding]


class Verdict(BaseModel):
    """The verifier's word on one finding."""

    claim: str
    quote: str
    source: str
    verdict: Literal["supported", "unsupported", "unsure"]
    reason: str


class Verdicts(BaseModel):
    verdicts: list[Verdict]


class Citation(BaseModel):
    """`[n]` in the answer stands for this quote in this source."""

    n: int
    source: str
    quote: str


class Explanation(BaseModel):
    """The answer. Each sentence ends with its citation: `Retries have one owner [1].`"""

    answer: str
    citations: list[Citation]


TYPES: dict[str, type[BaseModel]] = {"Findings": Findings, "Verdicts": Verdicts, "Explanation": Explanation}


def parse(text: str, kind: type[Result]) -> Result:
    """The first JSON object in `text` that is a `kind`, be it bare, fenced or between words.

    Raises ValueError that says what was wrong with the last candidate.
    """
    decoder, problem, start = json.JSONDecoder(strict=False), "there is no JSON object in it", text.find("{")
    while start >= 0:
        try:
            candidate, _ = decoder.raw_decode(text, start)
            return kind.model_validate(candidate)
        except json.JSONDecodeError as error:
            problem = f"its JSON is broken ({error.msg})"
        except ValidationError as error:
            problem = _first(error.errors()[0])
        start = text.find("{", start + 1)
    raise ValueError(problem)


def _first(fault: Any) -> str:
    return f"{'.'.join(str(part) for part in fault['loc']) or 'it'}: {fault['msg']}"
