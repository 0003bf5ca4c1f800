"""Who may read the pages and who may record: one token for both, one for recording only.

A browser gets a cookie for the read token (by the form, or by ?token= once); programs send it as a bearer. Without a
read token the pages are open, and are therefore served on loopback only, to requests that name a loopback host.
What is not covered: users and roles; whoever has the read token sees every session.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pilotage.collector.tokens import Tokens, is_same
from pilotage.errors import ConfigError
from pilotage.link import is_loopback
from pilotage.settings import Settings

WRONG_WAITS = 0.5  # seconds before the answer to a wrong token
LONGEST_FORM = 4_096  # bytes
SHORTEST_TOKEN = 16  # characters, where other machines may try
COOKIE_DAYS = 30


def cookie_of(tokens: Tokens) -> tuple[str, str]:
    """Name and value of the cookie, which proves the read token and is not the token.

    The name is of the token too, as browsers do not tell apart the servers on several ports of one host.
    """
    value = hmac.new(tokens.read.encode(), b"pilotage replay", hashlib.sha256).hexdigest()
    return f"pilotage_{value[:8]}", value


def read_tokens(settings: Settings) -> Tokens:
    """The tokens in the variables that the section `replay` names. ConfigError for one not in ASCII."""
    replay = settings.engine.replay
    return Tokens(read=_environment(replay.token_env), write=_environment(replay.collector_token_env))


def check_exposure(host: str, tokens: Tokens, settings: Settings) -> None:
    """ConfigError when the pages would be open to other machines, or their token could be guessed."""
    if is_loopback(host):
        return
    replay, reached = settings.engine.replay, f"{host} can be reached from other machines"
    if not tokens.read:
        problem = f"{reached}, and no token is set for reading (replay.token_env)"
        raise ConfigError(problem, hint=f"{_made(replay.token_env)}, or use --host 127.0.0.1")
    for token, name in ((tokens.read, replay.token_env), (tokens.write, replay.collector_token_env)):
        if token and len(token) < SHORTEST_TOKEN:
            problem = f"{reached}, and the token in {name} has {len(token)} characters of at least {SHORTEST_TOKEN}"
            raise ConfigError(problem, hint=f"{_made(name)}, or use --host 127.0.0.1")


class Guard:
    """Lets pages through to who may read them. Paths of the collector look after themselves, and carry no session."""

    OPEN = ("/static/", "/login", "/healthz", "/v1/", "/v3/", "/v4/")

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self.app, self.tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        answer = self._refusal(connection)
        scope.setdefault("state", {})["signed_in"] = self._has_cookie(connection)
        return await (answer or self.app)(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        path = connection.url.path
        if not self.tokens.read:
            host = _host(connection)
            return None if is_loopback(host) else PlainTextResponse(f'The host "{host}" is not served here.\n', 421)
        if path.startswith(self.OPEN) or self._has_cookie(connection) or self._has_bearer(connection):
            return None
        if given := connection.query_params.get("token"):
            return self._trade(connection, given)
        if "text/html" in connection.headers.get("accept", ""):
            wanted = path + (f"?{connection.url.query}" if connection.url.query else "")
            return RedirectResponse(f"/login?{urlencode({'next': wanted})}", 303)
        return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})

    def _trade(self, connection: HTTPConnection, given: str) -> Response:
        """?token= becomes a cookie, and leaves the address."""
        if not is_same(given, self.tokens.read):
            return RedirectResponse("/login?wrong=1", 303)
        rest = connection.url.remove_query_params("token")
        return signed_in(connection, self.tokens, own_path(rest.path + (f"?{rest.query}" if rest.query else "")))

    def _has_cookie(self, connection: HTTPConnection) -> bool:
        name, value = cookie_of(self.tokens)
        return bool(self.tokens.read) and is_same(connection.cookies.get(name, ""), value)

    def _has_bearer(self, connection: HTTPConnection) -> bool:
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and is_same(token.strip(), self.tokens.read)


def signed_in(connection: HTTPConnection, tokens: Tokens, to: str) -> Response:
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        *cookie_of(tokens), max_age=COOKIE_DAYS * 86_400, httponly=True, samesite="strict",
        secure=connection.url.scheme == "https",
    )  # fmt: skip
    return answer


async def show_login(request: Request) -> Response:
    return _form(request, request.query_params.get("next", "/"), wrong="wrong" in request.query_params)


async def log_in(request: Request) -> Response:
    """The form: the right token gives the cookie; a wrong one the form again, after a moment."""
    tokens: Tokens = request.app.state.tokens
    fields = await _fields(request)
    if not tokens.read or is_same(fields.get("token", ""), tokens.read):
        return signed_in(request, tokens, own_path(fields.get("next", "/")))
    await asyncio.sleep(WRONG_WAITS)
    return _form(request, fields.get("next", "/"), wrong=True)


async def log_out(request: Request) -> Response:
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_of(request.app.state.tokens)[0], httponly=True, samesite="strict")
    return answer


def own_path(wanted: str) -> str:
    """`wanted` when it is a path of this server, else the first page: no redirect leads elsewhere."""
    is_own = re.match(r"/(?!/)", wanted) and "\\" not in wanted and wanted.isprintable()
    return wanted if is_own else "/"


def _form(request: Request, wanted: str, *, wrong: bool) -> Response:
    context = {"next": own_path(wanted), "wrong": wrong}
    answer: Response = request.app.state.templates.TemplateResponse(
        request, "login.html", context, status_code=403 if wrong else 200
    )
    return answer


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _host(connection: HTTPConnection) -> str:
    """The host that a request names, empty when it names none."""
    try:
        return urlsplit("//" + connection.headers.get("host", "")).hostname or ""
    except ValueError:  # as [::1
        return ""


def _environment(name: str) -> str:
    """The token in this variable. ConfigError for one that no header can carry."""
    token = os.environ.get(name, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(f"The token in {name} has other characters than printable ASCII", hint=_made(name))
    return token


def _made(name: str) -> str:
    return f"put {name}={secrets.token_urlsafe(24)} into .env"
