"""Many questions, each a full crew run: a line per question and a scorecard."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pilotage.checks.verbatim import stands_in
from pilotage.errors import ConfigError
from pilotage.outcome import EXIT_CODES, Result
from pilotage.run import Runner
from pilotage.settings import Settings

GOLDEN = "tests/evals/golden.jsonl"


@dataclass(frozen=True)
class Question:
    """One row: `answer` is a string that a quote should hold, `outcome` the expected one; both may be unknown."""

    id: str
    question: str
    answer: str | None = None
    outcome: str | None = None


class Row(BaseModel):
    """A line of the file; further keys are ignored."""

    model_config = ConfigDict(strict=True)

    id: str | int | None = None
    question: str = Field(min_length=1)
    answer: str | None = None
    outcome: Literal[*EXIT_CODES] | None = None  # type: ignore[valid-type]


@dataclass(frozen=True)
class Scorecard:
    """What came of them. `right` counts the questions whose quote holds the answer, or that ended as expected."""

    questions: int
    outcomes: dict[str, int]
    judged: int
    right: float
    seconds_median: float
    seconds_p95: float
    tokens: int
    usd: float | None

    def as_json(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def table(self) -> str:
        spent = "unpriced" if self.usd is None else f"${self.usd:.4f}"
        rows = [
            ("questions", f"{self.questions}"),
            *((name, f"{count}") for name, count in sorted(self.outcomes.items())),
        ]
        if self.judged:
            rows.append(("right", f"{self.right:.1%} of {self.judged}"))
        rows += [("seconds", f"median {self.seconds_median:.3f}, p95 {self.seconds_p95:.3f}")]
        rows += [("tokens", f"{self.tokens:,}"), ("usd", spent)]
        return "\n".join(f"{name:<12}{value}" for name, value in rows)


def read_questions(path: Path) -> list[Question]:
    """The rows of a JSON-lines file; further keys are ignored. Raises ConfigError with the line."""
    try:
        lines = path.read_text("utf-8").split("\n")  # JSON may hold what `splitlines` takes for an end
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="--questions takes a .jsonl file") from None
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            asked = Row.model_validate(row)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ConfigError(f"{path}:{number}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{number}: not JSON: {error}") from None
        questions.append(Question(str(asked.id or number), asked.question, asked.answer, asked.outcome))
    if not questions:
        raise ConfigError(f"{path} holds no question")
    return questions


def evaluate(
    settings: Settings, questions: list[Question], *, knowledge: Path | None = None, out: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Scorecard:  # fmt: skip
    """Run the crew on each question; `out` gets a line per question as soon as it is answered."""
    results: list[Result] = []
    try:
        stream = out.open("w", encoding="utf-8") if out else None
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="--out takes a file") from None
    runner = Runner(settings, knowledge=knowledge, progress=progress)
    try:
        for number, question in enumerate(questions, 1):
            results.append(runner.answer(question.question, write=False, fresh=True))
            if stream:
                print(json.dumps(as_row(question, results[-1]), ensure_ascii=False), file=stream, flush=True)
            if progress:
                progress("answering", number, len(questions))
            if results[-1].outcome == "interrupted":
                break
    finally:
        runner.close()
        if stream:
            stream.close()
    return score(questions, results)


def as_row(question: Question, result: Result) -> dict[str, Any]:
    return {
        "id": question.id, "question": question.question, "outcome": result.outcome, "answer": result.answer,
        "citations": [{"source": c["source"], "quote": c["quote"]} for c in result.citations],
        "seconds": result.seconds, "usd": result.usd, "run": result.run,
    }  # fmt: skip


def score(questions: list[Question], results: list[Result]) -> Scorecard:
    verdicts = [right for q, r in zip(questions, results, strict=False) if (right := is_right(q, r)) is not None]
    seconds = sorted(r.seconds for r in results)
    spent = [r.usd for r in results]
    return Scorecard(
        questions=len(results),
        outcomes=dict(Counter(r.outcome for r in results)),
        judged=len(verdicts),
        right=sum(verdicts) / len(verdicts) if verdicts else 0.0,
        seconds_median=statistics.median(seconds),
        seconds_p95=seconds[int(0.95 * (len(seconds) - 1))],
        tokens=sum(r.tokens for r in results),
        usd=None if None in spent else sum(usd or 0.0 for usd in spent),
    )


def is_right(question: Question, result: Result) -> bool | None:
    """Whether a result is what the row expects; None when the row expects nothing."""
    if question.answer:
        quotes = [c["quote"] for c in result.citations]
        return result.outcome == "accepted" and any(stands_in(question.answer, quote) for quote in quotes)
    if question.outcome:
        return result.outcome == question.outcome
    return None
