"""The readable text of an HTML document: a piece for each paragraph, heading, list item and table row.

`extract` reads a whole document, boilerplate left out; maintext.py chooses among the pieces of a page from the web.
Not covered: rows that span, cells that hold tables of their own, numbers of ordered lists, right-to-left tables.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from pilotage.guard.fence import clean
from pilotage.reading import hidden
from pilotage.reading.documents import Block, Kind
from pilotage.reading.grid import is_data, rows
from pilotage.reading.tree import BLOCKS, Tree, names, parse, squeeze

FURNITURE = names("nav footer aside form button select textarea")
LARGEST = 200_000  # tags of a document in the knowledge folder, which is the user's own
_LISTS = frozenset(("ul", "ol", "dl"))
_HEADING = re.compile(r"h[1-6]")
_NO_NODES: frozenset[int] = frozenset()


@dataclass(slots=True)
class Piece:
    """Text that belongs together, and where it came from: nodes `first` to `last`, in the block element `owner`."""

    kind: Kind
    text: str
    owner: int
    first: int
    last: int
    linked: int = 0  # characters that are links
    level: int = 0  # of a heading, 1 to 6


def extract(markup: str) -> tuple[str, str, list[Block]]:
    """Title, text and blocks of a document. ValueError when it is too large."""
    tree = parse(markup, tags=LARGEST)
    hidden.mark(tree)
    title = next((tree.raw(number) for number, node in enumerate(tree.nodes) if node.name == "title"), "")
    furniture = {number for number, node in enumerate(tree.nodes) if node.name in FURNITURE}
    root = next((number for number in tree.visible() if tree.nodes[number].name == "main"), 0)
    found = pieces(tree, root, furniture)
    tops = [piece for piece in found if piece.level == 1]
    if tops and tops[0] is found[0] and title in ("", tops[0].text):
        title = found.pop(0).text
    return clean(title), *compose(found)


def pieces(tree: Tree, root: int = 0, skip: Container[int] = _NO_NODES) -> list[Piece]:
    """The visible text of a subtree in order; subtrees in `skip` are left out."""
    walk = _Walk(tree, root)
    number, stop = root, tree.nodes[root].stop
    while number < stop:
        node = tree.nodes[number]
        if node.hidden or number in skip:
            number = node.stop
            continue
        walk.leave(number)
        number = walk.enter(number)
    walk.leave(stop + 1)
    return walk.found


def compose(found: Iterable[Piece]) -> tuple[str, list[Block]]:
    """The text, a line for each line of a piece, and its blocks. Headings are in the text and name the blocks."""
    lines: list[str] = []
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    size, merged = 0, False  # a heading ends a block
    for piece in found:
        text = clean(piece.text)
        if not text.strip():
            continue
        start, size = size, size + len(text) + 1
        lines.append(text)
        if piece.level:
            path = [*(step for step in path if step[0] < piece.level), (piece.level, squeeze(text))]
            merged = False
            continue
        if merged and blocks[-1].kind == piece.kind and piece.kind in ("list", "table"):
            start = blocks.pop().start
        blocks.append(Block(piece.kind, " > ".join(name for _, name in path), start, size - 1))
        merged = True
    return "\n".join(lines), blocks


@dataclass(slots=True)
class _Walk:
    """Where the walk is: open block elements, lines of the open piece."""

    tree: Tree
    root: int
    found: list[Piece] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=lambda: [[]])
    first: int = 0
    last: int = 0
    linked: int = 0
    link_stop: int = 0
    pre_stop: int = 0
    lists: int = 0

    def enter(self, number: int) -> int:
        """Take the node in; the number of the next one."""
        node = self.tree.nodes[number]
        if not node.name:
            self._text(number, node.text)
        elif node.name == "br":
            self._break(number)
        elif node.name == "table" and is_data(self.tree, number):
            self.flush()
            self._table(number)
            return node.stop
        elif node.name in BLOCKS:
            self.flush()
            self.open.append(number)
            self.lists += node.name in _LISTS
            if node.name == "pre":
                self.pre_stop = node.stop
        elif node.name == "a" and "href" in node.attrs:
            self.link_stop = node.stop
        return number + 1

    def leave(self, number: int) -> None:
        """Close the block elements that end before the node."""
        while self.open and self.tree.nodes[self.open[-1]].stop <= number:
            self.flush()
            self.lists -= self.tree.nodes[self.open.pop()].name in _LISTS

    def flush(self) -> None:
        """The open piece is complete."""
        owner = self.open[-1] if self.open else self.root
        name = self.tree.nodes[owner].name
        in_pre = self.first < self.pre_stop
        text = "".join("".join(line) + "\n" for line in self.lines) if in_pre else _joined(self.lines)
        if text := (text.strip("\n") if in_pre else text):
            kind: Kind = "code" if in_pre else "list" if self.lists else "prose"
            level = int(name[1]) if _HEADING.fullmatch(name) else 0
            text = squeeze(text) if level else text
            self.found.append(Piece(kind, text, owner, self.first, self.last, self.linked, level))
        self.lines, self.linked, self.first = [[]], 0, 0

    def _text(self, number: int, text: str) -> None:
        if not self.first:
            if not text.strip():
                if self.lines != [[]]:
                    self.lines[-1].append(text)
                return
            self.first = number
        self.last = number
        self.lines[-1].append(text)
        if number < self.link_stop:
            self.linked += len(text.strip())

    def _break(self, number: int) -> None:
        if number < self.pre_stop or "".join(self.lines[-1]).strip():
            self.lines.append([])
        elif self.first:
            self.flush()

    def _table(self, number: int) -> None:
        for row, text in rows(self.tree, number):
            stop = self.tree.nodes[row].stop
            self.found.append(Piece("table", text, number, row, stop - 1, _linked(self.tree, row)))


def _linked(tree: Tree, root: int) -> int:
    """Characters of a subtree that are links."""
    size, stop = 0, 0
    for number in tree.visible(root):
        node = tree.nodes[number]
        if node.name == "a" and "href" in node.attrs:
            stop = max(stop, node.stop)
        elif number < stop:
            size += len(node.text.strip())
    return size


def _joined(lines: list[list[str]]) -> str:
    return "\n".join(line for line in (squeeze("".join(parts)) for parts in lines) if line)
