"""A run of ours, sent as spans: elsewhere it comes back as the events it was made of, at home it is not doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from pilotage.record.audit import audit
from pilotage.record.journal import Event, Journal, list_runs, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import facets, open_store
from pilotage.settings import Settings
from pilotage.telemetry import open_sinks
from tests.collector.serving import Process, serving

LOOP = {"rule": "same call", "level": "stop", "agent": "researcher", "first_step": 3, "last_step": 9, "times": 3}
CHECK = {"check": "citations", "task": "research", "agent": "researcher", "passed": False}
CALL = {"agent": "researcher", "task": "research", "model": "openai/gpt-4o-mini", "attempt": 1, "prompt_tokens": 321,
        "completion_tokens": 45, "usd": 0.00007515, "seconds": 0.5}  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Process]:
    with serving(tmp_path / "elsewhere" / "runs.db") as collector:
        yield collector


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch, load: Callable[..., Settings]) -> Callable[..., Journal]:
    """Journal a small run in the store and send it to the address as it goes."""

    def run(engine: Engine, address: str, usd: float | None = None) -> Journal:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        sinks = open_sinks(load())
        assert sinks is not None
        journal = Journal(engine, Redactor({}))
        session = sinks.session(journal.run)
        journal.listen(session)
        _run(journal, usd)
        session.end()
        sinks.close()
        return journal

    return run


def _run(journal: Journal, usd: float | None) -> None:
    """`usd` is what the run says of itself: None when a call may have cost what nobody knows."""
    who: dict[str, Any] = {"task": "research", "agent": "researcher"}
    journal.append("run_started", {"question": "Who owns retries?", "settings": "{}"}, model="openai/gpt-4o-mini",
                   crew="my_crew")  # fmt: skip
    journal.append("task_started", {"context": ""}, **who)
    request = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Find it."}], "tools": None}
    journal.append("model_call", {"request": request, "answer": "Found."}, **CALL)
    failed = CALL | {"prompt_tokens": 0, "completion_tokens": 0, "usd": "unpriced", "failed": True}
    journal.append("model_call", {"request": request, "error": "TimeoutError: late"}, **failed)
    journal.append(
        "tool_call", {"arguments": '{"q": 1}', "result": "none"}, tool="search_knowledge", seconds=0.1, **who
    )
    journal.append("check", {"faults": "[]"}, **CHECK)
    journal.append("loop", {"evidence": "search three times"}, **LOOP)
    journal.append("task_ended", {"output": "Found."}, **who)
    journal.append("run_ended", {"reason": "", "answer": "The door.", "citations": "[]"}, outcome="accepted",
                   seconds=2.0, tokens=366, usd=usd, model_calls=2, tool_calls=1)  # fmt: skip


def by_kind(events: list[Event]) -> dict[str, Event]:
    """The first of each kind."""
    return {event.kind: event for event in reversed(events)}


@pytest.mark.parametrize("usd", [0.00007515, None])
def test_a_run_that_is_sent_to_another_store_comes_back_as_its_events(
    engine: Engine, elsewhere: Process, send: Callable[..., Journal], tmp_path: Path, usd: float | None
) -> None:
    journal = send(engine, elsewhere.url, usd)
    copy = open_store(tmp_path / "elsewhere" / "runs.db", create=False)
    (row,) = list_runs(copy)
    assert audit(copy, row["run"]).ok
    assert (row["origin"], row["outcome"], row["question"]) == ("otlp", "accepted", "Who owns retries?")
    (own,) = list_runs(engine)
    for name in ("model", "tokens", "usd", "seconds", "model_calls", "tool_calls", "errors", "loops"):
        assert row[name] == own[name], name
    assert (row["model"], row["usd"], row["seconds"]) == ("openai/gpt-4o-mini", usd, 2.0)
    with copy.connect() as connection:
        models = connection.execute(select(facets.c.value).where(facets.c.name == "model")).scalars().all()
    assert models == ["openai/gpt-4o-mini"]
    there, here = by_kind(list(read_events(copy, row["run"]))), by_kind(list(read_events(engine, journal.run)))
    for kind in ("model_call", "tool_call", "check", "loop"):
        missing = here[kind].facts.items() - there[kind].facts.items()
        assert {name for name, _ in missing} <= {"seconds"}, kind
    assert there["loop"].content["evidence"] == "search three times"
    assert there["model_call"].content["response"] == "Found."
    assert there["tool_call"].content["arguments"] == '{"q": 1}'


def test_a_run_that_is_sent_to_its_own_store_stays_one(
    engine: Engine, store: Path, send: Callable[..., Journal]
) -> None:
    with serving(store) as collector:
        journal = send(engine, collector.url)
    assert [row["run"] for row in list_runs(engine)] == [journal.run]
    assert audit(engine, journal.run).ok
