"""Caps that stop: before the call, with value and key; nobody waits past a deadline; the first reason wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import EXIT_LIMITED, LimitExceeded
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.settings import AGENTS, CONFIG
from pilotage.spec import LimitSpec

AT_ONCE = 0.5  # seconds: far less than any cap that is waited for here
Make = Callable[..., Meter]
Later = Callable[[float], None]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield lambda **limits: Meter(LimitSpec(**limits), Journal(engine, Redactor({})))
    engine.dispose()


def limit_events(meter: Meter) -> list[dict[str, Any]]:
    return [e.facts for e in read_events(meter.journal.engine, meter.journal.run) if e.kind == "limit"]


def stopped_by(meter: Meter, key: str, step: Callable[[], Any]) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        step()
    error = caught.value
    assert error.key == key
    assert f"({key})" in str(error)
    assert error.exit_code == EXIT_LIMITED
    assert meter.ended is not None
    assert (meter.ended.outcome, meter.ended.reason) == ("limited", str(error))
    assert [(facts["key"], facts["cap"]) for facts in limit_events(meter)] == [(key, error.limit)]
    return error


class Hanging:
    """A call that hangs until it is let go."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.began.set()
        self.go.wait(10)
        return "too late"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Later:
    """`clock(2)` makes it two seconds later."""
    ahead, true = [0.0], time.monotonic
    monkeypatch.setattr("pilotage.guard.ledger.time.monotonic", lambda: true() + ahead[0])

    def later(seconds: float) -> None:
        ahead[0] += seconds

    return later


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    call = Hanging()
    yield call
    call.go.set()


# --- each cap, before the call


def test_the_cap_on_model_calls_stops_the_next_one_before_it_is_made(make: Make) -> None:
    meter = make(model_calls=3)
    for _ in range(3):
        meter.before_model_call("a")
    error = stopped_by(meter, "limits.model_calls", lambda: meter.before_model_call("a"))
    assert (error.kind, error.value, error.limit) == ("model calls", 3, 3)
    assert meter.model_calls == 3
    assert error.hint == f"raise limits.model_calls in {CONFIG}"


def test_a_retry_is_a_model_call_but_no_iteration(make: Make) -> None:
    meter = make(model_calls=3)
    meter.begin_turn("a", "t", max_iter=1, seconds=60)
    meter.before_model_call("a")
    meter.before_model_call("a", retry=True)
    meter.before_model_call("a", retry=True)
    stopped_by(meter, "limits.model_calls", lambda: meter.before_model_call("a", retry=True))


def test_the_cap_on_tool_calls_stops_the_next_one_before_it_is_made(make: Make) -> None:
    meter = make(tool_calls=2)
    meter.before_tool_call("a")
    meter.before_tool_call("b")
    error = stopped_by(meter, "limits.tool_calls", lambda: meter.before_tool_call("a"))
    assert (error.value, error.limit, meter.tool_calls) == (2, 2, 2)


@pytest.mark.parametrize(("spent", "stops"), [(999, False), (1000, True), (1500, True)])
def test_the_cap_on_tokens_stops_the_next_call_when_they_are_spent(make: Make, spent: int, stops: bool) -> None:
    meter = make(tokens=1000)
    meter.before_model_call("a").charge(spent, 0.0)
    if stops:
        error = stopped_by(meter, "limits.tokens", lambda: meter.before_model_call("a"))
        assert (error.value, error.limit) == (spent, 1000)
    else:
        meter.before_model_call("a")


@pytest.mark.parametrize(("spent", "stops"), [(0.09, False), (0.10, True), (0.52, True)])
def test_the_cap_on_usd_stops_the_next_call_when_it_is_spent(make: Make, spent: float, stops: bool) -> None:
    meter = make(usd=0.10)
    meter.before_model_call("a").charge(10, spent)
    if stops:
        error = stopped_by(meter, "limits.usd", lambda: meter.before_model_call("a"))
        assert (error.value, error.limit) == (spent, 0.10)
    else:
        meter.before_model_call("a")


def test_usd_adds_up_over_calls_and_unpriced_ones_do_not_count(make: Make) -> None:
    meter = make(usd=0.10)
    for usd in (0.06, None, 0.03):
        meter.before_model_call("a").charge(10, usd)
    assert meter.unpriced
    meter.before_model_call("a").charge(10, 0.02)
    stopped_by(meter, "limits.usd", lambda: meter.before_model_call("a"))


