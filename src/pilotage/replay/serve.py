"""Serves the pages and the collector on one port until SIGINT or SIGTERM, then ends at once and in order.

runs/replay.json says where, while it lasts. What is not covered: TLS and more than one process, which a proxy in front
of it and a store on a database server are for.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from pilotage.collector.tokens import Tokens
from pilotage.errors import ConfigError
from pilotage.link import FILE, address
from pilotage.record.store import open_store
from pilotage.replay.app import create_app
from pilotage.replay.auth import check_exposure, read_tokens
from pilotage.settings import Settings

GRACE = 2  # seconds that answers under way have when the server stops
HELD = (errno.EADDRINUSE, errno.EACCES)


@dataclass(frozen=True)
class Place:
    """Where a server listens, and what it serves."""

    url: str
    pid: int
    store: str

    def write(self, file: Path) -> None:
        """Whole or not at all: who reads the file never sees half of it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{self.pid}")
        draft.write_text(json.dumps(self.__dict__) + "\n", "utf-8")
        draft.replace(file)

    def remove(self, file: Path) -> None:
        """Unless another server has written its own since."""
        with contextlib.suppress(OSError, ValueError):
            if json.loads(file.read_text("utf-8"))["pid"] == self.pid:
                file.unlink()


def serve(
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    *,
    run: str = "",
    open_browser: bool = False,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until a signal comes; `ready(url)` is called once requests are answered.

    ConfigError when the address cannot be had, or must not be served without a token.
    """
    host = settings.engine.replay.host if host is None else host
    tokens = read_tokens(settings)
    listener = listen(host, settings.engine.replay.port if port is None else port, settings)
    try:
        check_exposure(listener.getsockname()[0], tokens, settings)  # what the name stands for
    except ConfigError:
        listener.close()
        raise
    place = Place(address_of(listener), os.getpid(), str(settings.store.resolve()))

    def say() -> None:
        url = place.url + (f"/sessions/{run}" if run else "/")
        print(f"replay: {url}{_who(tokens)} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        if open_browser:
            webbrowser.open(url)
        if ready:
            ready(url)

    _collect_less()
    with listener, _engine(settings) as engine, _announced(place, settings.runs / FILE):
        server = Server(create_app(settings, engine, tokens), say)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


class Server(uvicorn.Server):
    """Without a log of its own; its streams end when it stops."""

    def __init__(self, app: Starlette, ready: Callable[[], object] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_config=None, log_level="error", access_log=False, server_header=False, ws="none",
                timeout_graceful_shutdown=GRACE,
            )
        )  # fmt: skip
        self.ready, self.app = ready, app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal ends the server in order, and is not raised again behind it; a second one waits for nobody."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.stopping.set()
        await super().shutdown(sockets)


def listen(host: str, port: int, settings: Settings | None = None) -> socket.socket:
    """A listening socket; port 0 takes a free one. ConfigError says why there is none."""
    if not host.strip():
        raise ConfigError("There is no host to listen on (replay.host)", hint="127.0.0.1 is this machine alone")
    try:
        family, kind, _, _, wanted = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise ConfigError(f'Nothing can listen on "{host}": {error.strerror} (replay.host)') from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(wanted)
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise _taken(host, port, error, settings) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Where it listens, as an address to type."""
    return address(*listener.getsockname()[:2])


def _taken(host: str, port: int, error: OSError, settings: Settings | None) -> ConfigError:
    if error.errno not in HELD:
        return ConfigError(f"Nothing can listen on {host}, port {port}: {error.strerror} (replay.host)")
    reason = "is taken" if error.errno == errno.EADDRINUSE else "needs rights that this user has not"
    hint = "`pilotage replay --port 0` takes a free one"
    if error.errno == errno.EADDRINUSE and settings and (there := _announced_at(settings.runs / FILE)):
        hint = f"this project is being served at {there}; {hint}"
    return ConfigError(f"Port {port} on {host} {reason} (replay.port)", hint=hint)


def _announced_at(file: Path) -> str:
    try:
        return str(json.loads(file.read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return ""


@contextlib.contextmanager
def _announced(place: Place, file: Path) -> Iterator[None]:
    place.write(file)
    try:
        yield
    finally:
        place.remove(file)


@contextlib.contextmanager
def _engine(settings: Settings) -> Iterator[Any]:
    engine = open_store(settings.store)
    try:
        yield engine
    finally:
        engine.dispose()


def _collect_less() -> None:
    """A long session is a hundred thousand objects that stay: looking through them again and again is a fifth of it."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _who(tokens: Tokens) -> str:
    return "" if not tokens.read else ", sign in with the read token"
