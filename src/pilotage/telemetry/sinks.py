"""The sinks of a process: opened once, a session for each run, one warning for each sink that a run does not reach.

A run never waits for a sink but at its end, and then at most `record.sink_seconds` for all of them together; what goes
wrong here costs neither the run nor its journal.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pilotage import report
from pilotage.record.redact import Redactor
from pilotage.telemetry.targets import Targets, Warn, find_targets

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from pilotage.record.journal import Event
    from pilotage.settings import Settings
    from pilotage.telemetry.courier import Courier, Delivery
    from pilotage.telemetry.spans import Emitter

MOST_SAID = 10_000  # characters of a fault that are looked at
CUT_OFF = "the run ended without its last event"


def to_stderr(text: str) -> None:
    report.warn([text])


def open_sinks(settings: Settings, warn: Warn | None = None) -> Sinks | None:
    """Where the sessions of these settings go; None where nothing has anywhere to send, and nothing was imported then.

    Before CrewAI is imported, for an AgentOps SDK that the user has initialised would instrument it.
    """
    warn = warn or to_stderr
    record = settings.engine.record
    targets = find_targets(settings.engine.agentops, warn)
    if not targets:
        return None
    from pilotage.telemetry.building import build

    tracer, couriers, tags = build(targets, record.sink_seconds, warn)
    return Sinks(targets, tracer, couriers, tags, record.sink_seconds, warn, Redactor(patterns=record.redact))


class Sinks:
    """Makes a session of each run. `link(run)` is its page in AgentOps' app, once its session was taken."""

    def __init__(
        self, targets: Targets, tracer: Tracer, couriers: list[Courier], tags: list[str], seconds: float, warn: Warn,
        redactor: Redactor,
    ) -> None:  # fmt: skip
        self._targets, self._tracer, self._couriers = targets, tracer, couriers
        self._tags, self.seconds, self.warn, self._redactor = tags, seconds, warn, redactor
        self._links = dict[str, str]()
        self._sessions = set[Session]()
        self._maker = ThreadPoolExecutor(1, "pilotage-spans")
        self._process = os.getpid()
        atexit.register(self.close)

    def session(self, run: str) -> Session:
        """A listener for the journal of `run`; `end` it when the run is over."""
        from pilotage.telemetry.spans import Emitter

        for courier in self._couriers:
            if courier.token:
                courier.token.ask()
        session = Session(self, Emitter(self._tracer, run, self._tags), run)
        self._sessions.add(session)
        return session

    def link(self, run: str) -> str | None:
        return self._links.get(run)

    def behind(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Do it in the thread that makes spans, in turn; here and now when the process is ending."""
        try:
            return self._maker.submit(work, *arguments)
        except RuntimeError:  # all that was submitted is done by then
            work(*arguments)
            done: Future[None] = Future()
            done.set_result(None)
            return done

    def settle(self, session: Session, trace: int, until: float) -> None:
        """Wait for the spans of a session; says of each sink that has not taken all of them why."""
        self._sessions.discard(session)
        session.hurry()
        for courier in self._couriers:
            delivery = courier.settle(trace, until)
            if not delivery.is_whole:
                self.warn(self._told(courier, delivery))
            if courier.token and delivery.root and self._targets.cloud:
                self._links[session.run] = f"{self._targets.cloud.app_url}/sessions?trace_id={trace:032x}"

    def hurry(self) -> None:
        """Let nothing wait for company until the session is settled."""
        for courier in self._couriers:
            courier.hurry()

    def close(self) -> None:
        """End what was not ended, then the threads."""
        if os.getpid() != self._process:  # a child that was forked has none of our threads
            return
        atexit.unregister(self.close)
        for session in list(self._sessions):
            session.end()
        for courier in self._couriers:
            courier.shutdown()
        self._maker.shutdown(wait=False)

    def _told(self, courier: Courier, delivery: Delivery) -> str:
        """One sentence: which sink, how much, why; a sink's own words cannot be more than words."""
        from pilotage.telemetry.text import one_line

        what = "the session is" if not delivery.sent else "a part of the session is"
        why = (
            one_line(self._redactor.text(delivery.fault[:MOST_SAID]))
            or f"it has not taken it within {self.seconds:g} s (record.sink_seconds)"
        )
        return f"{what} not at {courier.name} ({courier.address}): {why}; the journal has all of it"


class Session:
    """The listener of one run's journal. It never raises, waits only in `end`; spans are made behind the run."""

    def __init__(self, sinks: Sinks, emitter: Emitter, run: str) -> None:
        self.run = run
        self._sinks, self._emitter = sinks, emitter
        self._lock = threading.Lock()
        self._next = 0
        self._early: dict[int, Event] = {}
        self._is_over = self._is_hurried = False

    def __call__(self, event: Event) -> None:
        """Take an event; what comes after the end is not taken."""
        if not self._is_over:
            self._sinks.behind(self._take, event)

    def end(self) -> None:
        """Close the session, and wait until it is delivered or the time is over. Nothing happens the second time."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        until = time.monotonic() + self._sinks.seconds
        with contextlib.suppress(TimeoutError):
            self._sinks.behind(self._finish).result(self._sinks.seconds)
        self._sinks.settle(self, self._emitter.trace_id, until)

    def hurry(self) -> None:
        """The last spans leave while the run still writes its files."""
        with self._lock:
            if self._is_hurried:
                return
            self._is_hurried = True
        self._sinks.hurry()

    def _take(self, event: Event) -> None:
        """Threads that write at once may bring their events out of order."""
        self._next = self._next or event.seq
        self._early[event.seq] = event
        while self._next in self._early:
            self._add(self._early.pop(self._next))
            self._next += 1

    def _finish(self) -> None:
        for seq in sorted(self._early):
            self._add(self._early.pop(seq))
        if self._emitter.is_open:
            self._emitter.abandon(CUT_OFF)

    def _add(self, event: Event) -> None:
        try:
            self._emitter.add(event)
            if event.kind == "run_ended":
                self.hurry()
        except Exception as error:  # a fault of ours must not end the run
            self._sinks.warn(f"event {event.seq} of {self.run} is not in what is sent: {type(error).__name__}: {error}")
