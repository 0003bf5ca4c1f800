"""Runs killed at a random moment and resumed: is anything lost, or paid for twice?

    uv run --group dev python benchmarks/bench_resume.py [--kills 200] [--seed 7] [--check] [--json]

Each run is a process of its own, forked from one that has imported CrewAI: three agents with tools, one of which writes
into a book of orders, against a model server in another process that keeps every request. `kill -9` comes at a moment
drawn evenly from the duration of an undisturbed run, first event to last, and every second time from its events; then
another process resumes. What was under way at the kill is looked up in the book, as a user would. --check: exit 1
unless all are complete and nothing is lost or made twice. What is not covered: a loss of power, which
tests/tape/test_processes.py plays on a copied store.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_DISABLE_VERSION_CHECK="true")

from resume_scene import lay_out, model_server, one_authority  # noqa: E402

from pilotage import again  # noqa: E402
from pilotage.errors import ConfigError  # noqa: E402
from pilotage.model import factory  # noqa: E402
from pilotage.quiet import import_crewai  # noqa: E402
from pilotage.record.audit import audit  # noqa: E402
from pilotage.record.journal import Event, list_runs, read_events  # noqa: E402
from pilotage.record.store import open_store  # noqa: E402
from pilotage.run import Runner  # noqa: E402
from pilotage.settings import Settings, load  # noqa: E402

QUESTION = "How many requests can one fault make when retries are nested?"
STARTS = 30.0  # seconds in which a worker must have begun


@dataclass
class Kill:
    """One run that was killed, and what came of it."""

    number: int
    behind: int  # which event
    after: float  # seconds behind it
    run: str = ""  # "" when it had not begun
    outcome: str = ""
    answer: str = ""
    committed: int = 0  # calls of models in the journal at the kill
    made_again: int = 0  # of those, asked for a second time
    extra: int = 0  # requests beyond those of an undisturbed run
    lost: int = 0  # events that were told as stored, and are not there
    under_way: str = ""  # done or repeat: what the book said of an order under way
    orders: int = 0
    broken: int = 0  # chains that do not verify
    seconds: float = 0.0  # of the resume


@dataclass
class Scene:
    """The project on disk, the model server, and what an undisturbed run looks like."""

    root: Path
    url: str
    answer: str = ""
    requests: int = 0
    seconds: float = 0.0  # from its first event to its last
    events: int = 0
    known: set[str] = field(default_factory=set)  # runs

    @property
    def store(self) -> Path:
        return self.root / "runs" / "pilotage.sqlite"

    @property
    def book(self) -> list[str]:
        file = self.root / "book.txt"
        return file.read_text("utf-8").split() if file.exists() else []

    @cached_property
    def base(self) -> Settings:
        return load(self.root, {"model.name": "openai/gpt-4o-mini", "model.base_url": self.url, "limits.seconds": "60"})

    def settings(self, name: str) -> Settings:
        engine = self.base.engine
        model = engine.model.model_copy(update={"base_url": f"{self.url}/{name}/v1"})
        return replace(self.base, engine=engine.model_copy(update={"model": model}))

    def asked(self, name: str) -> list[str]:
        """The requests of one scenario, each by its hash, in the order of their arrival."""
        with urllib.request.urlopen(f"{self.url}/{name}") as answer:
            found: list[str] = json.load(answer)
        return found


# --- workers


def worker(work: Callable[[int], None]) -> tuple[int, int]:
    """`work(pipe)` in a process of its own; its id, and where what it writes can be read."""
    assert threading.active_count() == 1, "a thread at the fork"
    readable, writable = os.pipe()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.close(readable)
            silence()
            work(writable)
            code = 0
        finally:
            os._exit(code)
    os.close(writable)
    return pid, readable


def silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if not os.environ.get("BENCH_TALKS"):
        os.dup2(nowhere, 2)


def told(pid: int, readable: int, begun: bytes = b"") -> list[list[str]]:
    """The lines that the worker has written, when it has ended; `begun` was read before."""
    with os.fdopen(readable, "rb") as pipe:
        lines = (begun + pipe.read()).decode().splitlines()
    os.waitpid(pid, 0)
    return [line.split(" ") for line in lines]


def read_until(readable: int, count: int) -> bytes:
    """What the worker has written when it has told so many events, or has ended."""
    read = b""
    while read.count(b"event ") < count and select.select([readable], [], [], STARTS)[0]:
        piece = os.read(readable, 65536)
        if not piece:
            break
        read += piece
    return read


def asking(scene: Scene, name: str, run: str = "", *, tells_modules: bool = False) -> Callable[[int], None]:
    """A worker that asks the question, or goes on with `run`; it tells each event behind its commit."""

    def work(pipe: int) -> None:
        loaded = set(sys.modules)
        runner = Runner(scene.settings(name))

        def tell(event: Event) -> None:
            os.write(pipe, f"event {event.run} {event.seq} {event.hash} {time.monotonic()}\n".encode())

        found = _resumed(runner, scene, run, pipe) if run else None
        result = runner.answer(QUESTION, listener=tell, write=False, again=found, fresh=True)
        os.write(pipe, f"end {result.run} {result.outcome} {json.dumps(result.answer)}\n".encode())
        for module in set(sys.modules) - loaded if tells_modules else ():
            os.write(pipe, f"module {module}\n".encode())

    return work


def preload(modules: list[str]) -> None:
    """Import here what a run imports when it comes to it, so that no worker has to."""
    for module in modules:
        if module not in ("bench_tools", "__mp_main__"):
            with contextlib.suppress(Exception):
                importlib.import_module(module)


def _resumed(runner: Runner, scene: Scene, run: str, pipe: int) -> again.Again:
    """As a user would: whoever is told that an order was under way looks into the book."""
    try:
        return again.resume(runner.engine, run)
    except ConfigError as error:
        if "was under way" not in str(error):
            raise
        answer = "done" if any(key in str(error) for key in scene.book) else "repeat"
    os.write(pipe, f"under_way {answer}\n".encode())
    if answer == "done":
        return again.resume(runner.engine, run, done=["order"])
    return again.resume(runner.engine, run, repeat=["order"])


# --- kills


def undisturbed(scene: Scene, times: int = 5) -> None:
    """Measure what a run does when nobody kills it; the first one makes the index."""
    seconds = []
    for number in range(times + 1):
        lines = told(*worker(asking(scene, f"whole{number}", tells_modules=not number)))
        preload([line[1] for line in lines if line[0] == "module"])
        at = [float(line[4]) for line in lines if line[0] == "event"]
        seconds.append(at[-1] - at[0])
        scene.events = len(at)
        end = next((line for line in lines if line[0] == "end"), [])
        assert end[2:3] == ["accepted"], f"an undisturbed run did not work: {end}"
        scene.answer, scene.requests = " ".join(end[3:]), len(scene.asked(f"whole{number}"))
    scene.seconds = statistics.median(seconds[1:])
    scene.known = set(runs(scene))


def kill(scene: Scene, number: int, behind: int, after: float) -> Kill:
    """One run, killed so many seconds behind one of its events, and resumed."""
    name, found = f"kill{number}", Kill(number, behind, after)
    booked = Counter(scene.book)
    pid, readable = worker(asking(scene, name))
    begun = read_until(readable, behind)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    lines, before = told(pid, readable, begun), scene.asked(name)
    found.run = next((run for run in runs(scene) if run not in scene.known), "")
    events = stored(scene, found.run) if found.run else []
    found.lost = _lost(lines, events)
    calls = [event for event in events if event.kind == "model_call" and not event.facts.get("failed")]
    found.committed = len(calls)
    if events and events[-1].kind == "run_ended":
        found.outcome, found.answer = events[-1].facts["outcome"], json.dumps(events[-1].content["answer"])
    else:
        began = time.monotonic()
        lines = told(*worker(asking(scene, name, found.run)))
        found.seconds = time.monotonic() - began
        _add_end(found, lines)
    _count(found, scene, before, scene.asked(name), {event.facts["key"] for event in calls})
    found.orders = sum((Counter(scene.book) - booked).values())
    scene.known = set(runs(scene))
    return found


def _add_end(found: Kill, lines: list[list[str]]) -> None:
    for line in lines:
        if line[0] == "end":
            found.outcome, found.answer = line[2], " ".join(line[3:])
        elif line[0] == "under_way":
            found.under_way = line[1]


def _lost(lines: list[list[str]], events: list[Event]) -> int:
    """Events that the worker had been told to be stored, and that are not."""
    there = {(str(event.seq), event.hash) for event in events}
    return sum((line[2], line[3]) not in there for line in lines if line[0] == "event" and len(line) == 5)


def _count(found: Kill, scene: Scene, before: list[str], asked: list[str], keys: set[str]) -> None:
    """Committed calls that were made again: by the server's requests, and by the keys of both journals."""
    committed, later = Counter(before[: found.committed]), Counter(asked[len(before) :])
    new = [run for run in runs(scene) if run not in scene.known and run != found.run]
    made = {e.facts["key"] for run in new for e in stored(scene, run) if _is_live(e)}
    found.made_again = max(sum((committed & later).values()), len(keys & made))
    found.extra = len(asked) - scene.requests
    engine = open_store(scene.store, create=False)
    found.broken = sum(not audit(engine, run).ok for run in [*new, *([found.run] if found.run else [])])
    engine.dispose()


