"""Tools: a plain function with type hints and a docstring, both of which the model sees.

    @tool
    def word_count(text: str) -> int:
        "Count the words of a text."
        return len(text.split())

What it raises reaches the agent as one sentence and the journal in full. `isolate=True` runs it in a process of its
own, which is killed at its timeout: for calls that block. `side_effects=True` says that it changes something in the
world: a run that is resumed does not do it again, and `idempotency_key()` inside of it names the call to a service that
tells a repetition from a second order. The policy in config/pilotage.yaml stands before each call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from pilotage.errors import ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__pilotage_tool__"
_key: ContextVar[str] = ContextVar("idempotency_key", default="")


@dataclass(frozen=True)
class Marked:
    """What the decorator was told. `timeout` in seconds; None: limits.tool_seconds."""

    timeout: float | None = None
    isolate: bool = False
    side_effects: bool = False


@overload
def tool(function: Function) -> Function: ...
@overload
def tool(
    *, timeout: float | None = None, isolate: bool = False, side_effects: bool = False
) -> Callable[[Function], Function]: ...
def tool(
    function: Any = None, *, timeout: float | None = None, isolate: bool = False, side_effects: bool = False
) -> Any:  # fmt: skip
    """Mark a function as a tool that agents.yaml may name.

    `timeout` in seconds, else limits.tool_seconds; `isolate` runs it in a child process that can be killed;
    `side_effects` when it changes something in the world (sends, pays, deletes), which must not happen twice.
    """

    def mark(function: Any) -> Any:
        if not (function.__doc__ or "").strip():
            raise ConfigError(f"The tool {function.__name__} has no docstring", hint="say in one line what it does")
        if timeout is not None and not _is_time(timeout):
            raise ConfigError(
                f"{where(function)}: the tool {function.__name__} has a timeout of {timeout!r} against seconds above 0",
                hint="leave it out for limits.tool_seconds",
            )
        setattr(function, MARK, Marked(timeout, isolate, side_effects))
        return function

    return mark(function) if function is not None else mark


def idempotency_key() -> str:
    """Inside a tool with side effects: the name of this call, the same when a run is resumed; elsewhere ""."""
    return _key.get()


@contextmanager
def known_as(key: str) -> Iterator[None]:
    """The call made meanwhile goes by this idempotency key."""
    before = _key.set(key)
    try:
        yield
    finally:
        _key.reset(before)


def marked(function: Any) -> Marked:
    found = getattr(function, MARK, None)
    return found if isinstance(found, Marked) else Marked()


def where(function: Any) -> str:
    """`src/my_crew/tools.py:27`: where a function begins, as seen from its project."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    if code is None:
        return type(function).__name__
    path = Path(code.co_filename)
    root = next((folder for folder in path.parents if (folder / "config" / "pilotage.yaml").is_file()), path.parent)
    return f"{path.relative_to(root).as_posix()}:{code.co_firstlineno}"


def _is_time(timeout: Any) -> bool:
    return isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout > 0
