"""The project and the model server of bench_resume.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import yaml

from pilotage.tape.keys import normalised
from pilotage.tape.tape import FENCE
from tests.conftest import DOCUMENT
from tests.support.loopback import send
from tests.tape.plays import searching

ROOT = Path(__file__).parent.parent
THINKS = 0.004  # seconds in which the model answers
TOOLS = '''
import time
from pathlib import Path

from pilotage import tool
from pilotage.tools import idempotency_key

BOOK = Path(__file__).with_name("book.txt")


@tool(side_effects=True)
def order(item: str) -> str:
    """Order an item."""
    time.sleep(0.015)
    with BOOK.open("a") as book:
        book.write(idempotency_key() + "\\n")
    time.sleep(0.015)
    return f"ordered {item}"
'''


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:  # its client was killed
        pass


@contextmanager
def model_server() -> Iterator[str]:
    """A process that answers as a good model and keeps the hash of each request by the first part of its path."""
    server = _Quiet(("127.0.0.1", 0), _handler({}))
    server.daemon_threads = True
    if (pid := os.fork()) == 0:
        try:
            server.serve_forever()
        finally:
            os._exit(0)
    server.socket.close()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _handler(asked: dict[str, list[str]]) -> type[BaseHTTPRequestHandler]:
    play = searching([("order", {"item": "bolt"})])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            send(self, 200, asked.get(self.path.strip("/"), []))  # type: ignore[arg-type]

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.setdefault(self.path.split("/")[1], []).append(_hash(request))
            time.sleep(THINKS)
            message = play(request)
            finish = "tool_calls" if message.get("tool_calls") else "stop"
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
            usage = {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340}
            body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
            try:
                send(self, 200, {**body, "choices": [choice], "usage": usage})
            except OSError:  # the client was killed
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _hash(request: dict[str, Any]) -> str:
    """A request as it came over the wire, without the number of the fences and the ids of calls."""
    found = FENCE.search(json.dumps(request))
    return hashlib.sha256(normalised(request, found[1] if found else "").encode()).hexdigest()


def lay_out(root: Path) -> Path:
    shutil.copytree(ROOT / "config", root / "config")
    (root / "knowledge").mkdir()
    (root / "knowledge" / "retries.md").write_text(DOCUMENT, "utf-8")
    (root / "bench_tools.py").write_text(TOOLS, "utf-8")
    for file, edit in (("pilotage.yaml", {"tools": "bench_tools"}), ("agents.yaml", {})):
        tree = yaml.safe_load((root / "config" / file).read_text("utf-8")) | edit
        if file == "agents.yaml":
            tree["researcher"]["tools"] = ["search_knowledge", "order"]
        (root / "config" / file).write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    return root


def one_authority(root: Path) -> Path:
    """One certificate instead of all, which each client would take longer to read than its calls here."""
    path, end = root / "one.pem", "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(end)[0] + end, "utf-8")
    return path
