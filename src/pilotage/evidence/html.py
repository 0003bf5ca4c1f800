"""The readable text of an HTML document: a line for each block, boilerplate left out."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, Comment
from bs4.element import NavigableString, Tag

from pilotage.evidence.documents import Block
from pilotage.evidence.sentences import Kind

_DROP = ["script", "style", "noscript", "template", "svg", "nav", "footer", "aside", "form", "button", "iframe", "head"]
_NAMES = (
    "address article blockquote body dd details div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6 header hr html "
    "li main ol p pre section summary table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_NAMES.split())


def extract(markup: str) -> tuple[str, str, list[Block]]:
    """Title, text and blocks of a page. The lines of the text are what `first_line` counts."""
    soup = BeautifulSoup(markup, "lxml")
    title = _squeeze(soup.title.get_text()) if soup.title else ""
    for tag in soup(_DROP):
        tag.decompose()
    page = _Page(title)
    page.walk(soup.find("main") or soup.body or soup, "prose")
    page.flush("prose")
    return page.title, "\n".join(page.lines), page.blocks


class _Page:
    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[str] = []
        self.blocks: list[Block] = []
        self.path: list[tuple[int, str]] = []
        self.size = 0
        self.open: list[str] = []

    def walk(self, tag: Tag, kind: Kind) -> None:
        for child in tag.children:
            if isinstance(child, Tag):
                self._tag(child, kind)
            elif isinstance(child, NavigableString) and not isinstance(child, Comment):
                self.open.append(str(child))

    def _tag(self, tag: Tag, kind: Kind) -> None:
        name = tag.name
        if name == "br":
            self.open.append(" ")
        elif name not in _BLOCKS:
            self.walk(tag, kind)
        elif re.fullmatch(r"h[1-6]", name):
            self.flush(kind)
            self._heading(int(name[1]), _squeeze(tag.get_text(" ")))
        elif name == "pre":
            self.flush(kind)
            self._add("code", tag.get_text().strip("\n"))
        elif name == "tr":
            self.flush(kind)
            cells = [_squeeze(cell.get_text(" ")) for cell in tag.find_all(["td", "th"])]
            self._add("table", " | ".join(cells))
        else:
            inner: Kind = "list" if name in ("ul", "ol", "dl") else kind
            self.flush(kind)
            self.walk(tag, inner)
            self.flush(inner)

    def flush(self, kind: Kind) -> None:
        text = _squeeze("".join(self.open))
        self.open.clear()
        self._add(kind, text)

    def _heading(self, level: int, name: str) -> None:
        while self.path and self.path[-1][0] >= level:
            self.path.pop()
        if level == 1 and not self.path and self.title in ("", name):
            self.title = name
        elif name:
            self.path.append((level, name))

    def _add(self, kind: Kind, text: str) -> None:
        if not text.strip():
            return
        heading = " > ".join(name for _, name in self.path)
        last = self.blocks[-1] if self.blocks else None
        start, self.size = self.size, self.size + len(text) + 1
        self.lines += text.split("\n")
        if last and last.kind == kind and kind in ("list", "table") and last.heading == heading:
            self.blocks[-1] = Block(kind, heading, last.start, start + len(text))
        else:
            self.blocks.append(Block(kind, heading, start, start + len(text)))


def _squeeze(text: str) -> str:
    return " ".join(text.split())
