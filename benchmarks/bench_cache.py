"""Measures the exact cache: the time from a known key to the recorded call, and that of keeping one.

    python benchmarks/bench_cache.py                    10,000 and 100,000 entries
    python benchmarks/bench_cache.py --check            fails when the median hit takes 1 ms or more

Keys are asked in random order, each answer some 1,200 characters. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pilotage.cache.calls import CallCache
from pilotage.cache.store import Store
from pilotage.record.redact import Redactor
from pilotage.tape.tape import Recorded

SIZES = (10_000, 100_000)
HITS = 2_000
PUTS = 500
MOST = 1.0  # milliseconds of a median hit
WORDS = ["the", "door", "owns", "retries", "because", "nested", "ones", "multiply", "what", "a", "fault", "costs"]


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def call(number: int) -> Recorded:
    rng = random.Random(number)
    findings = [{"claim": " ".join(rng.choices(WORDS, k=30)), "quote": "q", "source": "a.md#1"} for _ in range(6)]
    return Recorded("20261123-084501-3f9a2c", number, "research", "researcher", key(number), json.dumps(findings))


def timed(action: Callable[[int], object], numbers: Sequence[int]) -> list[float]:
    """Milliseconds of each."""
    took = []
    for number in numbers:
        started = time.perf_counter()
        action(number)
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


def measure(size: int, folder: Path) -> Iterator[tuple[str, list[float]]]:
    path = folder / f"{size}.sqlite"
    store = Store(path, 10_000, Redactor({}))
    cache = CallCache(store, 7)
    for number in range(size):
        cache.put(key(number), call(number))
    store.close()
    store = Store(path, 10_000, Redactor({}))  # as a new process finds it
    cache = CallCache(store, 7)
    numbers = random.Random(0).choices(range(size), k=HITS)
    assert all(cache.get(key(number)) == call(number) for number in numbers[:20])
    yield "hit", timed(lambda number: cache.get(key(number)), numbers)
    yield "miss", timed(lambda number: cache.get(key(-number - 1)), numbers)
    yield "keep", timed(lambda number: cache.put(key(number), call(number)), range(size, size + PUTS))
    store.close()
    full = Store(path, path.stat().st_size / 1_000_000, Redactor({}))  # from here on each puts another one out
    cache = CallCache(full, 7)
    yield "keep, full", timed(lambda number: cache.put(key(number), call(number)), range(-PUTS, 0))
    full.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="*", default=SIZES)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    slow = []
    print("| entries | what | p50 ms | p95 ms | p99 ms |\n|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.entries:
            for what, took in measure(size, Path(folder)):
                median = statistics.median(took)
                p95, p99 = (took[int(len(took) * share)] for share in (0.95, 0.99))
                print(f"| {size:,} | {what} | {median:.3f} | {p95:.3f} | {p99:.3f} |", flush=True)
                if what == "hit" and median >= MOST:
                    slow.append(f"{size:,} entries: a hit takes {median:.3f} ms against {MOST} ms")
    print("\n".join(slow), file=sys.stderr, end="\n" if slow else "")
    return 1 if options.check and slow else 0


if __name__ == "__main__":
    sys.exit(main())
