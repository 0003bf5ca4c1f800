"""A browser per module, a watched page per test, and a store of made-up sessions that is served for a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine

from pilotage import settings as pilotage_settings
from pilotage.record.store import open_store
from pilotage.settings import Settings
from tests.support.browser import Watched, launched, opened
from tests.support.pages import serving
from tests.support.sessions import Recorded, recorded

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SESSIONS, EVENTS = 130, 30
replay_data: Any = import_module("benchmarks.replay_data")  # a script, which mypy knows by another name


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module: no longer, because no event loop runs in this thread beside it."""
    with launched() as made:
        yield made


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """`watched.page`, and `watched.faults` for a test that provokes one."""
    with opened(browser) as made:
        yield made


@pytest.fixture
def page(watched: Watched) -> Page:
    """A page that fails its test on a console error, a page error, or a request to another host."""
    return watched.page


@pytest.fixture
def runs(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Two real runs, made once."""
    return recorded(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project whose store holds SESSIONS made-up sessions, three of them live."""
    root = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "config", root / "config")
    replay_data.make(root / "runs/pilotage.sqlite", SESSIONS, EVENTS, seed=3)
    return pilotage_settings.load(root)


@pytest.fixture(scope="module")
def engine(demo: Settings) -> Iterator[Engine]:
    made = open_store(demo.store)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def url(demo: Settings) -> Iterator[str]:
    """Where the made-up sessions are served."""
    with serving(demo) as address:
        yield address
