"""Loopback servers for whatever fetches: `web` speaks HTTP from a table of replies, `wire` lets a function misbehave.

with web({"/a": Reply(200, {"Content-Type": "text/html"}, b"...")}) as server:
    server.url("/a"), server.requests
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """An answer. An iterable body is sent piece by piece and without a Content-Length."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True)
class Asked:
    """A request as it came; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A running server: where it is, how many connections it got and what it was asked."""

    port: int
    scheme: str = "http"
    connections: int = 0
    requests: list[Asked] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [asked.path for asked in self.requests]


Table = Mapping[str, Reply | Callable[[Asked], Reply]]


def html(text: str = "<html><body><p>Hello.</p></body></html>") -> Reply:
    return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, text.encode())


def redirect(to: str, status: int = 302) -> Reply:
    return Reply(status, {"Location": to})


@contextmanager
def web(table: Table, *, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Answers by the table: with query first, then without; 404 for the rest."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            server.requests.append(asked)
            entry = table.get(self.path, table.get(self.path.partition("?")[0], Reply(404)))
            with suppress(OSError):  # the client has had enough
                self._send(entry(asked) if callable(entry) else entry)

        do_POST = do_GET

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if isinstance(reply.body, bytes) and "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> tuple[socket.socket, object]:
            return _counted(super().get_request(), server)

        def finish_request(self, request: object, address: object) -> None:
            with suppress(OSError), ExitStack() as stack:
                if tls and isinstance(request, socket.socket):
                    request = stack.enter_context(tls.wrap_socket(request, server_side=True))
                super().finish_request(request, address)  # type: ignore[arg-type]

        def handle_error(self, *_: object) -> None:
            pass

    listener = Listener(("127.0.0.1", 0), Handler)
    server = Server(listener.server_port, "https" if tls else "http")
    with _running(listener):
        yield server


@contextmanager
def wire(misbehave: Callable[[socket.socket], None]) -> Iterator[Server]:
    """Hands every connection to a function that writes what it likes, once the request's head was read."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65536)
                misbehave(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> tuple[socket.socket, object]:
            return _counted(super().get_request(), server)

    listener = Listener(("127.0.0.1", 0), Handler)
    server = Server(listener.server_address[1])
    with _running(listener):
        yield server


def _counted(pair: tuple[socket.socket, object], server: Server) -> tuple[socket.socket, object]:
    server.connections += 1
    return pair


@contextmanager
def _running(listener: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
