"""The list of sessions: search, filters, order and pages as plain GET parameters, and a stream that keeps it fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine, func, select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from pilotage.errors import ConfigError
from pilotage.record.journal import find_run
from pilotage.record.sessions import SORTS, Found, Search, facet_values, find
from pilotage.record.store import facets, runs
from pilotage.replay.formats import OUTCOMES
from pilotage.replay.overview import QUIET
from pilotage.replay.stream import event_stream, message, still_serving

LOOKS = 1.0  # seconds between two looks at the store, for the stream
TEXTS = ("outcome", "agent", "model", "tag", "tool", "loop", "origin")
FIRST_UP = ("question", "outcome")  # columns that a first click sorts upwards
COLUMNS = {  # sort key: heading
    "question": "Question", "outcome": "Outcome", "started": "Started", "seconds": "Time", "model_calls": "Model calls",
    "tool_calls": "Tool calls", "tokens": "Tokens", "usd": "Cost", "errors": "Errors", "loops": "Loops",
}  # fmt: skip
MOST_VALUES = 500  # options of one filter
LONGEST = 500  # letters of a parameter that are looked at


@dataclass(frozen=True)
class Query:
    """The parameters of the address as they stand, and what they mean."""

    given: Mapping[str, str]
    search: Search
    problems: tuple[str, ...] = ()

    def link(self, **changes: Any) -> str:
        """The same list with some parameters changed; None takes one away."""
        kept = {name: value for name, value in {**self.given, **changes}.items() if value not in (None, "")}
        return "/?" + urlencode(kept) if kept else "/"

    def sort_link(self, column: str) -> str:
        is_current = self.search.sort == column
        down = not self.search.descending if is_current else column not in FIRST_UP
        return self.link(sort=column, order="down" if down else "up", page=None)

    @property
    def filters(self) -> dict[str, str]:
        return {name: value for name, value in self.given.items() if name not in ("sort", "order", "page", "per_page")}


def read_query(parameters: Mapping[str, str]) -> Query:
    """What cannot be read filters nothing, and a date says so: a link that was cut off still shows a list."""
    given = {name: value.strip()[:LONGEST] for name, value in parameters.items() if name in KNOWN and value.strip()}
    wrong = [name for name in ("from", "to") if name in given and _day(given[name]) is None]
    problems = tuple(f"“{given.pop(name)[:40]}” is no date such as 2026-11-23: it filters nothing." for name in wrong)
    sort = given.get("sort", "started")
    sort = sort if sort in SORTS else "started"
    down = given.get("order", "up" if sort in FIRST_UP else "down") != "up"
    search = Search(
        text=given.get("q", ""), **{name: given.get(name, "") for name in TEXTS},
        since=_day(given.get("from")), until=_day(given.get("to"), days=1),
        usd_from=_number(given.get("usd_from")), usd_to=_number(given.get("usd_to")), sort=sort, descending=down,
        page=_whole(given.get("page"), 1, 1_000_000), per_page=_whole(given.get("per_page"), 50, 200),
    )  # fmt: skip
    return Query(given, search, problems)


KNOWN = {"q", *TEXTS, "from", "to", "usd_from", "usd_to", "sort", "order", "page", "per_page"}


def show(request: Request) -> Response:
    """The page."""
    query, engine = read_query(request.query_params), request.app.state.engine
    seen = request.app.state.pulse.read()  # before the list: what changes meanwhile is sent again
    found = find(engine, query.search)
    pages = max(1, -(-found.total // query.search.per_page))
    if query.search.page > pages:
        return RedirectResponse(query.link(page=pages), 303)
    context = {
        **rows_context(engine, query, found), "values": _choices(engine), "outcomes": list(OUTCOMES), "pages": pages,
        "columns": COLUMNS, "is_new": not found.total and not query.filters, "seen": seen,
    }  # fmt: skip
    answer: Response = request.app.state.templates.TemplateResponse(request, "sessions.html", context)
    return answer


def rows_context(engine: Engine, query: Query, found: Found) -> dict[str, Any]:
    """What the rows need: the page draws them first, the stream draws them again."""
    names = [row["run"] for row in found.rows]
    return {"query": query, "found": found, "tags": tags_of(engine, names), "now": time.time(), "quiet": QUIET}


def tags_of(engine: Engine, names: list[str]) -> dict[str, list[str]]:
    wanted = select(facets.c.run, facets.c.value).where(facets.c.name == "tag", facets.c.run.in_(names))
    found: dict[str, list[str]] = {name: [] for name in names}
    with engine.connect() as connection:
        for run, value in connection.execute(wanted.order_by(facets.c.value)):
            found[run].append(value)
    return found


def by_trace(request: Request) -> Response:
    """The address that AgentOps' SDK prints: a trace id, which a session recorded by the collector is known by."""
    name = request.query_params.get("trace_id") or request.query_params.get("session_id") or ""
    name = name.replace("-", "").lower() if _is_trace(name) else name
    if not name:
        return RedirectResponse("/", 307)
    try:
        return RedirectResponse(f"/sessions/{find_run(request.app.state.engine, name)}", 303)
    except ConfigError:
        raise HTTPException(404, f"No session {name[:64]} was recorded here, or not yet.") from None


