"""YAML with line numbers: reads a mapping, remembers the line of every key, turns a validation error into one line."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pilotage.errors import ConfigError, nearest, shortened

KeyPath = tuple[str, ...]


class Marks:
    """Where each key stands: `marks.at("config/tasks.yaml", "verify", "agent")` -> "config/tasks.yaml:12"."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.origins: dict[KeyPath, str] = {}

    def at(self, file: str, *path: str) -> str:
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
            if path[:end] in self.lines:
                return f"{file}:{self.lines[path[:end]]}"
        return file

    def forget(self, path: KeyPath, origin: str) -> None:
        """The value at `path` no longer comes from the file but from `origin`."""
        self.origins[path] = origin

    def lines_of(self, keys: Iterable[str]) -> dict[str, int]:
        """The line of each dotted key that stands in the file."""
        return {key: line for key in keys if (line := self.lines.get(tuple(key.split("."))))}


def read_yaml(path: Path, shown: str) -> tuple[dict[str, Any], Marks]:
    """The mapping in a YAML file and the line of each of its keys. An empty file is an empty mapping."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise ConfigError(f"{shown}: the file is missing", hint=f"restore {shown} from the template") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: cannot be read ({error})") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            f"{shown}:{line}: not valid YAML: {error.problem}", hint="check indentation and quotes"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown}: not valid YAML: {' '.join(str(error).split())}") from None
    marks = Marks()
    if node is None:
        return {}, marks
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{shown}:{node.start_mark.line + 1}: expected a mapping of names, found a list or a plain value"
        )
    try:
        return _mapping(node, (), marks, shown), marks
    except RecursionError:
        line = node.start_mark.line + 1
        raise ConfigError(f"{shown}:{line}: a value holds itself", hint="take the alias (*) out") from None


def _mapping(node: yaml.MappingNode, path: KeyPath, marks: Marks, shown: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in result:
            raise ConfigError(
                f'{shown}:{line}: "{key}" stands twice', hint=f"first on line {marks.lines[(*path, key)]}"
            )
        marks.lines[(*path, key)] = line
        result[key] = _value(value_node, (*path, key), marks, shown)
    return result


def _value(node: yaml.Node, path: KeyPath, marks: Marks, shown: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, marks, shown)
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = node.start_mark.line + 1
        reason = getattr(error, "problem", None) or f"{type(error).__name__}: {error}"
        raise ConfigError(f'{shown}:{line}: "{".".join(path)}" cannot be read: {reason}') from None


def describe(
    error: ValidationError, spec: type[BaseModel], marks: Marks, file: str, prefix: KeyPath = ()
) -> ConfigError:
    """The first fault of a validation as a ConfigError: file, line, what was expected, the nearest name."""
    faults = error.errors()  # a misspelt key is also a missing one: the misspelling says more
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    path = (*prefix, *(str(part) for part in fault["loc"]))
    where, key = marks.at(file, *path), ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = _fields(spec, fault["loc"][:-1])
        return ConfigError(f'{where}: unknown key "{key}"', hint=nearest(path[-1], known))
    if fault["type"] == "missing":
        return ConfigError(f'{where}: "{key}" is missing', hint=f"add {path[-1]} to {file}")
    found = f", found {_shown(fault['input'])}"
    hint = f"change {key} in {file}" if where.startswith(file) else f"change {where}"
    return ConfigError(f'{where}: "{key}": {_plain(fault["msg"])}{found}', hint=hint)


def _fields(spec: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    inner: Any = spec
    for part in loc:
        if typing.get_origin(inner) is dict:  # names of the user's own
            inner = typing.get_args(inner)[1]
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            inner = inner.model_fields[str(part)].annotation
        else:
            break
        spec = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else spec
    return list(spec.model_fields)


def _plain(message: str) -> str:
    message = re.sub(r"a valid dictionary or (an )?instance of \w+", "a mapping", message)
    return message.replace("Input should be", "expected").replace("Value error, ", "")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "nothing" if value is None else shortened(repr(value))
