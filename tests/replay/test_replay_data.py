"""The made-up sessions of benchmarks/replay_data.py are sessions: chains verify, sums are the events'."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pilotage.record.audit import audit
from pilotage.record.journal import list_runs, read_events
from pilotage.record.sessions import Search, facet_values, find
from pilotage.record.store import open_store
from pilotage.record.tally import Tally
from tests.replay.conftest import EVENTS, SESSIONS, replay_data


def test_every_chain_verifies(engine: Engine) -> None:
    reports = [audit(engine, row["run"]) for row in list_runs(engine, SESSIONS)]
    assert len(reports) == SESSIONS
    assert [report for report in reports if not report.ok] == []
    assert max(report.events for report in reports) <= EVENTS + 5
    stopped = {row["run"] for row in find(engine, Search(outcome="limited", per_page=SESSIONS)).rows}
    assert min(report.events for report in reports if report.run not in stopped) >= EVENTS - 5


def test_a_limited_session_ends_at_its_limit_or_where_its_loop_is_stopped(engine: Engine) -> None:
    found = find(engine, Search(outcome="limited", per_page=SESSIONS)).rows
    last = [list(read_events(engine, row["run"]))[-2] for row in found]
    last = [list(read_events(engine, event.run))[-3] if event.kind == "alert" else event for event in last]
    assert {event.kind for event in last} == {"limit", "loop"}
    assert all(event.facts.get("level", "stop") == "stop" for event in last)
    assert all(event.facts["value"] == event.facts["cap"] for event in last if event.kind == "limit")


def test_everything_that_can_be_filtered_by_is_there(engine: Engine) -> None:
    states = Counter(row["state"] for row in find(engine, Search(per_page=SESSIONS)).rows)
    assert states["live"] == 3
    assert states["lost"] == 1
    assert set(states) >= {"accepted", "unanswered", "rejected", "limited", "failed", "interrupted", "ended"}
    assert all(facet_values(engine).values())


def test_the_listed_sums_are_those_of_the_events(engine: Engine) -> None:
    for row in find(engine, Search(per_page=20, sort="loops")).rows:
        tally = Tally()
        for event in read_events(engine, row["run"]):
            tally.add(event)
        assert {name: row[name] for name in ("model_calls", "tool_calls", "tokens", "loops", "errors")} == {
            name: getattr(tally, name) for name in ("model_calls", "tool_calls", "tokens", "loops", "errors")
        }


def test_a_seed_makes_the_same_sessions_and_the_longest_are_as_long_as_asked(tmp_path: Path) -> None:
    seals = []
    for name in ("a", "b"):
        replay_data.make(tmp_path / name, 12, 20, longest=500, of_these=2, seed=5, now=1_795_437_402.0)
        engine = open_store(tmp_path / name)
        rows = list_runs(engine, 20)
        seals.append([row["seal"] for row in rows])
        long = [row["run"] for row in rows if row["run"].endswith("-longest")]
        assert len(long) == 2
        assert [audit(engine, run).events for run in long] == [pytest.approx(500, abs=3)] * 2
        engine.dispose()
    assert seals[0] == seals[1]


def test_a_looping_session_repeats_the_calls_that_its_loop_events_name(engine: Engine) -> None:
    run = find(engine, Search(loop="repeat", per_page=1, origin="run", sort="loops")).rows[0]["run"]
    events = list(read_events(engine, run))
    loops = [event for event in events if event.kind == "loop"]
    assert [event.facts["level"] for event in loops] == ["nudge", "stop"]
    repeated = [
        event for event in events
        if event.kind == "tool_call" and loops[1].facts["first_step"] <= event.seq <= loops[1].facts["last_step"]
    ]  # fmt: skip
    assert len(repeated) == loops[1].facts["times"] == 5
    assert len({(event.content["arguments"], event.content["result"]) for event in repeated}) == 1
