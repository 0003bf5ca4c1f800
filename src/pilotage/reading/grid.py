"""HTML tables as lines that can be quoted alone: "Country: France | Capital: Paris", or cells between bars.

A table is taken for layout, and read as blocks, when it holds another table, one column or long texts.
Not covered: cells that span rows, headers of more than one row.
"""

from __future__ import annotations

from pilotage.reading.tree import Tree

LONGEST_CELL = 500  # characters: beyond it a cell is a part of the page rather than a datum
_WIDEST = 50  # columns that one cell may span


def is_data(tree: Tree, table: int) -> bool:
    """Rows and columns of short cells, rather than a way of placing things."""
    nodes = tree.nodes
    if nodes[table].attrs.get("role") in ("presentation", "none"):
        return False
    names = list[str]()
    for number in tree.visible(table):
        if number > table and nodes[number].name == "table":
            return False
        names.append(nodes[number].name)
    if names.count("td") + names.count("th") < 2 * max(1, names.count("tr")) - 1:
        return False
    sizes = (len(tree.text(number)) for number in _cells(tree, table))
    return names.count("tr") > 0 and all(size <= LONGEST_CELL for size in sizes)


def rows(tree: Tree, table: int) -> list[tuple[int, str]]:
    """The row's node and its line, for each row that has text; a caption is a line of its own."""
    nodes, header, found = tree.nodes, list[str](), list[tuple[int, str]]()
    for row in tree.visible(table):
        if nodes[row].name == "caption" and (text := tree.text(row)):
            found.append((row, text))
        if nodes[row].name != "tr":
            continue
        cells = _cells(tree, row)
        if not header and _is_header(tree, row, cells):
            header = _spread(tree, cells)
        elif line := _line(tree, cells, header):
            found.append((row, line))
    return found or ([(table, " | ".join(name for name in header if name))] if any(header) else [])


def _cells(tree: Tree, root: int) -> list[int]:
    return [number for number in tree.visible(root) if tree.nodes[number].name in ("td", "th")]


def _is_header(tree: Tree, row: int, cells: list[int]) -> bool:
    if len(cells) < 2:
        return False
    names = [tree.nodes[cell].name for cell in cells]
    in_head = tree.nodes[tree.nodes[row].parent].name == "thead"
    return in_head or names.count("th") == len(names) or (names[0] == "td" and names[1:].count("td") == 0)


def _spread(tree: Tree, cells: list[int]) -> list[str]:
    """The header of each column, that of a wide cell for all of them."""
    return [tree.text(cell) for cell in cells for _ in range(_width(tree, cell))]


def _width(tree: Tree, cell: int) -> int:
    span = tree.nodes[cell].attrs.get("colspan", "1").strip()
    return min(max(1, int(span[:6])), _WIDEST) if span.isascii() and span.isdigit() else 1


def _line(tree: Tree, cells: list[int], header: list[str]) -> str:
    texts = [tree.text(cell) for cell in cells]
    if header:
        parts, column = list[str](), 0
        for cell, text in zip(cells, texts, strict=True):
            name = header[column] if column < len(header) else ""
            column += _width(tree, cell)
            parts.append(f"{name}: {text}" if name and text and name != text else text)
        return " | ".join(part for part in parts if part)
    if len(cells) > 1 and tree.nodes[cells[0]].name == "th" and texts[0]:
        rest = " | ".join(text for text in texts[1:] if text)
        return f"{texts[0].rstrip(':')}: {rest}" if rest else texts[0]
    return " | ".join(text for text in texts if text)
