"""What a query gives back: rows whose values are safe in JSON, short, and without characters that nobody sees."""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pilotage.errors import ToolError
from pilotage.guard.fence import clean

LONGEST_CELL = 2_000  # characters
LONGEST_RESULT = 1_000_000  # characters of all cells


@dataclass(frozen=True)
class Rows:
    """The rows of one query; `more` says that there were more than the database's `rows` or than fit."""

    database: str
    columns: list[str]
    rows: list[list[Any]]
    more: bool
    seconds: float

    def text(self) -> str:
        """A line per row, which is what is quoted and cited: `name: Tea | price: 3.50`."""
        return "\n".join(
            " | ".join(f"{column}: {_shown(value)}" for column, value in zip(self.columns, row, strict=True))
            for row in self.rows
        )


def cell(value: Any) -> Any:
    """`value` as JSON can hold it: bytes as <12 bytes>, dates in ISO form, decimals and what JSON lacks as text.

    >>> cell(Decimal("3.50")), cell(b"abc"), cell(float("nan"))
    ('3.50', '<3 bytes>', 'nan')
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(bytes(value)):,} bytes>"
    return _short(clean(_text(value)))


def take(columns: Sequence[str], found: Iterable[Sequence[Any]], limit: int, until: float) -> tuple[list[Any], bool]:
    """At most `limit` rows, and whether there are more. TimeoutError when `until` (monotonic) has passed."""
    rows: list[list[Any]] = []
    size = 0
    for row in found:
        if len(rows) == limit or size > LONGEST_RESULT:
            return rows, True
        if time.monotonic() > until:
            raise TimeoutError
        rows.append([cell(value) for value in row])
        size += sum(len(str(value)) for value in rows[-1])
    return rows, False


def headings(names: Iterable[Any]) -> list[str]:
    """Names of columns, cleaned; ToolError when there are none."""
    columns = [_short(" ".join(clean(str(name)).split())) for name in names]
    if not columns:
        raise ToolError("the statement returns no columns")
    return columns


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _shown(value: Any) -> str:
    """One line, so that no value can pass for a row of its own."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return " ".join(value.split()) if isinstance(value, str) else str(value)
