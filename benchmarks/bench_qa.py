"""The built-in reader through the whole crew, on questions whose answer stands in one paragraph of one document.

    uv run python benchmarks/bench_qa.py --data DIR [--sample N]

DIR holds docs/*.md and questions.jsonl (id, question, answer, paragraph, document), e.g. XQuAD (en), CC BY-SA 4.0,
github.com/google-deepmind/xquad. Three folders are asked: all documents; the question's own document removed; its
document kept and the one paragraph removed. Every question is a full crew run with its journal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotage.checks.verbatim import normalise
from pilotage.outcome import Result
from pilotage.run import Runner
from pilotage.settings import Settings, load

ROOT = Path(__file__).parent.parent
Row = dict[str, Any]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--sample", type=int, help="ask only so many questions, drawn with a fixed seed")
    options.add_argument("--misses", action="store_true", help="name the questions that were not answered right")
    given = options.parse_args()
    rows = [json.loads(line) for line in (given.data / "questions.jsonl").read_text("utf-8").splitlines()]
    asked = random.Random(1).sample(rows, given.sample) if given.sample else rows
    with workshop(given.data) as (settings, folder):
        print(f"data: {given.data.name}, sha256 {digest(given.data)[:16]}, {len(asked)} of {len(rows)} questions\n")
        print("| folder | questions | right | unanswered | other | quotes, characters | s a question, median | p95 |")
        print("|---|---|---|---|---|---|---|---|")
        report("all documents", ask(settings, folder, asked, whole), given.misses)
        report("own document removed", ask(settings, folder, asked, without_document), False)
        report("own paragraph removed", ask(settings, folder, asked, without_paragraph), False)


@contextmanager
def workshop(data: Path, overrides: Mapping[str, str] | None = None) -> Iterator[tuple[Settings, Path]]:
    """A project of its own in a temporary folder, and a place to copy documents to."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.copytree(ROOT / "config", root / "config")
        shutil.copytree(data / "docs", root / "docs")
        yield load(root, overrides), root / "docs"


Variant = Callable[[Row, Path], Path]


def whole(_row: Row, docs: Path) -> Path:
    return docs


def without_document(row: Row, docs: Path) -> Path:
    """A copy of the folder without the question's document."""
    copy = docs.parent / "without" / home(row, docs).stem
    if not copy.exists():
        shutil.copytree(docs, copy, ignore=shutil.ignore_patterns(home(row, docs).name))
    return copy


def without_paragraph(row: Row, docs: Path) -> Path:
    """A copy of the folder whose document lacks the paragraph that holds the answer."""
    copy = docs.parent / "lacking" / hashlib.sha256(row["paragraph"].encode()).hexdigest()[:12]
    if not copy.exists():
        shutil.copytree(docs, copy)
        file = copy / home(row, docs).name
        file.write_text(file.read_text("utf-8").replace(row["paragraph"], ""), "utf-8")
    return copy


def home(row: Row, docs: Path) -> Path:
    """The file that holds the question's paragraph."""
    return next(file for file in sorted(docs.glob("*.md")) if row["paragraph"] in file.read_text("utf-8"))


def ask(settings: Settings, docs: Path, rows: list[Row], variant: Variant) -> list[tuple[Row, Result, float]]:
    """Each question as a crew run on its folder; seconds are those of the whole run, opening the folder aside."""
    groups: dict[Path, list[Row]] = {}
    for row in rows:
        groups.setdefault(variant(row, docs), []).append(row)
    answers = []
    for folder, group in groups.items():
        runner = Runner(settings, knowledge=folder)
        for row in group:
            began = time.perf_counter()
            result = runner.answer(row["question"], write=False, fresh=True)
            answers.append((row, result, time.perf_counter() - began))
        runner.close()
    return answers


def report(name: str, answers: list[tuple[Row, Result, float]], misses: bool) -> None:
    count = len(answers)
    right = [row for row, result, _ in answers if holds(row, result)]
    unanswered = sum(result.outcome == "unanswered" for _, result, _ in answers)
    accepted = sum(result.outcome == "accepted" for _, result, _ in answers)
    lengths = [sum(len(c["quote"]) for c in result.citations) for _, result, _ in answers if result.citations]
    seconds = sorted(s for _, _, s in answers)
    print(
        f"| {name} | {count} | {len(right) / count:.1%} | {unanswered / count:.1%} | {count - unanswered - accepted} "
        f"| at most {max(lengths, default=0)}, median {statistics.median(lengths or [0]):.0f} "
        f"| {statistics.median(seconds):.3f} | {seconds[int(0.95 * (count - 1))]:.3f} |",
        flush=True,
    )
    if misses:
        for row, result, _ in answers:
            if not holds(row, result):
                print(json.dumps({"question": row["question"], "answer": row["answer"], "outcome": result.outcome}))


def holds(row: Row, result: Result) -> bool:
    """The gold answer stands inside the quotes: at most two, together at most 450 characters."""
    quotes = [c["quote"] for c in result.citations]
    if len(quotes) > 2 or sum(map(len, quotes)) > 450:
        return False
    return any(normalise(row["answer"]) in normalise(quote) for quote in quotes)


def digest(data: Path) -> str:
    files = [data / "questions.jsonl", *sorted((data / "docs").glob("*.md"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    main()
