"""Reading .pdf: the text of each page as paragraphs, without what repeats at the top or bottom of most pages.

The order is the one the file has its text in, which for columns is mostly the right one. A paragraph that goes on
overleaf is two. Not covered: text in pictures (scans), forms and comments, tables (their lines stay lines).
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from pilotage.reading.documents import Document, Draft, Kind, given_title, squeeze, stem_title
from pilotage.reading.layout import BULLET, HYPHEN, Line, Paragraph, Print, body_size, paragraphs

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage
    from pypdfium2.raw import FS_RECTF

PAGES = 2_000  # of a file
TEXT = 20_000_000  # characters of a file
EDGE = 2  # rows of a page's text at its top, and at its bottom, that may be a header or footer
REPEATS = 3  # pages at least that have it, and SHARE of all: left and right pages may differ
SHARE = 0.4
LONGEST_HEADING = 120  # characters
LARGER = 1.1  # than the body: a heading
LEAD = 2  # short lines that may announce what follows
LONGEST_LEAD = 400  # characters of a paragraph that ends with a colon and does so

_PASSWORD, _SECURITY = 4, 5  # pdfium's numbers of errors
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_LEADER = re.compile(r"(?:\s?[._·]){5,}\s?")  # from a heading to its page in a table of contents
_LINE = re.compile(rf"[^\r\n{HYPHEN}]+{HYPHEN}?|{HYPHEN}")
_END = re.compile(r"[.!?:;。！？][\"'”’»)\]]*$")


def read_pdf(path: Path) -> Document:
    """Paragraphs with their pages as blocks. ValueError with a short reason when it cannot be read."""
    import pypdfium2 as pdfium

    try:
        pdf = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", 0)
        raise ValueError("encrypted, needs a password" if code in (_PASSWORD, _SECURITY) else "damaged") from None
    pages, size = [], 0
    for number in range(min(len(pdf), PAGES)):
        pages.append(_lines(pdf, number))
        size += sum(len(line.text) for line in pages[-1])
        if size > TEXT:
            break
    if not any(pages):
        raise ValueError("no text (a scan?)")
    note = f"read only the first {len(pages):,} pages of {len(pdf):,}" if len(pages) < len(pdf) else ""
    title = given_title(pdf.get_metadata_value("Title")) or stem_title(path)
    pdf.close()
    return _arranged(_without_edges(pages)).document(title, note)


def _lines(pdf: object, number: int) -> list[Line]:
    """The lines of a page with their boxes; none when the page is damaged."""
    import pypdfium2 as pdfium

    try:
        page: PdfPage = pdf[number]  # type: ignore[index]
        text_page = page.get_textpage()
    except pdfium.PdfiumError:
        return []
    text = text_page.get_text_range()
    found = [line for match in _LINE.finditer(text) if (line := _line(text_page, match))]
    text_page.close()
    page.close()
    return found


def _line(page: PdfTextPage, match: re.Match[str]) -> Line | None:
    raw = match.group()
    text = _LIGATURE.sub(lambda found: unicodedata.normalize("NFKC", found.group()), raw.rstrip(HYPHEN))
    text = _LEADER.sub(" … ", squeeze(text))
    if not text:
        return None
    at = [match.start() + found.start() for found in re.finditer(r"[^\s\ufffe]", raw)]
    letters = [match.start() + found.start() for found in re.finditer(r"\w", raw)] or at
    first, last = _box(page, at[0]), _box(page, at[-1])
    some = [letters[len(letters) * quarter // 4] for quarter in (1, 2, 3)]  # a bullet, a word may be in another font
    size = median(box.top - box.bottom for box in (_box(page, letter) for letter in some))
    return Line(text, first.left, last.right, _baseline(page, some[1]), size, raw.endswith(HYPHEN))


def _box(page: PdfTextPage, at: int) -> FS_RECTF:
    """Where a character of the text stands, as high as its font; at nought when pdfium does not know."""
    import pypdfium2.raw as raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(page, raw.FPDFText_GetCharIndexFromTextIndex(page, at), ctypes.byref(box))
    return box


def _baseline(page: PdfTextPage, at: int) -> float:
    import pypdfium2.raw as raw

    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(page, raw.FPDFText_GetCharIndexFromTextIndex(page, at), ctypes.byref(x), ctypes.byref(y))
    return y.value


def _without_edges(pages: list[list[Line]]) -> list[list[Line]]:
    """The pages without headers, footers and page numbers."""
    edges = [_edge(lines) for lines in pages]
    counted = Counter(key for number, edge in enumerate(edges) for key in {k for e in edge for k in _keys(e, number)})
    often = max(REPEATS, SHARE * sum(map(bool, pages)))
    repeated = {key for key, times in counted.items() if times >= often}
    return [
        [line for line in lines if line not in edge or repeated.isdisjoint(_keys(line, number))]
        for number, (lines, edge) in enumerate(zip(pages, edges, strict=True))
    ]


def _edge(lines: list[Line]) -> set[Line]:
    """The lines in the highest and the lowest rows of a page."""
    rows = sorted({round(line.bottom) for line in lines})
    outer = {*rows[:EDGE], *rows[-EDGE:]}
    return {line for line in lines if round(line.bottom) in outer}


def _keys(line: Line, page: int) -> Iterator[str]:
    """The line itself, and its height with the distance of each number in it to the page's: a page number keeps it."""
    yield line.text
    for found in re.findall(r"(?<!\d)\d{1,5}(?!\d)", line.text[:LONGEST_HEADING]):
        yield f"{round(line.bottom)} {int(found) - page:+d}"


def _arranged(pages: list[list[Line]]) -> Draft:
    """A block for each paragraph, list or run of short lines, with the heading that stands above it."""
    style, arranging = Print.of(pages), _Arranging(body_size(pages))
    for number, lines in enumerate(pages, 1):
        arranging.place = f"page {number}"
        for paragraph in paragraphs(lines, style):
            arranging.take(paragraph)
        arranging.close()
    return arranging.draft


class _Arranging:
    """One pass over the paragraphs. `lead` holds short lines until it is clear what they belong to."""

    def __init__(self, body: float) -> None:
        self.draft = Draft()
        self.body = body
        self.place = self.heading = ""
        self.lead: list[str] = []

    def take(self, paragraph: Paragraph) -> None:
        text = paragraph.text
        if paragraph.size > LARGER * self.body and len(text) <= LONGEST_HEADING:
            self.close(keep=1)
            self.heading = text
        item = BULLET.match(text)
        if item:
            self.close(keep=LEAD)
            lead = [] if not self.lead else ["\n\n".join(self.lead)]
            self._add("list", "\n".join([*lead, f"- {text[item.end() :]}"]), joins=not lead)
        elif (paragraph.height == 1 and not _END.search(text)) or (text.endswith(":") and len(text) <= LONGEST_LEAD):
            self.lead.append(text)
        else:
            self.close(keep=LEAD)
            self._add("prose", "\n\n".join([*self.lead, text]))

    def close(self, keep: int = 0) -> None:
        """Short lines that are more than `keep` are a table; fewer lead what comes next."""
        if len(self.lead) > keep:
            self._add("table", "\n".join(self.lead))

    def _add(self, kind: Kind, text: str, joins: bool = False) -> None:
        self.draft.add(kind, text, heading=self.heading, place=self.place, joins=joins)
        self.lead = []
