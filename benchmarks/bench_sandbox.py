"""How long a run of an agent's code takes before the code itself does anything: monty, bubblewrap, plain Python.

    uv run python benchmarks/bench_sandbox.py [--runs 200]

Exits with 1 when the median of a warm monty run is 5 ms or more.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from pilotage.sandbox import bubblewrap, monty, run_code
from pilotage.spec import CodeSpec

LIMIT = 5.0  # ms
CODE = "def total(xs):\n    return sum(xs)\n"
TESTS = "def test_total():\n    assert total([1, 2, 3]) == 6\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    runs: int = parser.parse_args().runs
    print("| one function and its test | median ms | p95 ms | runs |\n|---|---|---|---|")
    run_in("monty")  # imports
    row("monty, first run of a pool", first_run, 10)
    run_in("monty")
    warm = row("monty, warm", lambda: run_in("monty"), runs)
    if reason := bubblewrap.missing():
        print(f"| bubblewrap: {reason} | – | – | 0 |")
    else:
        row("bubblewrap", lambda: run_in("bubblewrap"), max(10, runs // 5))
    row("plain python -I -S, no sandbox", plain, max(10, runs // 5))
    if warm >= LIMIT:
        raise SystemExit(f"monty's median of {warm:.1f} ms is not under {LIMIT:g} ms")


def row(name: str, run: Callable[[], None], count: int) -> float:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1000)
    median, late = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
    print(f"| {name} | {median:.2f} | {late:.2f} | {count} |", flush=True)
    return median


def run_in(mode: str) -> None:
    run = run_code(CODE, TESTS, spec=CodeSpec.model_validate({"sandbox": mode}))
    if run.outcome != "passed":
        raise SystemExit(f"{mode}: {run.reason}")


def first_run() -> None:
    monty.close()
    run_in("monty")


def plain() -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", f"{CODE}{TESTS}test_total()"], check=True)


if __name__ == "__main__":
    main()
