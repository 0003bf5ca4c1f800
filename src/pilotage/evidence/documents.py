"""Reading a file into a document: its readable text, its title and its blocks. One reader for each kind of file.

Not covered: footnotes, nested tables, and HTML that is only drawn by a script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pilotage.evidence.sentences import Kind


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the text that belongs together: a paragraph, a list, a table, a piece of code."""

    kind: Kind
    heading: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a reader returns; `text[block.start:block.stop]` is verbatim."""

    title: str
    text: str
    blocks: list[Block]


def read_text(path: Path) -> str:
    """The file as text with "\\n" line ends. ValueError with a short reason when it is not UTF-8 text."""
    raw = path.read_bytes()
    if b"\0" in raw[:65536]:
        raise ValueError("binary")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8, first wrong byte at {error.start:,}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_plain(path: Path) -> Document:
    """Plain text: paragraphs between empty lines."""
    text = read_text(path)
    blocks = [Block("prose", "", *match.span()) for match in re.finditer(r"[^\n]*\S[^\n]*(?:\n[^\n]*\S[^\n]*)*", text)]
    return Document(stem_title(path), text, blocks)


def read_markdown(path: Path) -> Document:
    """Markdown: see markdown.py."""
    from pilotage.evidence.markdown import blocks_of

    text = read_text(path)
    title, blocks = blocks_of(text)
    return Document(title or stem_title(path), text, blocks)


def read_html(path: Path) -> Document:
    """HTML: the readable text, a line for each block; needs beautifulsoup4 and lxml."""
    from pilotage.evidence.html import extract

    title, text, blocks = extract(read_text(path))
    return Document(title or stem_title(path), text, blocks)


def stem_title(path: Path) -> str:
    """`1973_oil_crisis.md` becomes `1973 oil crisis`."""
    return re.sub(r"[_\-]+", " ", path.stem).strip()


# The seam for further kinds of files: a suffix in lower case and the function that reads it.
READERS: dict[str, Callable[[Path], Document]] = {
    ".md": read_markdown,
    ".txt": read_plain,
    ".html": read_html,
    ".htm": read_html,
}
