"""Caps that stop: everything a run spends is counted here, once, and checked before each call and each retry.

A call runs in a thread of its own and is waited for no longer than its own cap, its agent's and the run's deadline.
What is past its time is abandoned, not waited for. What is not covered: the abandoned thread itself, which Python
cannot kill, and the tokens of the one call in flight, which are known only after it.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, TypeVar

from pilotage.errors import LimitExceeded, PilotageError
from pilotage.record.journal import Journal
from pilotage.settings import AGENTS, CONFIG
from pilotage.spec import LimitSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """Why a run ended before its last task: the outcome and one line. The first reason wins."""

    outcome: str
    reason: str
    hint: str = ""
    exit_code: int | None = None


class RunEnded(PilotageError):
    """Raised into whatever is under way once the run has ended; `meter.ended` says why."""


@dataclass
class Turn:
    """One agent at one task: its caps and what it has used of them."""

    agent: str
    task: str
    max_iter: int
    deadline: float
    seconds: int
    iterations: int = 0


class Meter:
    """The one place where a run's spending is counted and its end is decided."""

    def __init__(self, limits: LimitSpec, journal: Journal) -> None:
        self.limits, self.journal = limits, journal
        self.started = time.monotonic()
        self.model_calls = self.tool_calls = self.tokens = 0
        self.usd, self.unpriced = 0.0, False
        self.ended: Ended | None = None
        self._turns: dict[str, Turn] = {}
        self._waiting: set[Future[Any]] = set()
        self._at_end: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._stopped = threading.Event()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def begin_turn(self, agent: str, task: str, max_iter: int, seconds: int) -> None:
        self._turns[agent] = Turn(agent, task, max_iter, time.monotonic() + seconds, seconds)

    def new_round(self, agent: str) -> None:
        """A check sent the task back: iterations start anew, the deadline stays."""
        self._turns[agent].iterations = 0

    def task_of(self, agent: str) -> str | None:
        turn = self._turns.get(agent)
        return turn.task if turn else None

    def before_model_call(self, agent: str, *, retry: bool = False) -> None:
        """Count the call that is about to be made, or raise: RunEnded, LimitExceeded."""
        with self._lock:
            self._check_time(agent)
            self._check("model calls", self.model_calls, self.limits.model_calls, "limits.model_calls")
            self._check("tokens", self.tokens, self.limits.tokens, "limits.tokens")
            self._check("usd", self.usd, self.limits.usd, "limits.usd")
            turn = self._turns.get(agent)
            if turn and not retry:
                key = f"{agent}.max_iter"
                self._check(f"iterations of {agent}", turn.iterations, turn.max_iter, key, file=AGENTS)
                turn.iterations += 1
            self.model_calls += 1

    def before_tool_call(self, agent: str) -> None:
        with self._lock:
            self._check_time(agent)
            self._check("tool calls", self.tool_calls, self.limits.tool_calls, "limits.tool_calls")
            self.tool_calls += 1

    def charge(self, tokens: int, usd: float | None) -> None:
        """Book what a call has used; `usd` is None when its price is unknown."""
        with self._lock:
            self.tokens += tokens
            self.usd += usd or 0.0
            self.unpriced = self.unpriced or usd is None

    def within(self, agent: str, seconds: float, key: str, call: Callable[[], T]) -> T:
        """`call()` in a thread of its own, for at most `seconds`, the agent's and the run's deadline.

        Raises TimeoutError when the call's own cap is the one that was reached, LimitExceeded for the other two,
        RunEnded when the run ends meanwhile.
        """
        left = self._time_left(agent)
        outcome: Future[T] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as error:
                _settle(outcome, error=error)
            else:
                _settle(outcome, result=result)

        with self._lock:
            self._raise_if_ended()
            self._waiting.add(outcome)
        threading.Thread(target=work, name=f"pilotage-{key}", daemon=True).start()
        try:
            return outcome.result(timeout=max(0.0, min(seconds, left, threading.TIMEOUT_MAX)))
        except TimeoutError:
            if outcome.done():
                raise
            self._check_time(agent)
            raise TimeoutError(f"no answer within {seconds:g} s ({key})") from None
        finally:
            self._waiting.discard(outcome)

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

    def end(self, ended: Ended) -> Ended:
        """End the run: no call starts any more, nobody waits any longer. The first reason wins."""
        with self._lock:
            if self.ended is None:
                self.ended = ended
                self._stopped.set()
                for outcome in list(self._waiting):
                    _settle(outcome, error=RunEnded(ended.reason))
                for action in self._at_end:
                    action()
            return self.ended

    def _time_left(self, agent: str) -> float:
        now, ends = time.monotonic(), self.started + self.limits.seconds
        turn = self._turns.get(agent)
        return min(ends, turn.deadline if turn else ends) - now

    def _check_time(self, agent: str) -> None:
        self._raise_if_ended()
        now, turn = time.monotonic(), self._turns.get(agent)
        self._check("seconds", now - self.started, self.limits.seconds, "limits.seconds")
        if turn:
            used = now - (turn.deadline - turn.seconds)
            self._check(f"seconds of {agent}", used, turn.seconds, f"{agent}.max_execution_time", file=AGENTS)

    def _check(self, kind: str, used: float, limit: float, key: str, *, file: str = CONFIG) -> None:
        """Raise LimitExceeded, and end the run, when nothing is left under the limit for one more step."""
        if used < limit:
            return
        error = LimitExceeded(kind, used, limit, key=key, hint=f"raise {key} in {file}")
        if self.ended is None:
            self.journal.append("limit", limit=kind, value=round(used, 6), cap=limit, key=key)
        self.end(Ended("limited", str(error), error.hint))
        raise error

    def _raise_if_ended(self) -> None:
        if self.ended is not None:
            raise RunEnded(self.ended.reason)


def _settle(outcome: Future[T], result: T | None = None, error: BaseException | None = None) -> None:
    """Set a result unless one is there already: the run may have ended while the call was under way."""
    try:
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]
    except InvalidStateError:
        pass
