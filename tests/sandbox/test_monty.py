"""The workers of monty: no delay at the end, nothing left behind, no hang in a fork; and whose fault an error is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pilotage.sandbox import monty, run_code
from pilotage.sandbox.subset import beyond, doubt
from tests.sandbox.conftest import spec

START = """
import sys, time
from pilotage.sandbox import monty, run_code
from pilotage.spec import CodeSpec
run_code("x = 1", spec=CodeSpec(sandbox="monty"))
with monty.pool().checkout() as session:
    print(session.worker_pid, flush=True)
"""


def gone(pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_end_of_the_process_is_the_end_of_its_workers_at_once() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", f"{START}\nimport time\nprint(time.monotonic())"], stdout=subprocess.PIPE
    )
    worker, last = done.stdout.split()
    assert done.returncode == 0
    assert time.monotonic() - float(last) < 1.5
    assert began < float(last)
    assert gone(int(worker), 1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_process_leaves_no_worker(busy: bool) -> None:
    more = 'run_code("while True: pass", spec=CodeSpec(sandbox="monty", seconds=1))' if busy else "time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", START + more], stdout=subprocess.PIPE) as process:
        assert process.stdout
        worker = int(process.stdout.readline())
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    assert gone(worker, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_does_not_wait_for_its_parents_workers() -> None:
    run_code("x = 1", spec=spec("monty"))
    child = os.fork()
    if child == 0:
        run = run_code("x = 1", spec=spec("monty"))
        monty.close()
        os._exit(0 if run.reason.startswith("needs CPython: monty does not start: it ran before") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert run_code("x = 1", "assert x == 1", spec=spec("monty")).outcome == "passed"


def test_a_worker_that_is_killed_from_outside_is_a_failure_and_is_replaced() -> None:
    with monty.pool().checkout() as session:
        worker = session.worker_pid
    assert worker
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.05)
    assert run_code("x = 1", "assert x == 1", spec=spec("monty")).outcome == "passed"


def test_a_value_at_the_end_of_the_code_is_not_built_here() -> None:
    run = run_code("xs = list(range(1_000_000))\nxs", spec=spec("monty"))
    assert (run.outcome, run.output) == ("passed", "")


def test_many_runs_leave_no_descriptor_and_no_thread_open() -> None:
    import threading

    run_code("x = 1", "assert x == 1", spec=spec("monty"))
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(30):
        run_code("x = 1", "assert x == 1", spec=spec("monty"))
    time.sleep(0.05)
    after = len(os.listdir("/proc/self/fd")), threading.active_count()
    assert after[0] <= before[0] + 1
    assert after[1] <= before[1] + 1


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("NotImplementedError: The monty syntax parser does not yet support yield expressions", "yield expressions"),
        ("ModuleNotFoundError: No module named 'string'", "import string"),
        ("ModuleNotFoundError: No module named 'xml.etree'", "import xml"),
        ("ImportError: cannot import name 'ChainMap' from 'collections' (unknown location)", "collections.ChainMap"),
        ("NameError: name 'globals' is not defined", "globals"),
        ("AttributeError: module 'sys' has no attribute 'exit'", "sys.exit"),
        ("AttributeError: 'int' object has no attribute 'bit_length'", "int.bit_length"),
        ("AttributeError: 'A' object has no attribute '__dict__'", "A.__dict__"),
        ("AttributeError: type object 'datetime.datetime' has no attribute 'min'", "datetime.datetime.min"),
        ("SystemExit", "SystemExit"),
    ],
)
def test_what_only_monty_lacks_needs_cpython(error: str, what: str) -> None:
    import datetime

    assert datetime
    assert beyond(error, "MontyRuntimeError") == f"{what} is not in monty's subset"


@pytest.mark.parametrize(
    "error",
    [
        "ModuleNotFoundError: No module named 'numpy'",
        "NameError: name 'xs' is not defined",
        "AttributeError: 'int' object has no attribute 'foo'",
        "AttributeError: module 'math' has no attribute 'foo'",
        "AttributeError: 'A' object has no attribute 'x'",
        "NotImplementedError: later",
        "ValueError: no",
        "AssertionError: assert 1 == 2",
    ],
)
def test_an_error_of_the_code_is_the_codes(error: str) -> None:
    import math

    assert math
    assert beyond(error, "MontyRuntimeError") == ""


def test_code_cannot_make_this_process_import_a_module() -> None:
    code = "raise AttributeError(\"module 'this' has no attribute 'x'\")"
    run_code(code, spec=spec("monty"))
    assert "this" not in sys.modules


def test_only_errors_that_monty_may_make_itself_are_doubted() -> None:
    assert doubt("TypeError: no")
    assert not doubt("ValueError: no")
    assert not doubt("AssertionError: assert 1 == 2")
