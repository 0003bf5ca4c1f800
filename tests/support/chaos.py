"""A loopback server that speaks OpenAI's chat completions, streamed and not, and can be made to misbehave.

A play gets one Exchange and answers it: `serve(good)`, `serve(then(status(429, retry_after=0.05), good))`. Plays stand
in tests/support/plays.py. Every exchange is kept, with its time of arrival and the moment its client hung up; a play
that hangs is released when the server stops. What is not covered: other providers' protocols, TLS.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.loopback import listening
from tests.support.server import COMPLETION_TOKENS, PROMPT_TOKENS

TOKENS = PROMPT_TOKENS + COMPLETION_TOKENS
USAGE = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": TOKENS}
LOOKS = 0.02  # seconds between two looks whether the client is still there
PIECE = 24  # characters of one chunk of a streamed answer
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST

Message = dict[str, Any]


@dataclass
class Exchange:
    """One request as it came, and the ways to answer it."""

    number: int  # from 1
    json: dict[str, Any]
    arrived: float  # time.monotonic()
    handler: BaseHTTPRequestHandler = field(repr=False)
    stopped: threading.Event = field(repr=False)
    gone: float | None = None  # when the client was seen to have hung up before its answer was whole

    @property
    def stream(self) -> bool:
        return bool(self.json.get("stream"))

    @property
    def messages(self) -> list[Message]:
        return list(self.json["messages"])

    @property
    def text(self) -> str:
        return json.dumps(self.messages, ensure_ascii=False)

    @property
    def task(self) -> str:
        """Which task of config/tasks.yaml the request belongs to, told by its description."""
        wanted = self.text
        return (
            "research" if "Call search_knowledge" in wanted else "verify" if "Give one verdict" in wanted else "explain"
        )

    def say(self, message: Message, finish: str | None = None) -> None:
        """The assistant's message with status 200, in chunks when the request asks for a stream."""
        finish = finish or ("tool_calls" if message.get("tool_calls") else "stop")
        if not self.stream:
            return self.send_json(200, self.completion(message, finish))
        with self.sse() as send:
            for chunk in self.chunks(message, finish):
                send(chunk)
            send("[DONE]")
        return None

    def completion(self, message: Message, finish: str) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": USAGE}

    def chunks(self, message: Message, finish: str) -> Iterator[dict[str, Any]]:
        """The message as a provider streams it: deltas, the reason of its end, the usage."""
        for delta in _deltas(message):
            yield self.chunk(delta)
        yield self.chunk({}, finish)
        if (self.json.get("stream_options") or {}).get("include_usage"):
            yield self._envelope("chat.completion.chunk") | {"choices": [], "usage": USAGE}

    def chunk(self, delta: Message, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self._envelope("chat.completion.chunk") | {"choices": [choice], "usage": None}

    def send_json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.send_body(status, json.dumps(body).encode(), headers)

    def send_body(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, promised: int | None = None
    ) -> None:  # fmt: skip
        """Status, headers and body; `promised` is the Content-Length when it is to be a lie."""
        self.begin(
            status, {"Content-Type": "application/json", "Content-Length": str(promised or len(body))} | (headers or {})
        )
        self.write(body)

    @contextmanager
    def sse(self) -> Iterator[Callable[[Any], None]]:
        """A stream of server-sent events; its transfer ends in order only when the block does."""
        self.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

        def send(event: Any) -> None:
            data = event if isinstance(event, str) else json.dumps(event)
            self.write_chunk(f"data: {data}\n\n".encode())

        yield send
        self.write_chunk(b"")

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in (headers | {"Connection": "close"}).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def write_chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def wait(self, seconds: float) -> bool:
        """Do nothing for so long; False when the client has hung up or the server was stopped meanwhile."""
        end = time.monotonic() + seconds
        while not self.stopped.wait(min(LOOKS, max(0.0, end - time.monotonic()))):
            if self._hung_up():
                self.gone = self.gone or time.monotonic()
                return False
            if time.monotonic() >= end:
                return True
        return False

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection here and now, whatever was promised."""
        connection = self.handler.connection
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            connection.shutdown(socket.SHUT_WR)
        self.handler.rfile.close()  # it holds the socket open
        connection.close()

    def _hung_up(self) -> bool:
        try:
            readable, _, _ = select.select([self.handler.connection], [], [], 0)
            return bool(readable) and not self.handler.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": f"chaos-{self.number}", "object": kind, "created": 1, "model": self.json["model"]}


Play = Callable[[Exchange], None]


@dataclass
class Chaos:
    """A server that runs: where it listens and what it was asked."""

    url: str
    requests: list[Exchange] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        return [exchange.json["model"] for exchange in self.requests]


@contextmanager
def serve(play: Play) -> Iterator[Chaos]:
    """Listen on a free port of 127.0.0.1 until the block ends; then no thread of the server is left."""
    stopped, lock = threading.Event(), threading.Lock()

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        with lock:
            exchange = Exchange(len(chaos.requests) + 1, request, time.monotonic(), handler, stopped)
            chaos.requests.append(exchange)
        try:
            play(exchange)
        except OSError:  # the client has given up
            exchange.gone = exchange.gone or time.monotonic()

    chaos = Chaos("")
    with listening(post, waits=True) as address:
        chaos.url = f"{address}/v1"
        try:
            yield chaos
        finally:
            stopped.set()


def _deltas(message: Message) -> Iterator[Message]:
    yield {"role": "assistant", "content": ""}
    for name in ("content", "refusal"):
        text = message.get(name) or ""
        yield from ({name: text[start : start + PIECE]} for start in range(0, len(text), PIECE))
    for index, call in enumerate(message.get("tool_calls") or []):
        arguments = call["function"]["arguments"]
        first = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": first}]}
        for start in range(0, len(arguments), PIECE):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[start : start + PIECE]}}]}
