"""Which of a tool's requests the cache has answered: noted where it happens, told by whoever has called the tool.

A note reaches the innermost block that listens in the same context, also from a thread that has a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listening: ContextVar[list[str] | None] = ContextVar("pilotage_served", default=None)


@contextmanager
def listening() -> Iterator[list[str]]:
    """The list that gets a note for each answer from the cache: `fresh`, or `renewed` when its server was asked."""
    noted: list[str] = []
    token = _listening.set(noted)
    try:
        yield noted
    finally:
        _listening.reset(token)


def note(how: str) -> None:
    """An answer came from the cache."""
    noted = _listening.get()
    if noted is not None:
        noted.append(how)
