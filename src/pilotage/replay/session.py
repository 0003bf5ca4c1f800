"""The page of one session and what its script asks for: pieces of the waterfall, steps, raw events, proof, exports.

`routes` are mounted by app.py. What is not covered: changing anything; every address only reads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from pilotage.errors import ConfigError
from pilotage.record.audit import Audit, audit
from pilotage.record.journal import find_run, read_events, read_page
from pilotage.replay.export import export_html
from pilotage.replay.fold import UNREADABLE, Folded, Sessions, listed_row
from pilotage.replay.live import live
from pilotage.replay.thought import repetitions
from pilotage.replay.view import PIECE, for_script, live_clock, one_step, page_context, page_data, rows_json
from pilotage.views import audit_line, sealed

RAW = 50  # events in a piece of the raw list
ABSENT = "There is no such session."


def sessions_of(request: Request) -> Sessions:
    """The sessions of this application that were looked at lately."""
    state = request.app.state
    if not hasattr(state, "sessions"):
        state.sessions = Sessions(state.engine)
    found: Sessions = state.sessions
    return found


def find(request: Request) -> Folded:
    """The session that the address names, as it stands now; 404 when there is none."""
    folded = sessions_of(request).get(request.path_params["run"])
    if folded is None:
        raise HTTPException(404, ABSENT)
    return _with_events(folded)


def show(request: Request) -> Response:
    """The page. The beginning of a run's id leads to it as well."""
    engine, run = _engine(request), str(request.path_params["run"])
    folded = sessions_of(request).get(run)
    if folded is None:
        try:
            return RedirectResponse(f"/sessions/{find_run(engine, run)}", 303)
        except ConfigError as error:
            raise HTTPException(404, f"{str(error)[:200]}.") from None
    _with_events(folded)
    now = time.time()
    context = page_context(engine, folded, now)
    data = page_data(engine, folded, context, now)
    return _answer(request, "session.html", {**context, "data": for_script(data), "exported": False})


def show_rows(request: Request) -> Response:
    folded = find(request)
    engine = _engine(request)
    return _json(rows_json(engine, folded, _number(request, "from"), PIECE, live_clock(engine, folded)))


def show_step(request: Request) -> Response:
    step = one_step(_engine(request), find(request), int(request.path_params["seq"]))
    if step is None:
        raise HTTPException(404, "There is no such step.")
    return _json(step)


def show_thought(request: Request) -> Response:
    """Recursive thought by itself: the script puts it into the page, without script it is a page."""
    folded = find(request)
    context = {
        "thought": repetitions(_engine(request), folded),
        "is_worked": True,
        "base": f"/sessions/{folded.run}",
        "run": folded.run,
    }
    return _answer(request, "_thought.html" if _wants_part(request) else "session_thought.html", context)


def show_events(request: Request) -> Response:
    """Raw events with their texts, RAW at a time."""
    after, folded = _number(request, "after"), find(request)
    readable = sum(event.seq > after for event in folded.events)
    events = read_page(_engine(request), folded.run, after, min(RAW, readable)) if readable else []
    return _json(
        [{**event.as_json(), "erased": [n for n, text in event.content.items() if text is None]} for event in events]
    )


def verify(request: Request) -> Response:
    """Whether the chain of the session holds, by the very audit of `pilotage audit`."""
    run, engine, settings = str(request.path_params["run"]), _engine(request), request.app.state.settings
    if not listed_row(engine, run):  # it need not be readable to be verified
        raise HTTPException(404, ABSENT)
    try:
        report = audit(engine, run, sealed(settings.runs / run))
    except UNREADABLE as error:
        report = Audit(run, False, 0, "", 1, f"it cannot be read ({type(error).__name__})")
    context = {"report": report, "said": proof(report), "run": run}
    return _answer(request, "_proof.html" if _wants_part(request) else "session_proof.html", context)


def proof(report: Audit) -> str:
    """The audit's line without the run's id, as a sentence."""
    return audit_line(report).removeprefix(f"{report.run}: ")


def export_page(request: Request) -> Response:
    folded = find(request)
    headers = _download(folded.run, "html")
    return Response(export_html(_engine(request), folded.run), media_type="text/html", headers=headers)


def export_lines(request: Request) -> Response:
    """The same lines as `pilotage export --jsonl`."""
    folded = find(request)
    if folded.unreadable:
        raise HTTPException(422, unreadable(folded))
    run = folded.run
    return StreamingResponse(
        _lines(_engine(request), run), media_type="application/jsonl", headers=_download(run, "jsonl")
    )


def _lines(engine: Engine, run: str) -> Iterator[bytes]:
    for event in read_events(engine, run):
        yield f"{json.dumps(event.as_json(), ensure_ascii=False)}\n".encode("utf-8", "backslashreplace")


def follow(request: Request) -> Response:
    """The stream of a session that goes on; `after`, or Last-Event-ID, is the last event that the reader has."""
    folded = find(request)
    told = whole(request.headers.get("last-event-id", ""))
    after = _number(request, "after") if told is None else told
    return live(request, sessions_of(request), folded.run, after)


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _answer(request: Request, template: str, context: dict[str, Any]) -> Response:
    answer: Response = request.app.state.templates.TemplateResponse(request, template, context)
    return answer


def _json(data: Any) -> Response:
    return Response(json.dumps(data, separators=(",", ":")), media_type="application/json")


def _number(request: Request, name: str) -> int:
    return whole(request.query_params.get(name, "")) or 0


def whole(text: str) -> int | None:
    """A number as our own pages write it, else None: "²" is a digit, and no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def unreadable(folded: Folded) -> str:
    return f"The record cannot be read from event {folded.unreadable} on."


def _with_events(folded: Folded) -> Folded:
    """422 when not even the first event can be read."""
    if not folded.events:
        raise HTTPException(422, f"{unreadable(folded)} `pilotage audit {folded.run}` says what is wrong.")
    return folded


def _wants_part(request: Request) -> bool:
    return request.headers.get("x-part") == "1"


def _download(run: str, form: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{run}.{form}"'}


routes = [
    Route("/sessions/{run}", show),
    Route("/sessions/{run}/rows.json", show_rows),
    Route("/sessions/{run}/steps/{seq:int}.json", show_step),
    Route("/sessions/{run}/thought", show_thought),
    Route("/sessions/{run}/events.json", show_events),
    Route("/sessions/{run}/verify", verify),
    Route("/sessions/{run}/live", follow),
    Route("/sessions/{run}/export.html", export_page),
    Route("/sessions/{run}/export.jsonl", export_lines),
]
