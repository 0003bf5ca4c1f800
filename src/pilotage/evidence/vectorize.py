"""Giving vectors to the sentences that have none, and keeping the mapped file beside the index up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pilotage.evidence import vectors
from pilotage.evidence.embedder import Embedder
from pilotage.evidence.index import Index
from pilotage.evidence.sync import embedding_text
from pilotage.evidence.terms import is_foreign

CHUNK = 64  # sentences embedded and stored at a time: a fraction of a second, so that it can be stopped
SAMPLE = 3000  # characters of a file that tell its language

# "cross join" keeps SQLite's order of the tables: sentences first, by their id.
_MISSING = (
    "from sentence s cross join passage p on p.id = s.passage where p.folder = ? and s.id > ? "
    "and not exists (select 1 from embedding v where v.digest = s.digest)"
)
_ROWS = (
    "from sentence s cross join passage p on p.id = s.passage cross join embedding v on v.digest = s.digest "
    "where p.folder = ? and v.row is not null"
)


def mapped_path(index: Index) -> Path:
    """Where the folder's vectors lie: `knowledge.sqlite.1.vectors`."""
    return index.path.with_name(f"{index.path.name}.{index.key}.vectors")


def missing(index: Index, at_most: int = -1) -> int:
    """How many sentences have no vector yet; counting ends at `at_most` when it is given."""
    version, embedded, _, _ = index.state()
    if version == embedded:
        return 0
    row = index.db.execute(f"select count(*) from (select 1 {_MISSING} limit ?)", (index.key, 0, at_most)).fetchone()
    return int(row[0])


def embed_missing(
    index: Index,
    embedder: Embedder,
    budget: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Embed until nothing is left, `budget` seconds are gone or `stop` is set; how many sentences are left."""
    started, done, written, cursor = time.monotonic(), 0, 0, 0
    version = index.state()[0]
    left = total = missing(index)
    english: dict[int, bool] = {}
    while left > 0 and (budget is None or time.monotonic() - started < budget):
        if stop is not None and stop.is_set():
            return left
        rows = index.db.execute(
            f"select s.id, s.digest, substr(p.text, s.start + 1, s.stop - s.start), p.file {_MISSING} "
            "order by s.id limit ?",
            (index.key, cursor, CHUNK),
        ).fetchall()
        if not rows:
            break
        _embed_rows(index, embedder, rows, english)
        cursor = rows[-1][0]
        done += len(rows)
        left = max(0, total - done)
        if progress:
            progress("embedding sentences", done, total)
        if done > 2 * max(written, 10_000):  # rarely, as the whole file is written anew
            refresh(index)
            written = done
    left = missing(index)
    if left == 0:
        with index.transaction():
            index.db.execute(
                "update folder set embedded = ? where id = ? and version = ?", (version, index.key, version)
            )
    refresh(index)
    return left


def refresh(index: Index) -> None:
    """Write the mapped file when it is not the current one."""
    version, embedded, _, _ = index.state()
    path = mapped_path(index)
    present = vectors.Vectors.open(path)
    if present and version == embedded == present.version:
        return
    index.db.execute("begin")  # one view of the index for both reads
    try:
        count = int(index.db.execute(f"select count(*) {_ROWS}", (index.key,)).fetchone()[0])
        if present is None or len(present) != count or version == embedded:
            vectors.write(path, _pairs(index), count, version if version == embedded else -1)
    finally:
        index.db.execute("commit")


def _pairs(index: Index) -> Iterator[tuple[int, bytes]]:
    yield from index.db.execute(f"select s.id, v.row {_ROWS} order by s.id", (index.key,))


def _embed_rows(
    index: Index, embedder: Embedder, rows: list[tuple[int, bytes, str, int]], english: dict[int, bool]
) -> None:
    texts: dict[bytes, str] = {}
    foreign: list[bytes] = []
    for _, digest, text, file in rows:
        if file not in english:
            english[file] = embedder.knows(_sample(index, file))
        if english[file] and not is_foreign(text):
            texts[digest] = embedding_text(text)
        else:
            foreign.append(digest)
    pairs: list[tuple[bytes, bytes | None]] = [(digest, None) for digest in foreign]
    if texts:
        made = embedder.embed(list(texts.values()))
        pairs += [(digest, row.tobytes()) for digest, row in zip(texts, made, strict=True)]
    with index.transaction():
        index.db.executemany("insert or ignore into embedding(digest, row) values(?, ?)", pairs)


def _sample(index: Index, file: int) -> str:
    text = ""
    for (part,) in index.db.execute("select text from passage where file = ? order by id", (file,)):
        text += part + "\n"
        if len(text) > SAMPLE:
            break
    return text[:SAMPLE]


def current(index: Index) -> bool:
    """Whether every sentence has its vector and the mapped file holds them all."""
    version, embedded, _, _ = index.state()
    present = vectors.Vectors.open(mapped_path(index)) if version == embedded else None
    return present is not None and present.version == version
