"""The command `pilotage grade`: the graders of a run on rows of a file, one line out for each line in.

A row that cannot be graded is named with its line on stderr; the others are graded all the same, and the exit code
is 2. No model is asked, and nothing of CrewAI loaded, without --judge.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from pilotage.errors import EXIT_CONFIG, ConfigError
from pilotage.report import say
from pilotage.terminal import Set, print_lines, settings_from

if TYPE_CHECKING:
    from pilotage.checks.grades import Grade
    from pilotage.checks.judge import Judge
    from pilotage.evidence.embedder import Embedder

CLAIM, ANSWER = ("claim", "evidence"), ("question", "answer")
HINT = '{"claim": "…", "evidence": "…"} or {"question": "…", "answer": "…"}'

Row = dict[str, Any]


def grade(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Rows of JSON, one a line; - is stdin.")],
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="MODEL", help="A model that is asked what rules cannot tell.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Grade claims against their evidence, and answers against their question.

    Each row comes back with its verdict (supported, unsupported or unsure), score (0 to 1) and reason.

    Example: pilotage grade claims.jsonl --out graded.jsonl
    """
    bad: list[str] = []
    grader = _grader(judge, set_)
    with _opened(file) as stream:
        lines = (json.dumps(row, ensure_ascii=False) for row in _graded(stream, _name(file), grader, bad))
        _write(out, lines) if out else print_lines(_flushed(lines))
    if bad:
        raise typer.Exit(EXIT_CONFIG)


def _grader(model: str | None, overrides: list[str]) -> Callable[[Row], Grade]:
    from pilotage.checks.answering.grader import grade_answer
    from pilotage.checks.grounding.grader import grade_text

    embedder, judge = _embedder(), _judge(model, overrides)

    def graded(row: Row) -> Grade:
        if all(key in row for key in CLAIM):
            return grade_text(row["claim"], row["evidence"], embedder=embedder, judge=judge)
        context = row.get("context", "")
        return grade_answer(row["question"], row["answer"], embedder=embedder, judge=judge, context=context)

    return graded


def _embedder() -> Embedder | None:
    from pilotage.evidence.embedder import Embedder, find

    folder = find()
    return Embedder(folder) if folder else None


def _judge(model: str | None, overrides: list[str]) -> Judge | None:
    if model is None:
        return None
    from pilotage.judging import for_settings

    return for_settings(settings_from(overrides), model)


def _name(file: Path) -> str:
    return "stdin" if str(file) == "-" else str(file)


def _opened(file: Path) -> contextlib.AbstractContextManager[IO[bytes]]:
    if str(file) == "-":
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="name a file that is there") from None


def _graded(stream: IO[bytes], name: str, grader: Callable[[Row], Grade], bad: list[str]) -> Iterator[Row]:
    """The rows with what was found, as they are read; places of rows that could not be are added to `bad`."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = _read(line, f"{name}:{number}")
        except ConfigError as error:
            bad.append(f"{name}:{number}")
            say(error.lines())
            continue
        found = grader(row)
        yield row | {"verdict": found.verdict, "score": found.score, "reason": found.reason}


def _read(line: bytes, place: str) -> Row:
    try:
        row = json.loads(line.decode("utf-8-sig"))
        json.dumps(row, ensure_ascii=False).encode()  # no half of a surrogate pair
    except UnicodeError:
        raise ConfigError(f"{place} is not valid Unicode", hint=HINT) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{place} is not JSON", hint=HINT) from None
    if not isinstance(row, dict) or not any(all(isinstance(row.get(k), str) for k in keys) for keys in (CLAIM, ANSWER)):
        raise ConfigError(f"{place} has neither claim and evidence nor question and answer, as texts", hint=HINT)
    if not isinstance(row.get("context", ""), str):
        raise ConfigError(f"{place}: context is no text", hint=HINT)
    return row


def _flushed(lines: Iterator[str]) -> Iterator[str]:
    """So that a reader at the other end of a pipe has each row as soon as it is graded."""
    for line in lines:
        yield line
        sys.stdout.flush()


def _write(out: Path, lines: Iterator[str]) -> None:
    try:
        with out.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(line + "\n")
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written: {error.strerror}", hint="name one in a folder that is there"
        ) from None
