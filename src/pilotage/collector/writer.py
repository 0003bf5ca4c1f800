"""One thread that writes what many senders send: what waits becomes one transaction, then all of it is acknowledged.

A request is acknowledged only when its events are in the store. When the queue is full, or the store is locked or
cannot be written, the sender is told to come again, which is safe: a span is recorded once. What is not covered: a loss
of power, after which the last moments can be missing (SQLite's WAL with synchronous=NORMAL).
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from pilotage.collector.chains import Result
from pilotage.collector.drafts import Draft
from pilotage.collector.recording import Recorder
from pilotage.errors import StoreError
from pilotage.record.journal import Event
from pilotage.record.redact import Redactor
from pilotage.record.store import LOCKED, UNLOCK, WAITS, is_locked, trying

MOST_WAITING = 40_000  # drafts in the queue
MOST_AT_ONCE = 4_000  # drafts in one transaction
Listener = Callable[[list[Event]], object]
Waiting = tuple[Sequence[Draft], "Future[Result]"]


class Busy(StoreError):
    """The queue is full: come again."""


class Writer:
    """`with Writer(engine, redactor) as writer: writer.submit(drafts).result()`. Safe from several threads.

    `listen(listener)`: it gets the events of each transaction after its commit, in the writing thread.
    """

    def __init__(self, engine: Engine, redactor: Redactor) -> None:
        self.engine, self.redactor = engine, redactor
        self._recorder = Recorder(engine)
        self._queue: deque[Waiting] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._listeners: list[Listener] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def start(self) -> None:
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pilotage-collector", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def submit(self, drafts: Sequence[Draft]) -> Future[Result]:
        """The result is there when the drafts are in the store; Busy when too much waits already."""
        future: Future[Result] = Future()
        with self._changed:
            if self._closed or self._thread is None:
                raise Busy("The collector is closed")
            if self._waiting and self._waiting + len(drafts) > MOST_WAITING:
                raise Busy(f"{self._waiting:,} spans wait to be written, {MOST_WAITING:,} may")
            self._queue.append((drafts, future))
            self._waiting += len(drafts)
            self._changed.notify()
        return future

    def _run(self) -> None:
        while (group := self._next()) is not None:
            made = self._write(group) if group else []
            for listener in self._listeners if made else ():
                with contextlib.suppress(Exception):  # who listens does not stop the recording
                    listener(made)

    def _next(self) -> list[Waiting] | None:
        """What is written at once: all that waits, up to MOST_AT_ONCE; None at the end."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if not self._queue:
                return None
            group: list[Waiting] = []
            size = 0
            while self._queue and (not group or size + len(self._queue[0][0]) <= MOST_AT_ONCE):
                drafts, future = self._queue.popleft()
                size += len(drafts)
                if future.set_running_or_notify_cancel():  # else its sender has gone and will come again
                    group.append((drafts, future))
            self._waiting -= size
            return group

    def _write(self, group: list[Waiting]) -> list[Event]:
        try:
            results, made = self._record([drafts for drafts, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, StoreError):  # one of them is at fault: not the others
                return [event for one in group for event in self._write([one])]
            for _, future in group:
                future.set_exception(error)
            return []
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)
        return made

    def _record(self, requests: list[Sequence[Draft]]) -> tuple[list[Result], list[Event]]:
        done: list[Any] = []
        try:
            trying(lambda: done.append(self._recorder.record(requests)), lambda since: since + WAITS)
        except DBAPIError as error:
            if is_locked(error):
                raise StoreError(f"The store {LOCKED}", hint=UNLOCK) from None
            raise StoreError(f"The store cannot be written: {error.orig}", hint="check record.store") from None
        results, made = done[-1]
        return results, made
