"""Measures the search of a knowledge folder by itself: no crew, no model but the sentence vectors.

    python benchmarks/bench_search.py --data ../shared/data/qa            the questions
    python benchmarks/bench_search.py --data ../shared/data/qa --scale    and 10,000 generated documents

Each question has its answer as a string of one paragraph. Three settings: all documents; the question's own document
taken away; only its paragraph taken away. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotage.evidence.choose import choose
from pilotage.evidence.embedder import SIZE
from pilotage.evidence.knowledge import Found, Knowledge

SOURCE = "XQuAD (en), google-deepmind/xquad, CC BY-SA 4.0, development half"
SETTINGS = ("all documents", "own document removed", "own paragraph removed")


@dataclass(frozen=True, slots=True)
class Row:
    """A question, its answer, and the file and paragraph that hold it."""

    question: str
    answer: str
    file: str
    paragraph: str


def load(data: Path) -> tuple[dict[str, str], list[Row]]:
    """The documents by file name, and the questions."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted((data / "docs").glob("*.md"))}
    rows = []
    for line in (data / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        file = next(name for name, text in texts.items() if item["paragraph"] in text)
        rows.append(Row(item["question"], item["answer"], file, item["paragraph"]))
    return texts, rows


def settings(texts: dict[str, str], rows: list[Row], work: Path) -> Iterator[tuple[str, Knowledge, list[Row]]]:
    """Each setting's folders, opened, with the questions that are asked of it. One index serves them all."""
    yield SETTINGS[0], _open(work, "all", texts), rows
    for name in texts:
        kept = {other: text for other, text in texts.items() if other != name}
        yield SETTINGS[1], _open(work, f"document-{name}", kept), [row for row in rows if row.file == name]
    for number, paragraph in enumerate(sorted({row.paragraph for row in rows})):
        kept = {name: text.replace(paragraph, "") for name, text in texts.items()}
        yield SETTINGS[2], _open(work, f"paragraph-{number}", kept), [row for row in rows if row.paragraph == paragraph]


def digest(data: Path) -> str:
    """SHA-256 over the questions and the documents."""
    total = hashlib.sha256((data / "questions.jsonl").read_bytes())
    for path in sorted((data / "docs").glob("*.md")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def answered(row: Row, found: Found) -> bool:
    """Whether the chosen quotes hold the answer."""
    return any(row.answer in hit.quote for hit in choose(found.hits))


def measure(data: Path) -> list[tuple[str, str]]:
    """The figures of the questions, as table rows."""
    texts, rows = load(data)
    right, empty, first, times = 0, dict.fromkeys(SETTINGS, 0), 0, []
    with tempfile.TemporaryDirectory() as work:
        for setting, knowledge, asked in settings(texts, rows, Path(work)):
            for row in asked:
                started = time.perf_counter()
                found = knowledge.search(row.question)
                times.append((time.perf_counter() - started) * 1000)
                empty[setting] += not choose(found.hits)
                if setting == SETTINGS[0]:
                    right += answered(row, found)
                    first += bool(found.hits) and row.answer in found.hits[0].quote
            knowledge.close()
    count = len(rows)
    return [
        ("data", f"{SOURCE}; {count} questions, {len(texts)} documents, sha256 {digest(data)}"),
        ("answer within the chosen quotes (two, 450 characters)", _share(right, count)),
        ("answer within the best hit, nothing withheld", _share(first, count)),
        ("withheld, though the answer is there", _share(empty[SETTINGS[0]], count)),
        ("own document removed: withheld", _share(empty[SETTINGS[1]], count)),
        ("own paragraph removed: withheld", _share(empty[SETTINGS[2]], count)),
        ("search", _spread(times)),
    ]


def scale(data: Path, documents: int = 10_000, words: int = 500) -> list[tuple[str, str]]:
    """Generated documents from the data's words, with random unit vectors; indexing and search times."""
    texts, rows = load(data)
    chance = random.Random(1)
    pool = [word for text in texts.values() for word in text.split() if word.isalpha()]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "documents")
        for number in range(documents):
            path = folder / f"{number // 100:03}" / f"{number:05}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_document(chance, pool, words, f"Document {number}"), encoding="utf-8")
        started = time.perf_counter()
        knowledge = Knowledge.open(folder, Path(work, "index.db"))
        indexing = time.perf_counter() - started
        started = time.perf_counter()
        Knowledge.open(folder, Path(work, "index.db")).close()
        again = time.perf_counter() - started
        before = [_timed(knowledge, row.question) for row in rows[:200]]
        sentences = _random_vectors(knowledge)
        after = [_timed(knowledge, row.question) for row in rows[:200]]
        knowledge.close()
    return [
        (f"{documents:,} documents of {words} words: full text ready", f"{indexing:.1f} s"),
        ("opened again, nothing changed", f"{again:.2f} s"),
        (f"search, {sentences:,} sentences, full text alone", _spread(before[20:])),
        (f"search, {sentences:,} sentences, full text and vectors", _spread(after[20:])),
    ]


def _open(work: Path, name: str, texts: dict[str, str]) -> Knowledge:
    folder = work / name
    folder.mkdir()
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return Knowledge.open(folder, work / "index.db")


def _document(chance: random.Random, pool: list[str], words: int, title: str) -> str:
    sentences = [" ".join(chance.choices(pool, k=20)).capitalize() + "." for _ in range(words // 20)]
    paragraphs = [" ".join(sentences[start : start + 5]) for start in range(0, len(sentences), 5)]
    return f"# {title}\n\n" + "\n\n".join(paragraphs) + "\n"


class _Random:
    """Stands in for the model where only the time of the search is measured."""

    def knows(self, text: str) -> bool:
        return True

    def embed(self, texts: list[str], done: object = None) -> NDArray[np.float32]:
        rows = np.random.default_rng(1).standard_normal((len(texts), SIZE), dtype=np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _random_vectors(knowledge: Knowledge) -> int:
    real, knowledge._embedder = knowledge._embedder, _Random()  # type: ignore[assignment]
    knowledge.embed_missing()
    knowledge._embedder = real
    return knowledge._index.state()[2]


def _timed(knowledge: Knowledge, question: str) -> float:
    started = time.perf_counter()
    knowledge.search(question)
    return (time.perf_counter() - started) * 1000


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} ({part} of {whole})"


def _spread(times: list[float]) -> str:
    return f"median {statistics.median(times):.1f} ms, p95 {sorted(times)[int(len(times) * 0.95)]:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with docs/ and questions.jsonl")
    parser.add_argument("--scale", action="store_true", help="also index 10,000 generated documents")
    options = parser.parse_args()
    figures = measure(options.data) + (scale(options.data) if options.scale else [])
    print("| what | figure |\n|---|---|")
    for what, figure in figures:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
