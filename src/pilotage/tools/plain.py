"""What a tool returned, as JSON knows it: texts, numbers, lists and objects with names; the rest as its text."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """`value` in dicts with text as keys, lists, texts, numbers, booleans and None.

    >>> plain({1: (b"a", {2.5})})
    {'1': ['a', [2.5]]}
    """
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=repr)]
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return _of_object(value)


def _of_object(value: Any) -> Any:
    """A model or a dataclass by its fields, an array by its elements, anything else as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    for name in ("model_dump", "tolist"):  # pydantic; numpy
        if not isinstance(value, type) and callable(method := getattr(value, name, None)):
            return plain(method())
    return str(value)
