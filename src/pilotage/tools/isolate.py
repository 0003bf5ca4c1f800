"""A tool in a process of its own, which can be killed: for calls that block in C, or that must not share our memory.

The function is found by name in the user's module there; arguments and result travel as JSON. What is not covered: it
is no sandbox, the tool has the user's rights.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any


class Failed(Exception):
    """What the tool raised in its process: `Type: message`, with its traceback as `detail`."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def run_isolated(
    module: str, name: str, arguments: Mapping[str, Any], seconds: float, on_start: Callable[[Callable[[], None]], None]
) -> Any:
    """The result of `module.name(**arguments)` in a child process.

    `on_start` is given a function that kills it. TimeoutError when it was killed at `seconds`, Failed when it raised.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "pilotage.tools.child"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip
    done = False
    on_start(lambda: None if done else _kill(process))
    try:
        request = json.dumps({"module": module, "name": name, "arguments": dict(arguments)}, default=str)
        answer, _ = process.communicate(request.encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"killed after {seconds:g} s") from None
    finally:
        _kill(process)
        process.communicate()
        done = True  # its number may belong to another process from here on
    return _read(answer, process.returncode)


def _read(answer: bytes, code: int) -> Any:
    try:
        reply = json.loads(answer)
    except ValueError:
        raise Failed(f"its process ended with code {code} and without a result") from None
    if "error" in reply:
        raise Failed(reply["error"], reply.get("detail", ""))
    return reply["result"]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started."""
    if process.poll() is not None and os.name != "posix":
        return
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
