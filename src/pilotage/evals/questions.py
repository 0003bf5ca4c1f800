"""Golden questions: rows of JSON lines, each with what its answer must come to.

    {"id", "kind", "question", "answer" | "answers" | "outcome", "never", "knowledge"}

`answer` must stand in a cited quote; each of `answers` in a quote of another document; `outcome` is the expected one,
such as unanswered; `never` must not stand in the answer; `knowledge` is a folder of the project to ask instead.
All but the question may be missing; further keys are ignored. A row that expects nothing is asked and not judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pilotage.errors import ConfigError
from pilotage.outcome import EXIT_CODES

GOLDEN = "tests/evals/golden.jsonl"
HINT = 'a line is {"question": "…", "answer": "…"} or {"question": "…", "outcome": "unanswered"}'
Words = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True)
class Question:
    """One row. What it does not know is None or empty."""

    id: str
    question: str
    answer: str | None = None
    outcome: str | None = None
    answers: tuple[str, ...] = ()
    kind: str | None = None
    never: str | None = None
    knowledge: str | None = None

    @property
    def expected(self) -> tuple[str, ...]:
        """The strings that must stand in quotes, each in another document."""
        return self.answers or ((self.answer,) if self.answer else ())

    def folder(self, root: Path) -> Path | None:
        """The documents of its own, in the project at `root`."""
        return root / self.knowledge if self.knowledge else None


class Row(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(strict=True)

    id: str | int | None = None
    kind: Words | None = None
    question: Words
    answer: str | None = None
    answers: list[Words] = Field(default=[], max_length=6)
    outcome: Literal[*EXIT_CODES] | None = None  # type: ignore[valid-type]
    never: Words | None = None
    knowledge: Words | None = None

    @model_validator(mode="after")
    def _one_expectation(self) -> Self:
        if self.answer and self.answers:
            raise ValueError("expected answer or answers, found both")
        if (self.answer or self.answers) and self.outcome not in (None, "accepted"):
            raise ValueError(f"an answer is expected, and the outcome {self.outcome}")
        return self


def read_questions(path: Path) -> list[Question]:
    """The rows of a JSON-lines file. Raises ConfigError with the line."""
    try:
        lines = path.read_text("utf-8").split("\n")  # JSON may hold what `splitlines` takes for an end
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="--questions takes a .jsonl file") from None
    questions = [_read(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not questions:
        raise ConfigError(f"{path} holds no question", hint=HINT)
    return questions


def _read(path: Path, number: int, line: str) -> Question:
    try:
        row = Row.model_validate(json.loads(line))
    except ValidationError as error:
        fault = error.errors()[0]
        place = "".join(f"{part}: " for part in [".".join(map(str, fault["loc"]))] if part)
        raise ConfigError(f"{path}:{number}: {place}{fault['msg']}", hint=HINT) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}:{number}: not JSON: {error}", hint=HINT) from None
    return Question(
        str(row.id or number), row.question, row.answer, row.outcome, tuple(row.answers), row.kind, row.never,
        row.knowledge,
    )  # fmt: skip
