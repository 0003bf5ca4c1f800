"""Paragraphs out of the lines of a printed page, by where the lines stand.

A line is joined to the next when it is full: when the next one's first word would not have fitted. A word cut at the
line's end is put together where the document's own words speak for it. Not covered: text that runs upward, tables.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

HYPHEN = "\ufffe"  # pdfium's sign for a hyphen at the end of a line

SAME = 0.15  # of the size: two lines are in one font
APART = 1.35  # of the usual distance between lines: a new paragraph
INDENT = 0.8  # of the size
SHORTEST = 25  # characters of a full line: cells of a table have less
PROSE = 0.5  # of the lines of a column, but the last, reach its right side, give or take RAGGED of its width
RAGGED = 0.2

SURE = 40  # characters of a line that ends at a margin: it is full whatever its neighbours are
MARGIN = 0.08  # of the long lines of the document end there: it is set flush right
GRAIN = 2.0  # points that are taken for one place

BULLET = re.compile(r"[•▪◦‣●○■□]\s+|[–—*-]\s+(?=\w)")
_LISTED = re.compile(r" … \S+$")  # a line of a table of contents
_ITEM = re.compile(r"(?:[•▪◦‣●○■□–—*-]|\(?(?:\d{1,2}|[a-z])[.)])\s")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_TAIL, _HEAD = re.compile(r"[^\W\d_]+$"), re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page: where it stands in points, from the page's bottom, and its font's height."""

    text: str
    left: float
    right: float
    bottom: float
    size: float
    hyphen: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines joined to running text; `height` is how many they were."""

    text: str
    size: float
    height: int


@dataclass(frozen=True, slots=True)
class Print:
    """What the whole document tells: its words, in lower case, and where lines end that are set flush right."""

    words: Mapping[str, int]
    margins: frozenset[int]

    @classmethod
    def of(cls, pages: list[list[Line]]) -> Print:
        ends = Counter(round(line.right / GRAIN) for lines in pages for line in lines if len(line.text) >= SURE)
        often = max(5, MARGIN * ends.total())
        return cls(_words_of(pages), frozenset(end for end, times in ends.items() if times >= often))

    def ends(self, line: Line) -> bool:
        """Whether the line ends at a margin."""
        return len(line.text) >= SURE and round(line.right / GRAIN) in self.margins


def paragraphs(lines: list[Line], style: Print) -> Iterator[Paragraph]:
    """The paragraphs of a page in order."""
    usual = _usual_distance(lines)
    for column in _columns(lines, usual):
        right = max(line.right for line in column)
        is_prose = _is_prose(column, right)
        group = [column[0]]
        for above, line in pairwise(column):
            is_full = style.ends(above) or (is_prose and _is_full(above, line, right))
            if above.hyphen or (is_full and _continues(above, line)):
                group.append(line)
            else:
                yield _joined(group, style.words)
                group = [line]
        yield _joined(group, style.words)


def body_size(pages: list[list[Line]]) -> float:
    """The size that most of the text has."""
    sizes: Counter[float] = Counter()
    for line in (line for lines in pages for line in lines):
        sizes[round(line.size, 1)] += len(line.text)
    return max(sizes, key=lambda size: sizes[size], default=0.0)


def _words_of(pages: list[list[Line]]) -> Counter[str]:
    """How often the document has each word; those at a cut are left out."""
    words: Counter[str] = Counter()
    for lines in pages:
        for above, line in pairwise([Line("", 0, 0, 0, 0), *lines]):
            found = [match.group().lower() for match in _WORD.finditer(line.text)]
            words.update(found[1 if above.hyphen else 0 : -1 if line.hyphen else None])
    return words


def _columns(lines: list[Line], usual: float) -> Iterator[list[Line]]:
    """Lines that follow each other downward in one font."""
    column: list[Line] = []
    for line in lines:
        if column and not column[-1].hyphen and not _is_below(column[-1], line, usual):
            yield column
            column = []
        column.append(line)
    if column:
        yield column


def _is_below(above: Line, line: Line, usual: float) -> bool:
    distance = above.bottom - line.bottom
    same_font = abs(above.size - line.size) <= SAME * max(above.size, line.size)
    return same_font and 0 < distance <= APART * usual and abs(line.left - above.left) < 6 * line.size


def _is_prose(column: list[Line], right: float) -> bool:
    """Whether most lines go as far as the longest, as they do not in a list, a table or a poem."""
    limit = right - RAGGED * (right - min(line.left for line in column))
    above = column[:-1]
    return sum(line.right >= limit for line in above) >= PROSE * len(above)


def _is_full(above: Line, line: Line, right: float) -> bool:
    """Whether the first word of `line` would have gone beyond the right side, which is not known to a letter.

    A line that goes on in lower case needs only be about as long as the others.
    """
    letter = (line.right - line.left) / len(line.text)
    room = RAGGED * (right - above.left) if line.text[0].islower() else (len(line.text.split()[0]) + 2) * letter
    return len(above.text) >= SHORTEST and above.right + room > right


def _continues(above: Line, line: Line) -> bool:
    """Neither an item of a list nor indented, unless the line above is an item."""
    if _ITEM.match(line.text) or _LISTED.search(above.text):
        return False
    return line.left <= above.left + INDENT * line.size or bool(_ITEM.match(above.text))


def _joined(group: list[Line], words: Mapping[str, int]) -> Paragraph:
    text = group[0].text
    for above, line in pairwise(group):
        text += f"{_seam(text, line.text, words)}{line.text}" if above.hyphen else f" {line.text}"
    return Paragraph(text + "-" * group[-1].hyphen, max(line.size for line in group), len(group))


def _seam(before: str, after: str, words: Mapping[str, int]) -> str:
    """What stands between the parts of a word that a line's end has cut: a hyphen, or nothing when it is one word.

    The document's own spelling decides. Failing that, it is one word unless both parts are words of the document, or
    a capital or a figure says that the hyphen belongs there: `Anglo-Saxon`, `COVID-19`, `state-of-the-art`.
    """
    tail, head = _TAIL.search(before), _HEAD.match(after)
    if not tail or not head or before[: tail.start()].endswith("-") or not head.group()[0].islower():
        return "-"
    parts = tail.group().lower(), head.group().lower()
    whole, hyphened = words.get("".join(parts), 0), words.get("-".join(parts), 0)
    if whole or hyphened:
        return "" if whole >= hyphened else "-"
    return "-" if all(part in words for part in parts) or tail.group().isupper() else ""


def _usual_distance(lines: Iterable[Line]) -> float:
    """The middle distance from a line down to the next; 1.2 of the size where there are few."""
    steps = [above.bottom - line.bottom for above, line in pairwise(lines)]
    near = [step for step, line in zip(steps, lines, strict=False) if 0.5 * line.size < step < 3 * line.size]
    return median(near) if near else 0.0