def test_a_small_amount_is_shown_with_all_its_figures() -> None:
    assert "0.0042" in str(LimitExceeded("usd", 0.0042, 0.004, key="limits.usd"))
    assert "0.0000752 usd against the limit of 0.00001 (" in str(LimitExceeded("usd", 7.52e-5, 1e-5, key="limits.usd"))


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("iterations of researcher", 1, "1 iteration of researcher"), ("model calls", 1, "1 model call"),
        ("seconds", 1.0, "1 second"), ("seconds", 1.004, "1 second"), ("seconds", 1.5, "1.5 seconds"),
        ("tokens", 10**400, "1.000e+400 tokens"), ("usd", 1.0, "1 usd"), ("tool calls", 0, "0 tool calls"),
    ],
)  # fmt: skip
def test_an_amount_is_said_in_plain_words(kind: str, value: float, said: str) -> None:
    assert str(LimitExceeded(kind, value, 2, key="k")) == f"Run stopped: {said} against the limit of 2 (k)"


@pytest.mark.parametrize("step", ["before_model_call", "before_tool_call"])
def test_the_seconds_of_the_run_stop_model_and_tool_calls(make: Make, step: str) -> None:
    meter = make(seconds=0.02)
    time.sleep(0.03)
    error = stopped_by(meter, "limits.seconds", lambda: getattr(meter, step)("a"))
    assert error.limit == 0.02
    assert error.value > 0.02
    assert (meter.model_calls, meter.tool_calls) == (0, 0)


def test_max_iter_of_an_agent_stops_its_next_call_and_names_agents_yaml(make: Make) -> None:
    meter = make()
    meter.begin_turn("verifier", "verify", max_iter=2, seconds=60)
    meter.before_model_call("verifier")
    meter.before_model_call("verifier")
    error = stopped_by(meter, "agents.verifier.max_iter", lambda: meter.before_model_call("verifier"))
    assert (error.value, error.limit) == (2, 2)
    assert error.hint == f"raise agents.verifier.max_iter in {AGENTS}"
    assert meter.model_calls == 2


def test_max_execution_time_of_an_agent_stops_its_next_call(make: Make, clock: Later) -> None:
    meter = make()
    meter.begin_turn("verifier", "verify", max_iter=9, seconds=1)
    clock(1.5)
    error = stopped_by(meter, "agents.verifier.max_execution_time", lambda: meter.before_tool_call("verifier"))
    assert error.limit == 1
    assert error.value == pytest.approx(1.5, abs=0.1)
    assert error.hint == f"raise agents.verifier.max_execution_time in {AGENTS}"


def test_the_caps_of_one_agent_do_not_stop_another(make: Make, clock: Later) -> None:
    meter = make()
    meter.begin_turn("a", "t", max_iter=1, seconds=1)
    meter.begin_turn("b", "t", max_iter=5, seconds=60)
    meter.before_model_call("a")
    clock(2)
    meter.before_model_call("b")
    assert meter.ended is None
    assert meter.task_of("b") == "t"
    assert meter.task_of("nobody") is None


def test_a_new_task_of_an_agent_begins_anew(make: Make) -> None:
    meter = make()
    for task in ("one", "two"):
        meter.begin_turn("a", task, max_iter=1, seconds=60)
        meter.before_model_call("a")
        assert meter.task_of("a") == task


def test_a_turn_that_is_begun_again_goes_on_where_it_was(make: Make) -> None:
    meter = make()
    for _ in range(2):
        meter.begin_turn("a", "t", max_iter=2, seconds=60)
        meter.before_model_call("a")
        meter.end_turn("a", "t")
    meter.begin_turn("a", "t", max_iter=2, seconds=60)
    stopped_by(meter, "agents.a.max_iter", lambda: meter.before_model_call("a"))


def test_the_clock_of_a_turn_stands_still_between_its_parts(make: Make, clock: Later) -> None:
    meter = make()
    meter.begin_turn("a", "t", max_iter=9, seconds=2)
    clock(1.5)
    meter.end_turn("a", "t")
    clock(10)
    meter.begin_turn("a", "t", max_iter=9, seconds=2)
    meter.before_model_call("a")
    clock(0.6)
    error = stopped_by(meter, "agents.a.max_execution_time", lambda: meter.before_model_call("a"))
    assert error.value == pytest.approx(2.1, abs=0.1)


