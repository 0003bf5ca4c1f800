"""A journal that is locked, full or deleted, files that cannot be written: what was found reaches the user."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.errors import StoreError
from pilotage.outcome import Result
from pilotage.record.audit import audit
from pilotage.record.journal import Event, Journal
from pilotage.record.redact import Redactor
from pilotage.record.spending import Held
from pilotage.record.store import WAITS, open_store
from pilotage.report import print_result
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.scripted import Turn, good

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"
LOCKED = "locked by another process"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """The write lock of the journal, as a backup or a database browser holds it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.fixture
def spoil(load: Load, scripted: Any) -> Callable[..., tuple[Result, float]]:
    """`spoil(how, at=task)` runs the crew and does `how(settings)` in the first model call of the task."""

    def run(how: Callable[[Settings], Any], at: str = "explain", **settings: Any) -> tuple[Result, float]:
        found, done = load(**settings), list[float]()

        def play(turn: Turn) -> Any:
            if turn.task == at and not done:
                done.append(time.monotonic())
                stack.enter_context(how(found) or contextlib.nullcontext())
            return good(turn)

        scripted(play)
        with contextlib.ExitStack() as stack:
            result = run_crew(QUESTION, settings=found)
            return result, time.monotonic() - done[0]

    return run


def shown(result: Result, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_result(result)
    return capsys.readouterr().out


# --- locked


def test_a_lock_does_not_hold_up_the_end_of_the_time(spoil: Any, capsys: pytest.CaptureFixture[str]) -> None:
    result, took = spoil(lambda settings: locked(settings.store), limits__seconds="2")
    assert took < 2 + 3, "a second for the journal, one to unwind, one for a busy machine"
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert LOCKED in result.reason
    assert (result.folder / "result.json").is_file()
    assert "one fault makes 27 requests" in (result.folder / "answer.md").read_text("utf-8")
    assert shown(result, capsys).splitlines()[-1].startswith("outcome: failed · ")


def test_a_lock_that_lasts_ends_the_run_before_its_time(spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WAITS == 5
    monkeypatch.setattr("pilotage.guard.limits.WAITS", 1.0)
    result, took = spoil(lambda settings: locked(settings.store), limits__seconds="60")
    assert 1 <= took < 1 + 3
    assert (result.outcome, result.reason) == ("failed", f"The journal is {LOCKED}")
    assert "close what holds it" in result.hint


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_lock_does_not_hold_up_a_signal(spoil: Any, number: signal.Signals, code: int) -> None:
    def lock(settings: Settings) -> Any:
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        return locked(settings.store)

    result, took = spoil(lock, limits__seconds="60")
    assert took < 0.3 + 2
    assert (result.outcome, result.exit_code) == ("interrupted", code)
    assert result.reason == (f"stopped by {number.name}; the journal could not be completed: it is {LOCKED}")


def test_a_lock_that_is_soon_gone_is_waited_for(spoil: Any, load: Load) -> None:
    def lock(settings: Settings) -> Any:
        stack = contextlib.ExitStack()
        connection = sqlite3.connect(settings.store, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        stack.callback(connection.close)
        threading.Timer(1.0, connection.rollback).start()
        return stack

    result, _ = spoil(lock)
    assert result.outcome == "accepted"
    assert audit(open_store(load().store, create=False), result.run, result.seal).ok


def test_a_run_on_a_locked_journal_does_not_begin(load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.record.store.WAITS", 1.0)
    model, settings = scripted(good), load()
    open_store(settings.store).dispose()
    began = time.monotonic()
    with locked(settings.store), pytest.raises(StoreError, match=LOCKED):
        run_crew(QUESTION, settings=settings)
    assert 1 < time.monotonic() - began < 3
    assert not model.turns


# --- full, gone, not writable


def refuse_writes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full from the first event of that kind on; of the decisions, from those about the answer."""
    store, full = Journal._store, list[bool]()

    def on_a_full_disk(self: Journal, event: Event, texts: dict[str, str], freed: Held | None) -> None:
        if event.kind == kind and event.facts.get("what", "said") == "said":
            full.append(True)
        if full:
            with self.engine.begin() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count=1")
                connection.exec_driver_sql("CREATE TABLE more AS SELECT zeroblob(1000000) AS body")
        store(self, event, texts, freed)

    monkeypatch.setattr(Journal, "_store", on_a_full_disk)


@pytest.mark.parametrize("kind", ["decision", "run_ended"])
def test_an_answer_that_the_journal_cannot_take_reaches_the_user(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    scripted(good)
    refuse_writes(kind, monkeypatch)
    result = run_crew(QUESTION, settings=load())
    out = shown(result, capsys)
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert "One fault can become 27 requests" in out
    assert "the journal could not be completed: it cannot be written: database or disk is full" in out.splitlines()[-1]
    assert result.folder is not None
    assert "One fault can become 27 requests" in (result.folder / "answer.md").read_text("utf-8")


@pytest.mark.parametrize(("kind", "calls"), [("task_started", 0), ("tool_call", 1), ("task_ended", 2)])
def test_a_disk_that_is_full_in_the_middle_ends_the_run(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str,
    calls: int,
) -> None:  # fmt: skip
    model = scripted(good)
    refuse_writes(kind, monkeypatch)
    result = run_crew(QUESTION, settings=load())
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert result.reason == "The journal cannot be written: database or disk is full"
    assert len(model.turns) == calls
    assert capsys.readouterr().out == "", "CrewAI says nothing of its own"


def delete(settings: Settings) -> None:
    for file in settings.store.parent.glob(f"{settings.store.name}*"):
        file.unlink()


def replace(settings: Settings) -> None:
    engine = open_store(settings.store.with_name("other.sqlite"))
    Journal(engine, Redactor({})).append("run_started", {"question": "Why?"}, model="reader")
    engine.dispose()
    settings.store.with_name("other.sqlite").replace(settings.store)


@pytest.mark.parametrize("how", [delete, replace])
def test_a_journal_that_is_gone_is_noticed(spoil: Any, how: Callable[[Settings], None]) -> None:
    result, _ = spoil(how, at="explain")
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert "The journal was deleted or replaced while the run went on" in result.reason
    assert result.findings


def test_events_that_are_gone_from_the_journal_are_noticed(spoil: Any) -> None:
    def empty(settings: Settings) -> None:
        connection: Engine = open_store(settings.store)
        with connection.begin() as writing:
            writing.exec_driver_sql("DELETE FROM events")
        connection.dispose()

    result, _ = spoil(empty)
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert "The journal has lost what this run wrote" in result.reason


def test_a_folder_that_cannot_be_made_costs_the_files_and_not_the_answer(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(good)
    settings = load()
    monkeypatch.setattr("pilotage.record.journal.new_run_id", lambda: "in-the-way")
    settings.runs.mkdir()
    (settings.runs / "in-the-way").write_text("a file")
    result = run_crew(QUESTION, settings=settings)
    assert (result.outcome, result.exit_code, result.folder) == ("failed", 4, None)
    assert "runs/in-the-way cannot be written: File exists" in result.reason
    assert "One fault can become 27 requests" in shown(result, capsys)
    report = audit(open_store(settings.store, create=False), result.run, result.seal)
    assert report.ok


def test_files_that_cannot_be_written_cost_the_files_and_not_the_answer(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_result: Result, _decisions: Any, folder: Path) -> None:
        shutil.rmtree(folder)
        raise OSError(28, "No space left on device")

    scripted(good)
    monkeypatch.setattr("pilotage.outcome.write_files", full)
    result = run_crew(QUESTION, settings=load())
    assert (result.outcome, result.exit_code, result.folder) == ("failed", 4, None)
    out = shown(result, capsys)
    assert "One fault can become 27 requests" in out
    assert "cannot be written: No space left on device" in out.splitlines()[-1]
