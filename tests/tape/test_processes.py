"""Ends that no code sees: Ctrl-C and kill -9 of a real process, a full disk, a loss of power; then a resume."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotage.again import resume
from pilotage.errors import ConfigError
from pilotage.record import store
from pilotage.record.audit import audit
from pilotage.record.journal import Event, read_events
from pilotage.run import Runner
from pilotage.settings import load
from tests.conftest import ROOT
from tests.support.server import good_over_http
from tests.tape.lab import QUESTION, Lab

PATIENCE = 30.0  # seconds in which a process must have come so far


@contextmanager
def running(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """`python -m pilotage run` as a process of its own."""
    sets = [part for key, value in lab.pairs().items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "pilotage", "run", QUESTION, *sets]
    process = subprocess.Popen(
        command, cwd=lab.project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(lab.project), "OPENAI_API_KEY": "not-needed"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def hanging(request: dict[str, Any]) -> Any:
    """The verifier's second answer does not come."""
    is_second = any(message["role"] == "tool" for message in request["messages"])
    return 20.0 if is_second and "Give one verdict" in str(request["messages"]) else good_over_http(request)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_was_stopped_is_gone_on_with_by_another(lab: Lab, number: signal.Signals) -> None:
    lab.play(hanging)
    with running(lab) as process:
        until = time.monotonic() + PATIENCE
        while len(lab.server.requests) < 4 and time.monotonic() < until:
            time.sleep(0.02)
        alive = lab("resume", "last")
        assert alive.code == 2
        assert f"still going on in process {process.pid}" in alive.err
        process.send_signal(number)
        process.wait(PATIENCE)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    stopped = lab.events(lab.runs()[0])
    assert (stopped[-1].kind == "run_ended") == (number == signal.SIGINT)
    lab.play(good_over_http)
    resumed = lab("resume", "last")
    assert resumed.outcome == "accepted", resumed.err
    assert len(resumed.requests) == 2, "the one that was under way, and the one behind it"
    assert len(resumed.served) == 5


def test_a_full_disk_and_then_room_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run(limits__model_calls=1)
    file = lab.project / "runs" / "pilotage.sqlite"
    with sqlite3.connect(file) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    prepare = store._prepare

    def narrow(connection: sqlite3.Connection, record: Any) -> None:
        prepare(connection, record)
        connection.execute(f"PRAGMA max_page_count={pages + 5}")

    monkeypatch.setattr(store, "_prepare", narrow)
    stopped = lab.run()
    assert stopped.code == 4
    assert "full" in stopped.err + stopped.out
    monkeypatch.setattr(store, "_prepare", prepare)
    committed = [e for e in lab.events(stopped.run) if e.kind == "model_call"]
    assert committed, "nothing was written: nothing is tested here"
    resumed = lab("resume", stopped.run, "--force")
    assert resumed.outcome == "accepted", resumed.err
    assert len(resumed.requests) == 5 - len(committed)


def test_a_loss_of_power_takes_the_last_events_and_never_the_run(lab: Lab) -> None:
    """SQLite's WAL at `synchronous=NORMAL`: the end of the file beside the store is gone, cut at any byte."""
    lab.run()  # what is in the store itself already
    place, kept = lab.project / "runs", lab.project / "kept"
    kept.mkdir()

    def copy(event: Event) -> None:
        if event.seq == 18:
            for file in place.glob("pilotage.sqlite*"):
                shutil.copy(file, kept)

    runner = Runner(load(lab.project, lab.pairs()))
    run = runner.answer(QUESTION, listener=copy, write=False).run
    runner.close()
    log = (kept / "pilotage.sqlite-wal").read_bytes()
    chance, left = random.Random(5), set[int]()
    for size in [len(log), *(chance.randrange(len(log)) for _ in range(9)), 0]:
        for file in place.glob("pilotage.sqlite*"):
            file.unlink()
        shutil.copy(kept / "pilotage.sqlite", place)
        (place / "pilotage.sqlite-wal").write_bytes(log[:size])
        left.add(len(_goes_on(lab, run)))
    assert len(left) > 3, "the cuts were all alike"


def _goes_on(lab: Lab, run: str) -> list[Event]:
    """What is left of the run; when anything is, it is whole up to there, and its resume pays for the rest alone."""
    with lab.opened() as (engine, go_on):
        events = list(read_events(engine, run))
        if not events:
            with pytest.raises(ConfigError, match="No run begins"):
                resume(engine, run)
            return []
        assert audit(engine, run).ok
        result, requests = go_on(resume(engine, run, force=True))
        assert result.outcome == "accepted"
        assert requests == 5 - sum(event.kind == "model_call" for event in events)
        return events


def test_kills_at_random_moments_lose_nothing_and_pay_nothing_twice() -> None:
    """The benchmark with a few kills, in a process of its own: it forks, which no thread may see."""
    script = ROOT / "benchmarks" / "bench_resume.py"
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "8", "--check", "--json"], capture_output=True, text=True, timeout=55
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    told = json.loads(done.stdout)
    assert len(told["kills"]) == 8
    assert not any(told["faults"].values())


def test_the_store_says_how_safe_a_commit_is(tmp_path: Path) -> None:
    """NORMAL under WAL: a crash of the process loses nothing; a loss of power may lose the last commits."""
    engine = store.open_store(tmp_path / "store.sqlite")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    engine.dispose()
