"""What recording costs a run: a store in memory, the real one, and the real one with a session sent to a cloud.

    uv run python benchmarks/bench_recording.py [--runs 60] [--slow 24] [--check]

Each round makes one run in each way, in one order and in the next round in the other, and gives one ratio of each pair:
what else the machine does lasts longer than a round and weighs on both. Shown is the median of these ratios with its
quartiles. The model is one in this process, first one that answers at once, then one that takes 200 ms a call; the
cloud is a process of its own on loopback that speaks AgentOps' protocol. With --check, exits 1 unless the median of the
whole recording stays below 1.10 with the instant model and below 1.01 with the slow one. For a quiet machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import Engine, create_engine, event  # noqa: E402
from sqlalchemy.pool import StaticPool  # noqa: E402

from pilotage.record import store  # noqa: E402
from pilotage.run import Runner  # noqa: E402
from pilotage.settings import load  # noqa: E402
from tests.conftest import DOCUMENT  # noqa: E402
from tests.support.scripted import Scripted, Turn, good  # noqa: E402

QUESTION = "How many requests can one fault make when retries are nested?"
WARM = 3  # rounds before the clock counts
CALL = 0.2  # seconds of a slow model's call
CAPS = {"instant": 1.10, "200 ms": 1.01}
CLOUD = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Cloud(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"token": "t", "project_id": "p"}' if self.path.endswith("token") else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def cloud() -> Iterator[str]:
    """The address of a cloud that takes everything."""
    with subprocess.Popen([sys.executable, "-c", CLOUD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def in_memory() -> Engine:
    """The tables of the store, on no disk."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", store._prepare)
    store.metadata.create_all(engine)
    return engine


def runners(folder: Path, address: str) -> dict[str, Runner]:
    """One runner for each way of recording."""
    made: dict[str, Runner] = {}
    keys = {
        "AGENTOPS_API_KEY": "k",
        "AGENTOPS_API_ENDPOINT": address,
        "AGENTOPS_EXPORTER_ENDPOINT": f"{address}/v1/traces",
    }
    for way in ("memory", "store", "store + cloud"):
        root = folder / way.replace(" ", "")
        shutil.copytree(ROOT / "config", root / "config")
        (root / "knowledge").mkdir()
        (root / "knowledge" / "retries.md").write_text(DOCUMENT, "utf-8")
        os.environ.update(keys if way == "store + cloud" else dict.fromkeys(keys, ""))
        made[way] = Runner(load(root))
        assert (made[way].sinks is None) == (way != "store + cloud")
    made["memory"].engine.dispose()
    made["memory"].engine = in_memory()
    return made


def measure(made: dict[str, Runner], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run by its way, round by round."""
    seconds: dict[str, list[float]] = {way: [] for way in made}
    ways = list(made)
    for number in range(rounds + WARM):
        if number == WARM:
            gc.collect()
            gc.freeze()  # a pause over all that CrewAI has imported falls on any run, longer than what is measured
        for way in ways if number % 2 else reversed(ways):
            began = time.perf_counter()
            result = made[way].answer(QUESTION, write=False, fresh=True)
            took = time.perf_counter() - began
            assert result.outcome == "accepted", result.reason
            if number >= WARM:
                seconds[way].append(took)
    return seconds


def report(title: str, seconds: dict[str, list[float]]) -> float:
    """Print medians and ratios; returns the median ratio of the whole recording."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{title}: {len(seconds['memory'])} pairs{load}")
    middle = 1.0
    for way, taken in seconds.items():
        ratios = [one / other for one, other in zip(taken, seconds["memory"], strict=True)]
        more = statistics.median(one - other for one, other in zip(taken, seconds["memory"], strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4)
        shown = f"{statistics.median(taken) * 1000:7.1f} ms, {more * 1000:+5.1f} ms"
        print(f"  {way:14} median {shown}   ratio {middle:.3f} (quartiles {low:.3f} .. {high:.3f})")
    return middle


def slow(turn: Turn) -> Any:
    time.sleep(CALL)
    return good(turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60, help="rounds with the instant model")
    parser.add_argument("--slow", type=int, default=24, help="rounds with calls of 200 ms")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    plays: dict[str, tuple[Callable[[Turn], Any], int]] = {
        "instant": (good, options.runs),
        "200 ms": (slow, options.slow),
    }
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, cloud() as address:
        made = runners(Path(folder), address)
        import pilotage.crew

        for title, (play, rounds) in plays.items():
            model = Scripted(play)
            pilotage.crew.Reader.for_question = staticmethod(lambda _question, model=model: model.build())  # type: ignore
            ratios[title] = report(title, measure(made, rounds))
        for runner in made.values():
            runner.close()
    failed = [f"{title}: {ratios[title]:.3f} against {cap}" for title, cap in CAPS.items() if ratios[title] >= cap]
    if options.check and failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
