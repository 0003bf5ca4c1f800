"""Tools: a plain function with type hints and a docstring, both of which the model sees.

    @tool
    def word_count(text: str) -> int:
        "Count the words of a text."
        return len(text.split())

What it raises reaches the agent as one sentence and the journal in full. `isolate=True` runs it in a process of its
own, which is killed at its timeout: for calls that block. The policy in config/pilotage.yaml stands before each call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pilotage.errors import ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__pilotage_tool__"


@dataclass(frozen=True)
class Marked:
    """What the decorator was told. `timeout` in seconds; None: limits.tool_seconds."""

    timeout: float | None = None
    isolate: bool = False


@overload
def tool(function: Function) -> Function: ...
@overload
def tool(*, timeout: float | None = None, isolate: bool = False) -> Callable[[Function], Function]: ...
def tool(function: Any = None, *, timeout: float | None = None, isolate: bool = False) -> Any:
    """Mark a function as a tool that agents.yaml may name.

    `timeout` in seconds, else limits.tool_seconds; `isolate` runs it in a child process that can be killed.
    """

    def mark(function: Any) -> Any:
        if not (function.__doc__ or "").strip():
            raise ConfigError(f"The tool {function.__name__} has no docstring", hint="say in one line what it does")
        if timeout is not None and not timeout > 0:
            raise ConfigError(
                f"The tool {function.__name__} has a timeout of {timeout} s against more than 0",
                hint="leave it out for limits.tool_seconds",
            )
        setattr(function, MARK, Marked(timeout, isolate))
        return function

    return mark(function) if function is not None else mark


def marked(function: Any) -> Marked:
    found = getattr(function, MARK, None)
    return found if isinstance(found, Marked) else Marked()
