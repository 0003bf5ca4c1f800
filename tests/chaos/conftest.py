"""Each scenario runs in a project of its own, as the folder it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.scenario import Scenario, Watch


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """The servers of scenarios that have ended, watched for a while behind the next ones."""
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def scenario(
    project: Path, one_authority: Path, watch: Watch,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> Scenario:  # fmt: skip
    monkeypatch.chdir(project)
    monkeypatch.setattr("pilotage.evidence.embedder.find", lambda: None)  # the searches here are found by their words
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    return Scenario(project, capsys, watch)
