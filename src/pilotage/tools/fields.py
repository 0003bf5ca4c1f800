"""Paths into JSON, as the `fields` of a service name them: `items.0.name`, `items[0].name`, `rates.*.value`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PART = r"(?:\*|[^.\[\]*\s][^.\[\]*]*)"
PATH = re.compile(rf"(?:{PART}|\[\d+\])(?:\[\d+\])*(?:\.{PART}(?:\[\d+\])*)*")


class Missing:
    """What `select` returns for a path that leads nowhere; a null in the JSON is None."""


MISSING = Missing()


def check_path(path: str) -> str:
    """What is wrong with a path, or nothing."""
    return "" if PATH.fullmatch(path) else "is no path such as items.0.name, items[0].name or rates.*.value"


def select(value: Any, path: str) -> Any:
    """What stands at `path`: a list when it has a `*`, with null where an element lacks it; else one value or MISSING.

    >>> select({"rates": {"EUR": {"value": 1}, "USD": {"value": 2}}}, "rates.*.value")
    [1, 2]
    """
    parts = re.sub(r"\[(\d+)\]", r".\1", path).removeprefix(".").split(".")
    if "*" not in parts:
        return _walk(value, parts)
    found = list(_every(value, parts))
    if all(item is MISSING for item in found) and (found or not _is_empty(value, parts)):
        return MISSING
    return [None if item is MISSING else item for item in found]


def _every(value: Any, parts: list[str]) -> Iterator[Any]:
    if "*" not in parts:
        yield _walk(value, parts)
        return
    star = parts.index("*")
    for item in _elements(_walk(value, parts[:star])) or ():
        yield from _every(item, parts[star + 1 :])


def _walk(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _elements(value: Any) -> list[Any] | None:
    """The elements of a list or an object, None for anything else."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else None


def _is_empty(value: Any, parts: list[str]) -> bool:
    """Whether the first `*` stands for an empty list rather than for nothing at all."""
    return _elements(_walk(value, parts[: parts.index("*")])) is not None
