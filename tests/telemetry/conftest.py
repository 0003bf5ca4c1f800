"""A backend on loopback that stands in for AgentOps' cloud, and a process without OpenTelemetry's own variables."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.telemetry.backend import Backend, backend


@pytest.fixture(autouse=True)
def _no_sinks_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "AGENTOPS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """AgentOps' cloud, with a key in the environment."""
    with backend() as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found
