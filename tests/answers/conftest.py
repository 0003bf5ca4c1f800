"""One loaded embedder for all tests of this folder: each run would load its own, a quarter of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pilotage.evidence.embedder import Embedder, find


@cache
def _loaded(folder: Path) -> Embedder:
    return Embedder(folder)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    folder = find()
    assert folder
    return _loaded(folder)


@pytest.fixture(autouse=True)
def _one_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.evidence.knowledge.Embedder", _loaded)
