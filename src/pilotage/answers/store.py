"""The accepted answers of a project in runs/answers.sqlite: a row for each question of a scope, with its vector.

Several processes may read and write it (WAL). A number is never used again, so that a vector's file beside it is at
most incomplete: see nearest.py. Every failure of SQLite is a StoreError; what that means is the caller's to decide.
What is not covered: encryption; whoever may read the folder may read the answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotage.answers.entry import Entry, Source
from pilotage.cache.file import is_broken, is_locked, remove
from pilotage.errors import StoreError
from pilotage.record.store import identity

NAME = "answers.sqlite"
FORMAT = 1  # of the table; a file of another one is begun anew
WAITS = 0.5  # seconds for a lock of another process
LAST = 253_402_300_800.0  # unix seconds, the year 10000: what no calendar has is no time
CLAIM = 120.0  # seconds after which a vectors' file that was begun is taken for abandoned

_TABLES = """
create table if not exists answer(id integer primary key autoincrement, scope text not null, form blob not null,
    question text not null, answer text not null, citations text not null, sources text not null, known text not null,
    edition text not null, run text not null, at real not null, model text not null, usd real, tokens integer not null,
    seconds real not null, hits integer not null default 0, used real, vector blob, unique(scope, form));
create index if not exists answer_of_scope on answer(scope, id);
create index if not exists answer_question on answer(scope, question);
create index if not exists answer_age on answer(at);
create index if not exists answer_run on answer(run);
create table if not exists claim(scope text primary key, since real not null) without rowid;
"""
_FIELDS = (
    "id, scope, question, answer, citations, sources, known, edition, run, at, model, usd, tokens, seconds, hits, used"
)


class Store:
    """The file. Safe from several threads; opened when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def same(self, scope: str, form: str) -> Entry | None:
        """The answer to the question of that normal form."""
        with self._asking() as db:
            row = db.execute(f"select {_FIELDS} from answer where scope = ? and form = ?", (scope, _key(form)))
            return next(iter(_whole(db, row)), None)

    def literal(self, scope: str, question: str) -> Entry | None:
        """The answer to the question as it was asked, letter by letter."""
        with self._asking() as db:
            wanted = f"select {_FIELDS} from answer where scope = ? and question = ? order by id desc limit 1"
            return next(iter(_whole(db, db.execute(wanted, (scope, question)))), None)

    def entries(self, numbers: Sequence[int]) -> dict[int, Entry]:
        """The entries of these numbers that are still there."""
        marks = ",".join("?" * len(numbers))
        with self._asking() as db:
            rows = db.execute(f"select {_FIELDS} from answer where id in ({marks})", list(numbers))
            return {entry.id: entry for entry in _whole(db, rows)}

    def alive(self, numbers: Sequence[int]) -> set[int]:
        marks = ",".join("?" * len(numbers))
        with self._asking() as db:
            return {row[0] for row in db.execute(f"select id from answer where id in ({marks})", list(numbers))}

    def put(self, entry: Entry, form: str, vector: bytes | None) -> int:
        """Enter an answer in place of the one to the same question; its number."""
        values = (
            entry.scope, _key(form), entry.question, entry.answer, _json(entry.citations),
            _json([[source.source, source.sha] for source in entry.sources]), _json(entry.known), entry.edition,
            entry.run, entry.at, entry.model, entry.usd, entry.tokens, entry.seconds, vector,
        )  # fmt: skip
        with self._writing() as db:
            db.execute("delete from answer where scope = ? and form = ?", values[:2])
            made = db.execute(
                "insert into answer(scope, form, question, answer, citations, sources, known, edition, run, at, model, "
                f"usd, tokens, seconds, vector) values({','.join('?' * len(values))})",
                values,
            )
            return int(made.lastrowid or 0)

    def count_hit(self, number: int, edition: str) -> None:
        """One more hit; its sources were looked at in this edition of the documents."""
        with self._writing() as db:
            change = "update answer set hits = hits + 1, used = ?, edition = ? where id = ?"
            db.execute(change, (time.time(), edition, number))

    def drop(self, number: int) -> None:
        with self._writing() as db:
            db.execute("delete from answer where id = ?", (number,))

    def drop_run(self, run: str) -> int:
        """Forget what a run has answered; how many."""
        with self._writing() as db:
            return db.execute("delete from answer where run = ?", (run,)).rowcount

    def drop_before(self, at: float) -> list[str]:
        """Forget what is older; the scope of each, once for each answer."""
        with self._writing() as db:
            gone = [row[0] for row in db.execute("select scope from answer where at < ?", (at,))]
            if gone:
                db.execute("delete from answer where at < ?", (at,))
            return gone

    def shrink(self) -> None:
        """Give the room of what was forgotten back to the disk."""
        with self._asking() as db:
            db.execute("vacuum")
            db.execute("pragma wal_checkpoint(truncate)").fetchall()

    def tail(self, scope: str, size: int, after: int, most: int = -1) -> list[tuple[int, bytes]]:
        """Numbers and vectors, of `size` bytes each, of the scope behind the number `after`."""
        with self._asking() as db:
            rows = db.execute(f"select id, vector {_WITH_VECTOR} order by id limit ?", (scope, after, size, most))
            return [(int(number), bytes(vector)) for number, vector in rows]

    def count(self, scope: str, upto: int) -> int:
        """How many answers have a number up to `upto`."""
        with self._asking() as db:
            found = db.execute("select count(*) from answer where scope = ? and id <= ?", (scope, upto))
            return int(found.fetchone()[0])

    def size(self, scope: str) -> int:
        """The bytes of the scope's newest vector, 0 when it has none."""
        found = "select length(vector) from answer where scope = ? and vector is not null order by id desc limit 1"
        with self._asking() as db:
            return int((db.execute(found, (scope,)).fetchone() or [0])[0])

    @contextmanager
    def vectors(self, scope: str, size: int) -> Iterator[tuple[int, int, Iterator[tuple[int, bytes]]]]:
        """How many vectors of `size` bytes there are, the last number, and all of them in order, from one view."""
        with self._asking() as db:
            db.execute("begin")
            try:
                found = db.execute(f"select count(*), max(id) {_WITH_VECTOR}", (scope, 0, size)).fetchone()
                rows = db.execute(f"select id, vector {_WITH_VECTOR} order by id", (scope, 0, size))
                yield int(found[0]), int(found[1] or 0), rows
            finally:
                db.execute("commit")

    @contextmanager
    def claim(self, scope: str) -> Iterator[bool]:
        """Whether this process is the one that may write the scope's file now."""
        now = time.time()
        with self._writing() as db:
            db.execute("delete from claim where since < ?", (now - CLAIM,))
            is_ours = db.execute("insert or ignore into claim values(?, ?)", (scope, now)).rowcount == 1
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._writing() as db:
                    db.execute("delete from claim where scope = ? and since = ?", (scope, now))

    def listed(self, scope: str | None = None, most: int = -1) -> list[Entry]:
        """The newest first; `scope` is the beginning of one."""
        chosen = "where substr(scope, 1, length(?1)) = ?1"
        with self._asking() as db:
            rows = db.execute(f"select {_FIELDS} from answer {chosen} order by at desc limit ?2", (scope or "", most))
            return _whole(db, rows)

    def stats(self) -> dict[str, Any]:
        """Entries, scopes, hits, and what they have saved; `bytes` with the files beside it."""
        names = ("entries", "scopes", "oldest", "hits", "saved_usd", "saved_seconds")
        with self._asking() as db:
            row = db.execute(
                "select count(*), count(distinct scope), min(at), coalesce(sum(hits), 0), "
                "coalesce(sum(hits * coalesce(usd, 0)), 0.0), coalesce(sum(hits * seconds), 0.0) from answer"
            ).fetchone()
        beside = [*self.path.parent.glob(self.path.name + "*"), *vectors_folder(self.path).glob("*.vectors")]
        return dict(zip(names, row, strict=True)) | {"bytes": sum(file.stat().st_size for file in beside)}

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db = self._db or _open(self.path)
                yield self._db
            except (sqlite3.Error, OSError) as error:
                raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error | OSError) -> StoreError:
        """What the caller gets to know. A file that is no whole database gives way to an empty one."""
        shown = f"{self.path.parent.name}/{self.path.name}"
        if isinstance(error, sqlite3.Error) and str(error).startswith(_NO_TABLE):
            self.close()  # opened again, it gets its tables
            return StoreError(f"The answers in {shown} had lost their tables, and are begun anew")
        if isinstance(error, sqlite3.Error) and is_broken(error):
            self.close()
            with contextlib.suppress(OSError):
                remove(self.path, identity(str(self.path)))
            return StoreError(f"The answers in {shown} were no whole database, and are begun anew")
        if isinstance(error, sqlite3.Error) and is_locked(error):
            return StoreError(f"The answers in {shown} are locked by another process", hint="try again later")
        said = getattr(error, "strerror", None) or error
        return StoreError(f"The answers in {shown} cannot be used: {said}", hint="make runs/ writable, with room")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, with the write lock from the start."""
        with self._asking() as db:
            db.execute("begin immediate")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # else SQLite has ended it: the disk is full
                    db.execute("rollback")
                raise
            db.execute("commit")


def vectors_folder(path: Path) -> Path:
    """Where the vectors of answers.sqlite lie: answers/"""
    return path.with_suffix("")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=WAITS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=normal")
        db.text_factory = _text
        if not _is_ready(db):
            _begin(db)
    except BaseException:
        db.close()
        raise
    return db


def _begin(db: sqlite3.Connection) -> None:
    db.execute("begin immediate")
    if not _is_ready(db):
        for name in ("answer", "claim"):
            db.execute(f"drop table if exists {name}")
        for statement in _TABLES.split(";"):
            db.execute(statement)
        # from the clock: numbers of a file that was deleted, which a vectors' file may still have, do not come again
        db.execute("insert into sqlite_sequence values('answer', ?)", (time.time_ns() // 1_000_000,))
        db.execute(f"pragma user_version={FORMAT}")
    db.execute("commit")


def _is_ready(db: sqlite3.Connection) -> bool:
    """Whether it is of this format, with its tables."""
    try:
        db.execute(f"select form, vector, {_FIELDS} from answer limit 0")
        db.execute("select scope, since from claim limit 0")
    except sqlite3.OperationalError as error:
        if str(error).startswith(_NO_TABLE):
            return False
        raise
    return bool(db.execute("pragma user_version").fetchone()[0] == FORMAT)


def _text(stored: bytes) -> str:
    """What is no text is none that a run has answered: it is found to differ."""
    return stored.decode("utf-8", "replace")


def _key(form: str) -> bytes:
    return hashlib.sha256(form.encode("utf-8", "surrogatepass")).digest()[:16]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _whole(db: sqlite3.Connection, rows: sqlite3.Cursor) -> list[Entry]:
    """The rows as entries; one that is damaged is deleted."""
    found = []
    for row in rows.fetchall():
        try:
            found.append(_entry(row))
        except (ValueError, TypeError, RecursionError):
            db.execute("delete from answer where id = ?", (row[0],))
    return found


def _entry(row: tuple[Any, ...]) -> Entry:
    """ValueError or TypeError when something in it is not what was stored."""
    values = dict(zip(_FIELDS.split(", "), row, strict=True))
    for name in ("citations", "sources", "known"):
        values[name] = json.loads(values[name])
    entry = Entry(**{**values, "sources": [Source(*pair) for pair in values["sources"]]})
    if not _is_sound(entry):
        raise ValueError(f"row {entry.id}")
    return entry


def _is_sound(entry: Entry) -> bool:
    texts = [entry.scope, entry.question, entry.answer, entry.edition, entry.run, entry.model]
    texts += [text for source in entry.sources for text in (source.source, source.sha)]
    numbers = [entry.at, entry.seconds, entry.tokens, entry.hits, entry.usd or 0.0, entry.used or 0.0]
    return (
        isinstance(entry.known, list)
        and isinstance(entry.citations, list)
        and all(isinstance(cited, dict) for cited in entry.citations)
        and all(isinstance(text, str) for text in [*texts, *entry.known])
        and all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
        and 0 <= entry.at < LAST
    )


_NO_TABLE = ("no such table", "no such column")
_WITH_VECTOR = "from answer where scope = ? and id > ? and length(vector) = ?"
