"""Caps that stop: everything a run spends is counted here, once, and checked before each call and each retry.

A call runs in a thread of its own and is waited for no longer than its own cap, its agent's, its task's and the run's.
What is past its time is abandoned, not waited for, and journalled. What is not covered: the abandoned thread itself,
which Python cannot kill (one that holds the interpreter's lock, in a C extension, delays every end until it lets go),
and, without limits.strict_budget, the tokens of the calls in flight, known only after them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from pilotage.errors import LimitExceeded, PilotageError, StoreError
from pilotage.guard.daily import DayBudget
from pilotage.guard.ledger import Account, Hold, Worst, first_refusal
from pilotage.guard.waiting import EndedMeanwhile, Late, Outcome, fail, start, wait_for
from pilotage.record.journal import Journal
from pilotage.record.spending import Held
from pilotage.record.store import WAITS
from pilotage.settings import AGENTS, CONFIG, TASKS
from pilotage.spec import CapSpec, LimitSpec

__all__ = ["Ended", "Hold", "Meter", "RunEnded", "Worst"]

T = TypeVar("T")
SETTLES = 1.0  # seconds for threads that wait to note what they leave behind
LAST = 1.0  # seconds, all in all, that writes wait for a locked journal after the end of the run
UNWINDS = 1.0  # seconds that CrewAI gets to unwind after the run has ended; then it is left behind


@dataclass(frozen=True)
class Ended:
    """Why a run ended before its last task: the outcome and one line. The first reason wins."""

    outcome: str
    reason: str
    hint: str = ""
    exit_code: int | None = None


class RunEnded(PilotageError):
    """Raised into whatever is under way once the run has ended; `meter.ended` says why."""


class Meter:
    """The one place where a run's spending is counted and its end is decided.

    `agents` and `tasks` are their caps over the whole run, by name.
    """

    def __init__(
        self, limits: LimitSpec, journal: Journal,
        agents: Mapping[str, CapSpec] | None = None, tasks: Mapping[str, CapSpec] | None = None,
    ) -> None:  # fmt: skip
        self.limits, self.journal = limits, journal
        journal.until, journal.on_failure = self._write_until, self._journal_failed
        self.ended: Ended | None = None
        self._day = DayBudget(limits.usd_per_day, journal, self._write_until) if limits.usd_per_day else None
        self._run = Account(limits, "limits", CONFIG)
        self._run.clock.start()
        self._run_over = time.monotonic() + limits.seconds
        self._agents = _accounts_of(agents or {}, "agents", AGENTS)
        self._tasks = _accounts_of(tasks or {}, "tasks", TASKS)
        self._turns: dict[tuple[str, str], Account] = {}
        self._at: dict[str, list[str]] = {}  # the tasks that each agent is at, the last one now
        self._waiting: set[Future[Any]] = set()
        self._recording = 0
        self._at_end: list[Callable[[], None]] = []
        self._end_key: str | None = None
        self._ended_at = inf
        self._lock = threading.RLock()
        self._quiet = threading.Condition(self._lock)
        self._stopped = threading.Event()

    @property
    def seconds(self) -> float:
        return self._run.clock.seconds

    @property
    def model_calls(self) -> int:
        return int(self._run.spent["model_calls"])

    @property
    def tool_calls(self) -> int:
        return int(self._run.spent["tool_calls"])

    @property
    def tokens(self) -> int:
        return int(self._run.spent["tokens"])

    @property
    def usd(self) -> float:
        return self._run.spent["usd"]

    @property
    def unpriced(self) -> bool:
        return self._run.unpriced

    def begin_turn(self, agent: str, task: str, max_iter: int, seconds: float) -> None:
        """The agent works on the task from now on. Begun again, the same turn goes on: its caps are for one task."""
        caps = CapSpec(iterations=max_iter, seconds=seconds)
        own = f"agents.{agent}"
        keys = {"iterations": f"{own}.max_iter", "seconds": f"{own}.max_execution_time"}
        with self._lock:
            self._turns.setdefault((agent, task), Account(caps, own, AGENTS, agent, keys))
            self._at.setdefault(agent, []).append(task)
            for account in self._accounts(agent)[1:]:
                account.clock.start()

    def end_turn(self, agent: str, task: str) -> None:
        with self._lock:
            at = self._at.get(agent, [])
            if task not in at:
                return
            for account in self._accounts(agent, task)[1:]:
                account.clock.stop()
            del at[len(at) - 1 - at[::-1].index(task)]

    def task_of(self, agent: str) -> str | None:
        """The task that the agent is at; in a delegation that is the task of who delegated."""
        at = self._at.get(agent)
        return at[-1] if at else None

    def before_model_call(self, agent: str, *, retry: bool = False, worst: Worst | None = None) -> Hold:
        """Count the call that is about to be made and hold its worst case, or raise: RunEnded, LimitExceeded."""
        counted = ("model_calls",) if retry else ("model_calls", "iterations")
        held = worst if self.limits.strict_budget else None
        is_free = worst is not None and worst.usd == 0  # it takes nothing from what is left of the day
        day = None if is_free else self._admit_today(held)
        try:
            return self._admit(agent, ("seconds", *counted, "tokens", "usd"), counted, held, day)
        except PilotageError:
            if self._day and day:
                self._day.drop(day)
            raise

    def before_tool_call(self, agent: str) -> None:
        """Count the call that is about to be made, or raise: RunEnded, LimitExceeded."""
        self._admit(agent, ("seconds", "tool_calls"), ("tool_calls",))

    def before_served_call(self, agent: str) -> None:
        """Count a model call that is answered from memory: an iteration like any other, which uses nothing."""
        self._admit(agent, ("seconds", "iterations"), ("iterations",))

    def call_seconds(self, agent: str) -> tuple[float, str]:
        """How long one model call of the agent may take, and the key that says so."""
        return self._shortest(agent, "call_seconds")

    def tool_seconds(self, agent: str) -> tuple[float, str]:
        """How long one tool call of the agent may take, and the key that says so."""
        return self._shortest(agent, "tool_seconds")

    def time_left(self, agent: str) -> tuple[float, str]:
        """The seconds until the first deadline that binds the agent now, and its key."""
        with self._lock:
            capped = [(cap - a.used("seconds"), a.key("seconds")) for a, cap in self._capped(agent, "seconds")]
        return min(capped)

    def within(
        self, agent: str, seconds: float, key: str, call: Callable[[], T], *,
        what: str = "model call", late: bool = True,
    ) -> T:  # fmt: skip
        """`call()` in a thread of its own, for at most `seconds` and as long as the agent has time left.

        Raises TimeoutError when the call's own cap is the one that was reached, LimitExceeded for a deadline,
        RunEnded when the run ends meanwhile. What is left behind is journalled as `what`. An answer that came late and
        was still found, since the call held the interpreter's lock, counts when `late` allows it: it is paid for.
        """
        left, deadline = self.time_left(agent)
        outcome: Outcome[T] = Future()
        with self._lock:
            self.raise_if_ended()
            self._waiting.add(outcome)
        started = time.monotonic()
        try:
            start(call, outcome, f"pilotage-{key}")
            result, at = wait_for(outcome, min(seconds, left))
            if late or at - started <= min(seconds, left):
                return result
        except Late:
            self._leave_behind(what, agent, started, key if seconds <= left else deadline)
        except EndedMeanwhile as error:
            self._leave_behind(what, agent, started, self._end_key)
            raise RunEnded(str(error)) from None
        finally:
            with self._quiet:
                self._waiting.discard(outcome)
                self._quiet.notify_all()
        self._check_time(agent)
        raise TimeoutError(f"no answer within {seconds:g} s ({key})")

    def at_end(self, action: Callable[[], None]) -> None:
        """Do this when the run ends, or now when it has ended: it kills what can be killed."""
        with self._lock:
            if self.ended is None:
                self._at_end.append(action)
                return
        action()

    def check_run(self) -> None:
        """End the run when its seconds are over; does not raise."""
        with contextlib.suppress(PilotageError):
            self._check_time("")

    def sleep(self, seconds: float) -> None:
        """Wait between retries; ends at once when the run ends."""
        self._stopped.wait(seconds)

    def end(self, ended: Ended, **limit: Any) -> Ended:
        """End the run: no call starts any more, nobody waits any longer. The first reason wins.

        `limit` are the facts of a `limit` event. Without them nothing is journalled: a signal handler may call this.
        """
        with self._lock:
            if self.ended is not None:
                return self.ended
            self.ended, self._end_key, self._ended_at = ended, limit.get("key"), time.monotonic()
            self._recording += 1
        try:
            if limit:
                with contextlib.suppress(StoreError):  # the end stands; `outcome` says that the journal lacks it
                    self.journal.append("limit", **limit)
        finally:
            self._release()
        return ended

    def settle(self, seconds: float = SETTLES) -> None:
        """Wait until everybody who waited for a call has noted what is left behind."""
        with self._quiet:
            self._quiet.wait_for(lambda: not self._waiting and not self._recording, timeout=seconds)

    def raise_if_ended(self) -> None:
        """Raise RunEnded when the run has ended: nothing may start any more."""
        if self.ended is not None:
            raise RunEnded(self.ended.reason)

    def _release(self) -> None:
        self._stopped.set()
        with self._quiet:
            for outcome in list(self._waiting):
                fail(outcome, EndedMeanwhile(self.ended.reason if self.ended else ""))
            actions, self._at_end = self._at_end, []
            self._recording -= 1
            self._quiet.notify_all()
        for action in actions:
            action()

    def _admit_today(self, worst: Worst | None) -> Held | None:
        """Ask the budget of the day, not under the lock: the store may keep it waiting, and nobody else for it."""
        self.raise_if_ended()
        try:
            return self._day.admit(worst.usd if worst else None) if self._day else None
        except LimitExceeded as error:
            raise self._stop(error) from None

    def _admit(
        self, agent: str, checked: Sequence[str], counted: Sequence[str],
        worst: Worst | None = None, day: Held | None = None,
    ) -> Hold:  # fmt: skip
        """Check every account of the agent, then count in each, under one lock. Ends the run at a cap, and raises."""
        with self._lock:
            self.raise_if_ended()
            accounts = self._accounts(agent)
            refusal = first_refusal(accounts, checked, worst)
            if refusal is None:
                for account in accounts:
                    account.count(counted)
                return Hold(accounts, worst, self._lock, day)
        raise self._stop(refusal)

    def _check_time(self, agent: str) -> None:
        self.raise_if_ended()
        with self._lock:
            refusal = first_refusal(self._accounts(agent), ("seconds",))
        if refusal:
            raise self._stop(refusal)

    def _stop(self, error: LimitExceeded) -> LimitExceeded:
        """End the run over a cap; returns the error to raise."""
        facts = {"limit": error.kind, "value": round(error.value, 6), "cap": error.limit, "key": error.key}
        self.end(Ended("limited", str(error), error.hint), **facts)
        return error

    def _accounts(self, agent: str, task: str | None = None) -> list[Account]:
        """The accounts that a call of the agent belongs to, the run's first."""
        task = task or self.task_of(agent) or ""
        found = (self._agents.get(agent), self._tasks.get(task), self._turns.get((agent, task)))
        return [self._run, *(account for account in found if account)]

    def _capped(self, agent: str, kind: str) -> list[tuple[Account, float]]:
        return [(a, cap) for a in self._accounts(agent) if (cap := a.cap(kind)) is not None]

    def _shortest(self, agent: str, kind: str) -> tuple[float, str]:
        with self._lock:
            account, cap = min(self._capped(agent, kind), key=lambda found: found[1])
        return cap, account.key(kind)

    def _write_until(self, since: float) -> float:
        """When a write gives up that has waited for the journal since then: WAITS, but LAST after the end at most."""
        over = min(self._ended_at, self._run_over)
        return min(since + WAITS, max(since, over) + LAST)

    def _journal_failed(self, error: StoreError) -> None:
        self.end(Ended("failed", str(error), error.hint))

    def _leave_behind(self, what: str, agent: str, started: float, key: str | None) -> None:
        """Journal a call that nobody waits for any more, unless the journal is sealed already."""
        seconds = round(time.monotonic() - started, 4)
        with contextlib.suppress(StoreError):
            self.journal.append("abandoned", what=what, agent=agent, seconds=seconds, key=key)


def _accounts_of(caps: Mapping[str, CapSpec], head: str, file: str) -> dict[str, Account]:
    return {name: Account(cap, f"{head}.{name}.limits", file, name) for name, cap in caps.items()}
