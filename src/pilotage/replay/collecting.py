"""The collector while the pages are served: its writer runs, and the alert rules watch the sessions that it records.

An alert over such a session is an event of its journal like any other. What is not covered: alerts while a session goes
on; they are judged when its root span has arrived.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from pilotage.alerts.watcher import Watcher
from pilotage.collector.drafts import Draft
from pilotage.collector.writer import Writer
from pilotage.record.journal import Event
from pilotage.record.redact import Redactor
from pilotage.settings import Settings


def writer_of(settings: Settings, engine: Engine) -> Writer:
    """A writer into the store, with the project's redaction."""
    return Writer(engine, Redactor(patterns=settings.engine.record.redact))


@asynccontextmanager
async def collecting(settings: Settings, writer: Writer) -> AsyncIterator[None]:
    """Record until the block ends; what was taken by then is written."""
    spec = settings.engine
    watcher = Watcher(spec.alerts, spec.limits, writer.engine, writer.redactor, root=settings.root)
    judge = ThreadPoolExecutor(1, "pilotage-alerts")  # beside the writer, which goes on meanwhile
    if spec.alerts.rules:
        writer.listen(lambda events: _judge(events, watcher, writer, judge))
    writer.start()
    try:
        yield
    finally:
        await run_in_threadpool(judge.shutdown)
        await run_in_threadpool(writer.close)
        await run_in_threadpool(watcher.close, spec.record.sink_seconds)


def _judge(events: list[Event], watcher: Watcher, writer: Writer, judge: ThreadPoolExecutor) -> None:
    for event in events:
        if event.kind == "session_ended":
            judge.submit(watcher.session_ended, event.run, _appender(writer, event.run))


def _appender(writer: Writer, run: str) -> Callable[..., Any]:
    """Journal.append of a collected session: the one writer of the store does it."""

    def append(kind: str, content: dict[str, str], **facts: Any) -> None:
        now = time.time()
        identity = hashlib.sha256(f"{kind} {facts} {now}".encode()).hexdigest()[:10]
        writer.submit([Draft(run, f"alert-{identity}", kind, now, facts, content)])

    return append
