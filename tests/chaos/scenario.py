"""A whole run of the crew against a model server that misbehaves, and what must hold however it does.

The run is `pilotage run` in this process: real command line, real provider class, real sockets. The common assertions:
the outcome and its exit code, every request on record, no request after the end, an end in time, a chain that verifies.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pilotage import cli
from pilotage.outcome import EXIT_CODES
from pilotage.record.audit import audit
from pilotage.record.journal import Event, find_run, read_events
from pilotage.record.store import open_store
from tests.support.chaos import TOKENS, Chaos, Exchange, Play, serve

QUESTION = "How many requests can one fault make when retries are nested?"
MODEL, OTHER = "openai/gpt-4o-mini", "openai/gpt-4o"
LONGEST = 8.0  # seconds of a run that caps none itself, so that a fault of ours does not hold the suite up
AFTER = 0.3  # seconds in which no request may come any more
LATE = 1.0  # seconds that an end may come after the limit that caused it
AROUND = 2.0  # seconds that opening the documents and writing the files may take on a busy machine


@dataclass(frozen=True)
class Ended:
    """What a run left: its result, its journal, what the server saw, what the terminal showed."""

    result: dict[str, Any]
    exit_code: int
    requests: list[Exchange]
    events: list[Event]
    wall: float  # seconds of the command, CrewAI imported before
    answer: str  # answer.md
    out: str
    err: str

    @property
    def outcome(self) -> str:
        return str(self.result["outcome"])

    @property
    def reason(self) -> str:
        return str(self.result["reason"])

    @property
    def seconds(self) -> float:
        return float(self.result["seconds"])

    @property
    def models(self) -> list[str]:
        return [exchange.json["model"] for exchange in self.requests]

    def of(self, kind: str, **facts: Any) -> list[Event]:
        """The events of a kind with these facts."""
        return [e for e in self.events if e.kind == kind and all(e.facts.get(k) == v for k, v in facts.items())]


@dataclass
class Late:
    """A server whose run has ended, with what it had been asked by then."""

    name: str
    server: Chaos
    stop: ExitStack
    over: float
    asked: int

    def settle(self) -> None:
        """Wait until AFTER is over, count again, stop the server."""
        time.sleep(max(0.0, self.over + AFTER - time.monotonic()))
        self.stop.close()
        late = [exchange.number for exchange in self.server.requests if exchange.arrived > self.over]
        assert not late, f"{self.name}: requests {late} came after the end"
        assert len(self.server.requests) == self.asked, self.name


class Watch:
    """Keeps the servers of ended runs up for AFTER seconds, behind the scenarios that follow."""

    def __init__(self) -> None:
        self._late: list[Late] = []

    def add(self, late: Late) -> None:
        self._late.append(late)
        while self._late and time.monotonic() > self._late[0].over + AFTER:
            self._late.pop(0).settle()

    def close(self) -> None:
        while self._late:
            self._late.pop(0).settle()


class Scenario:
    """`scenario(play, "limited", requests=1, limits__seconds=2)` runs, asserts what always holds, returns Ended."""

    def __init__(self, project: Path, capsys: pytest.CaptureFixture[str], watch: Watch) -> None:
        self.project, self.capsys, self.watch = project, capsys, watch

    def __call__(
        self, play: Play, outcome: str, *, requests: int | Sequence[int], by: float = 10.0, **settings: Any
    ) -> Ended:  # fmt: skip
        """`requests`: how many, or one of several numbers; `by`: the seconds after which the run must have ended."""
        import openai.resources  # noqa: F401  (what these import is not what is timed)

        import pilotage.crew  # noqa: F401

        with ExitStack() as stack:
            server = stack.enter_context(serve(play))
            self.capsys.readouterr()
            began = time.monotonic()
            code = cli.invoke(["run", QUESTION, *arguments(server.url, **settings)])
            over = time.monotonic()
            ended = self._ended(server, code, over - began)
            self.watch.add(Late(_name_of_test(), server, stack.pop_all(), over, len(ended.requests)))
        hold(ended, outcome, requests, by)
        return ended

    def _ended(self, server: Chaos, code: int, wall: float) -> Ended:
        shown = self.capsys.readouterr()
        result, events, answer = left(self.project)
        return Ended(result, code, list(server.requests), events, wall, answer, shown.out, shown.err)


def _name_of_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]


def arguments(url: str, **settings: Any) -> list[str]:
    """The command line's --set for the chaos server and `settings`, dots written as `__`."""
    pairs = {"model__name": MODEL, "model__base_url": url, "limits__seconds": LONGEST} | settings
    written = {
        key.replace("__", "."): value if isinstance(value, str) else json.dumps(value) for key, value in pairs.items()
    }
    return [part for key, value in written.items() for part in ("--set", f"{key}={value}")]


def left(project: Path) -> tuple[dict[str, Any], list[Event], str]:
    """result.json, the journal and answer.md of the last run; its chain verifies, sealed by result.json."""
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    try:
        run = find_run(engine, "last")
        folder = project / "runs" / run
        result = json.loads((folder / "result.json").read_text("utf-8"))
        report = audit(engine, run, result["seal"])
        assert report.ok, report
        return result, list(read_events(engine, run)), (folder / "answer.md").read_text("utf-8")
    finally:
        engine.dispose()


def hold(ended: Ended, outcome: str, requests: int | Sequence[int], by: float) -> None:
    """What must hold at the end of each scenario."""
    told = (ended.outcome, ended.reason, ended.seconds, len(ended.requests), ended.err[-1500:])
    assert ended.outcome == outcome, told
    assert ended.exit_code == EXIT_CODES[outcome], told
    assert len(ended.requests) in ([requests] if isinstance(requests, int) else requests), told
    assert ended.seconds <= by, told
    assert ended.wall <= by + AROUND, (ended.wall, told)
    assert "Traceback" not in ended.err, ended.err
    assert ended.out.strip().splitlines()[-1].startswith(f"outcome: {outcome}"), ended.out
    assert ended.events[0].kind == "run_started"
    assert [e.kind for e in ended.events].count("run_ended") == 1
    assert len(ended.of("model_call")) >= len(ended.requests), "a request is not on record"
    told_by_it = [e.facts for e in ended.of("model_call") if not e.facts.get("estimated")]
    reported = sum(facts["prompt_tokens"] + facts["completion_tokens"] for facts in told_by_it)
    assert reported <= TOKENS * len(ended.requests), "more tokens than the provider has reported"
    if outcome != "accepted":
        assert ended.result["answer"] is None, "an answer that no check has accepted"
        assert ended.reason, told
