"""The index of a knowledge folder in a SQLite file: which files were read, their passages, sentences and vectors.

One file serves several folders: rows are keyed by folder, and each folder has a full-text table of its own, so that
what is rare is judged within the folder. Vectors are keyed by the sentence's digest and shared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path

from pilotage.errors import StoreError
from pilotage.evidence.passages import Passage
from pilotage.evidence.terms import TOKENIZER

FORMAT = "3"  # of the tables and of how documents are cut; another one and all but the vectors is built again
BUSY_SECONDS = 60

_TABLES = """
create table if not exists meta(key text primary key, value text) without rowid;
create table if not exists folder(id integer primary key, path text unique, version integer not null default 0,
    embedded integer not null default -1, sentences integer not null default 0, passages integer not null default 0);
create table if not exists file(id integer primary key, folder integer not null, path text not null, size integer,
    mtime integer, sha text, title text, warning text not null default '', unique(folder, path));
create table if not exists passage(id integer primary key autoincrement, folder integer not null,
    file integer not null, source text not null, heading text, text text, first_line integer, last_line integer,
    place text not null default '', unique(folder, source));
create index if not exists passage_file on passage(file);
create table if not exists sentence(id integer primary key autoincrement, passage integer not null, start integer,
    stop integer, digest blob not null);