def _is_live(event: Event) -> bool:
    return event.kind == "model_call" and not event.facts.get("served")


def runs(scene: Scene) -> list[str]:
    engine = open_store(scene.store, create=False)
    try:
        return [row["run"] for row in list_runs(engine, 100_000)]
    finally:
        engine.dispose()


def stored(scene: Scene, run: str) -> list[Event]:
    engine = open_store(scene.store, create=False)
    try:
        return list(read_events(engine, run))
    finally:
        engine.dispose()


def run_all(kills: int, seed: int, root: Path, tell: Callable[[str], None] = lambda _line: None) -> list[Kill]:
    """So many kills in a project that is laid out at `root`."""
    chance, found = random.Random(seed), list[Kill]()
    sys.path.insert(0, str(root))
    os.environ["SSL_CERT_FILE"] = str(one_authority(root))
    import_crewai(root / "runs")
    import openai.resources  # noqa: F401

    import pilotage.crew  # noqa: F401

    factory.ALLOW_MODEL_REQUESTS = True
    gc.freeze()  # what was imported is shared by the workers
    with model_server() as url:
        scene = Scene(root, url)
        undisturbed(scene, 5 if kills > 20 else 2)
        gc.freeze()
        assert scene.base  # read once, before the forks
        for number in range(kills):
            moment = (1, chance.uniform(0, scene.seconds))
            if number % 2:  # by its progress: a busy machine is slower than it was when it was measured
                moment = (chance.randint(1, scene.events), chance.uniform(0, 2 * scene.seconds / scene.events))
            found.append(one := kill(scene, number, *moment))
            one.answer = "same" if one.answer == scene.answer else one.answer
            when = f"{one.after:.3f} s behind event {one.behind}"
            tell(f"{number + 1} of {kills}: {when}, {one.committed} committed, {one.outcome}")
    sys.path.remove(str(root))
    return found


