"""The answer of a session and where its citations stand: each quote within the text of its source.

The text is looked for in the results of the session's own tools. What is not covered: a source that no result holds,
such as one that was erased, is named without its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from pilotage.record.journal import Event
from pilotage.replay.fold import CHUNK, Folded, with_texts
from pilotage.replay.overview import rows_of

AROUND = 1500  # characters of a source that are shown around a quote
CITED = re.compile(r"\[(\d{1,4})\]")
ABSENT = "The text of this source is not among the results of this session."
ELSEWHERE = "The quote does not stand in this text as it was recorded."


@dataclass(frozen=True)
class Source:
    """A citation and where it stands: what goes before the quote in its source, the quote, what follows."""

    n: int
    source: str
    where: str
    quote: str
    before: str = ""
    found: str = ""
    after: str = ""
    step: int = 0
    problem: str = ""


def answer_of(engine: Engine, folded: Folded) -> tuple[list[tuple[str, int]] | None, list[Source]]:
    """The answer in stretches, each with the number of the citation it is (0 for text), and the citations."""
    ending = folded.ending.event
    if ending is None:
        return [], []
    content = with_texts(engine, [ending])[0].content
    if content.get("answer", "") is None:
        return None, []
    citations = rows_of(content.get("citations"))
    sources = [_source(row) for row in citations]
    texts = source_texts(engine, folded, {one.source for one in sources})
    placed = [place(one, *texts.get(one.source, ("", 0))) for one in sources]
    return stretches(content.get("answer") or "", {one.n for one in sources}), placed


def stretches(answer: str, known: set[int]) -> list[tuple[str, int]]:
    parts: list[tuple[str, int]] = []
    last = 0
    for found in CITED.finditer(answer):
        if int(found[1]) in known:
            parts += [(answer[last : found.start()], 0), (found[1], int(found[1]))]
            last = found.end()
    return [part for part in [*parts, (answer[last:], 0)] if part[0]]


def place(citation: Source, text: str, step: int) -> Source:
    """The citation with the stretch of its source around the quote."""
    if not text:
        return replace(citation, problem=ABSENT)
    found = _find(citation.quote, text)
    if found is None:
        return replace(citation, before=text[: 2 * AROUND], step=step, problem=ELSEWHERE)
    start, end = found
    before = ("…" if start > AROUND else "") + text[max(0, start - AROUND) : start]
    after = text[end : end + AROUND] + ("…" if len(text) > end + AROUND else "")
    return replace(citation, before=before, found=text[start:end], after=after, step=step)


def source_texts(engine: Engine, folded: Folded, wanted: set[str]) -> dict[str, tuple[str, int]]:
    """The longest text that a tool result gives for each source, and the step that brought it."""
    found: dict[str, tuple[str, int]] = {}
    calls = _different([event for event in folded.events if event.kind == "tool_call" and wanted])
    for start in range(0, len(calls), CHUNK):
        for event in with_texts(engine, calls[start : start + CHUNK], ("result",)):
            result = event.content.get("result") or ""
            for source, text in _passages(result) if any(name in result for name in wanted) else ():
                if source in wanted and len(text) > len(found.get(source, ("", 0))[0]):
                    found[source] = (text, event.seq)
        if found.keys() >= wanted:
            break
    return found


def _different(calls: Sequence[Event]) -> list[Event]:
    """Of calls with the very same result the first."""
    by_result: dict[str, Event] = {}
    for event in calls:
        by_result.setdefault(event.digests.get("result", ""), event)
    return list(by_result.values())


def _passages(result: str) -> list[tuple[str, str]]:
    try:
        read = json.loads(result)
    except ValueError:
        return []
    rows = [read, *(read.get("passages") or [])] if isinstance(read, dict) else read if isinstance(read, list) else []
    return [
        (str(row["source"]), text)
        for row in rows
        if isinstance(row, dict) and "source" in row and isinstance(text := row.get("text", row.get("quote")), str)
    ]


def _find(quote: str, text: str) -> tuple[int, int] | None:
    """Where a quote stands in a text, white space aside."""
    if not quote.split():
        return None
    found = re.search(r"\s+".join(map(re.escape, quote.split())), text)
    return found.span() if found else None


def _source(row: Mapping[str, Any]) -> Source:
    number = row.get("n")
    return Source(
        number if isinstance(number, int) else 0, str(row.get("source") or ""), str(row.get("where") or ""),
        str(row.get("quote") or ""),
    )  # fmt: skip
