"""The main text by trafilatura, where it is installed (`uv sync --extra pages`).

It is given what a reader sees, and its answer is cut into pieces like any page. Not covered: its own date and author.
"""

from __future__ import annotations

import html
import logging
from importlib import import_module
from importlib.util import find_spec

from pilotage.reading.html import Piece, pieces
from pilotage.reading.tree import Tree, names, parse

NODES = 20_000  # its time grows faster than the page
LONGEST = 1_000_000  # characters; it takes a hundred times that in memory
DEPTH = 200  # it recurses
_KEPT = ("class", "id", "href", "itemprop", "rel", "role", "colspan")
_EMPTY = names("br hr img input wbr source area base link meta")


def installed() -> bool:
    return find_spec("trafilatura") is not None


def extract(tree: Tree) -> list[Piece]:
    """The pieces of the main text; empty when trafilatura is not there, finds nothing, or should not be asked."""
    if len(tree.nodes) > NODES or not installed():
        return []
    markup = _markup(tree)
    if not 0 < len(markup) <= LONGEST:
        return []
    trafilatura = import_module("trafilatura")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it warns of every page without a main text
    try:
        found = trafilatura.extract(markup, output_format="html", include_comments=False, favor_precision=True)
    except Exception:  # it promises no kind of error; the page is read without it
        return []
    again = parse(found or "")
    return [piece for piece in pieces(again) if piece.text]


def _markup(tree: Tree) -> str:
    """The visible page as HTML; "" when it is nested too deeply."""
    parts, closing = list[str](), list[tuple[int, str]]()
    for number in tree.visible():
        node = tree.nodes[number]
        while closing and closing[-1][0] <= number:
            parts.append(closing.pop()[1])
        if not node.name:
            parts.append(html.escape(node.text, quote=False))
            continue
        attrs = "".join(f' {name}="{html.escape(node.attrs[name])}"' for name in _KEPT if name in node.attrs)
        parts.append(f"<{node.name}{attrs}>" if number else "")
        if number and node.name not in _EMPTY:
            closing.append((node.stop, f"</{node.name}>"))
        if len(closing) > DEPTH:
            return ""
    return "".join(parts + [end for _, end in reversed(closing)])