def faults(found: list[Kill]) -> dict[str, int]:
    """What must be nowhere."""
    return {
        "runs not complete": sum(one.outcome != "accepted" for one in found),
        "other answers": sum(one.answer != "same" for one in found),
        "committed calls made again": sum(one.made_again for one in found),
        "kills with more than one extra request": sum(one.extra > 1 for one in found),
        "events lost": sum(one.lost for one in found),
        "orders missing or made twice": sum(one.orders != 1 for one in found),
        "chains broken": sum(one.broken for one in found),
    }


def table(found: list[Kill], seconds: float) -> str:
    begun = [one for one in found if one.run]
    resumed = [one.seconds for one in found if one.seconds]
    under_way = Counter(one.under_way for one in found if one.under_way)
    rows = [
        ("kills", f"{len(found)}"), ("before anything was recorded", f"{len(found) - len(begun)}"),
        ("after the end", f"{len(found) - len(resumed)}"),
        ("an order under way", f"{sum(under_way.values())} ({under_way['done']} done, {under_way['repeat']} repeated)"),
        ("committed calls", f"{sum(one.committed for one in found)}"),
        *((name, str(value)) for name, value in faults(found).items()),
        ("extra requests in all", f"{sum(one.extra for one in found)}"),
        ("seconds of a resume, median", f"{statistics.median(resumed):.2f}" if resumed else "-"),
        ("seconds in all", f"{seconds:.0f}"),
    ]  # fmt: skip
    return "\n".join(["| what | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        talk: Callable[[str], None] = lambda line: print(line, file=sys.stderr)  # noqa: E731
        found = run_all(options.kills, options.seed, lay_out(Path(folder) / "project"), talk)
    if options.json:
        print(json.dumps({"faults": faults(found), "kills": [asdict(one) for one in found]}))
    else:
        print(table(found, time.monotonic() - began))
    if options.check and any(faults(found).values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
