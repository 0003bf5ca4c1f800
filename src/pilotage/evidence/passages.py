"""Cutting a document into passages: the unit that is found, named and cited.

A block of the document is a passage; a long one is cut between sentences. A passage keeps its text verbatim and knows
its lines, page or row. Its name comes from its text (and its page or row, which a reader looks for in the name), so
that it stays the same when something else in the file changes.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

from pilotage.evidence.sentences import Span, sentences
from pilotage.reading.documents import READERS, Block, Document

__all__ = ["READERS", "Cut", "Passage", "cut"]

LENGTH = 1200  # characters of a passage, about; a paragraph of XQuAD has 800

_PLACE = re.compile(r"(?:(?P<sheet>.*), )?(?P<what>page|row) (?P<number>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a file. `source` is its stable name: path, "#", digest of the text without spacing.

    With a place it has that too: `report.pdf#p3-9f2a11c0`, `prices.csv#r17-…`, `book.xlsx#Prices-r17-…`.
    """

    source: str
    path: str
    title: str
    heading: str
    text: str
    first_line: int
    last_line: int
    place: str = ""

    @property
    def where(self) -> str:
        """`Caps > Seconds, lines 12–14`, `page 3`, `Prices, row 17`"""
        if self.place:
            return self.place
        unit = "paragraph" if self.path.lower().endswith(".docx") else "line"  # its reader gives each a line
        one = self.first_line == self.last_line
        lines = f"{unit} {self.first_line}" if one else f"{unit}s {self.first_line}–{self.last_line}"
        return f"{self.heading}, {lines}" if self.heading else lines


@dataclass(frozen=True, slots=True)
class Cut:
    """A passage and the offsets of its sentences."""

    passage: Passage
    spans: list[Span]


def cut(document: Document, path: str) -> list[Cut]:
    """The passages of a document in order. `path` is the name that the sources begin with."""
    newlines = [number for number, letter in enumerate(document.text) if letter == "\n"]
    seen: Counter[str] = Counter()
    found = []
    for block in document.blocks:
        for start, stop, spans in _pieces(document.text, block):
            text = document.text[start:stop]
            name = f"{path}#{_tag(block.place)}{hashlib.sha256(' '.join(text.split()).encode()).hexdigest()[:8]}"
            seen[name] += 1
            passage = Passage(
                source=name if seen[name] == 1 else f"{name}-{seen[name]}",
                path=path,
                title=document.title,
                heading=block.heading,
                text=text,
                first_line=bisect_right(newlines, start - 1) + 1,
                last_line=bisect_right(newlines, stop - 1) + 1,
                place=block.place,
            )
            found.append(Cut(passage, spans))
    return found


def _tag(place: str) -> str:
    """`Prices, row 17` becomes `Prices-r17-`; a sheet's name is cut down to characters that are safe in a name."""
    found = _PLACE.fullmatch(place)
    if not found:
        return ""
    tag = f"{found['what'][0]}{found['number']}-"
    if found["sheet"] is None:
        return tag
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', found['sheet']).strip('-') or 'sheet'}-{tag}"


def _pieces(text: str, block: Block) -> list[tuple[int, int, list[Span]]]:
    """Start, stop and sentences of each passage of a block, filled with sentences up to LENGTH."""
    spans = [(block.start + a, block.start + b) for a, b in sentences(text[block.start : block.stop], block.kind)]
    parts = max(1, -(-(block.stop - block.start) // LENGTH))
    fair = (block.stop - block.start) / parts  # even pieces rather than a full one and a scrap
    groups: list[list[Span]] = []
    for span in spans:
        if groups and (span[1] - groups[-1][0][0] <= LENGTH and span[0] < block.start + fair * len(groups)):
            groups[-1].append(span)
        else:
            groups.append([span])
    return [(g[0][0], g[-1][1], [(a - g[0][0], b - g[0][0]) for a, b in g]) for g in groups]
