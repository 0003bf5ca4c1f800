"""What rules read: one run, the last runs, the last hours; the run that ends now counts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.alerts.figures import Figures, Reading, measure
from pilotage.spec import AlertRule
from tests.alerts.conftest import Ended

CAPS = {"usd": 1.0, "tokens": 1000.0, "seconds": 100.0, "model_calls": 10.0, "tool_calls": 20.0}


def this(outcome: str | None = "accepted", **more: Any) -> Figures:
    values = {"seconds": 50.0, "usd": 0.25, "tokens": 400, "model_calls": 4, "tool_calls": 3, "errors": 2, "loops": 1}
    return Figures("now", time.time(), outcome, **(values | {"caps": CAPS} | more))


def read(store: Engine, when: Any, above: float, over: str, run: Figures) -> Reading | None:
    rules = {"r": AlertRule(when=when, above=above, over=over)}
    return next(iter(measure(rules, store, run, time.time())), None)


def value(*given: Any) -> float | None:
    reading = read(*given)
    return reading.value if reading else None


@pytest.mark.parametrize(
    ("when", "found", "said"),
    [
        ("usd", 0.25, "r: run now has cost $0.25, above $0.0010"),
        ("seconds", 50.0, "r: run now has taken 50 s, above 0.001 s"),
        ("tokens", 400, "r: run now has used 400 tokens, above 0.001"),
        ("model_calls", 4, "r: run now has made 4 model calls, above 0.001"),
        ("tool_calls", 3, "r: run now has made 3 tool calls, above 0.001"),
        ("errors", 2, "r: run now has 2 failed calls, above 0.001"),
        ("loops", 1, "r: run now has 1 loop, above 0.001"),
        ("budget_share", 0.5, "r: run now has used 50 % of limits.seconds, above 0.1 %"),
    ],
)
def test_each_metric_of_a_run_has_its_value_and_its_sentence(store: Engine, when: str, found: float, said: str) -> None:
    reading = read(store, when, 0.001, "run", this())
    assert reading is not None
    assert (reading.value, reading.text, reading.fires) == (found, said, True)


@pytest.mark.parametrize(
    ("more", "key"),
    [({"usd": 0.9}, "usd"), ({"tokens": 900}, "tokens"), ({"model_calls": 9}, "model_calls"), ({}, "seconds")],
)
def test_the_share_of_a_budget_is_that_of_the_cap_that_is_nearest(store: Engine, more: Any, key: str) -> None:
    reading = read(store, "budget_share", 0.2, "run", this(**more))
    assert reading is not None
    assert f"of limits.{key}," in reading.text


def test_what_has_no_caps_has_no_share_of_them(store: Engine) -> None:
    assert read(store, "budget_share", 0.2, "run", this(caps=None)) is None


def test_exactly_the_value_is_not_above_it(store: Engine) -> None:
    reading = read(store, "tokens", 400, "run", this())
    assert reading is not None
    assert not reading.fires


def test_the_last_runs_are_judged_when_there_are_so_many(store: Engine, ended: Ended) -> None:
    for outcome in ("failed", "limited", "accepted"):
        ended(outcome)
    assert value(store, "failure_rate", 0.1, "5 runs", this("rejected")) is None
    assert value(store, "failure_rate", 0.1, "4 runs", this("rejected")) == 0.75
    reading = read(store, "failure_rate", 0.1, "4 runs", this("unanswered"))
    assert reading is not None
    assert reading.text == "r: over the last 4 runs: 2 of 4 runs failed (50 %), above 10 %"


def test_the_newest_runs_are_the_last_ones_and_open_ones_are_not_counted(store: Engine, ended: Ended) -> None:
    ended("failed", ago=500)
    ended("accepted", ago=400)
    ended(None, ago=300)
    assert value(store, "failure_rate", 0.1, "2 runs", this()) == 0.0
    assert value(store, "failure_rate", 0.1, "3 runs", this()) == pytest.approx(1 / 3)


def test_a_time_holds_what_has_started_in_it(store: Engine, ended: Ended) -> None:
    ended("failed", ago=7000)
    ended("failed", ago=3000)
    ended("accepted", ago=100)
    reading = read(store, "failure_rate", 0.1, "1 hour", this())
    assert reading is not None
    assert reading.text == "r: 1 of 3 runs in the last hour failed (33.3 %), above 10 %"
    assert value(store, "failure_rate", 0.1, "1 day", this()) == 0.5
    assert value(store, "runs", 2, "1 hour", this()) == 3


def test_what_started_later_does_not_count(store: Engine, ended: Ended) -> None:
    ended("failed", ago=-50)
    assert value(store, "failure_rate", 0.1, "1 hour", this()) == 0


def test_loops_are_a_share_of_runs_however_many_a_run_has(store: Engine, ended: Ended) -> None:
    ended(loops=7)
    ended(loops=0)
    assert value(store, "loop_rate", 0.1, "1 hour", this(loops=0)) == pytest.approx(1 / 3)


def test_costs_add_up_and_of_an_unpriced_run_counts_what_is_known(store: Engine, ended: Ended) -> None:
    ended(usd=0.5)
    ended(usd=None, tally='{"usd": 0.125, "unpriced": 1}')
    ended(usd=None, tally=None)
    reading = read(store, "usd", 0.5, "1 day", this())
    assert reading is not None
    assert reading.value == 0.875
    assert reading.text == "r: 4 runs in the last day cost $0.88, above $0.50"


def test_seconds_are_the_95th_percentile(store: Engine, ended: Ended) -> None:
    for number in range(1, 20):
        ended(seconds=float(number))
    assert value(store, "seconds", 1, "20 runs", this(seconds=1000.0)) == 19.0
    reading = read(store, "seconds", 1, "2 runs", this(seconds=1000.0))
    assert reading is not None
    assert reading.text == "r: over the last 2 runs: 2 runs took up to 1,000 s (95th percentile), above 1 s"


def test_a_window_without_a_run_that_has_ended_is_not_judged(store: Engine) -> None:
    assert value(store, "failure_rate", 0.1, "1 day", this(None)) is None
    assert value(store, "runs", 0, "1 day", this(None)) == 1
