"""An SQLite file that cannot be changed: opened read-only, each table and function asked for, time and memory capped.

No file is made beside it: one in WAL mode that nobody has open is read as it lies, and read anew when it changed
meanwhile. What is not covered: one built-in function on a value of a million characters can outlast the deadline; it
is no longer waited for, and ends by itself. Memory is measured for the whole process, and on Windows not at all.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pilotage.errors import ToolError
from pilotage.spec import DatabaseSpec
from pilotage.tools.rows import headings, take
from pilotage.tools.statement import check_tables, not_among, read_statement

DIALECT = "sqlite"
MEMORY = 256_000_000  # bytes by which the process may grow during a query
CHECK_EVERY = 200  # steps of SQLite's machine
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,  # bytes of a value or a row
    sqlite3.SQLITE_LIMIT_COLUMN: 200,  # of a result: a row is made in one go, and memory is looked at between two rows
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 300,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
SETTINGS = ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "mmap_size=0")
REFUSED_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlar_uncompress", "eval"}
TABLE_FUNCTIONS = {"json_each", "json_tree"}
SHADOWS = ("data", "idx", "content", "docsize", "config", "segments", "segdir", "stat", "node", "parent", "rowid")
HEADER = b"SQLite format 3\x00"


class SQLiteFile:
    """One file under one name of `databases`."""

    label = "SQLite"

    def __init__(self, name: str, spec: DatabaseSpec, path: Path) -> None:
        self.name, self.spec, self.path = name, spec, path

    def close(self) -> None:
        """Nothing is kept open between two queries."""

    def tables(self) -> dict[str, list[tuple[str, str]]]:
        """Columns and their types, by table and view."""
        try:
            return self._listed()
        except sqlite3.Error as error:
            raise ToolError(f"{self.name} cannot be read: {_sentence(error)}") from None

    def _listed(self) -> dict[str, list[tuple[str, str]]]:
        with contextlib.closing(self._open(_resting(self.path))) as db:
            db.set_progress_handler(_Watch(self.name, self.spec.seconds), CHECK_EVERY)
            names = [name for name, _kind, _sql in _objects(db)]
            shadows = _shadows(db, names)
            wanted = {name.lower().removeprefix("main.") for name in self.spec.tables or names}
            return {
                name: _columns(db, name) for name in names if name.lower() in wanted and name.lower() not in shadows
            }

    def read(self, sql: str) -> tuple[list[str], list[Any], bool]:
        """Columns, rows and whether there are more; ToolError for what is refused or fails."""
        tree = read_statement(sql, DIALECT)
        if self.spec.tables:
            check_tables(tree, DIALECT, self.spec.tables, f"databases.{self.name}.tables", home="main")
        watch = _Watch(self.name, self.spec.seconds)
        before = _stamp(self.path)
        if _resting(self.path):
            result = self._attempt(sql, watch, resting=True)
            if _stamp(self.path) == before:
                return _or_raise(result)
        return _or_raise(self._attempt(sql, watch, resting=False))

    def _attempt(self, sql: str, watch: _Watch, *, resting: bool) -> tuple[list[str], list[Any], bool] | ToolError:
        door = _Door(self.name, self.spec.tables)
        try:
            with contextlib.closing(self._open(resting)) as db:
                door.learn(db)
                db.set_authorizer(door)
                db.set_progress_handler(watch, CHECK_EVERY)
                cursor = db.execute(sql)
                columns = headings(column[0] for column in cursor.description or ())
                return columns, *take(columns, cursor, self.spec.rows, watch.until)
        except TimeoutError:
            return ToolError(watch.too_long)
        except (sqlite3.Error, MemoryError, ValueError) as error:
            return ToolError(door.reason or watch.reason or _sentence(error))

    def _open(self, resting: bool) -> sqlite3.Connection:
        """`resting`: the file lies still, so SQLite need not lock it nor make a -wal and a -shm file beside it."""
        address = f"{self.path.as_uri()}?mode=ro{'&immutable=1' if resting else ''}"
        db = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=min(self.spec.seconds, 30)
        )
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            for pragma in SETTINGS:
                db.execute(f"PRAGMA {pragma}")
            db.execute("SELECT 1 FROM sqlite_master").close()  # its own tables are read before the limits hold
            for limit, value in LIMITS.items():
                db.setlimit(limit, value)
        except sqlite3.Error:
            db.close()
            raise
        return db


class _Watch:
    """SQLite asks it every few hundred steps: it ends what takes too long or too much memory, and says why."""

    def __init__(self, name: str, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.too_long = f"the query took longer than {seconds:g} seconds (databases.{name}.seconds)"
        self.reason = ""
        self._memory = _resident() + MEMORY
        self._next = 0.0

    def __call__(self) -> int:
        now = time.monotonic()
        if now > self.until:
            self.reason = self.too_long
        elif now >= self._next:
            self._next = now + 0.005
            if _resident() > self._memory:
                self.reason = f"the query needs more than {MEMORY // 1_000_000} MB of memory: ask for fewer rows"
        return bool(self.reason)


class _Door:
    """SQLite asks it for each table, column and function before a statement starts."""

    def __init__(self, name: str, allowed: Iterable[str]) -> None:
        self.reason = ""
        self._key, self._listed = f"databases.{name}.tables", list(allowed)
        self._tables = {table.lower().removeprefix("main.") for table in self._listed}
        self._views: set[str] = set()

    def learn(self, db: sqlite3.Connection) -> None:
        """What an allowed view reads, and where an allowed full-text table keeps its words, may be read by them."""
        if not self._listed:
            return
        views = {name.lower() for name, kind, _sql in _objects(db) if kind == "view"}
        for view in views & self._tables:
            sources: set[str] = set()
            db.set_authorizer(lambda *asked, seen=sources: _note(seen, asked[4]))
            with contextlib.suppress(sqlite3.Error):  # a view whose table is gone: its use says so
                db.execute(f"EXPLAIN SELECT * FROM {_quoted(view)}").close()
            db.set_authorizer(None)
            self._views |= {view, *sources} & views
        self._tables |= _shadows(db, self._tables)

    def __call__(self, action: int, first: str | None, second: str | None, _database: Any, source: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        refusal = self._refusal(action, (first or "").lower(), (second or "").lower(), (source or "").lower())
        self.reason = self.reason or refusal
        return sqlite3.SQLITE_DENY if refusal else sqlite3.SQLITE_OK

    def _refusal(self, action: int, first: str, second: str, source: str) -> str:
        if action == sqlite3.SQLITE_READ:
            free = not self._listed or first in self._tables or first in TABLE_FUNCTIONS or source in self._views
            declared = (first, second) == ("sqlite_master", "rowid")  # asked when a virtual table is set up
            return "" if free or declared else not_among(first, self._key, self._listed)
        if action == sqlite3.SQLITE_FUNCTION:
            return f"the function {second} is not allowed" if second in REFUSED_FUNCTIONS else ""
        if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":  # as above; the file itself cannot be written
            return ""
        if action == sqlite3.SQLITE_PRAGMA:
            return "" if first == "data_version" else "PRAGMA is not allowed: query_db only reads"
        return "this is not allowed: query_db only reads"


def check_file(path: Path) -> str:
    """Why this is no SQLite file that can be read, or nothing."""
    if not path.exists():
        return "does not exist"
    if not path.is_file():
        return "is no file"
    try:
        with path.open("rb") as file:
            start = file.read(len(HEADER))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if start in (b"", HEADER) else "is no SQLite file"


def _or_raise(result: tuple[list[str], list[Any], bool] | ToolError) -> tuple[list[str], list[Any], bool]:
    if isinstance(result, ToolError):
        raise result
    return result


def _resting(path: Path) -> bool:
    """In WAL mode, and without the -wal file that everyone makes who opens it for writing."""
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except OSError:
        return False
    return start[18:20] == b"\x02\x02" and not Path(f"{path}-wal").exists()


def _stamp(path: Path) -> tuple[int, int, bool]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, False
    return stat.st_mtime_ns, stat.st_size, Path(f"{path}-wal").exists()


def _note(seen: set[str], source: str | None) -> int:
    seen.add((source or "").lower())
    return sqlite3.SQLITE_OK


def _objects(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Name, kind and definition of the tables and views."""
    kinds = "type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    return db.execute(f"SELECT name, type, sql FROM sqlite_master WHERE {kinds} ORDER BY name").fetchall()


def _shadows(db: sqlite3.Connection, tables: Iterable[str]) -> set[str]:
    """The tables in which the virtual ones among `tables` keep what they hold."""
    virtual = {name.lower() for name, _kind, sql in _objects(db) if re.match(r"\s*create\s+virtual\b", sql or "", re.I)}
    return {f"{name}_{part}" for name in virtual & {table.lower() for table in tables} for part in SHADOWS}


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    with contextlib.suppress(sqlite3.Error):  # a view whose table is gone
        return [(row[1], row[2]) for row in db.execute(f"PRAGMA table_xinfo({_quoted(table)})") if row[6] != 1]
    return []


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "too big" in text or isinstance(error, MemoryError):
        return (
            f"a value is larger than {LIMITS[sqlite3.SQLITE_LIMIT_LENGTH]:,} bytes: choose other columns or shorten it"
        )
    return text[:300] or type(error).__name__


def _resident() -> int:
    """Bytes of memory that this process holds now; where only the peak is known, the peak."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
