"""What a tool returned, as JSON knows it: texts, numbers, lists and objects with names; the rest as its text.

ToolError for what has none of these: an object that says no more than its address, a list that holds itself.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from typing import Any

from pilotage.errors import ToolError

MOST = 1000  # items that are taken of what gives them one by one, and need not end
_ADDRESS = re.compile(r"<.* at 0x[0-9a-fA-F]+>", re.DOTALL)


def plain(value: Any) -> Any:
    """`value` in dicts with text as keys, lists, texts, numbers, booleans and None; ToolError when it has no such form.

    >>> plain({1: (b"a", {2.5})})
    {'1': ['a', [2.5]]}
    """
    try:
        return _plain(value, frozenset())
    except RecursionError:
        raise ToolError(f"returned {_kind(value)} that is nested too deeply") from None


def _plain(value: Any, holders: frozenset[int]) -> Any:
    """`holders` are the identities of what the value stands in."""
    if isinstance(value, enum.Enum):
        return _plain(value.value, holders)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if id(value) in holders:
        raise ToolError(f"returned {_kind(value)} that holds itself")
    holders |= {id(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key, holders)): _plain(item, holders) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, holders) for item in value]
    if isinstance(value, set | frozenset):
        return [_plain(item, holders) for item in sorted(value, key=repr)]
    return _of_object(value, holders)


def _of_object(value: Any, holders: frozenset[int]) -> Any:
    """A model or a dataclass by its fields, an array by its elements, an iterator by its items; else as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, holders)
    for name in ("model_dump", "tolist"):  # pydantic; numpy
        if not isinstance(value, type) and callable(method := getattr(value, name, None)):
            return _plain(method(), holders)
    if isinstance(value, Iterator | AsyncIterator):
        return _items(value, holders)
    text = str(value)
    if _ADDRESS.fullmatch(text):
        raise ToolError(f"returned {_kind(value)}, which has no text: return a text, a number, a list or a dict")
    return text


def _items(value: Any, holders: frozenset[int]) -> list[Any]:
    items = list(islice(value, MOST + 1)) if isinstance(value, Iterator) else None
    if items is None or len(items) > MOST:
        more = f" of more than {MOST:,} items" if items else ""
        raise ToolError(f"returned {_kind(value)}{more}: return a list")
    return [_plain(item, holders) for item in items]


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
