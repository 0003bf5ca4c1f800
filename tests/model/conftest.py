from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pilotage.guard.limits import Meter
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from tests.model.bench import Bench, Make


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all tests of a module: each bench is a run of its own in it."""
    engine = open_store(tmp_path_factory.mktemp("store") / "journal.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def bench(store: Engine, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a bench with the limits given; nobody sleeps between retries."""
    monkeypatch.setattr(Meter, "sleep", lambda _self, _seconds: None)
    return lambda **limits: Bench(Journal(store, Redactor({})), **limits)


@pytest.fixture(autouse=True, scope="module")
def _authorities(one_authority: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority))
        yield
