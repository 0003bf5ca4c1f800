"""The process of an isolated tool: reads one call as JSON on stdin, writes its result as JSON on the first stdout.

What the tool prints goes to stderr, so that it cannot be taken for a result.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any


def call(module: str, name: str, arguments: dict[str, Any]) -> Any:
    """`module.name(**arguments)`; `name` may be a CrewAI tool object's own name."""
    found = importlib.import_module(module)
    target = getattr(found, name, None)
    if target is None or not callable(getattr(target, "_run", target)):
        target = next(value for value in vars(found).values() if getattr(value, "name", None) == name)
    return getattr(target, "_run", target)(**arguments)


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        reply: dict[str, Any] = {"result": call(**json.load(sys.stdin))}
    except BaseException as error:
        reply = {"error": f"{type(error).__name__}: {error}", "detail": traceback.format_exc()}
    json.dump(reply, out, ensure_ascii=False, default=str)
    out.close()
    os._exit(0)  # threads that the tool left behind do not hold the process


if __name__ == "__main__":
    main()
