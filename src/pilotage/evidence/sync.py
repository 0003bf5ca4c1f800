"""Bringing the index up to date with the folder: what is new or changed is read, what is gone is forgotten."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pilotage.errors import ConfigError
from pilotage.evidence.index import Index
from pilotage.evidence.passages import Cut, cut
from pilotage.evidence.terms import column, plain
from pilotage.reading.documents import READERS

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

LARGEST = 20_000_000  # bytes of a file; a longer one is a data file rather than a document
BATCH = 64  # files in a transaction
CUTS = 20_000  # passages in memory, about: a table has one for each row
HINT = "set evidence.knowledge in config/pilotage.yaml or use --knowledge"


@dataclass(slots=True)
class _File:
    """A file as it was found, and what reading it gave; `warning` says why not, or what was left out."""

    path: str
    size: int
    mtime: int
    sha: str = ""
    title: str = ""
    warning: str = ""
    cuts: list[Cut] = field(default_factory=list)


def sync(index: Index, progress: Progress | None = None) -> list[str]:
    """Update the index; the files that were skipped or not read to their end, a line for each.

    ConfigError when nothing can be read.
    """
    found = {file.path: file for file in _scan(index.folder)}
    known = {
        path: (size, mtime)
        for path, size, mtime in index.db.execute("select path, size, mtime from file where folder = ?", (index.key,))
    }
    gone = sorted(set(known) - set(found))
    if gone:
        with index.transaction():
            for path in gone:
                _forget(index, path)
            _count(index)
    changed = [file for path, file in found.items() if known.get(path) != (file.size, file.mtime)]
    done = 0
    for batch in _batches(index.folder, changed):
        _store(index, batch)
        done += len(batch)
        if progress:
            progress("reading documents", done, len(changed))
    rows = index.db.execute(
        "select path, warning, exists(select 1 from passage p where p.file = file.id) from file "
        "where folder = ? and warning != '' order by path",
        (index.key,),
    )
    warnings = [f"{path}: {warning}" if was_read else f"skipped {path}: {warning}" for path, warning, was_read in rows]
    if index.state()[3] == 0:
        because = f" ({warnings[0]})" if warnings else f" ({', '.join(READERS)})"
        raise ConfigError(f"no readable document in the knowledge folder {index.folder}{because}", hint=HINT)
    return warnings


def add(index: Index, path: str, title: str, cuts: list[Cut]) -> None:
    """Store passages that come from no file of the folder, such as a page's; an earlier `path` is replaced."""
    with index.transaction():
        _forget(index, path)
        _add(index, _File(path, 0, -1, title=title, cuts=cuts))
        _count(index)


def check_folder(folder: Path) -> Path:
    """The folder's absolute path; ConfigError when it is not there or no folder."""
    if not folder.exists():
        raise ConfigError(f"the knowledge folder {folder} does not exist", hint=HINT)
    if not folder.is_dir():
        raise ConfigError(f"the knowledge folder {folder} is a file, not a folder", hint=HINT)
    return folder.resolve()


def embedding_text(text: str) -> str:
    """A sentence as the embedder sees it: without link targets and runs of spaces."""
    return " ".join(plain(text).split())


def _scan(folder: Path) -> Iterator[_File]:
    """Files with a reader, by path. Passed over: hidden ones, lock files of Office, links that leave the folder."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(base, name)
            if name.startswith((".", "~$")) or path.suffix.lower() not in READERS:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(folder):
                continue
            try:
                stat = path.stat()
            except OSError:
                continue
            yield _File(path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns)


def _batches(folder: Path, files: list[_File]) -> Iterator[list[_File]]:
    """The files, read, as many at a time as memory allows."""
    batch: list[_File] = []
    for file in files:
        batch.append(_read(folder, file))
        if file is files[-1] or len(batch) == BATCH or sum(len(read.cuts) for read in batch) >= CUTS:
            yield batch
            for stored in batch:
                stored.cuts = []
            batch = []


def _read(folder: Path, file: _File) -> _File:
    path = folder / file.path
    try:
        if file.size > LARGEST:
            raise ValueError(f"too large, {file.size:,} bytes against {LARGEST:,}")
        file.sha = hashlib.sha256(path.read_bytes()).hexdigest()
        document = READERS[path.suffix.lower()](path)
        file.title = document.title
        file.cuts = cut(document, file.path)
        if not file.cuts:
            raise ValueError("empty")
        file.warning = document.note
    except ValueError as error:
        file.warning = str(error)
    except OSError as error:
        file.warning, file.mtime = error.strerror or str(error), -1  # tried again next time
    return file


def _store(index: Index, files: list[_File]) -> None:
    with index.transaction():
        for file in files:
            row = index.db.execute(
                "select sha, warning from file where folder = ? and path = ?", (index.key, file.path)
            ).fetchone()
            if row == (file.sha, file.warning):  # only touched, or stored by another process meanwhile
                index.db.execute(
                    "update file set size = ?, mtime = ? where folder = ? and path = ?",
                    (file.size, file.mtime, index.key, file.path),
                )
                continue
            _forget(index, file.path)
            _add(index, file)
        _count(index)


def _add(index: Index, file: _File) -> None:
    db, values = index.db, (index.key, file.path, file.size, file.mtime, file.sha, file.title, file.warning)
    number = db.execute(
        "insert into file(folder, path, size, mtime, sha, title, warning) values(?, ?, ?, ?, ?, ?, ?)", values
    ).lastrowid
    for piece in file.cuts:
        p = piece.passage
        key = db.execute(
            "insert into passage(folder, file, source, heading, text, first_line, last_line, place) "
            "values(?, ?, ?, ?, ?, ?, ?, ?)",
            (index.key, number, p.source, p.heading, p.text, p.first_line, p.last_line, p.place),
        ).lastrowid
        name = column(f"{p.title} {p.heading}")
        db.execute(f"insert into {index.fts}(rowid, name, body) values(?, ?, ?)", (key, name, column(p.text)))
        db.executemany(
            "insert into sentence(passage, start, stop, digest) values(?, ?, ?, ?)",
            ((key, start, stop, _digest(p.text[start:stop])) for start, stop in piece.spans),
        )


def _forget(index: Index, path: str) -> None:
    row = index.db.execute("select id from file where folder = ? and path = ?", (index.key, path)).fetchone()
    if not row:
        return
    mine = "(select id from passage where file = ?)"
    index.db.execute(f"delete from {index.fts} where rowid in {mine}", row)
    index.db.execute(f"delete from sentence where passage in {mine}", row)
    index.db.execute("delete from passage where file = ?", row)
    index.db.execute("delete from file where id = ?", row)


def _count(index: Index) -> None:
    index.db.execute(
        "update folder set version = version + 1, passages = (select count(*) from passage where folder = :folder), "
        "sentences = (select count(*) from sentence s join passage p on p.id = s.passage where p.folder = :folder) "
        "where id = :folder",
        {"folder": index.key},
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(embedding_text(text).encode()).digest()[:16]
