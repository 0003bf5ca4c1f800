"""Fenced blocks in what a model writes: found line by line, taken out of a text, unwrapped.

A fence of backticks or tildes is closed by marks that are at least as long as those that opened it, or by the end.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MARK = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """A block from `start` to `stop`: the words behind its opening marks, and its lines, not indented."""

    words: tuple[str, ...]
    body: str
    start: int
    stop: int

    @property
    def language(self) -> str:
        return self.words[0]


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text in order.

    >>> [(fence.language, fence.body) for fence in fences("So:\\n```python\\nx = 1\\n```\\n")]
    [('python', 'x = 1')]
    """
    opening: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if opening is None:
            opening = mark
        elif not mark["info"].strip() and mark["mark"].startswith(opening["mark"]):
            yield _fence(text, opening, mark.start(), mark.end())
            opening = None
    if opening is not None:
        yield _fence(text, opening, len(text), len(text))


def without(text: str, takes: Callable[[Fence], bool]) -> str:
    """The text without the blocks that `takes` takes, each of which is a paragraph's end."""
    parts, kept_from = [], 0
    for fence in fences(text):
        if takes(fence):
            parts.append(text[kept_from : fence.start])
            kept_from = fence.stop
    return "\n".join([*parts, text[kept_from:]])


def unfenced(text: str) -> str:
    """What stands in a block that is the whole text; any other text as it is."""
    stripped = text.strip()
    first = next(fences(stripped), None)
    return first.body if first and (first.start, first.stop) == (0, len(stripped)) else text


def _fence(text: str, opening: re.Match[str], end: int, stop: int) -> Fence:
    words = re.split(r"[^\w+-]+", opening["info"].strip().lower())
    body = textwrap.dedent(text[opening.end() + 1 : end].replace("\r\n", "\n")).strip("\n")
    return Fence(tuple(words), body, opening.start(), stop)
