"""A server on a free port of 127.0.0.1 for the length of a block: what the loopback providers of the tests stand on."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def listening(post: Callable[[BaseHTTPRequestHandler, Any], None], *, waits: bool = False) -> Iterator[str]:
    """The address; `post(handler, request)` answers the JSON of one POST, each on a connection of its own.

    With `waits`, no thread of the server outlives the block.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            self.close_connection = True
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with contextlib.suppress(ConnectionError):  # the client has given up
                post(self, request)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = not waits  # else server_close() waits for them

        def handle_error(self, *_: Any) -> None:  # a connection that was closed under way
            pass

    listener = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    """An answer with a JSON body."""
    data = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
