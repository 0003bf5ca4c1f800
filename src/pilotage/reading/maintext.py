"""The main text of a page: the part that a reader came for, without what surrounds it.

Furniture is left out first (furniture.py). Then every piece of text counts for the elements around it, by its words
of running text less a fixed cost, and the element with the largest sum is taken: the maximum subsequence segmentation
of Pasternack and Roth (WWW 2009) on the tree. Last, what hangs on at its ends and between is trimmed.
Not covered: pages without prose (start pages, search results), text cut into several frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pilotage.reading.furniture import furniture, is_link
from pilotage.reading.html import Piece, pieces
from pilotage.reading.tree import Tree

FIXED = 5.0  # words that a piece must bring to count for its element rather than against it
LINKED = 0.5  # how much a linked word counts against
LEAD = 0.2  # share of the prose that may stand before the headline and be no part of the text
LITTLE = 40.0  # words of prose below which a page is a list, a table or a form, and is read as a whole
SHORT = 25  # words of a line that its first words may give away as no part of the text

_START, _END = 200, 20  # characters that a line is judged by
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")  # scripts without spaces between words
_SENTENCE = re.compile(r"[.!?…:;。！？”\"»]['’”)\]]*\s*$")
_CUE = re.compile(
    r"[\W_]*(?:related|read (?:more|also|next|the full)|see (?:also|more)|also (?:read|see|on)|recommended|"
    r"more (?:from|on|in|great|news|stories)|sign up|subscribe|follow (?:us|me|him|her|@)|share this|photo|image|"
    r"picture|advertis|sponsored|copyright|©|click here|watch|tags?\b|topics?\b|filed under|don't miss|get the latest|"
    r"download|join our|updated|published|posted|leave a (?:comment|reply)|comments?\b|next|previous|loading|"
    r"close\b|caption|(?:this|our) (?:web)?site uses cookies|we use cookies)",
    re.IGNORECASE,
)


def choose(tree: Tree) -> list[Piece]:
    """The pieces of the main text, in order; empty when the page has no visible text."""
    everything = pieces(tree)
    prose = _sums(tree, everything, lambda piece: max(0.0, _worth(piece)))
    found = pieces(tree, 0, furniture(tree, everything, prose))
    if sum(max(0.0, _worth(piece)) for piece in found) < LITTLE <= prose[0]:
        found = everything  # such as a page of comments
    sums = _sums(tree, found, _worth)
    root = max(range(len(sums)), key=lambda number: (sums[number], number))
    if sums[root] < LITTLE:
        return _below_headline(tree, found) or found
    inside = [piece for piece in found if root <= piece.first < tree.nodes[root].stop]
    return _trim(_below_headline(tree, inside)) or inside


def _words(text: str) -> float:
    wide = 0 if text.isascii() else len(text) - len(_WIDE.sub("", text))
    return text.count(" ") + 1 + wide / 2


def _worth(piece: Piece) -> float:
    """Words of running text, linked ones and a fixed amount counted against it. Headings count neither way.

    Rows and code have few words each without being furniture.
    """
    if piece.level:
        return 0.0
    words, linked = _words(piece.text), min(1.0, piece.linked / len(piece.text))
    worth = words * (1 - linked) - LINKED * words * linked - FIXED
    return worth if linked or piece.kind in ("prose", "list") else max(0.0, worth)


def _sums(tree: Tree, found: list[Piece], worth: Callable[[Piece], float]) -> list[float]:
    """The worth of the pieces in each element, by its number."""
    sums = [0.0] * len(tree.nodes)
    for piece in found:
        sums[piece.owner] += worth(piece)
    for number in range(len(sums) - 1, 0, -1):
        sums[tree.nodes[number].parent] += sums[number]
    return sums


def _below_headline(tree: Tree, inside: list[Piece]) -> list[Piece]:
    headline = next((number for number in tree.visible() if tree.nodes[number].name == "h1"), 0)
    stop = tree.nodes[headline].stop
    below = [piece for piece in inside if piece.first >= stop]
    above = sum(max(0.0, _worth(piece)) for piece in inside if piece.first < headline)
    total = sum(max(0.0, _worth(piece)) for piece in inside)
    return below if headline and above <= LEAD * total else inside


def _trim(inside: list[Piece]) -> list[Piece]:
    """Without links and notices between paragraphs, short lines at both ends, and headings of nothing."""
    kept = [piece for piece in inside if not _is_notice(piece)]
    start, stop = 0, len(kept)
    while start < stop and _is_scrap(kept[start]) and not kept[start].level:
        start += 1
    while start < stop and (kept[stop - 1].level or _is_scrap(kept[stop - 1])):
        stop -= 1
    kept = kept[start:stop]
    followed = zip(kept, kept[1:] + kept[-1:], strict=True)
    return [piece for piece, after in followed if not 0 < after.level <= piece.level]


def _is_scrap(piece: Piece) -> bool:
    words = _words(piece.text)
    return piece.kind == "prose" and words < 14 and not (words >= 5 and _SENTENCE.search(piece.text[-_END:]))


def _is_notice(piece: Piece) -> bool:
    if is_link(piece) and _words(piece.text) < 2 * SHORT:
        return True
    return not piece.level and _words(piece.text) < SHORT and bool(_CUE.match(piece.text[:_START]))
