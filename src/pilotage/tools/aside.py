"""What a tool prints goes to stderr: on stdout stands what the command promises, with --json one document.

While tools run, `sys.stdout` is a proxy that looks at who writes: the call's own thread is led aside, all others are
not. What is not covered: threads that the tool starts, programs that it starts, and writes to file descriptor 1.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_is_aside: ContextVar[bool] = ContextVar("is_aside", default=False)
_lock = threading.Lock()
_running = 0


class _Stdout:
    """stdout for everybody but a tool's call, which gets stderr."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if _is_aside.get() else self._stdout, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stdout)


@contextmanager
def printing_aside() -> Iterator[None]:
    """What this thread prints goes to stderr meanwhile."""
    _begin()
    token = _is_aside.set(True)
    try:
        yield
    finally:
        _is_aside.reset(token)
        _end()


def _begin() -> None:
    global _running
    with _lock:
        _running += 1
        if not isinstance(sys.stdout, _Stdout):
            sys.stdout = _Stdout(sys.stdout)


def _end() -> None:
    global _running
    with _lock:
        _running -= 1
        if not _running and isinstance(sys.stdout, _Stdout):
            sys.stdout = sys.stdout._stdout
