"""Accounts on every level: a call starts when all it belongs to allow it, counts once in each, and holds its worst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotage.errors import LimitExceeded
from pilotage.guard.ledger import Clock, Worst
from pilotage.guard.limits import Meter, RunEnded
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.settings import AGENTS, CONFIG, TASKS
from pilotage.spec import CapSpec, LimitSpec

Make = Callable[..., Meter]
CALL = Worst(tokens=300, usd=0.02)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    engine = open_store(tmp_path / "journal.sqlite")

    def meter(agent: CapSpec | None = None, task: CapSpec | None = None, **limits: object) -> Meter:
        caps = LimitSpec.model_validate(limits)
        made = Meter(
            caps, Journal(engine, Redactor({})), agents={"ann": agent or CapSpec()}, tasks={"sum": task or CapSpec()}
        )
        made.begin_turn("ann", "sum", max_iter=100, seconds=60)
        return made

    yield meter
    engine.dispose()


def refusal(step: Callable[[], object]) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        step()
    return caught.value


# --- one code path for every level


def spend(meter: Meter, kind: str, agent: str = "ann") -> None:
    if kind == "tool_calls":
        meter.before_tool_call(agent)
    else:
        meter.before_model_call(agent).charge(1, 0.25 if kind == "usd" else 0.0)


@pytest.mark.parametrize("kind", ["iterations", "model_calls", "tool_calls", "tokens", "usd"])
@pytest.mark.parametrize(
    ("level", "key", "file"),
    [("run", "limits", CONFIG), ("agent", "agents.ann.limits", AGENTS), ("task", "tasks.sum.limits", TASKS)],
)
def test_each_cap_holds_on_each_level(make: Make, kind: str, level: str, key: str, file: str) -> None:
    most = 0.5 if kind == "usd" else 2
    caps = {kind: most}
    meter = make(**caps) if level == "run" else make(**{level: CapSpec.model_validate(caps)})
    spend(meter, kind)
    spend(meter, kind)
    error = refusal(lambda: spend(meter, kind))
    assert (error.key, error.value, error.limit) == (f"{key}.{kind}", most, most)
    assert error.hint == f"raise {key}.{kind} in {file}"
    owner = {"run": "", "agent": " of ann", "task": " of sum"}[level]
    assert str(error).startswith(f"Run stopped: {most} {kind.replace('_', ' ')}{owner} against the limit of {most} ")


@pytest.mark.parametrize(
    ("level", "key"), [("agent", "agents.ann.limits.seconds"), ("task", "tasks.sum.limits.seconds")]
)
def test_seconds_of_an_agent_and_of_a_task_hold_too(make: Make, level: str, key: str) -> None:
    meter = make(**{level: CapSpec(seconds=0.02)})
    time.sleep(0.03)
    assert refusal(lambda: meter.before_tool_call("ann")).key == key


def test_a_refused_call_counts_nowhere(make: Make) -> None:
    meter = make(task=CapSpec(model_calls=1))
    meter.before_model_call("ann")
    refusal(lambda: meter.before_model_call("ann"))
    assert meter.model_calls == 1


def test_the_caps_of_an_agent_are_for_all_its_tasks_together(make: Make) -> None:
    meter = make(agent=CapSpec(model_calls=2))
    for task in ("sum", "other"):
        meter.begin_turn("ann", task, max_iter=9, seconds=60)
        meter.before_model_call("ann")
    assert refusal(lambda: meter.before_model_call("ann")).key == "agents.ann.limits.model_calls"


def test_the_caps_of_a_task_are_for_whoever_works_on_it(make: Make) -> None:
    meter = make(task=CapSpec(tool_calls=2))
    meter.begin_turn("bob", "sum", max_iter=9, seconds=60)
    meter.before_tool_call("ann")
    meter.before_tool_call("bob")
    assert refusal(lambda: meter.before_tool_call("bob")).key == "tasks.sum.limits.tool_calls"


def test_a_task_that_the_agent_is_not_at_does_not_bind_it(make: Make) -> None:
    meter = make(task=CapSpec(model_calls=1))
    meter.before_model_call("ann")
    meter.begin_turn("ann", "other", max_iter=9, seconds=60)
    meter.before_model_call("ann")
    meter.end_turn("ann", "other")
    assert meter.task_of("ann") == "sum"
    assert refusal(lambda: meter.before_model_call("ann")).key == "tasks.sum.limits.model_calls"


def test_a_retry_is_no_iteration_on_any_level(make: Make) -> None:
    meter = make(agent=CapSpec(iterations=1), task=CapSpec(iterations=1), iterations=1)
    meter.before_model_call("ann")
    for _ in range(3):
        meter.before_model_call("ann", retry=True)
    assert refusal(lambda: meter.before_model_call("ann")).key == "limits.iterations"


# --- the seconds of one call


@pytest.mark.parametrize("kind", ["call_seconds", "tool_seconds"])
@pytest.mark.parametrize(
    ("agent", "task", "seconds", "key"),
    [
        (None, None, 9, "limits"),
        (4, None, 4, "agents.ann.limits"),
        (4, 3, 3, "tasks.sum.limits"),
        (12, 11, 9, "limits"),
    ],
)
def test_the_smallest_time_out_of_a_call_wins_and_is_named(
    make: Make, kind: str, agent: float | None, task: float | None, seconds: float, key: str
) -> None:
    caps = [CapSpec.model_validate({kind: seconds}) for seconds in (agent, task)]
    meter = make(*caps, **{kind: 9})
    assert getattr(meter, kind)("ann") == (seconds, f"{key}.{kind}")
    assert getattr(meter, kind)("bob") == (9, f"limits.{kind}")


def test_the_time_left_is_that_of_the_first_deadline(make: Make) -> None:
    meter = make(seconds=50, agent=CapSpec(seconds=40), task=CapSpec(seconds=70))
    left, key = meter.time_left("ann")
    assert (round(left), key) == (40, "agents.ann.limits.seconds")
    assert meter.time_left("bob")[1] == "limits.seconds"


# --- clocks


def test_a_clock_counts_what_is_open_twice_once() -> None:
    clock = Clock()
    assert clock.seconds == 0
    clock.start()
    clock.start()
    time.sleep(0.05)
    clock.stop()
    time.sleep(0.05)
    clock.stop()
    stopped = clock.seconds
    time.sleep(0.03)
    assert clock.seconds == stopped
    assert 0.1 <= stopped < 0.5


# --- strict budget


@pytest.mark.parametrize("level", ["run", "agent", "task"])
def test_a_strict_budget_refuses_a_call_whose_worst_case_does_not_fit(make: Make, level: str) -> None:
    key = {"run": "limits", "agent": "agents.ann.limits", "task": "tasks.sum.limits"}[level]
    caps = {"tokens": 2000}
    more = caps if level == "run" else {level: CapSpec.model_validate(caps)}
    meter = make(strict_budget=True, **more)
    meter.before_model_call("ann", worst=Worst(800, None)).charge(800, None)
    error = refusal(lambda: meter.before_model_call("ann", worst=Worst(3210, None)))
    assert str(error) == (
        "Run stopped: the next call could use 3,210 tokens, 1,200 are left of 2,000 "
        f"({key}.tokens, limits.strict_budget)"
    )
    assert (error.key, error.limit) == (f"{key}.tokens", 2000)
    assert "limits.strict_budget" in error.hint
    assert meter.model_calls == 1


def test_a_strict_budget_holds_usd_too(make: Make) -> None:
    meter = make(strict_budget=True, usd=0.05)
    meter.before_model_call("ann", worst=CALL).charge(100, 0.04)
    error = refusal(lambda: meter.before_model_call("ann", worst=CALL))
    assert str(error) == (
        "Run stopped: the next call could use $0.02, $0.01 are left of $0.05 (limits.usd, limits.strict_budget)"
    )


def test_without_a_strict_budget_a_call_starts_while_anything_is_left(make: Make) -> None:
    meter = make(tokens=1000)
    meter.before_model_call("ann", worst=Worst(5000, None)).charge(999, 0.0)
    meter.before_model_call("ann", worst=Worst(5000, None)).charge(5000, 0.0)
    assert meter.tokens == 5999
    assert refusal(lambda: meter.before_model_call("ann")).key == "limits.tokens"


def test_calls_under_way_hold_their_worst_case(make: Make) -> None:
    meter = make(strict_budget=True, tokens=700)
    first = meter.before_model_call("ann", worst=CALL)
    meter.before_model_call("ann", worst=CALL)
    first.charge(10, 0.0)  # 290 that were held are free again
    third = meter.before_model_call("ann", worst=CALL)
    third.drop()
    meter.before_model_call("ann", worst=CALL)
    assert refusal(lambda: meter.before_model_call("ann", worst=CALL)).key == "limits.tokens"


def test_an_unpriced_call_holds_no_usd(make: Make) -> None:
    meter = make(strict_budget=True, usd=0.001)
    meter.before_model_call("ann", worst=Worst(300, None)).charge(300, None)
    meter.before_model_call("ann", worst=Worst(300, None))
    assert meter.unpriced
    assert meter.usd == 0


@pytest.mark.parametrize(("strict", "tokens", "usd"), [(True, 300, 0.02), (False, 0, 0)])
def test_a_call_that_was_left_behind_costs_its_worst_case_in_a_strict_budget(
    make: Make, strict: bool, tokens: int, usd: float
) -> None:
    meter = make(strict_budget=strict)
    meter.before_model_call("ann", worst=CALL).lose()
    assert (meter.tokens, meter.usd) == (tokens, usd)
    assert meter.unpriced != strict, "without a worst case nobody knows what it cost"


@pytest.mark.parametrize("first", ["charge", "drop", "lose"])
def test_only_the_first_word_about_a_call_counts(make: Make, first: str) -> None:
    meter = make(strict_budget=True, tokens=900)
    hold = meter.before_model_call("ann", worst=CALL)
    {"charge": lambda: hold.charge(5, 0.001), "drop": hold.drop, "lose": hold.lose}[first]()
    hold.charge(7, 0.5)
    hold.drop()
    hold.lose()
    assert meter.tokens == {"charge": 5, "drop": 0, "lose": 300}[first]
    for _ in range(2):
        meter.before_model_call("ann", worst=CALL)


@pytest.mark.parametrize("strict", [True, False])
def test_many_threads_spend_no_more_than_a_strict_budget_allows(make: Make, strict: bool) -> None:
    meter, start = make(strict_budget=strict, tokens=1000, model_calls=1000), threading.Barrier(16)

    def spend() -> None:
        start.wait()
        for _ in range(20):
            try:
                hold = meter.before_model_call("ann", worst=Worst(90, 0.0))
            except (LimitExceeded, RunEnded):
                return
            time.sleep(0.001)
            hold.charge(90, 0.0)

    threads = [threading.Thread(target=spend) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.ended is not None
    if strict:
        assert meter.tokens <= 1000
    else:
        assert 1000 <= meter.tokens < 1000 + 16 * 90
