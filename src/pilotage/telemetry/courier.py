"""What brings spans to one sink: a bounded queue, a thread, and the account of what was taken of each session.

Instead of OpenTelemetry's BatchSpanProcessor, whose flush waits without a bound and does not say what became of a span.
What is not covered: a process that is killed loses what it still holds; the journal has it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from pilotage.telemetry.wire import Token, Wire

QUEUE = 4096  # spans that wait; further ones are dropped
BATCH = 64  # spans of one request: model calls are long
DELAY = 0.2  # seconds that a span waits for others: what is sent during a call is not waited for at the end


@dataclass
class Delivery:
    """What became of the spans of one session. `root`: the session's own span was taken."""

    pending: int = 0
    sent: int = 0
    lost: int = 0
    root: bool = False
    fault: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.pending and not self.lost


class Courier(SpanProcessor):
    """Exports what it is given in a thread of its own. `name` and `address` are for warnings.

    `is_trusted` is False after a session that it could not deliver in time, until something was taken again.
    """

    def __init__(self, name: str, address: str, exporter: SpanExporter, wire: Wire, token: Token | None = None) -> None:
        self.name, self.address, self.token = name, address, token
        self.is_trusted = True
        self._exporter, self._wire = exporter, wire
        self._queue = deque[ReadableSpan]()
        self._deliveries = dict[int, Delivery]()
        self._changed = threading.Condition()
        self._hurried, self._closed = 0, False
        threading.Thread(target=self._work, name=f"pilotage-{name.lower()}", daemon=True).start()

    @property
    def fault(self) -> str:
        """What is wrong right now, as far as it is known."""
        return (self.token.fault if self.token else "") or self._wire.fault

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        trace = span.context.trace_id if span.context else 0
        with self._changed:
            delivery = self._deliveries.setdefault(trace, Delivery())
            if self._closed or len(self._queue) >= QUEUE:
                delivery.lost += 1
                delivery.fault = f"more than {QUEUE:,} spans wait for it"
                return
            self._queue.append(span)
            delivery.pending += 1
            if len(self._queue) in (1, BATCH):
                self._changed.notify_all()

    def hurry(self) -> None:
        """Let nothing wait for company until `settle`."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()

    def settle(self, trace: int, until: float) -> Delivery:
        """Wait for the spans of a trace, by time.monotonic; the account of what was taken, which is then closed."""
        with self._changed:
            delivery = self._deliveries.setdefault(trace, Delivery())
            left = until - time.monotonic() if self.is_trusted else 0.0
            self._changed.wait_for(lambda: not delivery.pending, max(0.0, left))
            self._hurried -= 1
            self.is_trusted = self.is_trusted and not delivery.pending
            delivery.fault = delivery.fault or (self.fault if not delivery.is_whole else "")
            self._deliveries.pop(trace)
        return delivery

    def shutdown(self) -> None:
        """End the thread after what it is doing; what still waits is dropped."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        self._exporter.shutdown()  # ends its waiting for another attempt, too

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """OpenTelemetry's own word; sessions are waited for with `settle`."""
        return True

    def _work(self) -> None:
        while batch := self._next():
            try:
                taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
            except Exception:  # a fault of the exporter is one of the sink, never of the run
                taken = False
            self._book(batch, taken)

    def _next(self) -> list[ReadableSpan]:
        """The next batch; empty when the courier is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            self._changed.wait_for(lambda: self._closed or self._hurried or len(self._queue) >= BATCH, DELAY)
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _book(self, batch: list[ReadableSpan], taken: bool) -> None:
        with self._changed:
            self.is_trusted = self.is_trusted or taken
            for span in batch:
                delivery = self._deliveries.get(span.context.trace_id if span.context else 0)
                if delivery is None:  # its session does not wait any more
                    continue
                delivery.pending -= 1
                delivery.sent += taken
                delivery.lost += not taken
                delivery.root = delivery.root or (taken and span.parent is None)
                delivery.fault = delivery.fault if taken else self.fault or "it did not take them"
            self._changed.notify_all()
