"""A cache file of each test's own, and what it said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.cache.store import Store
from pilotage.record.redact import Redactor

SECRET = "s3cr3t-value-of-a-key"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "cache.sqlite"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(path: Path, said: list[str]) -> Iterator[Callable[..., Store]]:
    """`opened(mb=1)` opens the cache, as another process would."""
    stores = []

    def make(mb: float = 10, **more: Any) -> Store:
        stores.append(Store(path, mb, Redactor({"MY_API_KEY": SECRET}), warn=said.append, **more))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    return opened()
