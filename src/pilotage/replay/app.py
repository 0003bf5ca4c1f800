"""The application behind `pilotage replay`: the pages, and the collector's addresses on the same port.

`request.app.state` holds settings, engine, tokens, templates, `stopping`, an event that ends every stream,
and `pulse`, by which the lists are kept fresh.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from pilotage.collector.routes import routes as collector_routes
from pilotage.collector.tokens import Tokens
from pilotage.collector.writer import Writer
from pilotage.errors import PilotageError
from pilotage.replay import auth, comparing, listing, session, statistics
from pilotage.replay.auth import Guard
from pilotage.replay.collecting import collecting, writer_of
from pilotage.replay.export import environment
from pilotage.replay.headers import SecurityHeaders
from pilotage.settings import Settings

HERE = Path(__file__).parent
TITLES = {404: "Not found", 405: "Not allowed", 500: "That went wrong", 503: "Not now"}


def create_app(settings: Settings, engine: Engine, tokens: Tokens) -> Starlette:
    """All pages over the store `engine`. Who may be served, and from where, is for serve.py to check before."""
    writer = writer_of(settings, engine)
    app = Starlette(
        routes=routes(writer, tokens), lifespan=lambda _app: collecting(settings, writer),
        middleware=[Middleware(SecurityHeaders), Middleware(Guard, tokens=tokens)],
        exception_handlers={HTTPException: _say, PilotageError: _say_error, Exception: _say_fault},
    )  # fmt: skip
    app.state.settings, app.state.engine, app.state.tokens = settings, engine, tokens
    app.state.templates = Jinja2Templates(env=environment(), context_processors=[_frame])
    app.state.stopping, app.state.pulse = asyncio.Event(), listing.Pulse(engine)
    return app


def routes(writer: Writer, tokens: Tokens) -> list[BaseRoute]:
    return [
        *collector_routes(writer, tokens),
        *listing.routes,
        *statistics.routes,
        *session.routes,
        *comparing.routes,
        Route("/login", auth.show_login, methods=["GET"]),
        Route("/login", auth.log_in, methods=["POST"]),
        Route("/logout", auth.log_out, methods=["POST"]),
        Mount("/static", _Static(directory=HERE / "static"), name="static"),
    ]


class _Static(StaticFiles):
    """Files that a browser keeps, and asks about each time."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        answer = super().file_response(*arguments, **named)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _frame(request: Request) -> dict[str, Any]:
    """What base.html needs on every page."""
    return {"here": request.url.path, "signed_in": getattr(request.state, "signed_in", False)}


def _page(request: Request, status: int, message: str, hint: str = "") -> Response:
    context = {"status": status, "title": TITLES.get(status, "Not possible"), "message": message, "hint": hint}
    answer: Response = request.app.state.templates.TemplateResponse(request, "error.html", context, status_code=status)
    return answer


async def _say(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail if error.status_code != 404 or error.detail != "Not Found" else "There is no such page."
    return _page(request, error.status_code, message)


async def _say_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PilotageError)
    return _page(request, 503, f"{error}.", error.hint)


async def _say_fault(request: Request, _error: Exception) -> Response:
    return _page(request, 500, "This is a bug; the terminal of the server shows where.")
