"""A collector as a process of its own, on a free port of 127.0.0.1, with its routes and nothing else.

python -m tests.collector.serving STORE [TOKEN]
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Engine
from starlette.applications import Starlette

from pilotage.collector.routes import Tokens, routes
from pilotage.collector.writer import Writer
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store

ROOT = Path(__file__).parent.parent.parent


def application(engine: Engine, tokens: Tokens, writer: Writer | None = None) -> Starlette:
    """The routes on a writer that lives as long as the application."""
    writer = writer or Writer(engine, Redactor())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with writer:
            yield

    return Starlette(routes=routes(writer, tokens), lifespan=lifespan)


class Process:
    """The process: where it listens, and ways to end it."""

    def __init__(self, store: Path, token: str = "", port: int = 0) -> None:
        arguments = [sys.executable, "-m", "tests.collector.serving", str(store), token, str(port)]
        self._process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.pid = self._process.pid

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(sign)
        code = self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


@contextmanager
def serving(store: Path, token: str = "") -> Iterator[Process]:
    process = Process(store, token)
    try:
        yield process
    finally:
        process.stop()


def main(store: str, token: str = "", port: str = "0") -> None:
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", int(port)))
    app = application(open_store(Path(store)), Tokens(write=token))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=5))
    print(listener.getsockname()[1], flush=True)  # what connects from now on waits until it is served
    server.run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
