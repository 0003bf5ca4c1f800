"""The tables behind the journal, through SQLAlchemy Core on SQLite (WAL: several processes may write different runs).

events    one row per event: its facts as canonical JSON, the digests of its content, and its place in the chain
payloads  each content once, by SHA-256 of its bytes, so that it can be erased without breaking a chain
runs      one row per run for listing, and facets, what a run can be found by: derived from the events, never a source
          of truth
spans     which spans of other programs are recorded already: a sender that repeats itself is heard once
alerts    what has fired, for the cool-down between processes
spending  what each run has cost on each day, for the budget of a day between processes

SQLite itself waits only BUSY for a lock that another process holds: who writes decides how long it tries again, so that
a signal or the end of a run is never behind a lock. What is committed outlives a crash of the process, kill -9 too; a
loss of power may take the last commits (`synchronous=NORMAL`), never the file: a resume goes on from what is left.
What is not covered: a disk that hangs inside one write.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from pilotage.errors import ConfigError, StoreError

WAITS = 5.0  # seconds that a write waits for a lock of another process, while there is time
BUSY = 0.1  # seconds that SQLite waits by itself, deaf to signals
LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
CONNECTS: dict[str, Any] = {"timeout": BUSY, "check_same_thread": False}
LOCKED = "is locked by another process"
UNLOCK = "close what holds it open: a backup, a database browser, a stopped run"

metadata = MetaData()


class NoJournal(ConfigError):
    """Nothing was recorded yet."""


events = Table(
    "events",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),  # seconds since 1970
    Column("kind", String(32), nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON
    Column("content", Text, nullable=False),  # canonical JSON: name -> digest
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
payloads = Table(
    "payloads",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("started", Float, nullable=False),
    Column("question", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("outcome", String(16)),  # null while it runs
    Column("seconds", Float),
    Column("tokens", Integer),
    Column("usd", Float),  # null when unpriced
    Column("seal", String(64)),
    Column("origin", String(8), nullable=False, server_default="run"),  # or otlp: sent by another program
    Column("host", Text, nullable=False, server_default=""),
    Column("until", Float),  # seconds since 1970 after which a run without an end is lost
    Column("updated", Float),
    Column("model_calls", Integer, nullable=False, server_default="0"),
    Column("tool_calls", Integer, nullable=False, server_default="0"),
    Column("errors", Integer, nullable=False, server_default="0"),
    Column("loops", Integer, nullable=False, server_default="0"),
    Column("alerts", Integer, nullable=False, server_default="0"),
    Column("tally", Text),  # JSON of record/tally.py
    Column("parent", String(32)),  # the run that this one goes on from
    Column("served", Integer, nullable=False, server_default="0"),  # calls that were not made again
    Column("saved_usd", Float, nullable=False, server_default="0"),
)
facets = Table(
    "facets",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("name", String(8), primary_key=True),  # agent, model, tag, tool, loop, alert
    Column("value", Text, primary_key=True),
)
spans = Table(
    "spans",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("span", String(16), primary_key=True),
    sqlite_with_rowid=False,
)
alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("rule", Text, nullable=False),
    Column("run", String(32), nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("above", Float, nullable=False),
    Column("over", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("delivered", Text, nullable=False, server_default="{}"),  # JSON: channel -> true, or why not
)
spending = Table(
    "spending",
    metadata,
    Column("day", String(10), primary_key=True),  # of UTC
    Column("run", String(32), primary_key=True),
    Column("usd", Float, nullable=False, server_default="0"),
    Column("held", Float, nullable=False, server_default="0"),  # for calls under way, in a strict budget
    sqlite_with_rowid=False,
)
INDEXES = (
    Index("spending_run", spending.c.run),
    Index("runs_started", runs.c.started),
    Index("facets_value", facets.c.name, facets.c.value),
    Index("alerts_rule", alerts.c.rule, alerts.c.at),
)


def open_store(path: Path, *, create: bool = True) -> Engine:
    """The engine on the SQLite file `path`; with `create` the folder and the tables are made when absent.

    Without `create` a file and a folder that cannot be written will do, as long as the file has today's columns.
    Raises StoreError with a hint when the file cannot be opened, read or written.
    """
    if not create and not path.is_file():
        shown = f"{path.parent.name}/{path.name}"
        raise NoJournal(f"There are no runs yet: {shown} is not there", hint="`pilotage run` makes it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not create:
            return _open_to_read(path)
        engine = _engine(path)
        trying(lambda: _make(engine), lambda since: since + WAITS)
    except (OSError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and is_locked(error):
            raise StoreError(f"The journal {path} {LOCKED}", hint=UNLOCK) from None
        reason = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise StoreError(
            f"The journal {path} cannot be {'written' if create else 'read'}: {reason}",
            hint="make the folder writable, or change record.store in config/pilotage.yaml",
        ) from None
    return engine


def _open_to_read(path: Path) -> Engine:
    """As it is; where the files that WAL needs cannot be made beside it, as a file that nobody changes."""
    engine = _engine(path, poolclass=NullPool)  # who only reads leaves no connection open
    try:
        trying(lambda: _look(engine), lambda since: since + WAITS)
    except DBAPIError as error:
        if _code(error) not in UNWRITABLE or _has_more(path):
            raise
        where = f"file:{quote(str(path.resolve()))}?immutable=1"
        engine = _engine(path, poolclass=NullPool, creator=lambda: sqlite3.connect(where, uri=True, **CONNECTS))
        _look(engine)
    return engine


def _engine(path: Path, **more: Any) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=CONNECTS, **more)
    event.listen(engine, "connect", _prepare)
    return engine


def _has_more(path: Path) -> bool:
    """Whether there are changes beside the file that were not brought into it yet."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def trying(attempt: Callable[[], None], until: Callable[[float], float]) -> None:
    """`attempt()` again while another process holds the lock; `until(since)` is when to give up, by time.monotonic."""
    since = time.monotonic()
    while True:
        try:
            return attempt()
        except DBAPIError as error:
            if not is_locked(error) or time.monotonic() >= until(since):
                raise
        time.sleep(0.005)  # SQLite answers at once where it sees that waiting would not help


def is_locked(error: DBAPIError) -> bool:
    """Whether another process, or another connection of this one, holds the lock."""
    return _code(error) in LOCKS


def _code(error: DBAPIError) -> int:
    return (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF


def identity(path: str) -> tuple[int, int] | None:
    """Which file lies at `path`, None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            _add_columns(connection, table)
        for index in INDEXES:
            connection.execute(CreateIndex(index, if_not_exists=True))
        connection.exec_driver_sql("DELETE FROM runs WHERE 0")  # a read-only file shows here, not later in a run


def _look(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(select(runs.c.run).limit(1))
        is_old = bool(_missing(connection, runs))
    if not is_old:
        return
    try:
        _make(engine)
    except DBAPIError as error:
        if _code(error) not in UNWRITABLE:
            raise
        problem = f"The journal {engine.url.database} was made by an older version and cannot be changed: {error.orig}"
        raise StoreError(
            problem, hint="make it and its folder writable once: any command brings it up to date"
        ) from None


def _add_columns(connection: Connection, table: Table) -> None:
    """What an older version of the store does not have yet."""
    for column in _missing(connection, table):
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def _missing(connection: Connection, table: Table) -> list[Column[Any]]:
    present = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
    return [column for column in table.columns if column.name not in present]


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    record.info["file"] = identity(connection.execute("PRAGMA database_list").fetchone()[2])
    connection.execute("PRAGMA synchronous=NORMAL")
