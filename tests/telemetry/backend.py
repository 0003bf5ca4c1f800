"""A loopback backend that speaks AgentOps' protocol and OTLP, and keeps every request; a test chooses its faults.

`auth` and `traces` are HTTP statuses, or functions that return one after what they do; hang(seconds) is such a one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TOKEN = "test-token-0123456789"
Answer = int | Callable[[], int]


@dataclass(frozen=True)
class Sent:
    """One span as it arrived; `seconds` are since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    is_error: bool
    status: str
    scope: str

    @property
    def kind(self) -> str:
        return str(self.attributes.get("pilotage.kind", ""))


@dataclass
class Backend:
    """What has arrived. `paths` are all requests as "METHOD path", in order."""

    url: str = ""
    auth: Answer = 200
    traces: Answer = 200
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Sent] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def exporter(self) -> str:
        return f"{self.url}/v1/traces"

    @property
    def root(self) -> Sent:
        (root,) = [span for span in self.spans if not span.parent]
        return root

    def of(self, kind: str) -> list[Sent]:
        return [span for span in self.spans if span.kind == kind]

    def environment(self, key: str = "a-key") -> dict[str, str]:
        """What makes AgentOps' SDK, and ours, send here."""
        return {
            "AGENTOPS_API_KEY": key, "AGENTOPS_API_ENDPOINT": self.url, "AGENTOPS_EXPORTER_ENDPOINT": self.exporter,
            "AGENTOPS_APP_URL": "http://app.test",
        }  # fmt: skip

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with self.lock:
            self.paths.append(f"{method} {path}")
        if path.endswith("/v3/auth/token"):
            with self.lock:
                self.keys.append(json.loads(body)["api_key"])
            status = self.auth() if callable(self.auth) else self.auth
            said = {"token": TOKEN, "project_id": "p1", "project_prem_status": "pro"}
            return status, json.dumps(said if status == 200 else {"detail": "no"}).encode()
        if path.endswith("/v1/traces"):
            status = self.traces() if callable(self.traces) else self.traces
            if status == 200:
                self.take(headers, body)
            return status, b""
        return 200, b"{}"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.headers.append(headers)
            for resource in request.resource_spans:
                self.resources.append(_read(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self.spans += [_span(span, scope.scope.name) for span in scope.spans]


def hang(seconds: float, status: int = 200) -> Callable[[], int]:
    def wait() -> int:
        time.sleep(seconds)
        return status

    return wait


@contextmanager
def backend(auth: Answer = 200, traces: Answer = 200) -> Iterator[Backend]:
    """Listen on a free port of 127.0.0.1 until the block ends."""
    found = Backend(auth=auth, traces=traces)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = found.answer(self.command, self.path, headers, body)
            self.close_connection = True
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    listener = Quiet(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, name="backend")
    thread.start()
    try:
        yield found
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def _span(span: Any, scope: str) -> Sent:
    return Sent(
        span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name,
        span.start_time_unix_nano, span.end_time_unix_nano, _read(span.attributes),
        [(event.name, _read(event.attributes)) for event in span.events],
        span.status.code == 2, span.status.message, scope,
    )  # fmt: skip


def _read(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
