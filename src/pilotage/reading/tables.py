"""Rows of a table as lines of text: `Country: France | Capital: Paris`, for quotes that say what each value is.

A first row that looks like a header gives the names. It does when its cells are texts, each another one, over columns
of figures or dates; or over columns of texts, where the caller says that this is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from pilotage.reading.documents import LONGEST, Draft

ROWS = 50_000  # of a file
TEXT = 20_000_000  # characters of a file, with the names of columns in every row

_SAMPLE = 30  # rows that are looked at for a header
_TITLES = 5  # rows that may stand above it: a title, a date
_LONGEST_NAME = 80  # characters of a column's name
_VALUE = re.compile(
    r"[-+(]?\s?[$€£¥]?\s?[-+]?\d[\d\s.,'’]*(?:[eE][-+]?\d+)?\s?(?:%|[$€£¥])?\)?"  # 1,200.50 · -3 · 12 % · 5 €
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T]\d{1,2}:\d\d.*)?|\d{1,2}:\d\d(?::\d\d)?|true|false|n/?a|[-–—]|https?://\S+|\S+@\S+",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


@dataclass(frozen=True, slots=True)
class Row:
    """A row under the number that a person sees beside it, and its cells as single lines."""

    number: int
    cells: list[str]


def lines_of(rows: Iterable[Row], *, texts_may_head: bool = True) -> Iterator[tuple[int, str]]:
    """Number and text of each row that has any; the header is in the names and no line of its own."""
    rows = iter(row for row in rows if any(row.cells))
    sample = list(islice(rows, _SAMPLE))
    at = _header(sample, texts_may_head)
    names: list[str] = []
    for position, row in enumerate(chain(sample, rows)):
        if position == at:
            names = [cell.rstrip(" :") for cell in row.cells]
        else:
            yield row.number, _line(row.cells, names)


def add_rows(draft: Draft, rows: Iterable[Row], sheet: str = "", *, count: bool = True) -> int:
    """A block for each row up to the caps; how many rows were left out, or 1 for some when they need not be counted."""
    left = 0
    for number, line in lines_of(rows):
        if left or len(draft.blocks) >= ROWS or draft.size + len(line) > TEXT:
            left += 1
            if not count:
                break
        else:
            draft.add("table", line, heading=sheet, place=f"{sheet}, row {number}" if sheet else f"row {number}")
    return left


def _line(cells: list[str], names: list[str]) -> str:
    """The cells that are filled; what would be too long for a quote goes on in the next line."""
    lines = [""]
    for place, cell in enumerate(cells):
        if not cell:
            continue
        name = names[place] if place < len(names) else ""
        part = f"{name}: {cell}" if name else cell
        if not lines[-1]:
            lines[-1] = part
        elif len(lines[-1]) + len(part) + 3 <= LONGEST:
            lines[-1] += f" | {part}"
        else:
            lines.append(part)
    return "\n".join(lines)


def _header(sample: list[Row], texts_may_head: bool) -> int | None:
    """Where the header stands, if there is one: the first row about as wide as the table."""
    width = max((_filled(row) for row in sample), default=0)
    for at, row in enumerate(sample[: _TITLES + 1]):
        if width > 1 and _filled(row) >= max(2, 0.6 * width):
            return at if _heads(row.cells, sample[at + 1 :], texts_may_head) else None
    return None


def _heads(names: list[str], below: list[Row], texts_may_head: bool) -> bool:
    filled = [name for name in names if name]
    if not below or len(set(filled)) < len(filled) or max(map(len, filled)) > _LONGEST_NAME:
        return False
    columns = [[row.cells[at] for row in below if at < len(row.cells) and row.cells[at]] for at in range(len(names))]
    pairs = [(name, column) for name, column in zip(names, columns, strict=True) if name]
    if any(name in column or (_is_value(name) and not _is_year_over(name, column)) for name, column in pairs):
        return False
    over_values = any(sum(map(_is_value, column)) > 0.7 * len(column) for _, column in pairs if column)
    return over_values or texts_may_head


def _is_year_over(name: str, column: list[str]) -> bool:
    """`2019` is a name when the column below holds no years itself."""
    return bool(_YEAR.fullmatch(name)) and not any(_YEAR.fullmatch(cell) for cell in column)


def _is_value(cell: str) -> bool:
    return bool(_VALUE.fullmatch(cell))


def _filled(row: Row) -> int:
    return sum(map(bool, row.cells))
