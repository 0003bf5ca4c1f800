"""The file behind the cache, runs/cache.sqlite: opened, made, and replaced when it is no database.

SQLite in WAL mode: several processes and threads read while one writes, and a process that is killed leaves a whole
file. Nothing in it is worth repairing: a file that SQLite cannot read gives way to an empty one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

VERSION = 1  # of the table; a file of another version is emptied
WAITS = 0.25  # seconds for a lock that another process holds
OPENS = 1.0  # seconds for the lock of whoever makes the file just now
LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
NO_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
COLUMNS = {"id", "kind", "key", "bytes", "made", "used", "expires", "hits", "extra", "body"}
TABLE = """
create table entries(
    id integer primary key, kind text not null, key text not null, bytes integer not null, made real not null,
    used real not null, expires real, hits integer not null default 0, extra text not null, body blob not null,
    unique(kind, key))
"""
INDEXES = (
    "create index entries_used on entries(used)",
    "create index entries_expires on entries(expires) where expires is not null",
)


def open_file(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection to the cache at `path`, made when absent; and whether a file that was no database gave way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    broken = identity(path)
    try:
        return _open(path), False
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
    remove(path, broken)
    return _open(path), True


def remove(path: Path, broken: tuple[int, int] | None) -> None:
    """Delete the file, unless another process has replaced it meanwhile; its log goes first, never the new one's."""
    for name in (f"{path}-wal", f"{path}-shm", str(path)):
        if identity(path) == broken:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file lies at `path`, None when there is none. As in record/store.py, without its half second of imports."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_broken(error: sqlite3.Error) -> bool:
    return code(error) in NO_DATABASE


def is_locked(error: sqlite3.Error) -> bool:
    return code(error) in LOCKS


def code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _open(path: Path) -> sqlite3.Connection:
    until = time.monotonic() + OPENS
    while True:
        connection = sqlite3.connect(path, timeout=WAITS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
            return connection
        except BaseException as error:
            connection.close()
            if not (isinstance(error, sqlite3.Error) and is_locked(error)) or time.monotonic() >= until:
                raise
        time.sleep(0.01)


def _prepare(connection: sqlite3.Connection) -> None:
    version = connection.execute("pragma user_version").fetchone()[0]
    if version != VERSION:
        connection.execute("pragma auto_vacuum=incremental")  # takes effect in a file without tables
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=normal")
    connection.execute("pragma journal_size_limit=4000000")
    if version != VERSION or _columns(connection) != COLUMNS:
        _make(connection)


def _make(connection: sqlite3.Connection) -> None:
    """An empty table. Another process may have made it meanwhile."""
    with transaction(connection):
        version = connection.execute("pragma user_version").fetchone()[0]
        if version == VERSION and _columns(connection) == COLUMNS:
            return
        connection.execute("drop table if exists entries")
        for statement in (TABLE, *INDEXES, f"pragma user_version={VERSION}"):
            connection.execute(statement)


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("pragma table_info(entries)")}


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite has ended it already: the disk is full
            connection.execute("rollback")
        raise


def vacuum(connection: sqlite3.Connection, pages: int | None = None) -> None:
    """Give free pages back to the disk, all or so many; `execute` would give back a single one."""
    connection.executescript(f"pragma incremental_vacuum({pages})" if pages else "pragma incremental_vacuum")
