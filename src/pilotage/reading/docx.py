"""Reading .docx: headings, paragraphs, lists and tables in their order, a line of the text for each paragraph.

Word lays pages out anew on each machine, so that a passage is named by heading and paragraph. Deleted and hidden text
is left out, inserted text is read. Not covered: text boxes, headers and footers, footnotes, comments, tables of
contents, nested tables (read as text of their cell), .doc.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilotage.reading import office
from pilotage.reading.documents import Document, Draft, given_title, squeeze, stem_title
from pilotage.reading.tables import ROWS, TEXT, Row, lines_of

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ALTERNATE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_HEADING = re.compile(r"heading (\d)")
_BREAKS = {f"{_W}tab", f"{_W}br", f"{_W}cr"}
_UNREAD = {f"{_W}del", f"{_W}moveFrom", f"{_W}pict", f"{_W}drawing", f"{_W}object", f"{_W}pPr", _ALTERNATE}
_OFF = ("0", "false", "off")


def read_docx(path: Path) -> Document:
    """Paragraphs and tables as blocks. ValueError with a short reason when it cannot be read."""
    from docx import Document as open_docx

    office.check(path)
    word = open_docx(str(path))
    names = {style.style_id: str(style.name).lower() for style in word.styles}
    reading = _Reading(names)
    reading.walk(word.element.body)
    title = given_title(word.core_properties.title) or reading.title or stem_title(path)
    note = f"read only the first {len(reading.draft.blocks):,} blocks" if reading.full else ""
    return reading.draft.document(title, note)


class _Reading:
    """One pass over the body; `path` holds the headings that the next paragraph stands under."""

    def __init__(self, styles: dict[str, str]) -> None:
        self.styles = styles
        self.draft = Draft()
        self.title = ""
        self.path: list[tuple[int, str]] = []

    @property
    def full(self) -> bool:
        return len(self.draft.blocks) >= ROWS or self.draft.size > TEXT

    def walk(self, body: Any) -> None:
        for element in body:
            if self.full:
                return
            if element.tag == f"{_W}p":
                self._paragraph(element)
            elif element.tag == f"{_W}tbl":
                self._table(element)
            elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
                self.walk(element)

    def _paragraph(self, element: Any) -> None:
        text = squeeze("".join(_words(element)))
        if not text:
            return
        style = self.styles.get(_value(element.find(f"{_W}pPr/{_W}pStyle")), "")
        heading = _HEADING.match(style)
        if heading:
            self._heading(int(heading[1]), text)
        elif style == "title" and not self.title:
            self.title = text
            self.draft.line(text)
        elif style.startswith("toc "):
            return
        elif style.startswith("list") or element.find(f"{_W}pPr/{_W}numPr") is not None:
            self.draft.add("list", f"- {text}", heading=self._under(), joins=True)
        else:
            self.draft.add("prose", text, heading=self._under())

    def _heading(self, level: int, text: str) -> None:
        while self.path and self.path[-1][0] >= level:
            self.path.pop()
        self.path.append((level, text))
        self.draft.line(text)

    def _table(self, table: Any) -> None:
        joins = False
        for _, line in lines_of(_rows(table), texts_may_head=_marks_header(table)):
            self.draft.add("table", line, heading=self._under(), joins=joins)
            joins = True

    def _under(self) -> str:
        return " > ".join(name for _, name in self.path)


def _words(element: Any) -> Iterator[str]:
    """The text that is shown, in order: no deletions, no hidden runs, nothing of drawings."""
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _BREAKS or child.tag == f"{_W}p":
            yield " "
            yield from _words(child)
        elif child.tag == f"{_W}noBreakHyphen":
            yield "-"
        elif child.tag not in _UNREAD and not _is_on(child.find(f"{_W}rPr/{_W}vanish")):
            yield from _words(child)


def _rows(table: Any) -> Iterator[Row]:
    """Rows with a cell for each column: one merged over columns stands in the first, one over rows in each row."""
    above: list[str] = []
    for number, row in enumerate(table.iter(f"{_W}tr"), 1):
        cells: list[str] = []
        for cell in row.iterchildren(f"{_W}tc", f"{_W}sdt"):
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            continues = merge is not None and _value(merge) != "restart"
            held = above[len(cells)] if continues and len(cells) < len(above) else ""
            cells.append(held or squeeze("".join(_words(cell))))
            cells += [""] * (min(_span(cell), 100) - 1)
        above = cells
        yield Row(number, cells)


def _marks_header(table: Any) -> bool:
    """Whether the first row is marked as a header, or all of it is bold: a table of texts may have none."""
    row = table.find(f"{_W}tr")
    if row is None:
        return False
    runs = [run for run in row.iter(f"{_W}r") if run.find(f"{_W}t") is not None]
    bold = bool(runs) and all(_is_on(run.find(f"{_W}rPr/{_W}b")) for run in runs)
    return bold or _is_on(row.find(f"{_W}trPr/{_W}tblHeader"))


def _span(cell: Any) -> int:
    span = _value(cell.find(f"{_W}tcPr/{_W}gridSpan"))
    return int(span) if span.isdecimal() else 1


def _is_on(switch: Any) -> bool:
    return switch is not None and _value(switch) not in _OFF


def _value(element: Any) -> str:
    return "" if element is None else str(element.get(f"{_W}val") or "")
