"""The tables behind the journal, through SQLAlchemy Core on SQLite (WAL: several processes may write different runs).

events    one row per event: its facts as canonical JSON, the digests of its content, and its place in the chain
payloads  each content once, by SHA-256 of its bytes, so that it can be erased without breaking a chain
runs      one row per run for listing, and facets, what a run can be found by: derived from the events, never a source
          of truth
spans     which spans of other programs are recorded already: a sender that repeats itself is heard once
alerts    what has fired, for the cool-down between processes

SQLite itself waits only BUSY for a lock that another process holds: who writes decides how long it tries again, so that
a signal or the end of a run is never behind a lock. What is not covered: a disk that hangs inside one write.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import (
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
INDEXES = (
    Index("runs_started", runs.c.started),
    Index("facets_value", facets.c.name, facets.c.value),
    Index("alerts_rule", alerts.c.rule, alerts.c.at),
)


def open_store(path: Path, *, create: bool = True) -> Engine:
    """The engine on the SQLite file `path`; with `create` the folder and the tables are made when absent.

    Raises StoreError with a hint when the file cannot be opened, read or written.
    """
    if not create and not path.is_file():
        shown = f"{path.parent.name}/{path.name}"
        raise NoJournal(f"There are no runs yet: {shown} is not there", hint="`pilotage run` makes it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pool = None if create else NullPool  # who only reads leaves no connection open
        arguments = {"timeout": BUSY, "check_same_thread": False}
        engine = create_engine(f"sqlite:///{path}", connect_args=arguments, poolclass=pool)
        event.listen(engine, "connect", _prepare)
        trying(lambda: _make(engine) if create else _look(engine), lambda since: since + WAITS)
    except (OSError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and is_locked(error):
            raise StoreError(f"The journal {path} {LOCKED}", hint=UNLOCK) from None
        reason = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise StoreError(
            f"The journal {path} cannot be {'written' if create else 'read'}: {reason}",
            hint="make the folder writable, or change record.store in config/pilotage.yaml",
        ) from None
    return engine


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
    return (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF in LOCKS


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
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # a read-only file shows here, not in the middle of a run
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            _add_columns(connection, table)
        for index in INDEXES:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _look(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(select(runs.c.run).limit(1))
        is_old = bool(_missing(connection, runs))
    if is_old:
        _make(engine)


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
