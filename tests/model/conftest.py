from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotage.guard.limits import Meter
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from tests.model.bench import Bench, Make


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a bench with the limits given; nobody sleeps between retries."""
    monkeypatch.setattr(Meter, "sleep", lambda _self, _seconds: None)
    engine = open_store(tmp_path / "journal.sqlite")
    yield lambda **limits: Bench(Journal(engine, Redactor({})), **limits)
    engine.dispose()
