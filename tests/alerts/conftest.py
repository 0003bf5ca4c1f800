"""A store of its own for each test, runs in it as a window sees them, and a watched journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from pilotage.alerts.watcher import Watcher
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import runs
from pilotage.spec import AlertRule, AlertSpec, LimitSpec

Ended = Callable[..., str]
Watch = Callable[..., Any]


@pytest.fixture
def ended(store: Engine) -> Ended:
    """`ended("failed", ago=60, usd=0.1)` enters a run that ended so, by its row."""
    number = iter(range(1000))

    def enter(outcome: str | None = "accepted", ago: float = 10.0, **more: Any) -> str:
        run = f"earlier-{next(number):03}"
        row = {"run": run, "started": time.time() - ago, "question": "Q?", "model": "m", "outcome": outcome,
               "seconds": 1.0, "tokens": 10, "usd": 0.0, "tally": json.dumps({"usd": 0.0})} | more  # fmt: skip
        with store.begin() as connection:
            connection.execute(insert(runs).values(**row))
        return run

    return enter


class Watched:
    """A journal with a watcher, as a run has them."""

    def __init__(
        self, engine: Engine, root: Path, spec: AlertSpec, limits: LimitSpec, follow: bool = True, **more: Any
    ) -> None:
        self.warnings: list[str] = []
        redactor = Redactor({"MY_TOKEN": "s3cr3t-value-of-mine"})
        self.watcher = Watcher(spec, limits, engine, redactor, self.warnings.extend, root=root, **more)
        self.journal, self.events = Journal(engine, redactor), list[Any]()
        self.journal.listen(self.events.append)
        if follow:
            self.watcher.follow(self.journal)

    def start(self, question: str = "Q?") -> Watched:
        content = {"question": question, "settings": {}, "warnings": []}
        self.journal.append("run_started", content, model="m", crew="c")
        return self

    def call(self, tokens: int = 100, usd: float | str = 0.01, **more: Any) -> None:
        self.journal.append(
            "model_call", {}, agent="a", task="t", model="m", attempt=1, prompt_tokens=tokens, completion_tokens=0,
            usd=usd, seconds=0.1, **more,
        )  # fmt: skip

    def end(self, outcome: str = "accepted", seconds: float = 1.0, wait: float = 2.0) -> Watched:
        self.watcher.at_end(outcome, seconds)
        self.journal.append("run_ended", {}, outcome=outcome, seconds=seconds, tokens=0, usd=0.0)
        self.watcher.close(wait)
        return self

    @property
    def alerts(self) -> list[str]:
        return [event.content["text"] for event in self.events if event.kind == "alert"]


@pytest.fixture
def watch(store: Engine, tmp_path: Path) -> Iterator[Watch]:
    """`watch(cost={"when": "usd", "above": 1})` is a journal with a watcher of these rules."""
    made: list[Watched] = []

    def make(
        limits: LimitSpec | None = None, webhook: str | None = None, options: dict[str, Any] | None = None, **rules: Any
    ) -> Watched:
        spec = AlertSpec(
            rules={name: AlertRule(**({"to": []} | rule)) for name, rule in rules.items()}, webhook=webhook
        )
        made.append(Watched(store, tmp_path, spec, limits or LimitSpec(), **(options or {})))
        return made[-1]

    yield make
    for watched in made:
        watched.watcher.close(0)
