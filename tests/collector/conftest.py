"""A store, a writer on it, and what it has recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from pilotage.collector.drafts import draft
from pilotage.collector.otlp import Received
from pilotage.collector.writer import Writer
from pilotage.record.audit import audit
from pilotage.record.journal import Event, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store, runs
from tests.collector.spans import TRACE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "runs.db"


@pytest.fixture
def engine(store: Path) -> Iterator[Engine]:
    engine = open_store(store)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    with Writer(engine, Redactor({"SHOP_API_KEY": "s3cr3t-value"})) as writer:
        yield writer


@pytest.fixture
def record(writer: Writer) -> Callable[..., list[Event]]:
    """`record(span, …)` takes in one request; the events of the session so far, whose chain verifies."""

    def take(*spans: Received, run: str = TRACE) -> list[Event]:
        writer.submit(draft(spans, writer.redactor)).result(10)
        found = audit(writer.engine, run)
        assert found.ok, found.reason
        return list(read_events(writer.engine, run))

    return take


@pytest.fixture
def row(engine: Engine) -> Callable[..., dict[str, Any]]:
    """The session's row in the list of runs."""

    def read(run: str = TRACE) -> dict[str, Any]:
        with engine.connect() as connection:
            return dict(connection.execute(select(runs).where(runs.c.run == run)).mappings().one())

    return read
