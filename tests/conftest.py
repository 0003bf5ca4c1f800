"""Shared by all tests: no socket leaves this machine, no real model is built, each test has a project of its own."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from sqlalchemy import Engine

import pilotage
from pilotage import settings as pilotage_settings
from pilotage.model import factory
from pilotage.settings import Settings

ROOT = Path(__file__).parent.parent
LOOPBACK = ("127.", "::1", "localhost")
CACHES = ("PILOTAGE_CACHE_ANSWERS", "PILOTAGE_CACHE_CALLS")
DOCUMENT = """# Retries

Who retries decides what a fault costs.

## One owner

Retries must have one owner, because nested retries multiply. With three owners of three attempts each,
one fault makes 27 requests. The owner of retries in this project is the door.

## Deadlines

A deadline stops the run after 300 seconds. Nothing starts after the deadline.
"""

factory.ALLOW_MODEL_REQUESTS = False


def lay_out(root: Path) -> Path:
    """A project at `root`: the configuration as it is shipped, and one small document."""
    shutil.copytree(ROOT / "config", root / "config")
    (root / "knowledge").mkdir()
    (root / "knowledge" / "retries.md").write_text(DOCUMENT, "utf-8")
    return root


@pytest.fixture(autouse=True)
def _stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection outside loopback is a failure of the test that made it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, model or setting of the machine that runs the tests; no call that an earlier one has answered."""
    for name in list(os.environ):
        if name in ("MODEL", "QUESTION") or name.startswith(("PILOTAGE_", "OPENAI_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for cache in CACHES:
        monkeypatch.setenv(cache, "false")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's configuration with one small document."""
    return lay_out(tmp_path / "project")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    """An empty journal."""
    from pilotage.record.store import open_store

    engine = open_store(tmp_path / "runs" / "pilotage.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def load(project: Path) -> Callable[..., Settings]:
    """`load(limits_seconds=2)` reads the project's settings with overrides, dots written as `__`."""

    def read(**overrides: Any) -> Settings:
        pairs = {key.replace("__", "."): str(value) for key, value in overrides.items()}
        return pilotage_settings.load(project, pairs)

    return read


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`scripted(play)` lets a function answer every model call: see tests/support/scripted.py."""
    from tests.support.scripted import Scripted

    def install(play: Callable[..., Any]) -> Scripted:
        model = Scripted(play)
        monkeypatch.setattr("pilotage.crew.Reader.for_question", lambda _question: model.build())
        return model

    return install


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For SSL_CERT_FILE: one certificate instead of all, which take longer to read than a call to loopback."""
    path, end = tmp_path_factory.mktemp("tls") / "one.pem", "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(end)[0] + end, "utf-8")
    return path


@pytest.fixture(scope="session", autouse=True)
def _crewai_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    for cache in CACHES:  # before fixtures of modules, which may make runs too
        os.environ[cache] = "false"
    os.environ["CREWAI_STORAGE_DIR"] = str(tmp_path_factory.mktemp("crewai"))
    assert pilotage.__version__