create index if not exists sentence_passage on sentence(passage);
create table if not exists embedding(id integer primary key, digest blob not null unique, row blob);
"""
_DERIVED = ("folder", "file", "passage", "sentence")


class Index:
    """A connection to the index, bound to one folder. Every failure of SQLite becomes a StoreError."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        with self._failing():
            self.db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with self._failing():
                self._prepare()
        except StoreError:
            self.db.close()
            raise

    def _prepare(self) -> None:
        self.db.execute("pragma journal_mode=wal")
        self.db.execute("pragma synchronous=normal")
        self.db.execute("pragma cache_size=-64000")
        self.db.execute("pragma mmap_size=1073741824")
        if self.meta("format") != FORMAT:
            with self.transaction():
                if self.meta("format") != FORMAT:
                    self._build()
        row = self.db.execute("select id from folder where path = ?", (str(self.folder),)).fetchone()
        self.key = int(row[0]) if row else self._new_folder()
        self.fts, self.vocabulary = f"words_{self.key}", f"vocabulary_{self.key}"
        # In the connection's own temp schema: the vocabulary is a view on the full-text table and holds nothing.
        self.db.execute(f"create virtual table temp.{self.vocabulary} using fts5vocab(main, {self.fts}, row)")

    def _build(self) -> None:
        tables = [row[0] for row in self.db.execute("select name from sqlite_master where type = 'table'")]
        for name in tables:
            if name in _DERIVED or (name.startswith("words_") and name.count("_") == 1):
                self.db.execute(f"drop table {name}")
        for statement in _TABLES.split(";"):
            self.db.execute(statement)
        self.db.execute("delete from meta where key = 'identity'")
        self.db.execute("insert or replace into meta values('format', ?)", (FORMAT,))

    def _new_folder(self) -> int:
        with self.transaction():
            self.db.execute("insert or ignore into folder(path) values(?)", (str(self.folder),))
            key = int(self.db.execute("select id from folder where path = ?", (str(self.folder),)).fetchone()[0])
            self.db.execute(
                f'create virtual table if not exists words_{key} using fts5(name, body, tokenize="{TOKENIZER}")'
            )
        return key

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, with the write lock from the start: no deadlock between processes."""
        with self._failing():
            self.db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self.db.execute("rollback")
                raise
            self.db.execute("commit")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"the knowledge index {self.path} cannot be used: {error}",
                hint="the folder must be writable; the index may be deleted, it is built again",
            ) from None

    def meta(self, key: str) -> str | None:
        try:
            row = self.db.execute("select value from meta where key = ?", (key,)).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
        return str(row[0]) if row else None

    def set_meta(self, key: str, value: str) -> None:
        with self.transaction():
            self.db.execute("insert or replace into meta values(?, ?)", (key, value))

    @property
    def identity(self) -> str:
        """Another one for each index that is built from nothing: versions of two of them are not the same documents."""
        if (found := self.meta("identity")) is None:
            with self.transaction():
                self.db.execute("insert or ignore into meta values('identity', lower(hex(randomblob(8))))")
            found = self.meta("identity")
        return str(found)

    def state(self) -> tuple[int, int, int, int]:
        """Version of the folder's sentences, the version whose vectors are all there, sentences, passages."""
        row = self.db.execute(
            "select version, embedded, sentences, passages from folder where id = ?", (self.key,)
        ).fetchone()
        return (int(row[0]), int(row[1]), int(row[2]), int(row[3]))

    def passages(self, ids: list[int]) -> dict[int, Passage]:
        """Passages by id; an id that is gone is left out."""
        found = {}
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            rows = self.db.execute(f"{_SELECT} where p.id in ({','.join('?' * len(part))})", part)
            found.update({row[0]: Passage(*row[1:]) for row in rows})
        return found

    def by_source(self, source: str) -> Passage | None:
        row = self.db.execute(f"{_SELECT} where p.folder = ? and p.source = ?", (self.key, source)).fetchone()
        return Passage(*row[1:]) if row else None

    def stamp(self, path: str) -> tuple[int, int] | None:
        """Size and time of change (nanoseconds) of a file as it was read; None when there is none."""
        found = self.db.execute("select size, mtime from file where folder = ? and path = ?", (self.key, path))
        row: tuple[int, int] | None = found.fetchone()
        return row

    def spans(self, ids: list[int]) -> dict[int, list[tuple[int, int, int]]]:
        """For each passage its sentences in order: id, start, stop."""
        found: dict[int, list[tuple[int, int, int]]] = {number: [] for number in ids}
        rows = self.db.execute(
            f"select passage, id, start, stop from sentence where passage in ({','.join('?' * len(ids))}) order by id",
            ids,
        )
        for passage, number, start, stop in rows:
            found[passage].append((number, start, stop))
        return found

    def homes(self, sentences: list[int]) -> dict[int, int]:
        """The passage of each sentence that is still there, in this folder."""
        rows = self.db.execute(
            "select s.id, p.id from sentence s cross join passage p on p.id = s.passage "
            f"where s.id in ({','.join('?' * len(sentences))}) and p.folder = ?",
            [*sentences, self.key],
        )
        return dict(rows.fetchall())

    def files(self, allowed: Callable[[str], bool]) -> list[int]:
        """The files whose path is allowed."""
        rows = self.db.execute("select id, path from file where folder = ?", (self.key,))
        return [number for number, path in rows if allowed(path)]

    def sentences(self, files: list[int]) -> list[int]:
        """The sentences of these files, in order."""
        rows = self.db.execute(
            f"select s.id from sentence s where s.passage in ({_OF_FILES}) order by s.id", (dumps(files),)
        )
        return [int(number) for (number,) in rows]

    def matching(self, words: list[str], limit: int, files: list[int] | None = None) -> list[tuple[int, float]]:
        """Passages with any of the words, of these files alone when they are given, best BM25 first."""
        query = " OR ".join(f'"{word}"' for word in words)  # words are letters and digits: nothing to escape
        only = "" if files is None else f"and rowid in ({_OF_FILES}) "
        rows = self.db.execute(
            f"select rowid, rank from {self.fts} where {self.fts} match ? and rank match 'bm25(0.5, 1.0)' {only}"
            "order by rank limit ?",
            (query, limit) if files is None else (query, dumps(files), limit),
        )
        found = [(int(number), -float(score)) for number, score in rows]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def frequency(self, stem: str) -> int:
        """How many passages have the word."""
        row = self.db.execute(f"select doc from temp.{self.vocabulary} where term = ?", (stem,)).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self.db.close()


_OF_FILES = "select id from passage where file in (select value from json_each(?))"
_SELECT = (
    "select p.id, p.source, f.path, f.title, p.heading, p.text, p.first_line, p.last_line, p.place "
    "from passage p join file f on f.id = p.file"
)
