"""A loopback server that answers each request as a test says, byte by byte if need be, and counts.

`play(talk)` writes the answer with the methods of Talk; what it returns is ignored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.loopback import listening

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


@dataclass
class Wire:
    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    pieces: int = 0  # of streams and slow bodies that a client was still there to take
    open: int = 0  # answers that are being written

    @property
    def url(self) -> str:
        return f"{self.address}/v1"


class Talk:
    """One request and the means to answer it."""

    def __init__(self, wire: Wire, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        self.wire, self.handler, self.request = wire, handler, request
        self.number = len(wire.requests)

    def status(self, status: int, body: Any = None, **headers: str) -> None:
        error = {"error": {"message": f"status {status}", "type": "test", "code": None}}
        self.body(json.dumps(error if body is None else body).encode(), status, promised=None, **headers)

    def answer(self, message: Any, finish: str = "stop", usage: Any = USAGE) -> None:
        """A completion; `message` is text or the assistant's message."""
        message = message if isinstance(message, dict) else {"content": message}
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        self.status(200, {**self._head("chat.completion"), "choices": [choice], "usage": usage})

    def body(self, data: bytes, status: int = 200, *, promised: int | None = None, **headers: str) -> None:
        """`promised`: the length that is announced, longer than what comes."""
        kind = headers.pop("content_type", "application/json")
        self._start(status, content_type=kind, content_length=str(promised or len(data)), **headers)
        self.handler.wfile.write(data)

    def drip(self, every: float, count: int) -> None:
        """The white space before a JSON body, for ever so long."""
        self._start(200, content_type="application/json", content_length="1000000")
        self._pieces([b" "] * count, every)

    def stream(self, *parts: Any, every: float = 0.0, end: str = "[DONE]", usage: Any = USAGE) -> None:
        """Pieces of text, dicts as deltas, {"finish": reason}; `end`: "[DONE]", "close" or "break".

        {"usage": …} beside these tells the usage in that piece, as some servers do.
        """
        self._start(200, content_type="text/event-stream", transfer_encoding="chunked")
        events = [self._event(part) for part in parts]
        if usage is not None and end != "break":
            events.append({**self._head("chat.completion.chunk"), "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
        lines += [b"data: [DONE]\n\n"] if end == "[DONE]" else []
        self._pieces([b"%x\r\n%s\r\n" % (len(line), line) for line in lines], every)
        if end != "break":
            self.handler.wfile.write(b"0\r\n\r\n")

    def _event(self, part: Any) -> dict[str, Any]:
        told = {"usage": part["usage"]} if isinstance(part, dict) and "usage" in part else {}
        part = {name: value for name, value in part.items() if name != "usage"} if told else part
        delta = part if isinstance(part, dict) and "finish" not in part else {}
        choice = {"index": 0, "delta": {"content": part} if isinstance(part, str) else delta, "finish_reason": None}
        if isinstance(part, dict) and "finish" in part:
            choice["finish_reason"] = part["finish"]
        return {**self._head("chat.completion.chunk"), "choices": [choice], **told}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "x", "object": kind, "created": 1, "model": self.request.get("model", "m")}

    def _start(self, status: int, **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def _pieces(self, pieces: list[bytes], every: float) -> None:
        for piece in pieces:
            self.handler.wfile.write(piece)
            self.handler.wfile.flush()
            self.wire.pieces += 1
            time.sleep(every)


@contextmanager
def listen(play: Callable[[Talk], Any]) -> Iterator[Wire]:
    wire = Wire()

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        wire.requests.append(request)
        wire.open += 1
        try:
            play(Talk(wire, handler, request))
        finally:
            wire.open -= 1

    with listening(post) as wire.address:
        yield wire
