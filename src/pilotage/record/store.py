"""The tables behind the journal, through SQLAlchemy Core on SQLite (WAL: several processes may write different runs).

events    one row per event: its facts as canonical JSON, the digests of its content, and its place in the chain
payloads  each content once, by SHA-256 of its bytes, so that it can be erased without breaking a chain
runs      one row per run for listing: derived from the events, never a source of truth
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
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
from sqlalchemy.schema import CreateIndex, CreateTable

from pilotage.errors import ConfigError, StoreError

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
)
STARTED = Index("runs_started", runs.c.started)


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
        arguments = {"timeout": 30, "check_same_thread": False}
        engine = create_engine(f"sqlite:///{path}", connect_args=arguments, poolclass=pool)
        event.listen(engine, "connect", _prepare)
        with engine.begin() as connection:
            if create:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # a read-only file shows here, not in the middle of a run
                for table in metadata.sorted_tables:
                    connection.execute(CreateTable(table, if_not_exists=True))
                connection.execute(CreateIndex(STARTED, if_not_exists=True))
            else:
                connection.execute(select(runs.c.run).limit(1))
    except (OSError, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise StoreError(
            f"The journal {path} cannot be {'written' if create else 'read'}: {reason}",
            hint="make the folder writable, or change record.store in config/pilotage.yaml",
        ) from None
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    for _ in range(100):  # several that make the file at once: SQLite does not wait for this lock by itself
        with contextlib.suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        time.sleep(0.02)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
