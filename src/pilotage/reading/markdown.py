"""Finding the blocks of a Markdown text with offsets: headings, paragraphs, lists, tables, code.

A scanner and not a renderer: it keeps every character where it is, so that passages are verbatim.
"""

from __future__ import annotations

import re

from pilotage.reading.documents import Block, Kind

LEAD = 400  # characters of a paragraph that announces a list

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_COMMENT = re.compile(r"[ \t]*<!--.*?-->[ \t]*$", re.S | re.M)
_FRONT = re.compile(r"---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}|!?\[([^\]]*)\]\([^)]*\)")


def blocks_of(text: str) -> tuple[str, list[Block]]:
    """The title (first heading of level one, else "") and the blocks in order."""
    scanner = _Scanner(text)
    scanner.run()
    return scanner.title, _with_lead(scanner.blocks, text)


class _Scanner:
    """One pass over the lines; `kind` and `start` describe the block that is open, if any."""

    def __init__(self, text: str) -> None:
        front = _FRONT.match(text)
        self.begin = front.end() if front else 0
        self.body = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text[self.begin :])
        self.blocks: list[Block] = []
        self.title = ""
        self.path: list[tuple[int, str]] = []
        self.kind: Kind | None = None
        self.start = self.stop = 0
        self.gap = False  # an empty line inside a list
        self.fence = ""

    def run(self) -> None:
        offset = self.begin
        lines = self.body.split("\n")
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            self._line(line, following, offset)
            offset += len(line) + 1
        self._close()

    def _line(self, line: str, following: str, offset: int) -> None:
        if self.fence:
            self.stop = offset + len(line)
            if line.strip().startswith(self.fence) and not line.strip().strip(self.fence[0]):
                self.fence = ""
                self._close()
        elif not line.strip():
            if self.kind == "list":
                self.gap = True
            else:
                self._close()
        elif self.kind == "list" and not self._leaves_list(line):
            self._extend("list", line, offset)
        else:
            if self.kind == "list":
                self._close()
            self._outside_list(line, following, offset)

    def _outside_list(self, line: str, following: str, offset: int) -> None:
        if fence := _FENCE.match(line):
            self._open("code", line, offset)
            self.fence = fence.group(1)
        elif heading := _HEADING.match(line):
            self._close()
            self._heading(len(heading.group(1)), heading.group(2) or "")
        elif self.kind == "prose" and (under := _UNDERLINE.match(line)) and "\n" not in self._wording():
            wording, self.kind = self._wording(), None
            self._heading(1 if under.group(1)[0] == "=" else 2, wording)
        elif _RULE.match(line):
            self._close()
        elif self.kind != "table" and "|" in line and "-" in following and _TABLE_RULE.match(following):
            self._open("table", line, offset)
        elif self.kind == "table" and "|" not in line:
            self._open("prose", line, offset)
        elif _ITEM.match(line) and self.kind != "table" and not (self.kind == "prose" and line.startswith("    ")):
            self._open("list", line, offset)
        elif self.kind is None:
            self._open("prose", line, offset)
        else:
            self._extend(self.kind, line, offset)

    def _leaves_list(self, line: str) -> bool:
        starts_other = bool(_HEADING.match(line)) or (bool(_FENCE.match(line)) and not line.startswith(" "))
        return starts_other or (self.gap and not line.startswith((" ", "\t")) and not _ITEM.match(line))

    def _wording(self) -> str:
        return self.body[self.start - self.begin : self.stop - self.begin]

    def _open(self, kind: Kind, line: str, offset: int) -> None:
        self._close()
        self.kind, self.start, self.stop = kind, offset, offset + len(line)

    def _extend(self, kind: Kind, line: str, offset: int) -> None:
        self.kind, self.stop, self.gap = kind, offset + len(line), False

    def _close(self) -> None:
        if self.kind is not None:
            heading = " > ".join(name for _, name in self.path if name)
            self.blocks.append(Block(self.kind, heading, self.start, self.stop))
        self.kind, self.gap = None, False

    def _heading(self, level: int, wording: str) -> None:
        name = _MARKUP.sub(lambda found: found.group(1) or "", wording).strip()
        while self.path and self.path[-1][0] >= level:
            self.path.pop()
        if level == 1 and not self.title:
            self.title = name
        else:
            self.path.append((level, name))


def _with_lead(blocks: list[Block], text: str) -> list[Block]:
    """A paragraph that ends with a colon joins the list, table or code that it announces."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if last and block.kind != "prose" and last.heading == block.heading and _announces(last, text):
            joined[-1] = Block(block.kind, block.heading, last.start, block.stop)
        else:
            joined.append(block)
    return joined


def _announces(block: Block, text: str) -> bool:
    short = block.kind == "prose" and block.stop - block.start < LEAD
    return short and text[block.start : block.stop].rstrip("*_ ").endswith(":")
