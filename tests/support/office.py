"""Makes small spreadsheets and Word files, spoils them, and reads what is in them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from pilotage.evidence.passages import READERS, Cut, cut
from pilotage.reading.docx import read_docx
from pilotage.reading.xlsx import read_xlsx


def cuts_of(path: Path) -> list[Cut]:
    """The passages of a file. Office files are read in this process, which is quicker; others go the usual way."""
    return cut({".docx": read_docx, ".xlsx": read_xlsx}.get(path.suffix, READERS[path.suffix])(path), path.name)


def texts(cuts: list[Cut]) -> list[str]:
    return [piece.passage.text for piece in cuts]


def places(cuts: list[Cut]) -> list[str]:
    return [piece.passage.where for piece in cuts]


def book_of(folder: Path, fill: Callable[[Any, Worksheet], None], name: str = "book.xlsx") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.title = "Prices"
    fill(book, sheet)
    book.save(folder / name)
    return folder / name


def prices(_: Any, sheet: Worksheet) -> None:
    for row in (["Part", "Price"], ["Bolt", 12.5], ["Nut", 3]):
        sheet.append(row)


def word_of(folder: Path, fill: Callable[[Any], None], name: str = "plan.docx") -> Path:
    document = docx.Document()
    fill(document)
    document.save(str(folder / name))
    return folder / name


def caps(document: Any) -> None:
    document.add_heading("Handbook of Limits", 0)
    document.add_paragraph("Every run has caps.")
    document.add_heading("Caps", 1)
    document.add_heading("Seconds", 2)
    document.add_paragraph("A run ends after 300 seconds. Nothing starts after that.")
    document.add_paragraph("wall-clock time", style="List Bullet")
    document.add_paragraph("not the processor's", style="List Number")
    document.add_heading("Tokens", 2)
    table = document.add_table(rows=0, cols=2)
    for row in (("Key", "Default"), ("tokens", "200,000"), ("calls", "30")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_paragraph("After the table.")


def rewrite(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    """Change one part of an Office file; the change must be one."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    changed = change(contents[part])
    assert changed != contents[part]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (contents | {part: changed}).items():
            archive.writestr(name, content)
