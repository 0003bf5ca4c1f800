"""A store that cannot be written can be read; one of an older version says what it needs."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from pilotage.alerts.fired import list_fired
from pilotage.errors import StoreError
from pilotage.record.sessions import Search, find
from pilotage.record.store import open_store, runs

NOBODY = 65534
OLD = """
CREATE TABLE runs (run VARCHAR(32) PRIMARY KEY, started FLOAT NOT NULL, question TEXT NOT NULL, model TEXT NOT NULL,
                   outcome VARCHAR(16), seconds FLOAT, tokens INTEGER, usd FLOAT, seal VARCHAR(64));
INSERT INTO runs VALUES ('r1', 1.0, 'Q?', 'm', 'accepted', 1.0, 10, 0.0, 'x');
"""


@contextmanager
def as_somebody() -> Iterator[None]:
    """Without the right to write everywhere, which the user root has."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def store() -> Iterator[Path]:
    """Where a store may lie, in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "a?b#c%20d")
        folder.mkdir()
        os.chmod(name, 0o755)
        yield folder / "pilotage.sqlite"
        folder.chmod(0o755)


def filled(path: Path) -> None:
    engine = open_store(path)
    with engine.begin() as connection:
        connection.execute(insert(runs).values(run="r1", started=1.0, question="Q?", model="m", outcome="accepted"))
    engine.dispose()


def old(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode=WAL;" + OLD)
    connection.close()


def protect(path: Path, folder: bool) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555 if folder else 0o777)


def listed(path: Path) -> list[str]:
    engine = open_store(path, create=False)
    assert list_fired(engine) == []
    rows = [row["run"] for row in find(engine, Search()).rows]
    engine.dispose()
    return rows


@pytest.mark.parametrize("folder", [False, True])
def test_what_cannot_be_written_can_be_listed(store: Path, folder: bool) -> None:
    filled(store)
    protect(store, folder)
    with as_somebody():
        assert listed(store) == ["r1"]
        with pytest.raises(StoreError, match="cannot be written"):
            open_store(store)


@pytest.mark.parametrize("folder", [False, True])
def test_what_cannot_be_brought_up_to_date_says_so(store: Path, folder: bool) -> None:
    old(store)
    protect(store, folder)
    with as_somebody(), pytest.raises(StoreError, match="was made by an older version and cannot be changed") as raised:
        open_store(store, create=False)
    assert "writable once" in raised.value.hint
    store.parent.chmod(0o755)
    store.chmod(0o644)
    assert listed(store) == ["r1"]
    protect(store, folder)
    with as_somebody():
        assert listed(store) == ["r1"]


def test_changes_that_are_not_in_the_file_yet_are_not_left_out_silently(store: Path) -> None:
    filled(store)
    store.with_name("pilotage.sqlite-wal").write_bytes(b"x" * 100)
    protect(store, folder=True)
    with as_somebody(), pytest.raises(StoreError, match="cannot be read"):
        open_store(store, create=False)


def test_a_store_that_is_being_written_is_read_with_its_newest_rows(store: Path) -> None:
    filled(store)
    writer = open_store(store)
    with writer.begin() as connection:
        connection.execute(insert(runs).values(run="r2", started=2.0, question="Q?", model="m"))
    for file in store.parent.iterdir():
        file.chmod(0o444)
    store.parent.chmod(0o555)
    with as_somebody():
        assert sorted(listed(store)) == ["r1", "r2"]
    writer.dispose()
