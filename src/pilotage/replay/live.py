"""A session that goes on, as a stream: what has changed in its waterfall and its head since the reader last heard.

    change   new and ended rows, the figures of the head      id: the number of the last event
    clock    the figures that time moves                      while nothing else happens
    end      how it ended: nothing follows

The store is looked at every WAIT seconds, for each reader by itself. What is not covered: a session of another program
that grows after its end was recorded; loading the page again shows it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from pilotage.record.sessions import state
from pilotage.replay.fold import Folded, Sessions, listed_row
from pilotage.replay.overview import figures_of, silence
from pilotage.replay.stream import event_stream, message, still_serving
from pilotage.replay.view import some_rows, total_of

WAIT = 0.3  # seconds between two looks at the store
CLOCK = 4  # looks without anything new until the time is told


def live(request: Request, sessions: Sessions, run: str, after: int) -> StreamingResponse:
    """The stream for one reader, who knows the events up to number `after`."""
    return event_stream(_follow(request, sessions, run, after))


async def _follow(request: Request, sessions: Sessions, run: str, after: int) -> AsyncIterator[str]:
    idle = 0
    while True:
        folded, said = await run_in_threadpool(_look, sessions, run)
        if folded is None:
            return
        if folded.last > after:
            now = time.time() if said == "live" else None
            changed = await run_in_threadpool(change, sessions.engine, folded, after, now)
            yield message(changed, event="change", id_=folded.last)
            after, idle = folded.last, 0
        if said != "live":
            yield message({"state": said}, event="end", id_=after)
            return
        idle += 1
        if idle % CLOCK == 0:
            yield message(clock(folded, time.time()), event="clock")
        if not await still_serving(request, WAIT):
            return


def change(engine: Engine, folded: Folded, after: int, now: float | None = None) -> dict[str, Any]:
    """What a page that knows the events up to number `after` has to change; `now` while the session is live."""
    rows = [(number, row) for number, row in enumerate(list(folded.rows)) if row.changed > after]
    return {
        **clock(folded, now), "last": folded.last, "count": len(folded.rows),
        "rows": some_rows(engine, folded, rows, now),
    }  # fmt: skip


def clock(folded: Folded, now: float | None = None) -> dict[str, Any]:
    """The figures of the head, how wide the waterfall is, and since when nothing was heard."""
    now = None if folded.ending.event is not None else now
    figures = {figure.name: figure.text for figure in figures_of(folded, now)}
    silent = silence(folded.events[-1].at, now) if now and folded.events else ""
    return {"total": round(total_of(folded, now), 4), "figures": figures, "silence": silent}


def _look(sessions: Sessions, run: str) -> tuple[Folded | None, str]:
    folded = sessions.get(run)
    if folded is None:
        return None, "lost"
    row = listed_row(sessions.engine, run)
    return folded, state(row, time.time()) if row else "lost"