async def follow(request: Request) -> StreamingResponse:
    """The rows again whenever one of the store's runs has changed since the fingerprint `seen`."""
    return event_stream(_changes(request, read_query(request.query_params)))


async def _changes(request: Request, query: Query) -> AsyncIterator[str]:
    engine, template = request.app.state.engine, request.app.state.templates.get_template("_sessions_rows.html")
    seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")

    def look() -> tuple[str, str]:
        state = request.app.state.pulse.read()
        if state == seen:
            return state, ""
        found = find(engine, query.search)
        html = template.render(rows_context(engine, query, found))
        return state, message({"rows": html, "total": found.total}, id_=state)

    yield "retry: 2000\n\n"
    while await still_serving(request, LOOKS if seen else 0.01):
        seen, text = await run_in_threadpool(look)
        yield text or ":\n\n"  # a comment: whoever left is noticed


class Pulse:
    """The fingerprint of the list, looked up once for all streams that want it in the same moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._read, self._at = "", 0.0

    def read(self) -> str:
        with self._lock:
            if time.monotonic() - self._at >= LOOKS / 2:
                self._read, self._at = fingerprint(self._engine), time.monotonic()
            return self._read


def fingerprint(engine: Engine) -> str:
    """Another one whenever the list has changed; runs that become lost count, as time passes over their end."""
    now = time.time()
    wanted = select(
        func.count(), func.max(runs.c.updated), func.count(runs.c.outcome),
        func.sum((runs.c.outcome.is_(None)) & (runs.c.until >= now)),
    )  # fmt: skip
    with engine.connect() as connection:
        return "-".join(str(value) for value in connection.execute(wanted).one())


def _choices(engine: Engine) -> dict[str, list[str]]:
    return {name: [value for value in values if value.strip()][:MOST_VALUES]
            for name, values in facet_values(engine).items()}  # fmt: skip


def _is_trace(name: str) -> bool:
    plain = name.replace("-", "")
    return len(plain) == 32 and all(letter in "0123456789abcdefABCDEF" for letter in plain)


def _day(text: str | None, *, days: int = 0) -> float | None:
    """2026-11-23 as its first second in UTC, `days` later."""
    try:
        day = datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=UTC)
        return (day + timedelta(days=days)).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def _whole(text: str | None, otherwise: int, most: int) -> int:
    number = _number(text)
    return otherwise if number is None else max(1, min(most, int(number)))


routes = [
    Route("/", show, methods=["GET"]),
    Route("/sessions", by_trace, methods=["GET"]),
    Route("/events/sessions", follow, methods=["GET"]),
]
