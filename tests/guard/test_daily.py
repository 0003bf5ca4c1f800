"""The budget of a day: shared by all processes on a store, checked before each call, held when it is strict."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, select, update

from pilotage.errors import EXIT_LIMITED, LimitExceeded, StoreError
from pilotage.guard.limits import Ended, Meter, RunEnded, Worst
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.spending import day_of, spent_on
from pilotage.record.store import metadata, open_store, runs, spending
from pilotage.settings import CONFIG
from pilotage.spec import LimitSpec
from tests.guard.spender import WORST

ROOT = Path(__file__).parents[2]
NOON = 1_795_435_200.0  # of a day in UTC
Make = Callable[..., Meter]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def run(store: Engine) -> Make:
    """`run(usd_per_day=1)` is the meter of a run that has begun."""

    def begin(**limits: object) -> Meter:
        meter = Meter(LimitSpec.model_validate({"usd": 1000.0, **limits}), Journal(store, Redactor({})))
        meter.journal.append("run_started", {"question": "q"}, model="m", until=time.time() + 300)
        return meter

    return begin


def spend(meter: Meter, usd: float | None, worst: float | None = None) -> None:
    hold = meter.before_model_call("ann", worst=Worst(10, worst))
    hold.charge(10, usd)
    said = "unpriced" if usd is None else usd
    meter.journal.append_call({}, hold.freed, agent="ann", model="m", usd=said, prompt_tokens=10)


def today(store: Engine) -> tuple[float, float]:
    with store.connect() as connection:
        found = spent_on(connection, day_of(time.time()), time.time())
    return found.usd, found.held


def refusal(step: Callable[[], object]) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        step()
    return caught.value


def finish(meter: Meter) -> None:
    meter.journal.append("run_ended", {}, outcome="accepted", seconds=1.0, tokens=0, usd=0.0)


# --- one budget for all runs


def test_what_one_run_has_spent_stops_the_next_before_its_call(store: Engine, run: Make) -> None:
    first = run(usd_per_day=1)
    spend(first, 0.7)
    spend(first, 0.4)
    finish(first)
    second = run(usd_per_day=1)
    error = refusal(lambda: second.before_model_call("ann"))
    assert str(error) == (
        "Run stopped: $1.10 were spent today by all runs on this store, against the limit of $1.00 (limits.usd_per_day)"
    )
    assert (error.key, error.exit_code) == ("limits.usd_per_day", EXIT_LIMITED)
    assert error.hint == f"raise limits.usd_per_day in {CONFIG}, or run again after midnight UTC"
    assert second.ended is not None
    assert (second.ended.outcome, second.ended.reason) == ("limited", str(error))
    limit = next(e.facts for e in read_events(store, second.journal.run) if e.kind == "limit")
    assert (limit["limit"], limit["value"], limit["cap"]) == ("usd_per_day", 1.1, 1.0)
    assert second.model_calls == 0


def test_a_run_without_the_cap_counts_and_is_not_stopped(store: Engine, run: Make) -> None:
    spend(run(), 3.0)
    spend(run(), 0.5)
    assert today(store) == (3.5, 0.0)
    refusal(lambda: spend(run(usd_per_day=3.5), 0.1))


def test_what_was_spent_yesterday_does_not_count(store: Engine, run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = run(usd_per_day=1)
    monkeypatch.setattr("time.time", lambda: NOON)
    spend(meter, 2.0)
    refusal(lambda: run(usd_per_day=1).before_model_call("ann"))
    monkeypatch.setattr("time.time", lambda: NOON + 12 * 3600 - 0.001)
    refusal(lambda: run(usd_per_day=1).before_model_call("ann"))
    monkeypatch.setattr("time.time", lambda: NOON + 12 * 3600)
    spend(run(usd_per_day=1), 0.5)
    with store.connect() as connection:
        rows = connection.execute(select(spending.c.day, spending.c.usd).order_by(spending.c.day)).all()
    assert [tuple(row) for row in rows] == [("2026-11-23", 2.0), ("2026-11-24", 0.5)]


def test_calls_without_a_price_and_those_that_were_served_spend_nothing(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1)
    spend(meter, None)
    meter.journal.append("model_call", {}, agent="ann", model="m", usd=0.0, served="tape", saved_usd=9.0)
    with store.connect() as connection:
        assert connection.execute(select(spending)).all() == []


def test_an_event_that_is_refused_spends_nothing(store: Engine, run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = run(usd_per_day=1)
    monkeypatch.setattr("pilotage.record.journal.book", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        spend(meter, 0.5)
    monkeypatch.undo()
    assert today(store) == (0.0, 0.0)
    assert [e.kind for e in read_events(store, meter.journal.run)] == ["run_started"]


def test_a_store_of_an_older_version_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    engine = open_store(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE spending")
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN served")
    engine.dispose()
    engine = open_store(path, create=False)
    with engine.connect() as connection:
        assert connection.execute(select(spending)).all() == []
    engine.dispose()
    assert "spending" in metadata.tables


def test_a_locked_store_is_said_so(run: Make, store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    monkeypatch.setattr("pilotage.guard.limits.WAITS", 0.05)
    with store.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            meter.before_model_call("ann", worst=Worst(10, 0.01))
        other.rollback()


# --- a strict one


def test_a_call_that_may_pass_what_is_left_is_refused(store: Engine, run: Make) -> None:
    spend(run(usd_per_day=1), 0.7)
    meter = run(usd_per_day=1, strict_budget=True)
    spend(meter, 0.1, worst=0.3)
    assert today(store) == (0.8, 0.0)
    assert str(refusal(lambda: spend(meter, 0.1, worst=0.21))) == (
        "Run stopped: the next call could use $0.21, $0.2 are left of $1.00 for today and all runs on this store "
        "(limits.usd_per_day, limits.strict_budget)"
    )
    assert today(store) == (0.8, 0.0), "a refused call holds nothing"


def test_calls_under_way_in_other_runs_are_held_at_their_worst(store: Engine, run: Make) -> None:
    first, second = (run(usd_per_day=1, strict_budget=True) for _ in range(2))
    hold = first.before_model_call("ann", worst=Worst(10, 0.6))
    assert today(store) == (0.0, 0.6)
    refusal(lambda: second.before_model_call("ann", worst=Worst(10, 0.5)))
    hold.charge(10, 0.2)
    first.journal.append_call({}, hold.freed, usd=0.2, model="m")
    assert today(store) == (0.2, 0.0)
    spend(run(usd_per_day=1, strict_budget=True), 0.5, worst=0.8)


def test_a_call_that_used_nothing_is_free_again(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    hold = meter.before_model_call("ann", worst=Worst(10, 0.6))
    hold.drop()
    meter.journal.append_call({}, hold.freed, usd="unpriced", failed=True, model="m")
    assert today(store) == (0.0, 0.0)


def test_a_call_that_is_lost_is_spent_at_its_worst(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    hold = meter.before_model_call("ann", worst=Worst(10, 0.6))
    hold.lose()
    assert hold.lost == Worst(10, 0.6)
    meter.journal.append_call({}, hold.freed, usd=0.6, booked_tokens=10, failed=True, model="m")
    assert today(store) == (0.6, 0.0)
    finish(meter)
    assert today(store) == (0.6, 0.0)


def test_a_call_that_costs_nothing_starts_when_the_day_is_spent(store: Engine, run: Make) -> None:
    spend(run(usd_per_day=1), 1.0)
    spend(run(usd_per_day=1), 0.0, worst=0.0)
    with pytest.raises(LimitExceeded):
        spend(run(usd_per_day=1), 0.1, worst=0.1)


def test_what_an_earlier_version_spent_today_counts(store: Engine, run: Make) -> None:
    spend(run(usd_per_day=1), 0.7)
    spend(run(usd_per_day=1), 0.3)
    with store.begin() as connection:
        connection.execute(delete(spending))
    with pytest.raises(LimitExceeded, match=r"\$1\.00 were spent today"):
        run(usd_per_day=1).before_model_call("ann")
    assert today(store) == (1.0, 0.0)


def test_a_call_still_under_way_at_the_end_is_spent(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    meter.before_model_call("ann", worst=Worst(10, 0.6))
    finish(meter)
    assert today(store) == (0.6, 0.0)


def test_what_a_lost_run_holds_is_not_counted(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    meter.before_model_call("ann", worst=Worst(10, 0.6))
    with store.begin() as connection:
        connection.execute(update(runs).values(until=time.time() - 1))
    assert today(store) == (0.0, 0.0)
    spend(run(usd_per_day=1, strict_budget=True), 0.5, worst=0.9)


def test_a_call_that_the_run_refuses_gives_back_what_the_day_held(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, usd=0.1, strict_budget=True)
    error = refusal(lambda: meter.before_model_call("ann", worst=Worst(10, 0.6)))
    assert error.key == "limits.usd"
    assert today(store) == (0.0, 0.0)


def test_nothing_is_held_once_the_run_has_ended(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    meter.end(Ended("interrupted", "stopped"))
    with pytest.raises(RunEnded):
        meter.before_model_call("ann", worst=Worst(10, 0.6))
    assert today(store) == (0.0, 0.0)


def test_a_call_across_midnight_is_paid_by_the_day_that_held_it(
    store: Engine, run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = run(usd_per_day=1, strict_budget=True)
    monkeypatch.setattr("time.time", lambda: NOON + 12 * 3600 - 1)
    hold = meter.before_model_call("ann", worst=Worst(10, 0.6))
    monkeypatch.setattr("time.time", lambda: NOON + 12 * 3600 + 1)
    hold.charge(10, 0.2)
    meter.journal.append_call({}, hold.freed, usd=0.2, model="m")
    with store.connect() as connection:
        rows = connection.execute(select(spending.c.day, spending.c.usd, spending.c.held)).all()
    assert [tuple(row) for row in rows] == [("2026-11-23", 0.2, 0.0)]


# --- many at once


def test_many_threads_of_one_run_pass_no_strict_budget(store: Engine, run: Make) -> None:
    meter = run(usd_per_day=1, strict_budget=True, model_calls=1000)

    def work(_: int) -> None:
        try:
            while True:
                spend(meter, 0.04, worst=0.05)
        except (LimitExceeded, RunEnded, StoreError):
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    usd, held = today(store)
    assert 0.6 < usd + held <= 1.0
    assert meter.ended is not None
    assert "limits.usd_per_day" in meter.ended.reason


@pytest.mark.parametrize("kind", ["strict", "loose"])
def test_several_processes_share_the_budget(tmp_path: Path, kind: str) -> None:
    """Real processes: none of them knows of the others but by the store."""
    path, cap, number = tmp_path / "journal.sqlite", 1.5, 4
    open_store(path).dispose()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.guard.spender", str(path), str(cap), kind]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(number)]  # type: ignore[call-overload]
    try:
        assert [process.stdout.readline() for process in started] == ["ready\n"] * number
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=50)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert all("limits.usd_per_day" in line for line in said), said
    engine = open_store(path, create=False)
    usd, held = today(engine)
    with engine.connect() as connection:
        spenders = len(connection.execute(select(spending)).all())
    engine.dispose()
    assert held == 0
    assert spenders > 1, "one process alone proves nothing"
    if kind == "strict":
        assert cap - number * WORST <= usd <= cap
    else:
        assert cap <= usd < cap + number * WORST
