"""Reading a file into a document: its readable text, its title and its blocks. One reader for each kind of file.

Every text loses its control characters and what nobody sees. PDF and Office files are read in a process of their own:
see apart.py. Not covered: footnotes, nested tables, and HTML that is only drawn by a script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pilotage.guard.fence import clean

Kind = Literal["prose", "list", "table", "code"]

LONGEST = 400  # characters of a stretch that is quoted as one: two have to fit into 450, see evidence/choose.py
LONGEST_TITLE = 200  # characters

_NO_TITLE = re.compile(
    r"(?:untitled|no title|title|document|book|presentation|slide|mappe|dokument|microsoft (?:word|excel|powerpoint)|"
    r"word document|powerpoint presentation)[\s\d.]*(?:- .*)?"
    r"|.*\.(?:docx?|xlsx?|pptx?|odt|rtf|indd|qxd|tex|dvi|pdf|ps|html?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the text that belongs together: a paragraph, a list, a table, a piece of code.

    `place` is where a person finds it when lines say nothing: "page 3", "row 17" or "Prices, row 17" of a sheet.
    """

    kind: Kind
    heading: str
    start: int
    stop: int
    place: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """What a reader returns; `text[block.start:block.stop]` is verbatim. `note` says what was left out, if anything."""

    title: str
    text: str
    blocks: list[Block]
    note: str = ""


def read_text(path: Path) -> str:
    """The file as text with "\\n" line ends. ValueError with a short reason when it is not UTF-8 text."""
    raw = path.read_bytes()
    if b"\0" in raw[:65536]:
        raise ValueError("binary")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8, first wrong byte at {error.start:,}") from None
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def read_plain(path: Path) -> Document:
    """Plain text: paragraphs between empty lines."""
    text = read_text(path)
    blocks = [Block("prose", "", *match.span()) for match in re.finditer(r"[^\n]*\S[^\n]*(?:\n[^\n]*\S[^\n]*)*", text)]
    return Document(stem_title(path), text, blocks)


def read_markdown(path: Path) -> Document:
    """Markdown: see markdown.py."""
    from pilotage.reading.markdown import blocks_of

    text = read_text(path)
    title, blocks = blocks_of(text)
    return Document(title or stem_title(path), text, blocks)


def read_html(path: Path) -> Document:
    """HTML: the readable text, a line for each block; needs beautifulsoup4 and lxml."""
    from pilotage.reading.html import extract

    title, text, blocks = extract(read_text(path))
    return Document(title or stem_title(path), text, blocks)


def read_csv(path: Path) -> Document:
    """Comma-separated values and their like: see delimited.py."""
    from pilotage.reading.delimited import read

    return read(path)


def read_apart(path: Path) -> Document:
    """PDF and Office files: see apart.py."""
    from pilotage.reading.apart import read

    return read(path)


def stem_title(path: Path) -> str:
    """`1973_oil_crisis.md` becomes `1973 oil crisis`."""
    return re.sub(r"[_\-]+", " ", path.stem).strip()


def given_title(title: str | None) -> str:
    """The title that a file says it has, or "" when a program put it there: `Microsoft Word - draft3.doc`."""
    title = squeeze(title or "")
    sensible = 3 <= len(title) <= LONGEST_TITLE and re.search(r"[^\W\d_]", title) and not _NO_TITLE.fullmatch(title)
    return title if sensible else ""


def squeeze(text: str) -> str:
    """One line of clean text, single spaces."""
    return " ".join(clean(text).split())


class Draft:
    """A document in the making: blocks in order, each on lines of its own."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.size = 0
        self._parts: list[str] = []

    def add(self, kind: Kind, text: str, *, heading: str = "", place: str = "", joins: bool = False) -> None:
        """A block; with `joins` it is one with the block before when that is alike."""
        start = self.line(text)
        last = self.blocks[-1] if self.blocks else None
        if joins and last and last == Block(kind, heading, last.start, start - 1, place):
            start = self.blocks.pop().start
        self.blocks.append(Block(kind, heading, start, self.size - 1, place))

    def line(self, text: str) -> int:
        """A line that belongs to no block, such as a heading; where it starts."""
        start = self.size
        self._parts.append(text)
        self.size += len(text) + 1
        return start

    def document(self, title: str, note: str = "") -> Document:
        return Document(title, "\n".join(self._parts), self.blocks, note)


# The seam for further kinds of files: a suffix in lower case and the function that reads it.
READERS: dict[str, Callable[[Path], Document]] = {
    ".md": read_markdown,
    ".txt": read_plain,
    ".html": read_html,
    ".htm": read_html,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".pdf": read_apart,
    ".docx": read_apart,
    ".xlsx": read_apart,
}
