"""A webhook on loopback whose every answer a test decides, and rules as a user writes them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.loopback import listening, send
from tests.support.project import change

QUESTION = "How many requests can one fault make when retries are nested?"
SECRET = "T0000-B1111-not-for-logs"

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """`url` is the address that the settings get; `bodies` and `times` are what came."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


def status(number: int, **headers: str) -> Answer:
    """An answer of this status; `Retry_After="1"` is a header."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hang(seconds: float) -> Answer:
    """Not a byte for a while, then yes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        send(handler, 200, {})

    return answer


@contextmanager
def receiving(*answers: Answer) -> Iterator[Receiver]:
    """Each answer is for one POST, the last one for all that follow."""
    number = itertools.count()

    def post(handler: BaseHTTPRequestHandler, request: Any) -> None:
        receiver.times.append(time.monotonic())
        receiver.paths.append(handler.path)
        receiver.bodies.append(request)
        answers[min(next(number), len(answers) - 1)](handler)

    receiver = Receiver("")
    with listening(post) as address:
        receiver.url = f"{address}/{SECRET}"
        yield receiver


def set_alerts(project: Path, webhook: str | None = None, **rules: dict[str, Any]) -> None:
    """Put the rules into the project's settings."""

    def edit(tree: dict[str, Any]) -> None:
        tree["alerts"] = {"rules": rules, "log": "runs/alerts.log"} | ({"webhook": webhook} if webhook else {})

    change(project / "config" / "pilotage.yaml", edit)


def log_lines(project: Path) -> list[dict[str, Any]]:
    path = project / "runs" / "alerts.log"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
