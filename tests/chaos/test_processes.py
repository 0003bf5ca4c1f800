"""Runs as processes: what hangs does not hold up the exit, and a signal in its middle ends the run in order."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.scenario import AFTER, LATE, QUESTION, arguments, left
from tests.chaos.test_tools import TOOLS, once
from tests.support.chaos import Chaos, Play, serve
from tests.support.plays import during, good, hang
from tests.support.project import change

PATIENCE = 30.0  # seconds in which the first request must come


@contextmanager
def started(project: Path, play: Play, **settings: Any) -> Iterator[tuple[subprocess.Popen[str], Chaos]]:
    """`python -m pilotage run` in the project, against a server that plays."""
    with serve(play) as server:
        command = [
            sys.executable,
            "-m",
            "pilotage",
            "run",
            QUESTION,
            *arguments(server.url, **{"limits__seconds": 60} | settings),
        ]
        process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield process, server
        finally:
            process.kill()
            process.communicate()


def end_of(process: subprocess.Popen[str]) -> tuple[str, float]:
    """The line with the outcome, and how long the process lived after it."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("outcome: ")), "")
    said = time.monotonic()
    process.wait(30)
    return line, time.monotonic() - said


def test_what_hangs_does_not_hold_up_the_exit(project: Path, tmp_path: Path) -> None:
    """A tool that is left behind, then a model; a good run beside it knows how long an exit takes here and now."""
    healthy = shutil.copytree(project, tmp_path / "healthy")
    (project / "tools_that_hang.py").write_text(TOOLS, "utf-8")
    change(project / "config" / "pilotage.yaml", lambda tree: tree.update(tools="tools_that_hang"))
    names = ["search_knowledge", "sleep"]
    change(project / "config" / "agents.yaml", lambda tree: tree["researcher"].update(tools=names))
    stuck = during("research", once("sleep", seconds=90), hang)
    caps = {"limits__tool_seconds": 1, "limits__call_seconds": 3, "limits__retries": 0}
    with (
        started(healthy, good) as (usual, _),
        started(project, stuck, **caps) as (process, server),
        ThreadPoolExecutor(2) as pool,
    ):
        (_, of_usual), (line, delay) = pool.map(end_of, (usual, process))
        time.sleep(AFTER)
        assert len(server.requests) == 4
    assert (usual.returncode, process.returncode) == (0, 4)
    assert line.startswith("outcome: failed"), line
    assert delay < of_usual + LATE
    _, events, _ = left(project)
    left_behind = [e.facts["what"] for e in events if e.kind == "abandoned"]
    assert left_behind in (["sleep", "model call"], ["sleep"])  # the client's own time-out may come just before ours


def test_sigterm_in_the_middle_of_a_hang_ends_the_run_in_order(project: Path) -> None:
    with started(project, hang) as (process, server):
        end = time.monotonic() + PATIENCE
        while not server.requests and time.monotonic() < end:
            time.sleep(0.02)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        line, _ = end_of(process)
        took = time.monotonic() - began
        time.sleep(AFTER)
        assert len(server.requests) == 1
    assert process.returncode == 143
    assert line.startswith("outcome: interrupted"), line
    assert took < 2 * LATE + 1, "a second to unwind, one to exit, one for a busy machine"
    result, events, _ = left(project)
    assert result["outcome"] == "interrupted"
    assert events[-1].kind == "run_ended"
