"""Of a long text the surroundings of what is quoted from it: rows of a query, the answer of a service, a whole page.

    head of the text […] what stands around a quote […] what stands around another

What is not covered: whether something farther away says otherwise; who judges can open the rest by its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONG = 3000  # characters up to which a text comes in whole; a passage of a document has about 1,200
HEAD = 300  # of its beginning, where the names of columns stand
NEAR = 700  # on either side of a quote
GAP = "\n[…]\n"


def around(text: str, quotes: Iterable[str]) -> str:
    """`text` when it is short, or when a quote is not found in it; else its head and the surroundings of the quotes."""
    if len(text) <= LONG:
        return text
    stretches = [(0, HEAD)]
    for quote in quotes:
        found = re.search(r"\s+".join(map(re.escape, quote.split())), text) if quote.split() else None
        if found is None:
            return text
        stretches.append((found.start() - NEAR, found.end() + NEAR))
    kept = _joined(sorted(stretches), text) if len(stretches) > 1 else text
    return kept if len(kept) < len(text) else text


def _joined(stretches: list[tuple[int, int]], text: str) -> str:
    """The stretches in order, those that touch as one, each from a whole line or word on to another's end."""
    parts: list[tuple[int, int]] = []
    for start, stop in stretches:
        start, stop = _edge(text, max(0, start), -1), _edge(text, min(len(text), stop), 1)
        if parts and start <= parts[-1][1] + len(GAP):
            parts[-1] = (parts[-1][0], max(stop, parts[-1][1]))
        else:
            parts.append((start, stop))
    shown = GAP.join(text[start:stop] for start, stop in parts)
    return shown if parts[-1][1] == len(text) else f"{shown}{GAP}".rstrip()


def _edge(text: str, at: int, step: int) -> int:
    """The next place from `at` in that direction where no word is cut; without one near it stays."""
    for place in range(at, at + step * NEAR, step):
        if place <= 0 or place >= len(text) or text[place - 1].isspace():
            return min(max(place, 0), len(text))
    return at
