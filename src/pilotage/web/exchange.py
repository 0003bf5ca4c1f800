"""One request and its answer over HTTP/1.1: headers and body within their caps, gzip and deflate unpacked as they come.

requests does the protocol over the channel that was checked; a body is unpacked a chunk at a time, so that a bomb never
lies unpacked in memory.
"""

from __future__ import annotations

import logging
import re
import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from pilotage.web.address import IP, Refused, Target
from pilotage.web.connect import HEAD_BYTES, Channel, Deadline, Overrun, connect

CHUNK = 65_536  # bytes read and unpacked at a time
LAYERS = 3  # of encodings on one body
REDIRECTS = {301, 302, 303, 307, 308}
OWN_HEADERS = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    "expect",
    "te",
    "upgrade",
}
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # what a server does wrong is ours to say


@dataclass(frozen=True)
class Request:
    """What is sent. `given` are the caller's headers: they go to the first origin only."""

    method: str
    user_agent: str
    accept: str
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def headers(self, target: Target) -> dict[str, str]:
        own = {"User-Agent": self.user_agent, "Accept": self.accept}
        if self.body is not None:
            own["Content-Type"] = "application/json"
        theirs = {name.lower() for name in self.given}
        free = {name: value for name, value in own.items() if name.lower() not in theirs} | dict(self.given)
        for name, value in free.items():
            _check_header(name, value)
        return {"Host": target.netloc, **free, "Accept-Encoding": "gzip, deflate", "Connection": "close"}


@dataclass
class Answer:
    """Status and headers of an answer whose body has not been read yet."""

    response: requests.Response
    channel: Channel

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def location(self) -> str | None:
        """Where a redirect leads, as the server wrote it; None when this is no redirect."""
        if self.status not in REDIRECTS:
            return None
        value = self.header("Location")
        if not value:
            raise Refused(f"answered {self.status} without saying where to go")
        return value.encode("latin-1", "replace").decode("utf-8", "replace")

    def header(self, name: str) -> str:
        return self.response.headers.get(name, "").strip()

    def body(self, cap: int, *, cut: bool = False) -> bytes:
        """The unpacked body; beyond `cap` bytes it is Refused, or cut off there."""
        stated = self.response.raw.length_remaining or 0
        self.channel.wire.budget = 2 * cap + HEAD_BYTES  # a frame may be as large as what it holds
        body = bytearray()
        with _in_words():
            try:
                for piece in self._unpacked() if stated <= cap or cut else ():
                    body += piece
                    if len(body) > cap:
                        break
            except Overrun:
                stated = cap + 1
        if max(stated, len(body)) > cap and not cut:
            raise Refused(f"is larger than {cap:,} bytes (web.bytes)")
        return bytes(body[:cap])

    def _unpacked(self) -> Iterator[bytes]:
        transfer, names = self.header("Transfer-Encoding").lower(), self.header("Content-Encoding").lower()
        layers = [name.strip() for name in names.split(",") if name.strip() not in ("", "identity")]
        if transfer not in ("", "chunked") or not {"gzip", "x-gzip", "deflate"}.issuperset(layers):
            raise Refused("sends its body in an encoding that was not asked for")
        if len(layers) > LAYERS:
            raise Refused(f"packs its body {len(layers)} times, more than {LAYERS}")
        stream = self._chunks()
        for _ in layers:
            stream = _unpack(stream)
        return stream

    def _chunks(self) -> Iterator[bytes]:
        while data := self.response.raw.read(CHUNK, decode_content=False):
            yield data


@contextmanager
def exchange(target: Target, addresses: list[IP], request: Request, deadline: Deadline) -> Iterator[Answer]:
    """Send the request to one of the checked addresses; the answer's body can be read inside the block."""
    headers = request.headers(target)
    with ExitStack() as stack:
        with _in_words():
            channel = stack.enter_context(connect(target, addresses, deadline))
            response = stack.enter_context(closing(_ask(channel, target, request, headers)))
        yield Answer(response, channel)


class _Adapter(HTTPAdapter):
    """Sends over one channel and opens no connection of its own, whatever the URL says."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        pool = urllib3.HTTPConnectionPool("checked", maxsize=1)  # also for https: the channel speaks TLS already
        pool.ConnectionCls = type("_Connection", (_Connection,), {"channel": self._channel})
        return pool


class _Connection(HTTPConnection):
    channel: Channel

    def connect(self) -> None:
        self.sock = self.channel


def _ask(channel: Channel, target: Target, request: Request, headers: dict[str, str]) -> requests.Response:
    prepared = requests.Request(request.method, target.url, headers=headers, data=request.body).prepare()
    prepared.url = target.url  # as it was checked, not as requests would write it
    try:
        response = _Adapter(channel).send(prepared, stream=True)
    except Overrun:
        raise Refused(f"sends more than {HEAD_BYTES:,} bytes of headers") from None
    if channel.wire.ended:  # http.client takes the end of the connection for the end of the headers
        response.close()
        raise IncompleteRead(b"")
    return response


@contextmanager
def _in_words() -> Iterator[None]:
    """What goes wrong on the wire, as a reason without a word of what the server sent."""
    try:
        yield
    except (OSError, HTTPException, ValueError, zlib.error, urllib3.exceptions.HTTPError) as error:
        cause = _cause(error)
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            raise TimeoutError from None
        raise Refused(_reason(cause)) from None


def _cause(error: BaseException) -> BaseException:
    """What happened, without what requests and urllib3 wrapped around it."""
    inner = next((part for part in reversed(error.args) if isinstance(part, BaseException)), None)
    inner = inner or getattr(error, "reason", None)
    return _cause(inner) if isinstance(inner, BaseException) else error


def _reason(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"could not be reached over TLS: its certificate does not hold ({error.verify_message})"
        case ssl.SSLError():
            return f"could not be reached over TLS ({(error.reason or 'handshake failed').replace('_', ' ').lower()})"
        case RemoteDisconnected():
            return "closed the connection without an answer"
        case OSError():
            return f"broke off the connection ({error.strerror or 'no reason given'})"
        case LineTooLong():
            return "sends a line longer than 65,536 bytes outside of its body"
        case IncompleteRead() | urllib3.exceptions.IncompleteRead():
            return "broke off before its answer was whole"
        case zlib.error():
            return "sends a body that cannot be unpacked"
        case _:
            return "does not answer as HTTP asks"


def _unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip, zlib or bare deflate, told apart by the first byte; several gzip members in a row are one body."""
    machine: Any = None
    members = 0
    for data in chunks:
        while data:
            if machine is None:
                if members and data[0] != 0x1F:  # filling after the end
                    return
                machine = zlib.decompressobj(_window(data[0]))
            yield machine.decompress(data, CHUNK)
            data = machine.unconsumed_tail
            if machine.eof:
                data, machine, members = machine.unused_data, None, members + 1
    if machine:
        yield machine.flush()  # of the last few thousand bytes
        if not machine.eof:
            raise IncompleteRead(b"")


def _window(first: int) -> int:
    return 47 if first == 0x1F or first & 0x0F == 8 else -15


def _check_header(name: str, value: str) -> None:
    if not HEADER_NAME.fullmatch(name) or name.lower() in OWN_HEADERS:
        raise Refused(f"was not asked, because a header {name!r} may not be given")
    if not HEADER_VALUE.fullmatch(value):
        raise Refused(f"was not asked, because the header {name} holds a character that no header may hold")
