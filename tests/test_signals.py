"""SIGINT and SIGTERM before a run, while it is told, at the exit: one line or nothing, and the exit code that holds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pilotage.signals import NUMBERS, exit_code

QUESTION = "How many requests can one fault make when retries are nested?"
MAIN = "from pilotage.cli import main\nmain()"
AT_THE_END = """
import atexit, os, pilotage.report
tell = pilotage.report.print_result

def told(*arguments):
    os.kill(os.getpid(), {number})
    tell(*arguments)
    os.kill(os.getpid(), {number})
    atexit.register(os.kill, os.getpid(), {number})

pilotage.report.print_result = told
"""
SWALLOWED = """
import os, pilotage.model.factory
def check(_settings):
    for _ in range(2):
        try:
            os.kill(os.getpid(), {number})
        except BaseException:
            pass
pilotage.model.factory.check = check
"""


def started(project: Path, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, "run", QUESTION],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_while_it_loads_ends_the_command_with_a_line(project: Path, number: signal.Signals) -> None:
    with started(project, MAIN) as process:
        assert process.stderr is not None
        assert any(line == "loading …\n" for line in process.stderr)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (exit_code(number), "", "interrupted")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_behind_the_answer_changes_nothing(project: Path, number: signal.Signals) -> None:
    """While it is told, and while the process exits."""
    with started(project, AT_THE_END.format(number=int(number)) + MAIN) as process:
        out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1].startswith("outcome: accepted"), (out, err)
    assert process.returncode == 0
    assert "interrupted" not in err


def test_a_second_signal_is_heard_when_the_first_was_swallowed(project: Path) -> None:
    with started(project, SWALLOWED.format(number=int(signal.SIGTERM)) + MAIN) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1] == "interrupted"
