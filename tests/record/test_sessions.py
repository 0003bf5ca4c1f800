"""The list of runs: kept in step with the events, searched, filtered, added up over time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.record.audit import audit
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.sessions import Search, facet_values, find, statistics
from pilotage.record.store import open_store
from pilotage.record.tally import Tally, Use


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(tmp_path / "runs.sqlite")
    yield engine
    engine.dispose()


def record(engine: Engine, question: str, *, outcome: str | None = "accepted", usd: Any = 0.25, **facts: Any) -> str:
    """A short run with two model calls and a tool that fails."""
    journal = Journal(engine, Redactor({}))
    journal.append("run_started", {"question": question}, model="gpt", crew="c", **{"until": 1e10, **facts})
    for prompt in (100, 50):
        journal.append(
            "model_call", agent="researcher", task="research", model="gpt", prompt_tokens=prompt, completion_tokens=10,
            usd=usd, seconds=0.5,
        )  # fmt: skip
    journal.append("tool_call", agent="researcher", task="research", tool="search", failed=True)
    if outcome:
        spent = None if usd == "unpriced" else 2 * usd
        journal.append("run_ended", outcome=outcome, seconds=2.0, tokens=170, usd=spent)
    return journal.run


def names(engine: Engine, **wanted: Any) -> list[str]:
    return [row["question"] for row in find(engine, Search(**wanted)).rows]


def test_a_run_is_listed_with_its_counts_while_it_goes_on(store: Engine) -> None:
    record(store, "open", outcome=None)
    (row,) = find(store, Search()).rows
    assert (row["model_calls"], row["tool_calls"], row["errors"], row["tokens"], row["usd"]) == (2, 1, 1, 170, 0.5)
    assert row["state"] == "live"


def test_the_tally_in_the_list_is_that_of_the_events(store: Engine) -> None:
    run = record(store, "any")
    again = Tally()
    for event in read_events(store, run):
        again.add(event)
    with store.connect() as connection:
        assert Tally.from_text(connection.exec_driver_sql("SELECT tally FROM runs").scalar()) == again
    assert again.agents["researcher"] == Use(
        calls=2, prompt=150, completion=20, cached=0, usd=0.5, unpriced=0, failed=0, seconds=1.0
    )


def test_one_unknown_price_makes_the_cost_unknown(store: Engine) -> None:
    record(store, "any", usd="unpriced", outcome=None)
    (row,) = find(store, Search()).rows
    assert row["usd"] is None


def test_a_run_without_an_end_is_lost_when_its_time_is_over(store: Engine) -> None:
    record(store, "gone", outcome=None, until=1.0)
    record(store, "here", outcome=None)
    assert names(store, outcome="lost") == ["gone"]
    assert names(store, outcome="live") == ["here"]


def test_live_runs_stand_on_top_whatever_the_order(store: Engine) -> None:
    record(store, "a live one", outcome=None)
    record(store, "b", usd=3.0)
    record(store, "c", usd=1.0)
    assert names(store, sort="usd") == ["a live one", "b", "c"]
    assert names(store, sort="usd", descending=False) == ["a live one", "c", "b"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "WHALES"}, ["whales 100%"]),
        ({"text": "100%"}, ["whales 100%"]),
        ({"text": "%"}, ["whales 100%"]),
        ({"text": "100% Whales"}, ["whales 100%"]),
        ({"text": "whales ships"}, []),
        ({"text": "w " * 500}, ["whales 100%"]),
        ({"outcome": "limited"}, ["ships"]),
        ({"tag": "night"}, ["whales 100%"]),
        ({"tag": "nigh"}, []),
        ({"agent": "researcher"}, ["ships", "whales 100%"]),
        ({"model": "gpt", "tool": "search"}, ["ships", "whales 100%"]),
        ({"tool": "other"}, []),
        ({"usd_from": 1.5}, ["ships"]),
        ({"usd_to": 1.5}, ["whales 100%"]),
        ({"loop": "any"}, []),
        ({"origin": "otlp"}, []),
        ({"since": 1e11}, []),
        ({"until": 1e11}, ["ships", "whales 100%"]),
    ],
)
def test_filters(store: Engine, wanted: dict[str, Any], found: list[str]) -> None:
    record(store, "whales 100%", tags=["night", "day"])
    record(store, "ships", outcome="limited", usd=1.0)
    assert sorted(names(store, **wanted)) == found


def test_a_run_is_found_by_the_beginning_of_its_id(store: Engine) -> None:
    run = record(store, "whales")
    assert names(store, text=run[:-1]) == names(store, text=f"whal {run[:6]}") == ["whales"]
    assert names(store, text=run[1:]) == []


def test_pages_and_their_total(store: Engine) -> None:
    for number in range(7):
        record(store, f"q{number}")
    found = find(store, Search(sort="question", descending=False, page=2, per_page=3))
    assert ([row["question"] for row in found.rows], found.total) == (["q3", "q4", "q5"], 7)


def test_an_order_that_is_none_is_the_newest_first(store: Engine) -> None:
    record(store, "old")
    record(store, "new")
    assert names(store, sort="drop table runs") == ["new", "old"]


def test_what_can_be_filtered_by(store: Engine) -> None:
    record(store, "any", tags=["b", "a"])
    known = facet_values(store)
    assert known["tag"] == ["a", "b"]
    assert (known["agent"], known["model"], known["tool"]) == (["researcher"], ["gpt"], ["search"])


def test_statistics_add_up_by_time(store: Engine) -> None:
    record(store, "one", usd=0.5)
    record(store, "two", outcome="failed", usd=1.0)
    (row, _) = find(store, Search()).rows
    early, late = statistics(store, row["started"] - 100, row["started"] + 50, buckets=2)
    assert early.runs == 0
    assert (late.runs, late.outcomes, late.tokens) == (2, {"accepted": 1, "failed": 1}, 340)
    assert late.usd == {"gpt": 3.0}
    assert late.quantile(0.5) == 2.0


def test_the_audit_sees_a_count_that_was_changed_in_the_list(store: Engine) -> None:
    run = record(store, "any")
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET errors = 0")
    report = audit(store, run)
    assert not report.ok
    assert report.reason == "the list of runs says something else (errors)"


def test_a_store_of_an_older_version_gets_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """CREATE TABLE runs (run VARCHAR(32) PRIMARY KEY, started FLOAT NOT NULL, question TEXT NOT NULL,
               model TEXT NOT NULL, outcome VARCHAR(16), seconds FLOAT, tokens INTEGER, usd FLOAT, seal VARCHAR(64));
               CREATE TABLE events (run VARCHAR(32), seq INTEGER, at FLOAT, kind VARCHAR(32), facts TEXT, content TEXT,
               previous VARCHAR(64), hash VARCHAR(64), PRIMARY KEY (run, seq));
               CREATE TABLE payloads (digest VARCHAR(64) PRIMARY KEY, body BLOB);
               INSERT INTO runs VALUES ('r', 1.0, 'an old question', 'gpt', 'accepted', 1.0, 10, 0.5, 'x');"""
        )
    connection.close()
    engine = open_store(path, create=False)
    (row,) = find(engine, Search()).rows
    assert (row["question"], row["origin"], row["model_calls"]) == ("an old question", "run", 0)
    record(engine, "a new question")
    assert sorted(names(engine)) == ["a new question", "an old question"]
    engine.dispose()


def test_a_run_that_an_older_version_has_listed_verifies(store: Engine) -> None:
    run = record(store, "old")
    with store.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE runs SET tally = NULL, updated = NULL, until = NULL, model_calls = 0, errors = 0"
        )
    assert audit(store, run).ok


def test_a_name_that_is_no_unicode_does_not_cost_the_event(store: Engine) -> None:
    journal = Journal(store, Redactor({}))
    journal.append("run_started", {"question": "q"}, model="gpt", crew="c")
    journal.append("tool_call", agent="researcher", tool="se\ud800arch", failed=True)
    assert facet_values(store)["tool"] == ["se?arch"]
    assert audit(store, journal.run).ok
