"""The user's Python, found by name: `my_crew.crew:crew`. What is wrong in it becomes one line with file and line."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pilotage.errors import ConfigError, PilotageError

T = TypeVar("T")


def find(name: str, key: str, root: Path) -> Any:
    """The module `name`, or the attribute of `module:attribute`. ConfigError names `key` of pilotage.yaml."""
    module_name, _, attribute = name.partition(":")
    module = calling(lambda: importlib.import_module(module_name), f"{key}: {name}", root)
    if not attribute:
        return module
    if not hasattr(module, attribute):
        raise ConfigError(f"{key}: {module_name} has no {attribute}", hint=f"change {key} in config/pilotage.yaml")
    return getattr(module, attribute)


def calling(function: Callable[[], T], what: str, root: Path) -> T:
    """`function()`; what the user's code raises becomes a ConfigError that says where."""
    try:
        return function()
    except PilotageError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        hint = "change crew or tools in config/pilotage.yaml" if isinstance(error, ImportError) else "mend that line"
        raise ConfigError(f"{place(error, root) or what}: {problem}", hint=hint) from error


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