def test_ending_a_turn_that_was_never_begun_is_nothing(make: Make) -> None:
    meter = make()
    meter.end_turn("a", "t")
    meter.begin_turn("a", "t", max_iter=1, seconds=1)
    meter.end_turn("a", "other")
    assert meter.task_of("a") == "t"


# --- the end


def test_the_first_reason_wins(make: Make) -> None:
    meter = make(model_calls=1)
    first = Ended("unanswered", "nothing found")
    assert meter.end(first) is first
    assert meter.end(Ended("failed", "later")) is first
    for step in (meter.before_model_call, meter.before_tool_call):
        with pytest.raises(RunEnded, match="nothing found"):
            step("a")
    with pytest.raises(RunEnded, match="nothing found"):
        meter.within("a", 1, "limits.call_seconds", lambda: pytest.fail("nothing starts after the end"))
    assert meter.ended is first
    assert limit_events(meter) == []


def test_many_threads_at_the_cap_pass_no_more_than_it_allows(make: Make) -> None:
    meter, passed, start = make(model_calls=10), [], threading.Barrier(20)

    def step() -> None:
        start.wait()
        try:
            meter.before_model_call("a")
        except (LimitExceeded, RunEnded):
            return
        passed.append(1)

    threads = [threading.Thread(target=step) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == meter.model_calls == 10
    assert [facts["key"] for facts in limit_events(meter)] == ["limits.model_calls"]


def test_check_run_ends_the_run_without_raising(make: Make) -> None:
    meter = make(seconds=0.01)
    time.sleep(0.02)
    meter.check_run()
    meter.check_run()
    assert meter.ended is not None
    assert meter.ended.outcome == "limited"
    assert len(limit_events(meter)) == 1


def test_the_end_wakes_whoever_sleeps_between_retries(make: Make) -> None:
    meter = make()
    threading.Timer(0.05, lambda: meter.end(Ended("interrupted", "stop"))).start()
    began = time.monotonic()
    meter.sleep(20)
    assert time.monotonic() - began < AT_ONCE


# --- within: nobody waits longer than the caps


def test_within_returns_what_the_call_returns_and_raises_what_it_raises(make: Make) -> None:
    meter = make()
    assert meter.within("a", 5, "limits.call_seconds", lambda: 42) == 42
    with pytest.raises(KeyError, match="mine"):
        meter.within("a", 5, "limits.call_seconds", lambda: raise_(KeyError("mine")))
    with pytest.raises(TimeoutError, match="of the call itself"):
        meter.within("a", 5, "limits.call_seconds", lambda: raise_(TimeoutError("of the call itself")))
    assert meter.ended is None


def raise_(error: BaseException) -> None:
    raise error


def test_within_sees_the_context_of_its_caller(make: Make) -> None:
    import contextvars

    mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")
    mark.set("here")
    assert make().within("a", 5, "limits.call_seconds", mark.get) == "here"


def test_a_hanging_call_is_left_behind_at_its_own_cap_and_the_run_goes_on(make: Make, hanging: Hanging) -> None:
    meter, began = make(), time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s \(limits\.call_seconds\)"):
        meter.within("a", 0.05, "limits.call_seconds", hanging)
    assert time.monotonic() - began < AT_ONCE
    assert meter.ended is None


def test_a_hanging_call_is_left_behind_at_the_deadline_of_the_run(make: Make, hanging: Hanging) -> None:
    meter, began = make(seconds=0.05), time.monotonic()
    error = stopped_by(meter, "limits.seconds", lambda: meter.within("a", 30, "limits.call_seconds", hanging))
    assert time.monotonic() - began < AT_ONCE
    assert error.value >= 0.05


def test_a_hanging_call_is_left_behind_at_the_deadline_of_its_agent(make: Make, hanging: Hanging) -> None:
    meter = make()
    meter.begin_turn("a", "t", max_iter=5, seconds=0.05)
    began = time.monotonic()
    stopped_by(meter, "agents.a.max_execution_time", lambda: meter.within("a", 30, "limits.call_seconds", hanging))
    assert time.monotonic() - began < AT_ONCE


def test_a_deadline_that_has_passed_waits_for_nothing(make: Make, hanging: Hanging) -> None:
    meter = make(seconds=0.01)
    time.sleep(0.02)
    began = time.monotonic()
    stopped_by(meter, "limits.seconds", lambda: meter.within("a", 30, "limits.call_seconds", hanging))
    assert time.monotonic() - began < AT_ONCE


def test_the_end_of_the_run_reaches_every_waiting_thread_at_once(make: Make) -> None:
    meter, calls, woke = make(), [Hanging() for _ in range(5)], []

    def wait(call: Hanging) -> None:
        try:
            meter.within("a", 30, "limits.call_seconds", call)
        except RunEnded as error:
            woke.append((time.monotonic(), str(error)))

    threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    assert all(call.began.wait(5) for call in calls)
    ended = time.monotonic()
    meter.end(Ended("interrupted", "stopped by SIGINT"))
    for thread in threads:
        thread.join(5)
    assert [reason for _, reason in woke] == ["stopped by SIGINT"] * 5
    assert max(at for at, _ in woke) - ended < AT_ONCE
    for call in calls:
        call.go.set()


def test_an_answer_that_comes_after_the_end_is_thrown_away_quietly(make: Make, hanging: Hanging) -> None:
    meter = make()
    with pytest.raises(TimeoutError):
        meter.within("a", 0.02, "limits.call_seconds", hanging)
    meter.end(Ended("failed", "over"))
    hanging.go.set()
    time.sleep(0.05)
    assert meter.ended == Ended("failed", "over")
    assert not meter._waiting


# --- what is left behind


def abandoned(meter: Meter) -> list[dict[str, Any]]:
    return [e.facts for e in read_events(meter.journal.engine, meter.journal.run) if e.kind == "abandoned"]


def test_what_is_left_behind_is_journalled_with_the_key_that_was_reached(make: Make, hanging: Hanging) -> None:
    meter = make()
    with pytest.raises(TimeoutError):
        meter.within("a", 0.05, "policy.tools.slow.seconds", hanging, what="slow")
    left = abandoned(meter)
    assert [(facts["what"], facts["agent"], facts["key"]) for facts in left] == [
        ("slow", "a", "policy.tools.slow.seconds")
    ]
    assert 0.05 <= left[0]["seconds"] < AT_ONCE


def test_what_is_left_behind_at_a_deadline_names_the_deadline(make: Make, hanging: Hanging) -> None:
    meter = make()
    meter.begin_turn("a", "t", max_iter=5, seconds=0.05)
    with pytest.raises(LimitExceeded):
        meter.within("a", 30, "limits.call_seconds", hanging)
    assert [facts["key"] for facts in abandoned(meter)] == ["agents.a.max_execution_time"]


@pytest.mark.parametrize(("limit", "key"), [({}, None), ({"limit": "loop", "key": "loops.stop"}, "loops.stop")])
def test_what_the_end_of_the_run_leaves_behind_is_journalled_before_the_journal_is_sealed(
    make: Make, limit: dict[str, str], key: str | None
) -> None:
    meter, calls, woke = make(), [Hanging() for _ in range(5)], []

    def wait(call: Hanging) -> None:
        try:
            meter.within("a", 30, "limits.call_seconds", call)
        except RunEnded:
            woke.append(1)

    threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    assert all(call.began.wait(5) for call in calls)
    meter.end(Ended("limited", "over"), **limit)
    meter.settle()
    meter.journal.append("run_ended", {"reason": "over"}, outcome="limited")
    assert [facts.get("key") for facts in abandoned(meter)] == [key] * 5
    for thread, call in zip(threads, calls, strict=True):
        call.go.set()
        thread.join(5)
    assert len(woke) == 5


def test_a_call_that_ends_by_itself_is_not_left_behind(make: Make) -> None:
    meter = make()
    with pytest.raises(RunEnded):
        meter.within("a", 5, "limits.call_seconds", lambda: raise_(RunEnded("of a call inside it")))
    with pytest.raises(TimeoutError):
        meter.within("a", 5, "limits.call_seconds", lambda: raise_(TimeoutError("its own")))
    assert abandoned(meter) == []


def test_what_comes_back_after_the_journal_is_sealed_is_quiet(
    make: Make, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = make()
    loud: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", loud.append)

    def late() -> None:
        hanging()
        meter.journal.append("suspicious", {"excerpt": "too late"})

    with pytest.raises(TimeoutError):
        meter.within("a", 0.02, "limits.call_seconds", late)
    meter.end(Ended("failed", "over"))
    seal = meter.journal.append("run_ended", {"reason": "over"}, outcome="failed").hash
    hanging.go.set()
    wait_for_threads("pilotage-limits.call_seconds")
    assert loud == []
    assert meter.journal.seal == seal


def wait_for_threads(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
            assert not thread.is_alive()


def test_settling_is_bounded(make: Make, hanging: Hanging) -> None:
    meter = make()
    waits = threading.Thread(target=lambda: meter.within("a", 5, "limits.call_seconds", hanging))
    waits.start()
    assert hanging.began.wait(5)
    began = time.monotonic()
    meter.settle(0.1)
    assert 0.1 <= time.monotonic() - began < AT_ONCE
    hanging.go.set()
    waits.join(5)


def test_a_signal_that_comes_while_the_journal_is_written_ends_the_run_without_it(make: Make) -> None:
    meter, ended = make(), threading.Event()

    def handle() -> None:
        with meter.journal._lock:  # as in a handler that interrupts the writing thread
            meter.end(Ended("interrupted", "stopped by SIGINT"))
            ended.set()

    threading.Thread(target=handle, daemon=True).start()
    assert ended.wait(5)


def test_the_limit_event_stands_before_the_end_of_the_journal_whoever_reached_the_limit(make: Make) -> None:
    for _ in range(20):
        meter = make(model_calls=1)
        meter.before_model_call("a")

        def step(meter: Meter = meter) -> None:
            with pytest.raises(LimitExceeded):
                meter.before_model_call("a")

        thread = threading.Thread(target=step)
        thread.start()
        while meter.ended is None:
            pass
        meter.settle()
        meter.journal.append("run_ended", {"reason": "over"}, outcome="limited")
        thread.join(5)
        assert [facts["key"] for facts in limit_events(meter)] == ["limits.model_calls"]


@pytest.mark.parametrize("seconds", [float("inf"), 1e12])
def test_caps_without_an_end_are_waited_for_too(make: Make, seconds: float) -> None:

    def slow() -> int:
        time.sleep(0.05)
        return 1

    meter = make(seconds=seconds, call_seconds=seconds)
    assert meter.within("a", seconds, "limits.call_seconds", slow) == 1


def test_what_a_limit_error_says_is_one_line_with_value_limit_and_key() -> None:
    error = LimitExceeded("tokens", 200_001, 200_000, key="limits.tokens", hint="raise it")
    assert str(error) == "Run stopped: 200,001 tokens against the limit of 200,000 (limits.tokens)"
    assert error.lines() == f"error: {error}\nhint: raise it"


def test_a_limit_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(LimitExceeded("usd", 2.0, 1.0, key="limits.usd", hint="h")))
    assert (type(error), error.kind, error.value, error.key, error.hint) == (
        LimitExceeded,
        "usd",
        2.0,
        "limits.usd",
        "h",
    )


def test_an_answer_that_came_late_and_is_there_counts_where_it_is_paid_for(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could leave in time: the call held the interpreter's lock."""
    meter = make()
    monkeypatch.setattr("pilotage.guard.limits.wait_for", lambda outcome, _seconds: outcome.result())

    def late() -> str:
        time.sleep(0.3)
        return "late"

    assert meter.within("a", 0.1, "limits.call_seconds", late) == "late"
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s \(limits\.tool_seconds\)"):
        meter.within("a", 0.1, "limits.tool_seconds", late, late=False)
    assert meter.within("a", 5, "limits.tool_seconds", late, late=False) == "late"


def test_writes_wait_for_a_lock_no_longer_than_the_run_has_time(make: Make) -> None:
    now = time.monotonic()
    assert make(seconds=100).journal.until(now) == now + 5
    assert make(seconds=2).journal.until(now) == pytest.approx(now + 3, abs=0.5)
    ended = make(seconds=100)
    ended.end(Ended("interrupted", "stopped by SIGINT"))
    assert ended.journal.until(now - 3) == pytest.approx(now + 1, abs=0.5)
    assert ended.journal.until(now + 10) == now + 11
