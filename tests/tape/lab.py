"""Runs by the command line against a loopback model, stopped and gone on with; what the server was asked is kept."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, update

from pilotage import cli
from pilotage.again import Again
from pilotage.outcome import Result
from pilotage.record.audit import audit
from pilotage.record.journal import Event, list_runs, listed, read_events
from pilotage.record.store import events, open_store, runs
from pilotage.record.tally import Tally
from pilotage.run import Runner
from pilotage.settings import load
from pilotage.tape.keys import normalised
from tests.support.project import change
from tests.support.server import Server, good_over_http, serve
from tests.tape.plays import Play

QUESTION = "How many requests can one fault make when retries are nested?"
MODEL = "openai/gpt-4o-mini"
MAKES_RUNS = ("run", "resume", "fork")


@dataclass
class Told:
    """What one command left: its exit code, what it printed, the run that it made, and the requests that it sent."""

    code: int
    out: str
    err: str
    run: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        return str(self.result.get("outcome"))

    def of(self, kind: str, **facts: Any) -> list[Event]:
        return [e for e in self.events if e.kind == kind and all(e.facts.get(k) == v for k, v in facts.items())]

    @property
    def live(self) -> list[Event]:
        """The model calls that were really made."""
        return [event for event in self.of("model_call") if not event.facts.get("served")]

    @property
    def served(self) -> list[Event]:
        return [event for event in self.events if event.facts.get("served") == "tape"]


@dataclass
class Lab:
    """A project and a model server; each command counts its requests from its own beginning."""

    project: Path
    server: Server
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, **settings: Any) -> Told:
        """`lab("resume", "last", limits__seconds=9)`: a command with its settings, dots written as `__`."""
        sets = [part for key, value in self.pairs(**settings).items() for part in ("--set", f"{key}={value}")]
        before, had = len(self.server.requests), set(self.runs())
        self.capsys.readouterr()
        code = cli.invoke([*arguments, *(sets if arguments[0] in MAKES_RUNS else [])])
        shown = self.capsys.readouterr()
        told = Told(code, shown.out, shown.err, requests=self.server.requests[before:])
        new = [run for run in self.runs() if run not in had]
        if new:
            told.run, told.events = new[0], self.events(new[0])
            file = self.project / "runs" / new[0] / "result.json"
            told.result = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        return told

    def pairs(self, **settings: Any) -> dict[str, str]:
        """The settings as --set takes them."""
        pairs = {"model__name": MODEL, "model__base_url": self.server.url, "limits__seconds": 30} | settings
        return {k.replace("__", "."): v if isinstance(v, str) else json.dumps(v) for k, v in pairs.items()}

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[tuple[Engine, Callable[[Again], tuple[Result, int]]]]:
        """The journal, and a function that goes on from a run and counts its requests: quicker than commands."""
        runner = Runner(load(self.project, self.pairs(**settings)))

        def go_on(again: Again) -> tuple[Result, int]:
            before = len(self.server.requests)
            result = runner.answer(again.question, again=again, write=False)
            return result, len(self.server.requests) - before

        try:
            yield runner.engine, go_on
        finally:
            runner.close()

    def run(self, **settings: Any) -> Told:
        return self("run", QUESTION, **settings)

    def runs(self) -> list[str]:
        """The ids of all runs, the newest first."""
        file = self.project / "runs" / "pilotage.sqlite"
        if not file.exists():
            return []
        engine = open_store(file, create=False)
        try:
            return [row["run"] for row in list_runs(engine, 1000)]
        finally:
            engine.dispose()

    def events(self, run: str) -> list[Event]:
        engine = open_store(self.project / "runs" / "pilotage.sqlite", create=False)
        try:
            report = audit(engine, run)
            assert report.ok, report
            return list(read_events(engine, run))
        finally:
            engine.dispose()

    def crash(self, run: str, after: int) -> None:
        """Make of the run what a crash would have left that came right behind the event `after`."""
        engine = open_store(self.project / "runs" / "pilotage.sqlite")
        try:
            kept = [event for event in read_events(engine, run) if event.seq <= after]
            tally, row = Tally(), dict[str, Any]()
            for event in kept:
                tally.add(event)
                row |= listed(event, tally)
            here = events.c.run == run
            with engine.begin() as connection:
                connection.execute(delete(events).where(here, events.c.seq > after))
                end = {"outcome": None, "seal": None, "seconds": None}
                connection.execute(update(runs).where(runs.c.run == run).values(end | row))
        finally:
            engine.dispose()

    def play(self, play: Play) -> None:
        """Another model from now on."""
        self.server.play = play  # type: ignore[attr-defined]


@contextmanager
def lab_of(project: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    """A lab on this project, its model the good one, its caches off."""
    off = {"answers": False, "calls": False, "pages": False}
    change(project / "config" / "pilotage.yaml", lambda tree: tree.update(cache=off))
    held: dict[str, Any] = {"play": good_over_http}
    with serve(lambda request: held["play"](request)) as server:
        lab = Lab(project, server, capsys)
        lab.play = lambda play: held.update(play=play)  # type: ignore[method-assign]
        yield lab


def with_tools(lab: Lab, source: str, *names: str) -> None:
    """Give the researcher tools of a module with this source."""
    (lab.project / "lab_tools.py").write_text(source, "utf-8")
    sys.modules.pop("lab_tools", None)
    importlib.invalidate_caches()
    change(lab.project / "config" / "pilotage.yaml", lambda tree: tree.update(tools="lab_tools"))
    tools = ["search_knowledge", *names]
    change(lab.project / "config" / "agents.yaml", lambda tree: tree["researcher"].update(tools=tools))


def same_request(a: str, b: str, number_a: str, number_b: str) -> bool:
    """Whether two recorded requests are one and the same, byte for byte after normalisation."""
    return normalised(json.loads(a), number_a) == normalised(json.loads(b), number_b)


def number_of(events: list[Event]) -> str:
    """The number of a run's fences, as its requests show it."""
    from pilotage.tape.tape import FENCE

    texts = (event.content.get("request") or "" for event in events if event.kind == "model_call")
    return next((found[1] for text in texts if (found := FENCE.search(text))), "")
