"""Golden questions asked of the crew: each is a full run, made anew, as often as wanted and with each model in turn.

All questions are asked once before any is asked a second time, and of every model in each pass, so that what was done
by an interruption is a fair part of the whole. No cache answers and no lesson of another run is told: attempts do not
know of each other. What is not covered: the provider's own caches, and a model that gives equal answers to equal
requests; then one pass says what many would.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pilotage.errors import ConfigError
from pilotage.evals.judging import Attempt, judge, sources_of
from pilotage.evals.questions import Question
from pilotage.evals.score import Scorecard, count
from pilotage.evidence.sync import check_folder
from pilotage.model import factory
from pilotage.outcome import Result
from pilotage.run import Runner, check_question
from pilotage.settings import Settings
from pilotage.signals import STOPS, exit_code

Progress = Callable[[str, int, int], None]


@dataclass
class Asked:
    """All attempts by model, in the order of the models; `exit_code` of the signal that ended them, or None."""

    times: int
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def cards(self) -> list[Scorecard]:
        cut = self.exit_code is not None
        return [count(of, name, times=self.times, interrupted=cut) for name, of in self.attempts.items()]


def ask(
    settings: Settings, questions: Sequence[Question], *, models: Sequence[str] = (), times: int = 1,
    knowledge: Path | None = None, out: Path | None = None, progress: Progress | None = None,
) -> Asked:  # fmt: skip
    """Run the crew on each question `times` times; `out` gets a line for each run as soon as it has ended.

    Raises ConfigError before the first run when a question, a folder or a model cannot be used.
    """
    sides = {name: with_model(settings, name) for name in models} or {_models_of(settings): alone(settings)}
    _check(sides, questions, knowledge)
    asked = Asked(times, {name: [] for name in sides})
    total = len(sides) * times * len(questions)
    with _lines(out) as tell, contextlib.closing(_runs(sides, questions, times, knowledge, progress)) as runs:
        try:
            for done, (model, question, result, attempt) in enumerate(runs, 1):
                asked.attempts[model].append(attempt)
                tell(as_row(question, result, attempt, model))
                if progress:
                    progress("answering", done, total)
                if result.outcome == "interrupted":
                    asked.exit_code = result.exit_code
                elif STOPS.number is not None:  # between two runs, in code that catches everything
                    asked.exit_code = exit_code(STOPS.number)
                if asked.exit_code is not None:
                    break
        except KeyboardInterrupt:  # between two runs
            asked.exit_code = exit_code(STOPS.number or signal.SIGINT)
    return asked


def evaluate(settings: Settings, questions: Sequence[Question], **more: Any) -> Scorecard:
    """The scorecard of the configured model; `more` goes to `ask`."""
    return ask(settings, questions, **more).cards[0]


def with_model(settings: Settings, name: str) -> Settings:
    """The settings with this model for every agent, and no other one that takes over.

    Server and key stay those of `model` for a model of the same provider.
    """
    spec, changes = settings.engine.model, dict[str, Any](name=name, fallbacks=[])
    if factory.provider_of(name) != factory.provider_of(factory.model_name(settings)):
        changes |= {"base_url": None, "api_key_env": None}
    engine = settings.engine.model_copy(update={"model": spec.model_copy(update=changes)})
    agents = {agent: entry.model_copy(update={"llm": None}) for agent, entry in settings.agents.items()}
    return alone(replace(settings, engine=engine, agents=agents))


def as_row(question: Question, result: Result, attempt: Attempt, model: str) -> dict[str, Any]:
    return {
        "id": question.id, "question": question.question, "outcome": result.outcome, "answer": result.answer,
        "citations": [{"source": c["source"], "quote": c["quote"]} for c in result.citations],
        "seconds": result.seconds, "usd": result.usd, "run": result.run,
        "kind": question.kind, "model": model, "time": attempt.time, "right": attempt.right,
    }  # fmt: skip


def _runs(
    sides: dict[str, Settings], questions: Sequence[Question], times: int, knowledge: Path | None,
    progress: Progress | None,
) -> Generator[tuple[str, Question, Result, Attempt]]:  # fmt: skip
    """Pass by pass, model by model; one folder is open at a time."""
    for time, (model, settings) in itertools.product(range(1, times + 1), sides.items()):
        for folder, group in itertools.groupby(questions, partial(_folder, settings, knowledge)):
            with contextlib.closing(Runner(settings, knowledge=folder, progress=progress)) as runner:
                for question in group:
                    result = runner.answer(question.question, write=False, fresh=True)
                    yield model, question, result, judge(question, result, sources_of(runner, result.run), time=time)


def _folder(settings: Settings, knowledge: Path | None, question: Question) -> Path | None:
    return question.folder(settings.root) or knowledge


def _check(sides: dict[str, Settings], questions: Sequence[Question], knowledge: Path | None) -> None:
    """All that can be known before something is paid for."""
    for settings in sides.values():
        factory.check(settings)
        for question in questions:
            check_question(question.question, settings.engine.limits.question_chars)
        for folder in {_folder(settings, knowledge, question) for question in questions}:
            check_folder(folder or settings.knowledge)


def alone(settings: Settings) -> Settings:
    """Without what one run tells the next."""
    checks = settings.engine.checks.model_copy(update={"lessons": False})
    return replace(settings, engine=settings.engine.model_copy(update={"checks": checks}))


def _models_of(settings: Settings) -> str:
    return ", ".join(dict.fromkeys(factory.model_name(settings, agent) for agent in settings.agents))


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Writes a line of JSON for each row, at once."""
    if out is None:
        yield lambda _row: None
        return
    try:
        stream = out.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="--out takes a file") from None
    with stream:
        yield lambda row: print(json.dumps(row, ensure_ascii=False), file=stream, flush=True)
