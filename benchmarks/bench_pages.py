"""Reading pages: how much of the article is found, how much else comes with it, and how long it takes.

    uv run python benchmarks/bench_pages.py --data DIR [--misses]

DIR holds ground-truth.json ({id: {"articleBody", "url"}}) and html/<id>.html.gz, e.g. a half of
github.com/scrapinghub/article-extraction-benchmark (MIT). The measure is that benchmark's: shingles of four words,
precision and recall averaged over pages, F1 of the two averages. All readers read each page in turn, so that a noisy
machine is noisy for all. Exit 1 when our own reader falls below FLOOR.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import logging
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from bs4 import BeautifulSoup

from pilotage.errors import ToolError
from pilotage.reading import furniture
from pilotage.reading.page import read
from pilotage.spec import WebSpec

FLOOR = 0.92
SHINGLE = 4
SOURCE = "github.com/scrapinghub/article-extraction-benchmark, MIT"

Shares = tuple[float | None, float | None]  # precision and recall of a page, None where there is nothing to count
Reader = Callable[[bytes, str], str]


@dataclass
class Row:
    """A reader and what it did; `read` is None when its package is not installed."""

    name: str
    read: Reader | None
    shares: dict[str, Shares] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--misses", action="store_true", help="name the pages that our own reader reads worst")
    given = options.parse_args()
    truth = json.loads((given.data / "ground-truth.json").read_text("utf-8"))
    rows = readers()
    for page, entry in truth.items():
        body = gzip.decompress((given.data / "html" / f"{page}.html.gz").read_bytes())
        for row in rows:
            measure(row, page, body, entry)
    print(f"data: {SOURCE}, {len(truth)} pages, sha256 {digest(given.data)[:16]}\n")
    print("| reader | F1 | precision | recall | ms a page, median | p95 |\n|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))
    if given.misses:
        tell_misses(rows[0], truth)
    return 0 if average(list(rows[0].shares.values()))[0] >= FLOOR else 1


def readers() -> list[Row]:
    """Ours first; the others as their manuals say."""
    logging.disable(logging.WARNING)
    with_trafilatura = find_spec("trafilatura") is not None
    return [
        Row("pilotage, bs4", ours("bs4")),
        Row("pilotage, bs4, without its list of names", unnamed(ours("bs4"))),
        Row("pilotage, trafilatura", ours("trafilatura") if with_trafilatura else None),
        Row("soup.get_text()", lambda body, _url: BeautifulSoup(body, "lxml").get_text()),
        Row("readability-lxml", readability if find_spec("readability") else None),
        Row("trafilatura", trafilatura if with_trafilatura else None),
    ]


def ours(extractor: str) -> Reader:
    spec = WebSpec.model_validate({"extractor": extractor})

    def read_page(body: bytes, url: str) -> str:
        try:
            return read(body, url, spec=spec).text
        except ToolError:
            return ""

    return read_page


def unnamed(reader: Reader) -> Reader:
    """The same by form alone: no class or id tells it what is a menu, a teaser, a comment."""

    def read_page(body: bytes, url: str) -> str:
        with patch.multiple(furniture, _VOCABULARY=frozenset(), _ALWAYS=frozenset(), _UNSEEN=frozenset()):
            return reader(body, url)

    return read_page


def readability(body: bytes, _url: str) -> str:
    article = import_module("readability").Document(body.decode("utf-8", "replace")).summary()
    return BeautifulSoup(article, "lxml").get_text(" ")


def trafilatura(body: bytes, _url: str) -> str:
    return str(import_module("trafilatura").extract(body, include_comments=False) or "")


def measure(row: Row, page: str, body: bytes, entry: dict[str, str]) -> None:
    if row.read is None:
        return
    began = time.perf_counter()
    text = row.read(body, entry["url"])
    row.seconds.append(time.perf_counter() - began)
    row.shares[page] = shares(entry["articleBody"], text)


def shares(true: str, found: str) -> Shares:
    """Precision and recall of the shingles of a page, each counted as often as it occurs."""
    wanted, given = shingles(true), shingles(found)
    hits = (wanted & given).total()
    precision = hits / given.total() if given else None
    return precision, hits / wanted.total() if wanted else None


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    runs = (tuple(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1)))
    return Counter(run for run in runs if run)


def average(pages: list[Shares]) -> tuple[float, float, float]:
    """F1 of the averages, precision, recall; a page without text has no precision."""
    precision = statistics.mean([share for share, _ in pages if share is not None] or [0.0])
    recall = statistics.mean([share for _, share in pages if share is not None] or [0.0])
    return 2 * precision * recall / ((precision + recall) or 1.0), precision, recall


def line(row: Row) -> str:
    if row.read is None:
        return f"| {row.name} | not installed | | | | |"
    f1, precision, recall = average(list(row.shares.values()))
    seconds = sorted(row.seconds)
    median, late = statistics.median(seconds), seconds[int(0.95 * (len(seconds) - 1))]
    return f"| {row.name} | {f1:.3f} | {precision:.3f} | {recall:.3f} | {1000 * median:.0f} | {1000 * late:.0f} |"


def tell_misses(row: Row, truth: dict[str, dict[str, str]]) -> None:
    worst = sorted(row.shares, key=lambda page: min(share or 0.0 for share in row.shares[page]))[:10]
    for page in worst:
        precision, recall = (share or 0.0 for share in row.shares[page])
        print(json.dumps({"url": truth[page]["url"], "precision": round(precision, 2), "recall": round(recall, 2)}))


def digest(data: Path) -> str:
    files = [data / "ground-truth.json", *sorted((data / "html").glob("*.html.gz"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
