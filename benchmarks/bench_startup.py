"""How late the first answer comes: `run_crew` against a bare CrewAI crew of three agents with an instant model.

    uv run python benchmarks/bench_startup.py [--pairs 7]

Whole processes, same environment, bytecode compiled, index built; in turn, A B A B …; medians and the ratio by pair.
Also the light commands, which must not import CrewAI.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.metadata
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SITE = Path(sysconfig.get_paths()["purelib"])
SCRIPTS = Path(sys.executable).parent
OURS = [str(SCRIPTS / "run_crew")]
BARE = [sys.executable, str(ROOT / "benchmarks/bare_crew.py")]
ANEW = {"PILOTAGE_CACHE_ANSWERS": "false"}  # a run, not the answer of an earlier one
LIGHT = {"--help": ["--help"], "sessions": ["sessions"], "show last": ["show", "last"], "audit last": ["audit", "last"]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=7)
    pairs = options.parse_args().pairs
    compileall.compile_dir(SITE, quiet=2, workers=0)
    compileall.compile_dir(ROOT / "src", quiet=2)
    for command in (OURS, BARE):  # build the index, warm the disk
        first_answer(command)
    ours, bare, again = [], [], []
    for _ in range(pairs):
        ours.append(first_answer(OURS, ANEW)[0])
        again.append(first_answer(OURS)[0])
        bare.append(first_answer(BARE)[1])
    packages = list(importlib.metadata.distributions())
    size = sum(file.stat().st_size for file in SITE.rglob("*") if file.is_file() and file.suffix != ".pyc")
    print(f"environment: {len(packages)} packages, {size / 1e9:.1f} GB without bytecode\n")
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    print(f"| whole processes, {pairs} pairs | median s | min | max |\n|---|---|---|---|")
    row("run_crew, first answer", ours)
    row("bare CrewAI crew, end", bare)
    row("ratio", ratios)
    row("run_crew, answered before", again)
    for name, arguments in LIGHT.items():
        row(f"pilotage {name}", [first_answer([str(SCRIPTS / "pilotage"), *arguments])[1] for _ in range(pairs)])


def first_answer(command: list[str], more: dict[str, str] | None = None) -> tuple[float, float]:
    """Seconds from the start of a process to its first byte on stdout, and to its end."""
    began = time.perf_counter()
    environment = os.environ | (more or {})
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.read(1)
    first = time.perf_counter() - began
    process.stdout.read()
    process.wait()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return first, time.perf_counter() - began


def row(name: str, values: list[float]) -> None:
    print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |", flush=True)


if __name__ == "__main__":
    main()
