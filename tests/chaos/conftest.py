"""Each scenario runs in a project of its own, as the folder it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from tests.chaos.scenario import Scenario, Watch

END = "-----END CERTIFICATE-----\n"


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate instead of all: reading them takes most of the time of a run against a server on loopback."""
    path = tmp_path_factory.mktemp("tls") / "one.pem"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(END)[0] + END, "utf-8")
    return path


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
