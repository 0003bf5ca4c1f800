"""Measures the replay pages: a real server process over a large store, whole answers, one after the other.

    python benchmarks/bench_replay.py                            10,000 sessions of 200 events, about three minutes
    python benchmarks/bench_replay.py --sessions 500 --check     a sample; exit 1 when one is over its bound

Prints a Markdown table; the bounds are of the medians. What is not measured: the browser, and many readers at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from replay_data import make

from pilotage.record.sessions import Search, find
from pilotage.record.store import open_store

ROOT = Path(__file__).parent.parent
LONGEST, LONG_ONES = 20_000, 6  # events of the longest sessions, and how many of these there are
LIST, STATISTICS, SESSION, LONG = 150, 300, 200, 1_000  # milliseconds


@contextmanager
def served(project: Path) -> Iterator[str]:
    """The address of a server process over the project."""
    command = [sys.executable, "-m", "pilotage", "replay", "--port", "0"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _address(process, project / "runs/replay.json")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def _address(process: subprocess.Popen[str], file: Path) -> str:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server did not start: {process.stderr.read() if process.stderr else ''}")
        if file.is_file():
            return str(json.loads(file.read_text("utf-8"))["url"])
        time.sleep(0.05)
    raise SystemExit("the server did not say where it is")


@dataclass(frozen=True)
class Page:
    """What is asked for: one address after the other, and the milliseconds that half of the answers may take."""

    name: str
    paths: list[str]
    bound: int
    most: int = 1_000_000  # requests, so that none is made twice


@dataclass(frozen=True)
class Measured:
    """Milliseconds of the very first answer, and of those behind it; the size of the last one in bytes."""

    first: float
    times: list[float]
    size: int

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.95)]


def measure(url: str, page: Page, requests: int) -> Measured:
    """Each time until the last byte is there."""
    connection, times, size = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30), [], 0
    for number in range(requests + 1):
        path = page.paths[number % len(page.paths)]
        started = time.perf_counter()
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        size = len(answer.read())
        times.append((time.perf_counter() - started) * 1000)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
    connection.close()
    return Measured(times[0], times[1:], size)


def pages_of(store: Path, requests: int) -> list[Page]:
    """Lists, statistics, sessions that were not looked at before, and the longest one."""
    engine = open_store(store, create=False)
    found = find(engine, Search(outcome="accepted", origin="run", sort="tokens", per_page=requests + 1 + LONG_ONES))
    total = find(engine, Search(per_page=1)).total
    engine.dispose()
    sessions = [f"/sessions/{row['run']}" for row in found.rows]
    longest, usual = sessions[:LONG_ONES], sessions[LONG_ONES:]
    last = max(1, total // 50 - 1)
    return [
        Page("list", ["/"], LIST),
        Page("list, searched", ["/?q=budget"], LIST),
        Page("list, three filters", ["/?outcome=limited&model=openai/gpt-4o-mini&loop=any"], LIST),
        Page("list, by agent and tool, sorted by cost", ["/?agent=verifier&tool=read_source&sort=usd"], LIST),
        Page(f"list, page {last:,}", [f"/?page={last}"], LIST),
        Page("statistics, 30 days", ["/statistics"], STATISTICS),
        Page("sessions of the usual size, each for the first time", usual, SESSION),
        Page(f"sessions of {LONGEST:,} events, each for the first time", longest, LONG, LONG_ONES - 1),
        Page(f"a session of {LONGEST:,} events, again", longest[-1:], LONG),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200, help="of each session")
    parser.add_argument("--requests", type=int, default=20, help="of each page")
    parser.add_argument("--store", type=Path, help="use this store, and make it when it is not there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a page is over its bound")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        project, over = Path(work), []
        shutil.copytree(ROOT / "config", project / "config")
        store = (options.store or project / "runs/pilotage.sqlite").resolve()
        if not store.exists():
            make(store, options.sessions, options.events, longest=LONGEST, of_these=LONG_ONES)
        if options.store:
            (project / "runs").mkdir()
            (project / "runs/pilotage.sqlite").symlink_to(store)
        print(f"{options.sessions:,} sessions of {options.events} events, {store.stat().st_size / 1e6:,.0f} MB\n")
        print("| page | bytes | first | median | p95 | bound |\n|---|---|---|---|---|---|")
        with served(project) as url:
            for page in pages_of(store, options.requests):
                got = measure(url, page, min(options.requests, page.most))
                figures = f"{got.first:.0f} ms | {got.median:.0f} ms | {got.p95:.0f} ms | {page.bound:,} ms"
                print(f"| {page.name} | {got.size:,} | {figures} |", flush=True)
                if got.median > page.bound:
                    over.append(page.name)
    if over:
        print(f"over the bound: {', '.join(over)}", file=sys.stderr)
    return 1 if over and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
