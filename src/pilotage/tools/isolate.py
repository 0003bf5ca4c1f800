"""A tool in a process of its own, which can be killed: for calls that block in C, or that must not share our memory.

The function is found by name in the user's module there; arguments and result travel as JSON. The call's seconds begin
when that module is imported, which may take STARTS. The process and all that it started are killed when the call is
over, and when this process is gone. What is not covered: it is no sandbox, the tool has the user's rights; what the
tool puts into a session of its own, and on Windows all that it starts, lives on. What it prints goes to our stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

LARGEST = 50_000_000  # bytes of a result as JSON
STARTS = 15.0  # seconds for the import of the user's module, CrewAI perhaps with it, on a busy machine
LONGEST = 3600.0  # seconds of one wait
LOUDEST = 100_000  # bytes of what one call prints that stand on our stderr
LAST_WORDS = 0.2  # seconds for them, when something that lives on holds the pipe open
LOOKS = 0.02  # seconds between two looks whether the call has begun


class Failed(Exception):
    """What the tool raised in its process: `Type: message`, with its traceback as `detail`."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def run_isolated(
    module: str, name: str, arguments: Mapping[str, Any], seconds: float,
    on_start: Callable[[Callable[[], None]], None], key: str = "",
) -> Any:  # fmt: skip
    """The result of `module.name(**arguments)` in a child process.

    `on_start` is given a function that kills it; `key` is the call's idempotency key. TimeoutError when it was killed
    at `seconds`, Failed when it raised.
    """
    request = json.dumps({"module": module, "name": name, "arguments": dict(arguments), "key": key}, default=str)
    with tempfile.TemporaryFile() as answer:  # no pipe, which a child of the tool could hold open
        group = _Group(_start(answer))
        printed = threading.Thread(target=_pass_on, args=(group.process.stderr,), daemon=True)
        printed.start()
        try:
            on_start(group.kill)
            code = group.run(request, lambda: os.fstat(answer.fileno()).st_size > 0, seconds)
        finally:
            group.close()
            printed.join(LAST_WORDS)
        return _read(answer, code)


class _Group:
    """A process and what it started; killed once at most after its end, when its number may be another's."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lock = threading.Lock()
        self._over = False

    def run(self, request: str, has_begun: Callable[[], bool], seconds: float) -> int:
        """Hand the call over and wait for its end; returns the exit code. The pipe stays open until then."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already: its exit code says how
            self.process.stdin.write(request.encode() + b"\n")
            self.process.stdin.flush()
        end, begun = time.monotonic() + STARTS, False
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(LOOKS if not begun else max(0.0, min(end - time.monotonic(), LONGEST)))
            if not begun and has_begun():
                end, begun = time.monotonic() + seconds, True
            elif time.monotonic() >= end:
                self.kill()
                raise TimeoutError(f"killed after {seconds:g} s" if begun else f"did not start within {STARTS:g} s")

    def kill(self) -> None:
        with self._lock:
            if not self._over:
                _kill(self.process)

    def close(self) -> None:
        """Kill what is left, and forget the process."""
        self.kill()
        self.process.wait()
        with self._lock:
            self._over = True
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):  # part of the call was never read
                self.process.stdin.close()


def _start(answer: IO[bytes]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pilotage.tools.child"],  # -P: no module is taken from the present folder first
        stdin=subprocess.PIPE, stdout=answer, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip


def _pass_on(printed: IO[bytes]) -> None:
    """What the tool prints, to our stderr; the rest is read too, so that nothing waits for it."""
    left = LOUDEST
    with printed, contextlib.suppress(OSError, ValueError):  # our stderr may be closed before it is
        while chunk := os.read(printed.fileno(), 8192):
            if left > 0:
                sys.stderr.write(chunk[:left].decode("utf-8", "replace"))
                sys.stderr.flush()
            left -= len(chunk)


def _read(answer: IO[bytes], code: int) -> Any:
    size = answer.seek(0, os.SEEK_END) - 1  # without the space that said that it began
    if size > LARGEST:
        raise Failed(f"its result has {size:,} bytes against {LARGEST:,}")
    answer.seek(0)
    try:
        reply = json.loads(answer.read())
    except ValueError:
        raise Failed(f"its process {_ending(code)} and left no result") from None
    if "error" in reply:
        raise Failed(reply["error"], reply.get("detail", ""))
    return reply["result"]


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started and that stayed in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
