"""Many runs in one process under random faults of the provider and the tools: what grows?

    uv run python benchmarks/bench_soak.py [--runs 500] [--seed 7] [--check]

A loopback provider answers each request well, or with one of FAULTS, in an order that the seed decides. After each
run: threads, file handles, resident memory (Linux). With --check, exits 1 unless memory stays within 5 % of what it
was after the first 50 runs, threads and handles do not grow, and every journal verifies.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pilotage.record.audit import audit  # noqa: E402
from pilotage.record.journal import list_runs  # noqa: E402
from pilotage.run import Runner  # noqa: E402
from pilotage.settings import load  # noqa: E402
from tests.conftest import DOCUMENT  # noqa: E402
from tests.support import plays  # noqa: E402
from tests.support.chaos import Chaos, Exchange, Play, serve  # noqa: E402

WARM = 50  # runs before memory is compared
GROWTH = 1.05
SHARE_OF_FAULTS = 0.25
QUESTION = "How many requests can one fault make?"
CAPS = {
    "limits.seconds": "5", "limits.call_seconds": "0.5", "limits.tool_seconds": "0.5", "limits.retries": "1",
    "agents.researcher.max_execution_time": "2",
}  # fmt: skip
FAULTS: dict[str, Play] = {
    "hang": plays.hang,
    "hang after the headers": plays.hang_after_headers,
    "drip": plays.drip,
    "cut": plays.cut,
    "reset": plays.reset,
    "429": plays.status(429, retry_after=0.02),
    "500": plays.status(500),
    "401": plays.status(401),
    "context overflow": plays.overflow,
    "no JSON": plays.no_json,
    "no choices": plays.no_choices,
    "empty": plays.empty,
    "truncated": plays.cut_at_length,
    "refusal": plays.refuse,
    "fabricated": plays.say(plays.FABRICATED),
    "a call again and again": plays.use(("search_knowledge", {"query": "who owns retries"})),
    "an unknown tool": plays.use(("shell", {"command": "ls"})),
    "arguments that are no JSON": plays.use_raw("search_knowledge", '{"query": '),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(at_random(options.seed)) as provider:
        project = make_project(Path(folder))
        samples, outcomes, broken, seconds = soak(project, provider, options.runs)
    found = report(samples, outcomes, broken, seconds)
    if options.check and found:
        raise SystemExit("; ".join(found))


def at_random(seed: int) -> Play:
    """A provider that is well most of the time; some of its faults last for a whole run."""
    dice, lock = random.Random(seed), threading.Lock()

    def play(exchange: Exchange) -> None:
        with lock:
            fault = dice.choice(list(FAULTS)) if dice.random() < SHARE_OF_FAULTS else ""
        (FAULTS[fault] if fault else plays.good)(exchange)

    return play


def make_project(folder: Path) -> Path:
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "knowledge").mkdir()
    (folder / "knowledge" / "retries.md").write_text(DOCUMENT, "utf-8")
    return folder


def soak(project: Path, provider: Chaos, runs: int) -> tuple[list[dict[str, int]], Counter[str], list[str], float]:
    model = {"model.name": "openai/gpt-4o-mini", "model.base_url": provider.url}
    runner = Runner(load(project, CAPS | model))
    samples: list[dict[str, int]] = []
    outcomes: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(runs):
        streamed = "true" if number % 2 else "false"
        runner.settings = load(project, CAPS | model | {"model.stream": streamed})
        outcomes[runner.answer(QUESTION, write=number % 10 == 0, fresh=True).outcome] += 1
        provider.requests.clear()
        gc.collect()
        samples.append(sample())
    seconds = time.monotonic() - began
    reports = [audit(runner.engine, row["run"]) for row in list_runs(runner.engine, limit=runs + 1)]
    broken = [report.run for report in reports if not report.ok]
    if len(reports) != runs:
        broken.append(f"{runs - len(reports)} runs are missing")
    runner.close()
    return samples, outcomes, broken, seconds


def sample() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    handles = len(os.listdir("/proc/self/fd"))
    return {"kB": pages * os.sysconf("SC_PAGE_SIZE") // 1024, "threads": threading.active_count(), "handles": handles}


def report(samples: list[dict[str, int]], outcomes: Counter[str], broken: list[str], seconds: float) -> list[str]:
    """Print the table; returns what is not flat."""
    warm = min(WARM, len(samples) // 3)
    span = max(1, min(25, (len(samples) - warm) // 2))
    print(f"{len(samples)} runs in {seconds:.0f} s: " + ", ".join(f"{n} {name}" for name, n in outcomes.most_common()))
    print(f"journals: {'all verify' if not broken else 'BROKEN: ' + ', '.join(broken)}\n")
    print(f"| after each run, median of {span} | runs {warm + 1} on | last | ratio | most |\n|---|---|---|---|---|")
    found = ["a journal is broken or missing"] if broken else []
    for name in ("kB", "threads", "handles"):
        early = statistics.median(s[name] for s in samples[warm : warm + span])
        late = statistics.median(s[name] for s in samples[-span:])
        print(f"| {name} | {early:,.0f} | {late:,.0f} | {late / early:.3f} | {max(s[name] for s in samples):,} |")
        if late > early * GROWTH + (0 if name == "kB" else 3):  # a few calls that were left behind may still be ending
            found.append(f"{name} grew from {early:,.0f} to {late:,.0f}")
    return found


if __name__ == "__main__":
    main()
