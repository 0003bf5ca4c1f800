"""Reading .xlsx: a passage for each row, numbers and dates as they stand in the sheet, formulas by their last value.

Hidden sheets are left out and named. A cell merged over rows counts for each of them. Not covered: hidden rows and
columns (they are read), charts, comments, formulas that no program has calculated yet, .xls and .xlsb.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilotage.reading import office
from pilotage.reading.documents import Document, Draft, given_title, squeeze, stem_title
from pilotage.reading.tables import Row, add_rows

CELL = 32_767  # characters, Excel's own limit
COLUMNS = 1_000  # of a row
EMPTY = 100_000  # rows without a value, one after the other, end a sheet

_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"')
_MERGES = 10_000  # of a sheet
_PATTERN = re.compile(r"(?P<before>[^0#?.,]*)(?P<figures>[0#?,]*(?:\.[0#?]+)?)(?P<after>[^0#?.,]*)")
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]')


def read_xlsx(path: Path) -> Document:
    """The rows of all visible sheets as blocks. ValueError with a short reason when it cannot be read."""
    from openpyxl import load_workbook

    office.check(path)
    book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    draft, notes = Draft(), []
    with zipfile.ZipFile(path) as archive:
        for sheet in book.worksheets:
            name = squeeze(sheet.title)
            if sheet.sheet_state != "visible":
                notes.append(f'left out the hidden sheet "{name}"')
                continue
            before, total = len(draft.blocks), sheet.max_row
            sheet.reset_dimensions()  # a file may claim a million columns; the rows themselves tell
            if add_rows(draft, _rows(sheet, _merged(archive, sheet)), name, count=False):
                of = f" of {total:,}" if total else ""
                notes.append(f'read only the first {len(draft.blocks) - before:,} rows{of} of the sheet "{name}"')
    title = given_title(book.properties.title) or stem_title(path)
    book.close()
    return draft.document(title, "; ".join(notes))


def _rows(sheet: Any, merged: dict[tuple[int, int], int]) -> Iterator[Row]:
    """The rows with their numbers; `merged` maps a cell (row, column) to the last row that it covers."""
    held: dict[int, tuple[str, int]] = {}  # column: value and the last row that it counts for
    empty = 0
    for number, cells in enumerate(sheet.iter_rows(), 1):
        texts = [_text(cell.value, cell.number_format) if cell.value is not None else "" for cell in cells[:COLUMNS]]
        for column, (value, last) in list(held.items()):
            if number > last:
                del held[column]
            elif any(texts):
                texts += [""] * (column + 1 - len(texts))
                texts[column] = texts[column] or value
        if merged:
            held |= {at: (value, merged[number, at]) for at, value in enumerate(texts) if (number, at) in merged}
        empty = 0 if any(texts) else empty + 1
        if empty > EMPTY:
            return
        yield Row(number, texts)


def _merged(archive: zipfile.ZipFile, sheet: Any) -> dict[tuple[int, int], int]:
    """Cells that are merged over several rows. openpyxl does not tell when it reads row by row."""
    from openpyxl.utils import column_index_from_string

    found = _MERGED.findall(archive.read(sheet._worksheet_path.lstrip("/")))[:_MERGES]
    cells = ((int(top), column_index_from_string(left.decode()) - 1, int(bottom)) for left, top, bottom in found)
    return {(top, column): bottom for top, column, bottom in cells if bottom > top}


def _text(value: Any, form: str) -> str:
    """The value as the sheet shows it, near enough: 2024-03-01, 12.5, 68,000,000, 12.5%, True."""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "seconds" if value.second else "minutes").removesuffix(" 00:00")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _figure(value, form)
    return squeeze(str(value)[:CELL])


def _figure(value: float, form: str) -> str:
    """By the form `#,##0.00 "€"` when it is a plain one; else without the digits that are only a rounding error."""
    section = _LITERAL.sub(lambda found: found[1] or found[2] or found[3] or "", form.split(";")[0])
    pattern = _PATTERN.fullmatch(section)
    if not pattern or not pattern["figures"].strip(",") or "E+" in form:
        return f"{round(value, 6):.15g}" if abs(value) >= 1 else f"{value:.10g}"
    percent = "%" in pattern["after"]
    places = len(pattern["figures"].partition(".")[2])
    comma = "," if "," in pattern["figures"].strip(",") else ""
    figures = f"{abs(value) * (100 if percent else 1):{comma}.{places}f}"
    sign = "-" if value < 0 and figures.strip("0.,") else ""
    return squeeze(f"{sign}{pattern['before']}{figures}{pattern['after']}")
