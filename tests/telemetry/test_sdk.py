"""AgentOps' SDK in processes of their own: what it may not do, either order of imports, and what it keeps private."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support import plays
from tests.support.chaos import serve
from tests.telemetry.backend import TOKEN, backend

QUESTION = "How many requests can one fault make when retries are nested?"
BEGIN = """
import builtins, importlib, json, os, socket, sys
before = {name: getattr(builtins, name) for name in ("print", "__import__")}
tried, connect = [], socket.socket.connect

def only_here(self, address):
    if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "::1", "localhost")):
        tried.append(str(address))
        raise OSError("the test allows no network")
    return connect(self, address)

socket.socket.connect = only_here
"""
RUN = """
from pilotage import load, run_crew
settings = load()
result = run_crew(sys.argv[1], settings=settings)
print("printed by the user's own code")
import threading
json.dump({
    "outcome": result.outcome, "reason": result.reason, "run": result.run, "link": result.link, "tried": tried,
    "modules": [name for name in sys.modules if name.startswith(("agentops", "opentelemetry", "pilotage.telemetry"))],
    "replaced": [name for name, value in before.items() if getattr(builtins, name) is not value],
    "threads": sorted(thread.name for thread in threading.enumerate()),
}, open("report.json", "w"))
"""


def in_process(
    project: Path, script: str, environment: dict[str, str] | None = None, *, begin: str = BEGIN
) -> tuple[Any, str, str]:
    """What a script reports of itself, and what it wrote on stdout and stderr."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "AGENTOPS_"))}
    done = subprocess.run(
        [sys.executable, "-c", begin + script, QUESTION], cwd=project, capture_output=True, text=True, timeout=60,
        env={**kept, "PYTHONPATH": str(ROOT / "src"), **(environment or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((project / "report.json").read_text("utf-8")), done.stdout, done.stderr


def test_without_a_key_nothing_is_imported_sent_or_left(project: Path) -> None:
    before = {path.name for path in project.iterdir()}
    report, _, err = in_process(project, RUN, {"AGENTOPS_API_KEY": ""})
    assert report["outcome"] == "accepted", report
    assert not [name for name in report["modules"] if name.startswith("agentops")]
    assert sorted(name for name in report["modules"] if name.startswith("pilotage.")) == [
        "pilotage.telemetry", "pilotage.telemetry.sinks", "pilotage.telemetry.targets",
    ]  # fmt: skip
    assert report["tried"] == []
    assert report["replaced"] == []
    assert err == ""
    assert {path.name for path in project.iterdir()} - before == {"runs", "report.json"}


LOOK = """
from pilotage import load
from pilotage.telemetry import open_sinks
assert open_sinks(load()) is None
json.dump([name for name in sys.modules if name.startswith(("agentops", "opentelemetry"))], open("report.json", "w"))
"""


def test_to_look_for_a_key_costs_no_import(project: Path) -> None:
    assert in_process(project, LOOK)[0] == []


def test_with_a_key_the_sdk_leaves_the_process_as_it_was(project: Path) -> None:
    before = {path.name for path in project.iterdir()}
    with backend() as cloud:
        report, out, err = in_process(project, RUN, cloud.environment())
    assert report["outcome"] == "accepted", report
    assert "agentops" in report["modules"]
    assert report["replaced"] == [], "print or __import__"
    assert report["tried"] == []
    assert report["link"] == f"http://app.test/sessions?trace_id={cloud.root.trace}"
    assert set(cloud.paths) == {"POST /v3/auth/token", "POST /v1/traces"}, "no metrics, no log of what was printed"
    assert (out, err) == ("printed by the user's own code\n", "")
    assert {path.name for path in project.iterdir()} - before == {"runs", "report.json"}
    assert not [name for name in report["threads"] if name.startswith("pilotage-")]


OTHERS = """
import agentops
from opentelemetry import trace
from pilotage import load
from pilotage.telemetry import open_sinks
sinks = open_sinks(load())
for _ in range(100):
    if agentops.get_client().get_current_jwt():
        break
    import time
    time.sleep(0.02)
trace.get_tracer("a.library").start_span("of a library").end()

@agentops.operation
def mine():
    return 1

mine()
sinks.close()
agentops.sdk.core.tracer.provider.force_flush()
json.dump({}, open("report.json", "w"))
"""


def test_spans_of_other_libraries_stay_here_and_those_of_agentops_decorators_arrive(project: Path) -> None:
    with backend() as cloud:
        _, _, err = in_process(project, OTHERS, cloud.environment())
    assert [span.name for span in cloud.spans] == ["mine.task"]
    assert cloud.headers[0]["authorization"] == f"Bearer {TOKEN}"
    assert err == ""


THEIRS = "agentops.init(api_key='their-key', log_session_replay_url=False, log_level='WARNING', trace_name='theirs')"
ORDERS = {
    "imported after CrewAI": ("import crewai", "import agentops"),
    "initialised before CrewAI": ("import agentops", THEIRS),
    "initialised after CrewAI": ("import crewai", "import agentops", THEIRS),
}


@pytest.mark.parametrize("order", ORDERS)
def test_either_order_of_imports_gives_each_span_once(project: Path, order: str, one_authority: Path) -> None:
    quiet = "os.environ |= {'CREWAI_DISABLE_TELEMETRY': 'true', 'CREWAI_STORAGE_DIR': 'runs/crewai'}"
    script = "\n".join([quiet, *ORDERS[order], RUN])
    with backend() as cloud, serve(plays.good) as server:
        environment = cloud.environment() | {
            "MODEL": "openai/gpt-4o-mini", "PILOTAGE_MODEL_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test-01234567",
            "SSL_CERT_FILE": str(one_authority), "AGENTOPS_LOGGING_TO_FILE": "false",
            "AGENTOPS_METRICS_ENABLED": "false", "HOME": str(project),
        }  # fmt: skip
        report, _, err = in_process(project, script, environment)
        asked = len(server.requests)
    assert report["outcome"] == "accepted", report
    ours = [span for span in cloud.spans if span.scope == "pilotage"]
    assert Counter(span.kind for span in ours)["llm"] == asked == 5
    assert {span.attributes["pilotage.run"] for span in ours} == {report["run"]}
    others = {span.name for span in cloud.spans if span.scope != "pilotage"}
    assert others == ({"theirs.session"} if "initialised" in order else set()), "nothing is recorded twice"
    assert set(cloud.keys) == {"their-key" if "initialised" in order else "a-key"}
    assert "Traceback" not in err
    assert "Failed to instrument" not in err


def test_the_exporter_of_the_sdk_still_needs_the_repair() -> None:
    """When this fails, `repair` in telemetry/agentops.py can go."""
    from agentops.sdk.exporters import AuthenticatedOTLPExporter

    bare = "from agentops.sdk.exporters import AuthenticatedOTLPExporter as E\n"
    look = (
        f"{bare}e = E(endpoint='http://127.0.0.1:9/v1/traces')\nprint(hasattr(e, '_session'), hasattr(e, '_headers'))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr
    assert hasattr(AuthenticatedOTLPExporter, "_get_current_jwt")
    assert AuthenticatedOTLPExporter(endpoint="http://127.0.0.1:9/x")._endpoint == "http://127.0.0.1:9/x"


def test_what_the_sdk_keeps_private_is_where_we_look_for_it() -> None:
    from agentops import get_client, instrumentation
    from agentops.client.api import ApiClient
    from agentops.client.client import Client
    from agentops.sdk.core import TracingCore

    assert instrumentation._has_agentic_library in (True, False)
    assert isinstance(instrumentation._active_instrumentors, list)
    assert {"openai", "anthropic"} <= set(instrumentation.PROVIDERS)
    assert callable(Client._set_auth_data)
    assert callable(ApiClient("http://127.0.0.1:9").v4.set_auth_token)
    assert vars(TracingCore())["_meter_provider"] is None
    assert {"api_key", "endpoint", "exporter_endpoint", "app_url", "default_tags"} <= set(vars(get_client().config))
