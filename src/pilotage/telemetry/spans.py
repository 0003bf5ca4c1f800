"""One session as OpenTelemetry spans: what record/tree.py opens is started, what it closes is ended, at its own times.

Each span has a place below the session's root; what has no length (checks, decisions, limits, loops …) is also an event
on the span around it. What is not covered: what happens after the run has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from pilotage.record.tree import SESSION, Tree
from pilotage.telemetry.attributes import Describer, note
from pilotage.telemetry.text import NOTE, clean

if TYPE_CHECKING:
    from pilotage.record.journal import Event
    from pilotage.record.tree import Span

KINDS = {"llm": SpanKind.CLIENT}  # OpenTelemetry's own kind: a call that leaves the process
SUFFIX = {SESSION: "session", "workflow": "workflow", "task": "task", "agent": "agent", "tool": "tool", "llm": "llm"}


class Emitter:
    """Emits the spans of one run by `tracer`, event after event. Not for several threads at once."""

    def __init__(self, tracer: trace.Tracer, run: str, tags: Iterable[str] = ()) -> None:
        self._tracer, self._tree, self._describer = tracer, Tree(), Describer(run, tags)
        self._open = dict[str, trace.Span]()
        self._root: trace.Span | None = None

    @property
    def trace_id(self) -> int:
        """The trace of this run, 0 before it has one."""
        return self._root.get_span_context().trace_id if self._root else 0

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def add(self, event: Event) -> None:
        """Start and end the spans that this event opens and closes."""
        if event.kind == "run_started":
            self._describer.learn(event)
        change = self._tree.add(event)
        for span in change.opened:
            self._start(span)
        for span in change.closed:
            self._end(span)

    def abandon(self, why: str) -> None:
        """End what is still open, inner spans first: the run's own end was never recorded."""
        now = time.time_ns()
        for name, sent in reversed(list(self._open.items())):
            if name == SESSION:
                sent.set_attribute("agentops.session.end_state", "Indeterminate")
            sent.set_attribute("error.type", "abandoned")
            sent.set_status(Status(StatusCode.ERROR, why))
            sent.end(now)
        self._open.clear()

    def _start(self, span: Span) -> None:
        if self._root is None and span.kind != SESSION:  # its run's beginning was not heard
            return
        around = self._open.get(span.parent or "", self._root)
        context = trace.set_span_in_context(around, Context()) if around else Context()
        sent = self._tracer.start_span(
            clean(_named(span), NOTE), context, KINDS.get(span.kind, SpanKind.INTERNAL),
            self._describer.at_start(span), start_time=_nanoseconds(span.start),
        )  # fmt: skip
        self._root = self._root or sent
        self._open[span.id] = sent

    def _end(self, span: Span) -> None:
        sent = self._open.pop(span.id, None)
        if sent is None:
            return
        for event in span.notes:
            sent.add_event(f"pilotage.{event.kind}", note(event), _nanoseconds(event.at))
        sent.set_attributes(self._describer.at_end(span))
        failure = Status(StatusCode.ERROR, clean(span.why, NOTE))
        sent.set_status(failure if span.failed else Status(StatusCode.OK))
        sent.end(_nanoseconds(max(span.start, span.end or span.start)))


def _named(span: Span) -> str:
    """AgentOps' way: what it is, then of which kind."""
    return f"{span.name}.{SUFFIX.get(span.kind, span.kind)}"


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
