"""The end of a process whose sinks do not answer, and of one that is sent a signal in the middle of its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support import plays
from tests.support.chaos import Chaos, serve
from tests.telemetry.backend import Answer, Backend, backend, hang

QUESTION = "How many requests can one fault make when retries are nested?"
SECONDS = 0.6  # record.sink_seconds here
ONE_RUN = """
import atexit, sys, time
atexit.register(lambda: print(time.time()))  # the first to be registered is the last to be called
from pilotage import load
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.telemetry import open_sinks
from tests.telemetry.test_faults import record

settings = load()
engine, sinks = open_store(settings.store), open_sinks(settings)
journal = Journal(engine, Redactor({}))
session = sinks.session(journal.run)
journal.listen(session)
record(journal)
if len(sys.argv) > 1:
    session.end()
print(time.time(), flush=True)
"""


def environment(project: Path, cloud: Backend, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "AGENTOPS_"))}
    paths = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    seconds = {"PILOTAGE_RECORD_SINK_SECONDS": str(SECONDS)}
    return {**kept, **cloud.environment("k3y-of-the-user"), **seconds, "PYTHONPATH": paths, **more}


def left_after(project: Path, cloud: Backend, *arguments: str, **more: str) -> tuple[float, list[str]]:
    """Seconds from the script's last line to the end of all that Python waits for, and the lines on stderr.

    Not counted: how long Python takes to free its memory afterwards, which is a matter of what else the machine does.
    """
    command = [sys.executable, "-c", ONE_RUN, *arguments]
    done = subprocess.Popen(
        command, cwd=project, env=environment(project, cloud, **more), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = done.communicate(timeout=40)
    gone = time.time()
    assert done.returncode == 0, err
    ended, waited = map(float, out.split())
    assert gone - waited < 5, "nothing is waited for behind the last handler"
    return waited - ended, err.splitlines()


@pytest.mark.parametrize(
    ("auth", "traces"),
    [
        pytest.param(200, 200, id="all is well"),
        pytest.param(200, hang(10), id="traces hang"),
        pytest.param(200, 503, id="traces are put off"),
        pytest.param(hang(10), 200, id="the key hangs"),
    ],
)
def test_a_process_ends_when_its_session_has(project: Path, auth: Answer, traces: Answer) -> None:
    with backend(auth, traces) as cloud:
        delay, err = left_after(project, cloud, "ended")
    assert delay < 0.5
    assert len(err) == (0 if (auth, traces) == (200, 200) else 1), err
    assert "k3y-of-the-user" not in str(err)


def test_a_process_that_forgets_to_end_its_session_waits_no_longer_than_the_bound(project: Path) -> None:
    with backend(traces=hang(10)) as cloud:
        delay, err = left_after(project, cloud, OTEL_EXPORTER_OTLP_ENDPOINT=cloud.url)
    assert delay < SECONDS + 0.5
    assert [line.partition(" (")[0] for line in err] == [
        "warning: the session is not at AgentOps", "warning: the session is not at OTLP",
    ]  # fmt: skip


def test_a_process_that_forgets_to_end_its_session_still_sends_it(project: Path) -> None:
    with backend() as cloud:
        _, err = left_after(project, cloud)
    assert len(cloud.spans) == 6
    assert err == []


def first_request(server: Chaos, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while not server.requests and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert server.requests


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_session_as_interrupted(
    project: Path, number: signal.Signals, code: int, one_authority: Path
) -> None:
    with backend() as cloud, serve(plays.hang) as server:
        more = {
            "MODEL": "openai/gpt-4o-mini", "PILOTAGE_MODEL_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test-01234567",
            "SSL_CERT_FILE": str(one_authority),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "pilotage", "run", QUESTION], cwd=project, text=True,
            env=environment(project, cloud, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        first_request(server, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, (out, err)
    assert cloud.root.attributes["pilotage.outcome"] == "interrupted"
    assert cloud.root.attributes["agentops.session.end_state"] == "Fail"
    assert "outcome:interrupted" in cloud.root.attributes["agentops.tags"]
    assert cloud.root.is_error
    assert cloud.root.status == f"stopped by {number.name}"
    assert {span.kind for span in cloud.spans} >= {"session", "workflow", "task", "agent"}
