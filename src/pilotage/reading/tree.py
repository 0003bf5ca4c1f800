"""A page as a flat list of nodes in document order, so that no walk recurses and skipping a subtree is one step.

Not covered: pages that a script draws, and pages of more tags than `TAGS` (each costs about a kilobyte).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, PageElement, PreformattedString, Tag


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


BLOCKS = names(  # elements that begin and end a line
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol option p pre search section "
    "summary table tbody td tfoot th thead tr ul"
)
TAGS = 40_000
ATTRIBUTES = 250_000  # of a page, about; counted in long pages only

_INSTRUCTION = re.compile(
    r"<\?[^>]*(?:>|\Z)"
)  # a comment to a browser; beautifulsoup4 would take the page for XML and warn
_OPEN = re.compile(r"<[a-zA-Z!]")
_INNER = re.compile(r"<[a-zA-Z][^>]*")
_DOUBLE = re.compile(" {2,}")
_SPACE = re.compile(r"\s+")
_SLICE = 100_000
_LONG = 1_000_000  # characters of a text that is worth counting or sparing
_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class Node:
    """An element, a text, or a comment (named "!"). Its subtree ends before the node numbered `stop`."""

    name: str
    text: str
    attrs: Mapping[str, str]
    parent: int
    stop: int = 0
    hidden: str = ""  # why a reader does not see it: the kind of a `Page.hidden` entry, or "code"


@dataclass(slots=True)
class Tree:
    """Nodes in document order; node 0 is the document itself."""

    soup: BeautifulSoup
    nodes: list[Node]
    numbers: dict[int, int] = field(default_factory=dict)  # id of a bs4 tag -> its node

    def visible(self, root: int = 0) -> Iterator[int]:
        """Numbers of the nodes of a subtree, hidden subtrees left out."""
        nodes, number, stop = self.nodes, root, self.nodes[root].stop
        while number < stop:
            node = nodes[number]
            if node.hidden:
                number = node.stop
            else:
                yield number
                number += 1

    def text(self, root: int, most: int | None = None) -> str:
        """The visible text of a subtree on one line; of its first `most` nodes where subtrees may be nested."""
        nodes = self.nodes
        parts = (nodes[number].text or _gap(nodes[number].name) for number in islice(self.visible(root), most))
        return squeeze("".join(parts))

    def raw(self, root: int) -> str:
        """The text of a subtree, hidden or not: for <title> and the like."""
        return squeeze("".join(node.text for node in self.nodes[root + 1 : self.nodes[root].stop] if not node.name))

    def select(self, selector: str) -> list[int]:
        """Visible elements that match a CSS selector, in document order."""
        found = {self.numbers[id(tag)] for tag in self.soup.select(selector)}
        return [number for number in self.visible() if number in found]


def parse(markup: str, *, tags: int = TAGS) -> Tree:
    """The tree of a page. ValueError with a reason when it is too large to be worth its memory."""
    count = markup.count("<")
    if count > tags:
        count = max(sum(1 for _ in _OPEN.finditer(markup)), markup.count("</"))
    if count > tags:
        raise ValueError(f"has {count:,} tags against a bound of {tags:,}")
    if len(markup) > _LONG:
        count = sum(1 for tag in _INNER.finditer(markup) for _ in _SPACE.finditer(tag.group()))
        if count > ATTRIBUTES:
            raise ValueError(f"has {count:,} attributes against a bound of {ATTRIBUTES:,}")
    markup = _INSTRUCTION.sub("", markup)
    soup = BeautifulSoup(markup, "lxml", multi_valued_attributes=None)
    return _flatten(soup)


def squeeze(text: str) -> str:
    """Runs of white space as one space."""
    if len(text) <= _LONG:
        return " ".join(text.split())
    # in slices: a list of all words would take many times the memory of the text
    slices = (text[start : start + _SLICE] for start in range(0, len(text), _SLICE))
    return _DOUBLE.sub(" ", "".join(map(_squeezed_between, slices))).strip()


def _squeezed_between(text: str) -> str:
    """Squeezed, with one space at each end that had any."""
    return f"{' ' * text[:1].isspace()}{squeeze(text)}{' ' * text[-1:].isspace()}"


def _gap(name: str) -> str:
    return " " if name in BLOCKS or name == "br" else ""


def _flatten(soup: BeautifulSoup) -> Tree:
    tree = Tree(soup, [Node("", "", _NOTHING, 0)])
    nodes, numbers = tree.nodes, tree.numbers
    open_: list[tuple[int, Iterator[PageElement]]] = [(0, iter(soup.contents))]
    while open_:
        parent, children = open_[-1]
        child = next(children, None)
        if child is None:
            nodes[parent].stop = len(nodes)
            open_.pop()
        elif isinstance(child, Tag):
            numbers[id(child)] = len(nodes)
            open_.append((len(nodes), iter(child.contents)))
            nodes.append(Node(child.name, "", child.attrs, parent))  # type: ignore[arg-type]
        elif isinstance(child, PreformattedString):
            kind = "comment" if type(child) is Comment else "code"
            nodes.append(Node("!", str(child), _NOTHING, parent, len(nodes) + 1, kind))
        elif isinstance(child, NavigableString):
            nodes.append(Node("", str(child), _NOTHING, parent, len(nodes) + 1))
    return tree
