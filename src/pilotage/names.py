"""The user's Python, found by name: `my_crew.crew:crew`. What is wrong in it becomes one line with file and line."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pilotage.errors import ConfigError, PilotageError

T = TypeVar("T")
DELEGATION = ("Delegate work to coworker", "Ask question to coworker")  # CrewAI adds them with allow_delegation
_FILES = {
    "crew": "config/pilotage.yaml", "tools": "config/pilotage.yaml",
    "output_pydantic": "config/tasks.yaml", "data": "config/tasks.yaml",
}  # fmt: skip

DELEGATION = (
    "Delegate work to coworker",
    "Ask question to coworker",
)  # the tools that CrewAI adds with allow_delegation


def tool_name(name: str) -> str:
    """A tool's name as CrewAI compares it."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def find(name: str, key: str, root: Path) -> Any:
    """The module `name`, or the attribute of `module:attribute`.

    `key` says where the name stands: a key of the settings, a file with its line, or an option; ConfigError names it.
    """
    module_name, _, attribute = name.partition(":")
    hint = f"change {key} in {_FILES[key]}" if key in _FILES else f"change {name}, which {key} names"
    module = calling(lambda: importlib.import_module(module_name), f"{key}: {name}", root, hint)
    if not attribute:
        return module
    if not hasattr(module, attribute):
        raise ConfigError(f"{key}: {module_name} has no {attribute}", hint=hint)
    return getattr(module, attribute)


def calling(function: Callable[[], T], what: str, root: Path, hint: str = "") -> T:
    """`function()`; what the user's code raises, or its `sys.exit`, becomes a ConfigError that says where.

    `hint` is for an error that no line of the project raised.
    """
    try:
        return function()
    except PilotageError:
        raise
    except (Exception, SystemExit) as error:
        problem, line = f"{type(error).__name__}: {' '.join(str(error).split())}", place(error, root)
        raise ConfigError(f"{line or what}: {problem}", hint=_mending(error) if line else hint) from error


def _mending(error: BaseException) -> str:
    """What to do about a line of the project: a package that is not there can be added."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    missing = isinstance(error, ModuleNotFoundError) and package and package not in sys.modules
    return f"mend that line, or uv add {package}" if missing else "mend that line"


def place(error: BaseException, root: Path) -> str:
    """`src/my_crew/tools.py:9`, the innermost line of the project in an error's traceback."""
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
    engine = Path(__file__).parent
    for name, line in reversed(lines):
        path = Path(name)
        if path.is_relative_to(root) and not path.is_relative_to(engine) and "site-packages" not in path.parts:
            return f"{path.relative_to(root).as_posix()}:{line}"
    return ""
