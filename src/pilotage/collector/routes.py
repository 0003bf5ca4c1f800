"""What AgentOps' SDK and OTLP exporters speak over HTTP, as Starlette routes.

POST /v3/auth/token      AgentOps: the api_key, which is one of the tokens, for a bearer
POST /v1/traces          OTLP, protobuf or JSON, gzip and deflate too
POST /v4/logs/upload/    AgentOps: what the program has printed
POST /v1/metrics, /v1/logs   taken and dropped
GET  /healthz            which store this is
200 means: it is in the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import pilotage
from pilotage.collector import drafts, otlp
from pilotage.collector.bodies import BodyError, receive, unpack
from pilotage.collector.chains import Result
from pilotage.collector.tokens import OPEN, Tokens
from pilotage.collector.writer import Busy, Writer
from pilotage.errors import StoreError
from pilotage.link import store_digest

__all__ = ["Tokens", "routes"]
TYPES = {otlp.PROTOBUF: otlp.PROTOBUF, "application/protobuf": otlp.PROTOBUF, otlp.JSON: otlp.JSON}
LONGEST_LOG = 200_000  # characters of what a program has printed
MOST_HELD = 256 * 1024 * 1024  # bytes of bodies that are not written yet
SLOWEST = 60.0  # seconds that a body may take to arrive
READERS = 2  # threads that take requests apart
AGAIN = {"Retry-After": "1"}
Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers


def routes(writer: Writer, tokens: Tokens) -> list[Route]:
    """The routes of a collector; `writer` is started and closed by the server that mounts them."""
    collector = _Collector(writer, tokens)
    posts: dict[str, Handler] = {
        "/v3/auth/token": collector.token, "/v1/traces": collector.traces, "/v4/logs/upload/": collector.log,
        "/v4/logs/upload": collector.log, "/v1/metrics": collector.drop, "/v1/logs": collector.drop,
    }  # fmt: skip
    found = [Route(path, _guarded(handler, tokens), methods=["POST"]) for path, handler in posts.items()]
    return [*found, Route("/healthz", collector.healthz, methods=["GET"])]


def _guarded(handler: Handler, tokens: Tokens) -> Handler:
    async def guarded(request: Request) -> Response:
        try:
            if tokens.is_cross_site(request.headers):
                raise Refused(403, "A page of another site may not record here")
            return await handler(request)
        except Refused as refused:
            return _error(request, refused.status, str(refused), refused.headers)
        except BodyError as error:
            return _error(request, error.status, str(error))
        except TimeoutError:
            return _error(request, 408, f"The body took longer than {SLOWEST:g} seconds")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Busy as error:
            return _error(request, 429, str(error), AGAIN)
        except StoreError as error:
            return _error(request, 503, str(error), AGAIN)
        except Exception as error:  # of one request, not of the server
            logging.getLogger(__name__).exception("a request could not be recorded")
            return _error(request, 500, f"The request could not be recorded ({type(error).__name__})")

    return guarded


def _error(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """OTLP answers an error with a google.rpc.Status in the encoding of the request."""
    if _type(request) != otlp.PROTOBUF:
        return JSONResponse({"code": _code(status), "message": message, "error": message}, status, headers)
    text = message.encode()
    size = bytes([len(text) & 0x7F | 0x80, len(text) >> 7]) if len(text) > 0x7F else bytes([len(text)])
    body = bytes([0x08, _code(status), 0x12]) + size + text  # code = 1, message = 2
    return Response(body, status, headers, otlp.PROTOBUF)


def _code(status: int) -> int:
    """google.rpc.Code of an HTTP status."""
    return {401: 16, 403: 7, 429: 8, 503: 14}.get(status, 3 if status < 500 else 13)


def _type(request: Request) -> str:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return TYPES.get(said, "")


class _Collector:
    def __init__(self, writer: Writer, tokens: Tokens) -> None:
        self.writer, self.tokens = writer, tokens
        self._held = 0
        self._readers = ThreadPoolExecutor(READERS, "pilotage-otlp")
        self._store = store_digest(Path(str(writer.engine.url.database)))

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"ok": True, "store": self._store, "version": pilotage.__version__})

    async def token(self, request: Request) -> Response:
        """The answer's bearer is the key itself: it says no more than its sender knows."""
        document = await self._json(request)
        key = document.get("api_key")
        if not isinstance(key, str) or not self.tokens.may_record(key):
            raise Refused(401, "The api_key is none of this collector's tokens")
        token = OPEN if self.tokens.is_open else key
        return JSONResponse({"token": token, "project_id": "pilotage", "project_prem_status": "pro"})

    async def traces(self, request: Request) -> Response:
        kind = self._allowed(request)
        packed = await self._body(request)
        self._held += len(packed)
        try:
            sender = request.client.host if request.client else ""
            encoding = request.headers.get("content-encoding", "")
            made, refused, reason = await self._aside(self._read, packed, encoding, kind, sender)
            result = await self._hold(made) if made else Result()
        finally:
            self._held -= len(packed)
        return _accepted(kind, refused + result.refused, result.reason or reason)

    async def _hold(self, made: list[drafts.Draft]) -> Result:
        """Write them; a small body may have grown to much, which counts while it waits."""
        size = drafts.size_of(made)
        if self._held and self._held + size > MOST_HELD:
            raise Busy(f"{self._held:,} bytes wait to be written, {MOST_HELD:,} may")
        self._held += size
        try:
            return await self._write(made)
        finally:
            self._held -= size

    async def log(self, request: Request) -> Response:
        self._allowed(request)
        said = request.headers.get("trace-id", "")
        if not (said.isascii() and said.isdigit() and len(said) < 40 and 0 < int(said) < 1 << 128):
            raise Refused(400, "The header Trace-Id is no trace id as a decimal number")
        text = (await self._json(request)).get("body")
        if not isinstance(text, str):
            raise Refused(400, 'The body is not {"body": TEXT}')
        cut = text[:LONGEST_LOG].encode("utf-8", "replace").decode()
        cleaned = await self._aside(self.writer.redactor.text, cut)
        run = f"{int(said):032x}"
        identity = "log-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
        await self._write([drafts.log(run, cleaned, time.time(), identity)])
        return JSONResponse({"url": f"/sessions?trace_id={run}", "size": len(text)})

    async def drop(self, request: Request) -> Response:
        kind = self._allowed(request)
        await self._body(request)
        return _accepted(kind, 0, "")

    def _allowed(self, request: Request) -> str:
        """The content type, of a sender that may record."""
        if not self.tokens.bearer_may_record(request.headers):
            raise Refused(401, "Recording needs `Authorization: Bearer` and a token", {"WWW-Authenticate": "Bearer"})
        if not (kind := _type(request)):
            raise Refused(415, "The content type is neither application/x-protobuf nor application/json")
        return kind

    async def _body(self, request: Request) -> bytes:
        if self._held > MOST_HELD:
            raise Busy(f"Bodies of {self._held:,} bytes wait to be written, {MOST_HELD:,} may")
        async with asyncio.timeout(SLOWEST):
            return await receive(request.stream(), request.headers.get("content-length", ""))

    async def _json(self, request: Request) -> dict[str, Any]:
        if _type(request) != otlp.JSON:
            raise Refused(415, "The content type is not application/json")
        try:
            packed = await self._body(request)
            document = json.loads(unpack(packed, request.headers.get("content-encoding", "")))
        except (ValueError, RecursionError) as error:
            if isinstance(error, BodyError):
                raise
            raise Refused(400, "The body is no JSON in UTF-8") from None
        if not isinstance(document, dict):
            raise Refused(400, "The body is no JSON object")
        return document

    def _read(self, packed: bytes, encoding: str, kind: str, sender: str) -> tuple[list[drafts.Draft], int, str]:
        try:
            request = otlp.read(unpack(packed, encoding), kind)
            made = drafts.draft(request.spans, self.writer.redactor, sender)
        except otlp.BadRequest as error:
            raise Refused(400, str(error)) from None
        except otlp.TooMuch as error:
            raise Refused(413, str(error)) from None
        return made, request.refused, request.reason

    async def _write(self, made: list[drafts.Draft]) -> Result:
        return await asyncio.wrap_future(self.writer.submit(made))

    async def _aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)


def _accepted(kind: str, refused: int, reason: str) -> Response:
    """An ExportTraceServiceResponse, with a partial success when some spans were refused."""
    if kind == otlp.JSON:
        partial = {"rejectedSpans": str(refused), "errorMessage": reason} if refused else None
        return JSONResponse({"partialSuccess": partial} if partial else {})
    if not refused:
        return Response(b"", 200, media_type=otlp.PROTOBUF)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans, answer.partial_success.error_message = refused, reason
    return Response(answer.SerializeToString(), 200, media_type=otlp.PROTOBUF)
