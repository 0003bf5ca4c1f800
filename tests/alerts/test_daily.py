"""The warning that most of a day's budget is spent: once a day and store, whichever run it is that notices."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from pilotage.alerts.daily import quiet_for
from pilotage.alerts.fired import list_fired
from pilotage.record.store import alerts
from pilotage.spec import LimitSpec
from tests.alerts.conftest import Watch
from tests.alerts.receiver import log_lines

CAP = LimitSpec(usd_per_day=1.0)
SAID = "usd_per_day: $0.85 of $1.00 are spent today (limits.usd_per_day)"


def test_it_is_told_once_when_four_fifths_are_passed(
    watch: Watch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = watch(CAP).start()
    first.call(usd=0.8)
    assert first.alerts == []
    first.call(usd=0.05)
    first.call(usd=0.05)
    second = watch(CAP).start()
    second.call(usd=0.01)
    assert (first.alerts, second.alerts) == ([SAID], [])
    assert capsys.readouterr().err == f"alert {SAID}\n"
    (line,) = log_lines(tmp_path)
    assert (line["rule"], line["metric"], line["value"], line["above"]) == ("usd_per_day", "usd_per_day", 0.85, 0.8)


def test_what_other_runs_have_spent_counts(watch: Watch) -> None:
    watch().start().call(usd=0.84)
    last = watch(CAP).start()
    last.call(usd=0.01)
    assert last.alerts == [SAID]


def test_the_next_day_it_is_told_again(watch: Watch, store: Engine) -> None:
    watch(CAP).start().call(usd=0.85)
    with store.begin() as connection:
        connection.execute(update(alerts).values(at=time.time() - quiet_for(time.time()) - 1))
    again = watch(CAP).start()
    again.call(usd=0.0001)
    assert len(again.alerts) == 1
    assert len(list_fired(store)) == 2


def test_a_rule_of_that_name_takes_its_place(watch: Watch) -> None:
    watched = watch(CAP, usd_per_day={"when": "usd", "above": 5})
    watched.start().call(usd=0.9)
    assert watched.alerts == []


def test_without_the_cap_nothing_is_told(watch: Watch) -> None:
    watched = watch().start()
    watched.call(usd=100.0)
    assert watched.alerts == []


def test_a_locked_store_holds_the_run_up_for_a_moment_only(watch: Watch, store: Engine) -> None:
    watched = watch(CAP).start()
    watched.call(usd=0.79)
    with store.connect() as other:
        other.exec_driver_sql("BEGIN EXCLUSIVE")
        began = time.monotonic()
        watched.watcher._judge_day(0.5, time.time())
        assert time.monotonic() - began < 2
        other.rollback()
    assert watched.alerts == []
    assert watched.warnings == []
