"""The writing thread: what waits is written together, what cannot be is said, nothing is acknowledged before."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pilotage.collector import writer as writing
from pilotage.collector.drafts import Draft, draft
from pilotage.collector.writer import Busy, Writer
from pilotage.errors import StoreError
from pilotage.record.audit import audit
from pilotage.record.journal import Event, list_runs
from pilotage.record.redact import Redactor
from tests.collector.spans import span


def one(trace: str) -> list[Draft]:
    return draft([span({"agentops.span.kind": "tool", "tool.name": "t"}, trace=trace)], Redactor({}))


def trace(number: int) -> str:
    return f"{number + 1:032x}"


def test_requests_of_many_threads_are_all_recorded(writer: Writer, engine: Engine) -> None:
    def send(sender: int) -> None:
        for number in range(20):
            assert writer.submit(one(trace(number % 5)) + one(trace(100 + sender))).result(20).recorded == 2

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = list_runs(engine, 100)
    assert sum(row["tool_calls"] for row in listed) == 8 * 20 * 2
    assert all(audit(engine, row["run"]).ok for row in listed)


def test_what_waits_is_written_in_one_transaction(engine: Engine) -> None:
    groups: list[list[Event]] = []
    writer = Writer(engine, Redactor({}))
    writer.listen(groups.append)
    writer.start()
    with writer._changed:  # the thread cannot take anything yet
        futures = [writer.submit(one(trace(number))) for number in range(10)]
    assert [future.result(10).recorded for future in futures] == [1] * 10
    writer.close()
    assert len(groups) == 1


def test_a_full_queue_refuses_and_takes_again_when_it_is_empty(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 2)
    with writer._changed:
        futures = [writer.submit(one(trace(number))) for number in range(2)]
        with pytest.raises(Busy, match="2 spans wait to be written, 2 may"):
            writer.submit(one(trace(3)))
    assert [future.result(10).recorded for future in futures] == [1, 1]
    assert writer.submit(one(trace(3))).result(10).recorded == 1


def test_a_store_that_stays_locked_is_said_and_the_next_request_is_written(
    writer: Writer, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "WAITS", 0.2)
    blocker = sqlite3.connect(store, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        writer.submit(one(trace(1))).result(10)
    blocker.execute("COMMIT")
    blocker.close()
    assert writer.submit(one(trace(1))).result(10).recorded == 1
    assert audit(writer.engine, trace(1)).ok


def test_a_store_that_was_deleted_is_said(writer: Writer, store: Path) -> None:
    writer.submit(one(trace(1))).result(10)
    store.unlink()
    with pytest.raises(StoreError, match="deleted or replaced"):
        writer.submit(one(trace(1))).result(10)


def test_one_request_that_cannot_be_recorded_does_not_take_the_others_with_it(writer: Writer, engine: Engine) -> None:
    bad = [Draft(trace(9), "01" * 8, "tool_call", 1.0, {"seconds": object()}, {})]
    with writer._changed:
        good, wrong, last = (writer.submit(drafts) for drafts in (one(trace(1)), bad, one(trace(2))))
    assert (good.result(10).recorded, last.result(10).recorded) == (1, 1)
    with pytest.raises(TypeError):
        wrong.result(10)
    assert sorted(row["run"] for row in list_runs(engine)) == [trace(1), trace(2)]


def test_what_a_sender_has_given_up_is_not_written_and_stops_nothing(writer: Writer, engine: Engine) -> None:
    with writer._changed:
        gone, kept = writer.submit(one(trace(1))), writer.submit(one(trace(2)))
        assert gone.cancel()
    assert kept.result(10).recorded == 1
    assert [row["run"] for row in list_runs(engine)] == [trace(2)]


def test_a_closed_writer_has_written_what_waited_and_takes_nothing(engine: Engine) -> None:
    writer = Writer(engine, Redactor({}))
    with writer:
        future = writer.submit(one(trace(1)))
    assert future.result(0).recorded == 1
    with pytest.raises(Busy, match="closed"):
        writer.submit(one(trace(1)))


def test_a_listener_that_fails_stops_nothing(writer: Writer) -> None:
    def fail(_events: list[Event]) -> None:
        raise RuntimeError("no")

    writer.listen(fail)
    assert [writer.submit(one(trace(number))).result(10).recorded for number in range(3)] == [1, 1, 1]
