"""What the page of a session and its export show: the same context for the same templates, and steps as they are asked.

A page holds the first PIECE rows and steps; the rest is fetched in pieces. What is not covered: texts beyond CUT
characters in the list of steps that is printed; the player and the export of events have them whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from pilotage.record.audit import audit
from pilotage.record.sessions import state
from pilotage.record.tree import why_failed
from pilotage.replay.answer import answer_of
from pilotage.replay.fold import UNREADABLE, Folded, listed_row, with_texts
from pilotage.replay.overview import alerts_of, decisions_of, head_of, tables
from pilotage.replay.step import CAPS, meters, read_settings, step_json
from pilotage.replay.thought import is_to_be_watched, repetitions
from pilotage.replay.waterfall import Row, row_json, ticks

PIECE = 200  # rows, or steps, that go with a page and in each piece
CUT = 2000  # characters of a text in the list of steps
WATCHED = 2000  # events up to which recursive thought is looked for before the page is sent
PROVEN = 1000  # events up to which the chain of an ended session is verified before the page is sent


def page_context(engine: Engine, folded: Folded, now: float | None = None, *, whole: bool = False) -> dict[str, Any]:
    """What the templates get. With `whole` recursive thought is looked for however long the session is.

    `now` tells a live session from a lost one; what is not live has its end at its last event.
    """
    head = head_of(engine, folded, now)
    clock = now if head.is_live else None
    answer, citations = answer_of(engine, folded)
    decisions, decided = decisions_of(engine, folded)
    is_late = (
        not whole and len(folded.events) > WATCHED and (folded.tally.loops > 0 or is_to_be_watched(engine, folded))
    )
    return {
        "head": head, "answer": answer, "citations": citations, "base": f"/sessions/{folded.run}",
        "rows": rows_json(engine, folded, 0, PIECE, clock), "row_count": len(folded.rows),
        "ticks": ticks(total_of(folded, clock)), "unreadable": folded.unreadable,
        "steps": steps_json(engine, folded, 0, PIECE), "step_count": len(folded.events),
        "tables": tables(folded), "decisions": decisions, "decided": decided, "alerts": alerts_of(engine, folded),
        "thought": None if is_late else repetitions(engine, folded), "cut": CUT,
        "is_worked": folded.tally.model_calls + folded.tally.tool_calls > 0,
        "broken": broken(engine, folded) if not head.is_live and len(folded.events) <= PROVEN else None,
    }  # fmt: skip


def broken(engine: Engine, folded: Folded) -> str:
    """What is wrong with the chain of a session, empty when nothing is."""
    try:
        report = audit(engine, folded.run)
    except UNREADABLE as error:  # a record that was written anew, chain and all
        return f"event {folded.last + 1} cannot be read ({type(error).__name__})"
    return "" if report.ok else f"event {report.broken}: {report.reason}"


def live_clock(engine: Engine, folded: Folded) -> float | None:
    """The time of now while the session goes on, else None."""
    row, now = listed_row(engine, folded.run), time.time()
    return now if row and state(row, now) == "live" else None


def page_data(engine: Engine, folded: Folded, context: dict[str, Any], now: float | None = None) -> dict[str, Any]:
    """What the script of the page starts with."""
    return {
        "run": folded.run, "base": context["base"], "rows": len(folded.rows), "first": folded.events[0].seq,
        "last": folded.last, "piece": PIECE, "live": context["head"].is_live,
        "total": round(total_of(folded, now if context["head"].is_live else None), 4),
        "caps": caps_of(engine, folded),
    }  # fmt: skip


def total_of(folded: Folded, now: float | None = None) -> float:
    """Seconds that the waterfall is wide; `now` only while the session goes on."""
    is_open = folded.ending.event is None and now is not None and not folded.is_foreign
    return max((now if is_open and now else folded.until) - folded.started, 0.001)


def rows_json(engine: Engine, folded: Folded, start: int, count: int, now: float | None = None) -> list[dict[str, Any]]:
    """A piece of the waterfall."""
    rows = folded.rows
    piece = list(enumerate(rows))[start : start + count] if start else list(enumerate(rows[:count]))
    return some_rows(engine, folded, piece, now)


def some_rows(
    engine: Engine, folded: Folded, rows: Sequence[tuple[int, Row]], now: float | None = None
) -> list[dict[str, Any]]:
    started, total = folded.started, total_of(folded, now)
    why = _whys(engine, [row for _, row in rows if row.span.failed])
    is_live = now is not None
    return [row_json(row, number, started, total, why.get(id(row.span), ""), is_live=is_live) for number, row in rows]


def steps_json(engine: Engine, folded: Folded, start: int, count: int) -> list[dict[str, Any]]:
    """A stretch of steps with their texts."""
    wanted = folded.events[start : start + count]
    earlier = {before for event in wanted if (before := folded.call_before.get(event.seq))} - {e.seq for e in wanted}
    outside = [event for seq in sorted(earlier) if (event := folded.event(seq))]
    full = {event.seq: event for event in [*with_texts(engine, outside, ("request",)), *with_texts(engine, wanted)]}
    settings = settings_of(engine, folded)
    return [
        _step(folded, full[event.seq], full.get(folded.call_before.get(event.seq, 0)), settings) for event in wanted
    ]


def one_step(engine: Engine, folded: Folded, seq: int) -> dict[str, Any] | None:
    event = folded.event(seq)
    if event is None:
        return None
    before = folded.event(folded.call_before.get(seq, 0))
    earlier = with_texts(engine, [before], ("request",))[0] if before else None
    return _step(folded, with_texts(engine, [event])[0], earlier, settings_of(engine, folded))


def _step(folded: Folded, event: Any, before: Any, settings: dict[str, Any]) -> dict[str, Any]:
    mark = folded.mark(event.seq)
    used = (max(0.0, event.at - folded.started), *mark[:4])
    step = step_json(event, before=before, started=folded.started)
    step["meters"] = [[one["share"], one["text"]] for one in meters(settings, used)]
    step["row"] = folded.row_of.get(event.seq)
    return step


def caps_of(engine: Engine, folded: Folded) -> list[dict[str, str]]:
    """Which caps of the run the meters of its steps are about."""
    found = meters(settings_of(engine, folded), [0.0] * len(CAPS))
    return [{"name": one["name"], "key": one["key"]} for one in found]


def settings_of(engine: Engine, folded: Folded) -> dict[str, Any]:
    first = with_texts(engine, folded.events[:1], ("settings",))
    return read_settings(first[0] if first else None)


def _whys(engine: Engine, rows: Sequence[Row]) -> dict[int, str]:
    """Why the spans of these rows failed, in one line, by id(span)."""
    spans = [(row.span, found) for row in rows if (found := row.span.ended_by or row.span.event)]
    full = {
        event.seq: event
        for event in with_texts(engine, [event for _, event in spans], ("error", "result", "reason", "evidence"))
    }
    return {
        id(span): (why_failed(full[event.seq]) or full[event.seq].content.get("reason") or "")[:300]
        for span, event in spans
    }


def for_script(data: Any) -> str:
    """JSON that may stand in a script element of HTML, whatever its texts say."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
