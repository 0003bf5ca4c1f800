from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.conftest import bench, store
from tests.tape.lab import Lab, lab_of

__all__ = ["bench", "lab", "store"]


@pytest.fixture
def lab(
    project: Path, one_authority: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Lab]:
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setattr("pilotage.evidence.embedder.find", lambda: None)  # the searches here are found by their words
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    with lab_of(project, capsys) as made:
        yield made
