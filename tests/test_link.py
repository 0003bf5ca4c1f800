"""The link at the end of a run: the cloud, the page that is served now, or the command that serves it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pilotage.link import store_digest, where
from pilotage.settings import Settings

Load = Callable[..., Settings]
RUN = "20261123-084501-3f9a2c"
COMMAND = f"pilotage replay {RUN}"


@contextlib.contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None], host: str = "127.0.0.1") -> Iterator[int]:
    """A server whose GETs `answer` decides; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(body: Any, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        assert handler.path == "/healthz"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def note(settings: Settings, url: str) -> None:
    """runs/replay.json, as a server writes it."""
    settings.runs.mkdir(exist_ok=True)
    place = {"url": url, "pid": 1, "store": str(settings.store)}
    (settings.runs / "replay.json").write_text(json.dumps(place), "utf-8")


def healthy(settings: Settings) -> Callable[[BaseHTTPRequestHandler], None]:
    return says({"ok": True, "store": store_digest(settings.store), "version": "0"})


def test_the_cloud_comes_first(load: Load) -> None:
    assert where(load(), RUN, "https://app.example.org/x") == "https://app.example.org/x"


def test_without_a_server_it_is_the_command(load: Load) -> None:
    assert where(load(), RUN, None) == COMMAND


@pytest.mark.parametrize(
    ("listens", "written", "shown"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost", "localhost"),
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]", "[::1]"),
        ("::1", "[::]", "[::1]"),
    ],
)
def test_the_page_that_is_served_is_named(load: Load, listens: str, written: str, shown: str) -> None:
    settings = load()
    try:
        with serving(healthy(settings), listens) as port:
            note(settings, f"http://{written}:{port}")
            assert where(settings, RUN, None) == f"http://{shown}:{port}/sessions/{RUN}"
    except OSError as error:
        if ":" in listens:
            pytest.skip(f"no IPv6 on this machine: {error}")
        raise


def test_the_page_of_another_project_is_not_taken_for_this_one(load: Load, tmp_path: Path) -> None:
    settings = load()
    with serving(says({"ok": True, "store": store_digest(tmp_path / "other.sqlite")})) as port:
        note(settings, f"http://127.0.0.1:{port}")
        assert where(settings, RUN, None) == COMMAND


def test_a_store_behind_a_link_is_the_same_store(load: Load, tmp_path: Path) -> None:
    settings = load()
    settings.store.parent.mkdir()
    settings.store.touch()
    link = tmp_path / "link.sqlite"
    link.symlink_to(settings.store)
    assert store_digest(link) == store_digest(settings.store)


@pytest.mark.parametrize("answer", [says(b"no JSON"), says([1, 2]), says({"ok": True}), says(b"", 500)])
def test_another_program_on_the_port_is_not_the_page(load: Load, answer: Any) -> None:
    settings = load()
    with serving(answer) as port:
        note(settings, f"http://127.0.0.1:{port}")
        assert where(settings, RUN, None) == COMMAND


def test_what_a_killed_server_left_behind_points_nowhere(load: Load) -> None:
    settings = load()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        note(settings, f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert where(settings, RUN, None) == COMMAND


def hangs(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.0)


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no time-out between two bytes is ever reached."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [hangs, drips])
def test_a_slow_server_holds_the_end_of_a_run_up_for_a_moment_only(load: Load, answer: Any) -> None:
    settings = load()
    with serving(answer) as port:
        note(settings, f"http://127.0.0.1:{port}")
        began = time.monotonic()
        assert where(settings, RUN, None) == COMMAND
        assert time.monotonic() - began < 0.6


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "null", "{}", '{"url": 5}', '{"url": "file:///etc/passwd"}', '{"url": "http://[::1"}',
     '{"url": "http://127.0.0.1:99999"}', '{"url": "https://127.0.0.1:1"}', '{"url": "http://:80"}'],
)  # fmt: skip
def test_a_file_that_says_nothing_useful_is_no_fault(load: Load, text: str) -> None:
    settings = load()
    settings.runs.mkdir()
    (settings.runs / "replay.json").write_text(text, "utf-8")
    assert where(settings, RUN, None) == COMMAND


def test_no_other_host_is_asked_because_the_file_names_it(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> dict[str, Any]:
        raise AssertionError("a host was asked")

    monkeypatch.setattr("pilotage.link._asked", asked)
    settings = load()
    for host in ("192.0.2.1", "example.org", "169.254.169.254"):
        note(settings, f"http://{host}:8484")
        assert where(settings, RUN, None) == COMMAND
