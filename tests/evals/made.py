"""Attempts and results as a test wants them."""

from __future__ import annotations

from typing import Any

from pilotage.evals.judging import Attempt
from pilotage.evals.questions import Question
from pilotage.outcome import Result


def ended(outcome: str, *quotes: str, source: str = "a.md#1", **more: Any) -> Result:
    """A result; each quote is `words` of a.md, or `document: words`."""
    cites = []
    for n, quote in enumerate(quotes, 1):
        home, _, words = quote.rpartition(": ")
        cites.append({"n": n, "source": f"{home}#{n}" if home else source, "quote": words, "where": ""})
    parts: dict[str, Any] = {
        "run": "r", "question": "q", "reason": "", "hint": "", "answer": None, "unsupported": [], "seconds": 1.0,
        "tokens": 10, "usd": 0.5, "seal": "", "exit_code": 0,
    }  # fmt: skip
    return Result(outcome=outcome, citations=cites, **{**parts, **more})


def attempt(id: str, right: bool | None, outcome: str = "accepted", *, kind: str | None = None, **more: Any) -> Attempt:
    """One judged answer to the question `id`, which expects an answer unless it is named `near-…`."""
    unanswerable = id.startswith("near-")
    asked = Question(id, f"{id}?", None if unanswerable else "x", "unanswered" if unanswerable else None, kind=kind)
    parts: dict[str, Any] = {"time": 1, "cited": None, "seconds": 1.0, "tokens": 10, "usd": 0.5}
    return Attempt(question=asked, outcome=outcome, right=right, **{**parts, **more})
