"""A check of data in a process of its own that ends at SECONDS: `re` holds the interpreter's lock against any thread.

What may take long is told from the schema: patterns, which can backtrack without end, `uniqueItems`, formats beyond the
plain ones, and a `$ref`, which can lead to itself in many ways at once. Of a pydantic model it is a pattern that `re`
runs; pydantic's own engine does not backtrack. What is not covered: the validators of your model, which run where the
check was called; the time for the import of your model, up to STARTS; the memory that a check takes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotage.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from pilotage.checks.data import DataFault, Schema

SECONDS = 5.0  # two million characters without a pattern take four
STARTS = 15.0  # seconds for the start of the process, the import of the user's module with it, on a busy machine
LOOKS = 0.02  # seconds between two looks whether it has begun
_SLOW = {
    "pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties",
    "$ref", "$dynamicRef", "$recursiveRef",
}  # fmt: skip
_QUICK = ("date", "date-time", "time", "email", "ipv4", "ipv6", "uri", "uuid")


def may_take_long(schema: Schema) -> bool:
    """Whether the time of a check has no bound that follows from the size of the text."""
    if isinstance(schema, dict):
        return any(_SLOW & part.keys() or part.get("format", "date") not in _QUICK for part in _mappings(schema))
    schema.model_rebuild(raise_errors=False)  # of one with names that were not there yet
    parts = _mappings(schema.__pydantic_core_schema__)
    patterns = [part["pattern"] for part in parts if "pattern" in part]
    by_re = any(part.get("regex_engine") == "python-re" for part in parts)
    return any(by_re or isinstance(pattern, re.Pattern) for pattern in patterns)


def check(value: Any, schema: Schema, rows: bool) -> list[DataFault] | None:
    """The faults of a value, found in a child process; None when the call cannot be handed to one.

    ConfigError for a schema that is none, ToolError when the process failed.
    """
    if getattr(schema, "__module__", "") == "__main__":  # which is another module there
        return None
    try:
        call = pickle.dumps((value, schema, rows, SECONDS))  # a schema of YAML may hold a date, which JSON does not
    except (pickle.PicklingError, AttributeError, TypeError):  # a model within a function
        return None
    code, answer = _run(call)
    return _faults(code, answer)


def main() -> None:
    """The child: a call on stdin; on stdout a space when it begins, then its faults as JSON."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what the user's module prints is no result
    try:
        value, schema, rows, seconds = pickle.loads(sys.stdin.buffer.read())
    except (ImportError, AttributeError):  # a model that is not found by its name
        reply: dict[str, Any] = {}
    else:
        print(end=" ", file=out, flush=True)
        if hasattr(signal, "alarm"):  # the system ends it, should the parent be gone by then
            signal.alarm(math.ceil(seconds) + 1)
        reply = _judged(value, schema, rows)
    out.write(json.dumps(reply))
    out.close()
    os._exit(0)  # threads of the user's module do not hold the process


def _judged(value: Any, schema: Schema, rows: bool) -> dict[str, Any]:
    from pilotage.checks.data import judge

    try:
        return {"faults": [(fault.path, fault.found, fault.expected) for fault in judge(value, schema, rows)]}
    except ConfigError as error:
        return {"config": str(error), "hint": error.hint}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _faults(code: int | None, answer: bytes) -> list[DataFault] | None:
    from pilotage.checks.data import DataFault

    if code is None:
        return [DataFault("$", f"a value that could not be judged within {SECONDS:g} s", "one that takes less time")]
    try:
        reply = json.loads(answer)
    except ValueError:
        raise ToolError(f"the data check's process ended with code {code} and left no result") from None
    if "config" in reply:
        raise ConfigError(reply["config"], hint=reply["hint"])
    if "error" in reply:
        raise ToolError(f"the data check failed: {reply['error']}")
    return [DataFault(*fault) for fault in reply["faults"]] if reply else None


def _run(call: bytes) -> tuple[int | None, bytes]:
    """The exit code of the child, None when it was killed at SECONDS, and its answer."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as answer:  # no pipe can fill up
        request.write(call)
        request.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pilotage.checks.bounded"],  # -P: nothing from the present folder first
            stdin=request, stdout=answer, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip
        try:
            code = _wait(process, lambda: os.fstat(answer.fileno()).st_size > 0)
        finally:
            process.kill()
            process.wait()
        answer.seek(0)
        return code, answer.read()


def _wait(process: subprocess.Popen[bytes], has_begun: Callable[[], bool]) -> int | None:
    end, begun = time.monotonic() + STARTS, False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, end - time.monotonic()) if begun else LOOKS)
        if not begun and has_begun():
            end, begun = time.monotonic() + SECONDS, True
        elif begun:
            return None
        elif time.monotonic() >= end:
            raise ToolError(f"the data check's process did not start within {STARTS:g} s")


def _mappings(schema: Any) -> list[dict[str, Any]]:
    """Every mapping in a schema, each once: one of YAML may hold itself."""
    waiting, found, seen = [schema], [], set()
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict | list | tuple) or id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            found.append(part)
        waiting += part.values() if isinstance(part, dict) else part
    return found


if __name__ == "__main__":
    main()
