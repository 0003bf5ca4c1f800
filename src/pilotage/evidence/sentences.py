"""Cutting a stretch of text into sentences, as offsets, so that every quote stays verbatim.

Prose goes through sentencex in the language that the script suggests; lists, tables and code go line by line.
A sentence longer than a reader would quote is cut at a clause mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import sentencex

from pilotage.reading.documents import LONGEST, Kind

Span = tuple[int, int]  # start and stop within the text

CODE_LINES = 300  # characters of neighbouring code lines that count as one unit

_SCRIPTS = (  # first match wins; kana before Han, which Japanese shares with Chinese
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
)
_CLAUSE = re.compile(r"[;:,)\u2014\u3001\uff0c\uff1b\u060c\u061b][\"'\u201d\u2019)]?\s*")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+")
_LINE = re.compile(r"[^\n]*\n?")


def language(text: str) -> str:
    """A language code for sentencex, from the script alone; "en" for Latin letters."""
    if text.isascii():
        return "en"
    total = sum(map(str.isalpha, text)) or 1
    return next((code for code, script in _SCRIPTS if len(script.findall(text)) * 4 > total), "en")


def sentences(text: str, kind: Kind = "prose") -> list[Span]:
    """Offsets of the sentences of a text, trimmed, in order.

    >>> [("One. Two.")[a:b] for a, b in sentences("One. Two.")]
    ['One.', 'Two.']
    """
    if kind == "prose":
        spans = _prose(text, 0, len(text))
    elif kind == "list":
        spans = [span for start, stop in _items(text) for span in _item(text, start, stop)]
    elif kind == "table":
        spans = [match.span() for match in _LINE.finditer(text)]
    else:
        spans = _groups(text)
    pieces = (piece for span in spans for piece in _short(text, *_trim(text, *span)))
    return [(start, stop) for start, stop in pieces if any(map(str.isalnum, text[start:stop]))]


def _prose(text: str, start: int, stop: int) -> list[Span]:
    part, spans = text[start:stop], []
    code = language(part)
    for sentence in sentencex.segment(code, part):
        spans += _breaths(text, start, start + len(sentence)) if code == "th" else [(start, start + len(sentence))]
        start += len(sentence)
    return spans


def _breaths(text: str, start: int, stop: int) -> list[Span]:
    """Thai marks the end of a sentence with a space, if at all: join its runs to a readable length."""
    spans: list[Span] = []
    for match in re.compile(r"\S+\s*").finditer(text, start, stop):
        if spans and match.end() - spans[-1][0] <= 80:
            spans[-1] = (spans[-1][0], match.end())
        else:
            spans.append(match.span())
    return spans


def _items(text: str) -> Iterator[Span]:
    starts = [match.start() for match in _LINE.finditer(text) if match.group() and _ITEM.match(match.group())]
    edges = sorted({0, *starts, len(text)})
    yield from pairwise(edges)


def _item(text: str, start: int, stop: int) -> list[Span]:
    """The sentences of a list item; its number is no sentence of its own."""
    marker = _ITEM.match(text, start, stop)
    spans = _prose(text, marker.end() if marker else start, stop)
    return [(start, spans[0][1]), *spans[1:]] if spans else []


def _groups(text: str) -> list[Span]:
    spans: list[Span] = []
    for match in _LINE.finditer(text):
        if spans and match.group().strip() and match.end() - spans[-1][0] <= CODE_LINES:
            spans[-1] = (spans[-1][0], match.end())
        else:
            spans.append(match.span())
    return spans


def _trim(text: str, start: int, stop: int) -> Span:
    part = text[start:stop]
    return start + len(part) - len(part.lstrip()), stop - len(part) + len(part.rstrip())


def _short(text: str, start: int, stop: int) -> Iterator[Span]:
    """The span, cut at clause marks, else at spaces, else anywhere, until each piece is quotable."""
    while stop - start > LONGEST:
        half, limit = start + LONGEST // 2, start + LONGEST
        cuts = [match.end() for match in _CLAUSE.finditer(text, half, limit)]
        cut = cuts[-1] if cuts else max(text.rfind(" ", half, limit), text.rfind("\n", half, limit)) + 1 or limit
        yield _trim(text, start, cut)
        start = _trim(text, cut, stop)[0]
    if stop > start:
        yield start, stop
