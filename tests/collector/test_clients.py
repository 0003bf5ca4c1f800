"""Programs that know nothing of this project record into its store: AgentOps' SDK with openai, and OpenTelemetry's SDK.

AgentOps' SDK runs in an environment of its own, because it needs an older OpenTelemetry than crewai does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotage.model.prices import price
from pilotage.record.audit import audit
from pilotage.record.journal import Event, list_runs, read_events
from pilotage.record.store import open_store
from tests.collector.clients import NotBuilt, environment
from tests.collector.serving import serving
from tests.support.server import COMPLETION_TOKENS, PROMPT_TOKENS, serve

HERE = Path(__file__).parent
TOKEN = "a-token-that-is-no-uuid"


def run(python: Path | str, program: str, *arguments: str, cwd: Path, **env: str) -> str:
    plain = {"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_PROXY": "*", "AGENTOPS_METRICS_ENABLED": "false"}
    command = [str(python), str(HERE / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=cwd, env=plain | env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def recorded(store: Path) -> tuple[dict[str, Any], list[Event]]:
    """The one session in the store."""
    engine = open_store(store, create=False)
    (listed,) = list_runs(engine)
    found = audit(engine, listed["run"])
    assert found.ok, found.reason
    return listed, list(read_events(engine, listed["run"]))


@pytest.fixture(scope="session")
def client() -> Path:
    try:
        return environment()
    except NotBuilt as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("token", ["", TOKEN], ids=["open", "with a token"])
def test_a_program_with_agentops_and_openai_is_recorded_with_its_calls_tokens_and_cost(
    client: Path, store: Path, tmp_path: Path, token: str
) -> None:
    with serve(lambda _request: {"content": "Three lamps."}) as model, serving(store, token) as collector:
        said = run(client, "program_agentops.py", collector.url, model.url, token or "no-key", cwd=tmp_path)
    listed, events = recorded(store)
    assert f"{collector.url}/sessions?trace_id={listed['run']}" in said
    calls = [event for event in events if event.kind == "model_call"]
    assert len(calls) == len(model.requests) == listed["model_calls"] == 2
    assert listed["tokens"] == 2 * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert listed["usd"] == pytest.approx(2 * (price("gpt-4o-mini", PROMPT_TOKENS, COMPLETION_TOKENS) or 0))
    for call, request in zip(calls, model.requests, strict=True):
        assert json.loads(str(call.content["request"]))["messages"] == request["messages"]
        assert call.content["response"] == "Three lamps."
        assert call.facts["task"] == "answer"
    assert [event.facts["tool"] for event in events if event.kind == "tool_call"] == ["look_up", "look_up"]
    assert (listed["question"], listed["outcome"]) == ("quotes for a shop", "ended")
    assert sorted(events[-1].facts["tags"]) == ["nightly", "shop"]
    (printed,) = [event.content["text"] for event in events if event.kind == "log"]
    assert str(printed).count("Three lamps.") == 2


@pytest.mark.parametrize(("compression", "token"), [("none", ""), ("gzip", TOKEN), ("deflate", "")])
def test_a_program_with_an_otlp_exporter_is_recorded(store: Path, tmp_path: Path, token: str, compression: str) -> None:
    with serving(store, token) as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}
        if token:
            settings["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization=Bearer%20{token}"
        said = run(sys.executable, "program_otlp.py", cwd=tmp_path, **settings)
    listed, events = recorded(store)
    assert listed["run"] == said.strip()
    assert (listed["question"], listed["host"], listed["outcome"]) == ("translate", "desk", "ended")
    assert (listed["model_calls"], listed["tool_calls"], listed["errors"]) == (1, 1, 1)
    assert [event.kind for event in events] == ["run_started", "model_call", "tool_call", "span", "session_ended"]
    assert events[2].content["error"] == "no such word"
    assert events[0].facts["crew"] == "translator"
