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
from pilotage.replay.fold import Folded, Sessions
from pilotage.replay.live import live
from pilotage.replay.thought import repetitions
from pilotage.replay.view import PIECE, for_script, one_step, page_context, page_data, rows_json
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
    return folded


def show(request: Request) -> Response:
    """The page. The beginning of a run's id leads to it as well."""
    engine, run = _engine(request), str(request.path_params["run"])
    folded = sessions_of(request).get(run)
    if folded is None:
        try:
            return RedirectResponse(f"/sessions/{find_run(engine, run)}", 303)
        except ConfigError:
            raise HTTPException(404, ABSENT) from None
    now = time.time()
    context = page_context(engine, folded, now)
    data = page_data(engine, folded, context, now)
    return _answer(request, "session.html", {**context, "data": for_script(data), "exported": False})


def show_rows(request: Request) -> Response:
    folded = find(request)
    return _json(rows_json(_engine(request), folded, _number(request, "from"), PIECE, time.time()))


def show_step(request: Request) -> Response:
    step = one_step(_engine(request), find(request), int(request.path_params["seq"]))
    if step is None:
        raise HTTPException(404, "There is no such step.")
    return _json(step)


def show_thought(request: Request) -> Response:
    """Recursive thought by itself: the script puts it into the page, without script it is a page."""
    folded = find(request)
    context = {"thought": repetitions(_engine(request), folded), "base": f"/sessions/{folded.run}", "run": folded.run}
    return _answer(request, "_thought.html" if _wants_part(request) else "session_thought.html", context)


def show_events(request: Request) -> Response:
    """Raw events with their texts, RAW at a time."""
    after = _number(request, "after")
    events = read_page(_engine(request), find(request).run, after, RAW)
    return _json(
        [{**event.as_json(), "erased": [n for n, text in event.content.items() if text is None]} for event in events]
    )


def verify(request: Request) -> Response:
    """Whether the chain of the session holds, by the very audit of `pilotage audit`."""
    folded = find(request)
    settings = request.app.state.settings
    report = audit(_engine(request), folded.run, sealed(settings.runs / folded.run))
    context = {"report": report, "said": proof(report), "run": folded.run}
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
    run = find(request).run
    return StreamingResponse(
        _lines(_engine(request), run), media_type="application/jsonl", headers=_download(run, "jsonl")
    )


def _lines(engine: Engine, run: str) -> Iterator[bytes]:
    for event in read_events(engine, run):
        yield f"{json.dumps(event.as_json(), ensure_ascii=False)}\n".encode("utf-8", "backslashreplace")


def follow(request: Request) -> Response:
    """The stream of a session that goes on; `after`, or Last-Event-ID, is the last event that the reader has."""
    folded = find(request)
    told = request.headers.get("last-event-id", "")
    return live(request, sessions_of(request), folded.run, int(told) if told.isdigit() else _number(request, "after"))


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _answer(request: Request, template: str, context: dict[str, Any]) -> Response:
    answer: Response = request.app.state.templates.TemplateResponse(request, template, context)
    return answer


def _json(data: Any) -> Response:
    return Response(json.dumps(data, separators=(",", ":")), media_type="application/json")


def _number(request: Request, name: str) -> int:
    told = request.query_params.get(name, "0")
    return int(told) if told.isdigit() and len(told) < 10 else 0


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
