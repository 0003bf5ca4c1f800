"""The process of an isolated tool: reads one call as JSON on stdin, writes its result as JSON on the first stdout.

What the tool prints goes to stderr, so that it cannot be taken for a result; its stdin is empty. The pipe of the call
stays open as a lifeline: when the parent is gone, this process and what it started are gone too.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from pilotage.errors import PilotageError
from pilotage.tools import known_as
from pilotage.tools.plain import plain


def find(module: str, name: str) -> Any:
    """The function of that name in the module, or `_run` of its CrewAI tool object; LookupError when there is none."""
    found = vars(importlib.import_module(module))
    objects = (value for value in found.values() if hasattr(value, "args_schema") and not isinstance(value, type))
    target = next((value for value in objects if getattr(value, "name", None) == name), found.get(name))
    function = getattr(target, "_run", target)
    if not callable(function):
        raise LookupError(f"{module} has no tool {name}")
    return function


def call(
    module: str, name: str, arguments: dict[str, Any], key: str = "", begun: Callable[[], None] = lambda: None
) -> Any:
    """`module.name(**arguments)`; `name` may be a CrewAI tool object's own name. `begun` once it is imported."""
    function = find(module, name)
    begun()
    with known_as(key):
        result = function(**arguments)
        return asyncio.run(result) if inspect.iscoroutine(result) else result


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    request = _take_call()
    os.dup2(2, 1)

    def begun() -> None:
        print(end=" ", file=out, flush=True)  # the seconds of the call run from here

    try:
        reply = json.dumps({"result": plain(call(**request, begun=begun))})
    except PilotageError as error:
        reply = json.dumps({"error": str(error)})
    except BaseException as error:
        reply = json.dumps({"error": _said(error), "detail": traceback.format_exc()})
    out.write(reply)
    out.close()
    os._exit(0)  # threads that the tool left behind do not hold the process


def _take_call() -> dict[str, Any]:
    request: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    return request


def _end_with_parent(lifeline: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(lifeline, 1):
            pass
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own __str__ is broken
        return type(error).__name__


if __name__ == "__main__":
    main()
