"""The guarded fetch: public addresses only, every redirect checked anew, bytes and seconds capped, robots.txt obeyed.

No cookies, no proxy of the environment, no .netrc. What is refused or fails is a ToolError of one sentence that names
the URL; of what a server sent, it holds no more than status, content type and where a redirect leads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Any
from urllib.parse import urljoin

from pilotage.errors import ToolError
from pilotage.guard.policy import Reason
from pilotage.spec import WebSpec
from pilotage.web import content
from pilotage.web.address import NotPublic, PrivateHosts, Refused, Target, read_url, shown
from pilotage.web.connect import Deadline, resolve
from pilotage.web.exchange import Answer, Request, exchange
from pilotage.web.pace import Pace
from pilotage.web.robots import CAP, Robots

Allow = Callable[[str], str]
"""Why this URL may not be fetched, or "" when it may; a Reason brings its hint."""


@dataclass(frozen=True)
class Fetched:
    """What came: `url` is the last of the redirects, `content_type` is bare and in lower case, `body` is unpacked.

    `charset` is what the header states, "" when it does not. `redirects` are the URLs before the last.
    """

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    redirects: tuple[str, ...]
    seconds: float


@dataclass
class _Trip:
    """One fetch on its way: where it is, where it has been, and what it may."""

    at: str
    deadline: Deadline
    allow: Allow
    robots: bool
    page: bool = True
    passed: list[str] = field(default_factory=list)

    def check(self, target: Target) -> None:
        if reason := self.allow(target.url):
            hint = reason.hint if isinstance(reason, Reason) else ""
            raise Refused(f"may not be fetched: {reason}", hint=hint)

    def error(self, refused: Refused) -> ToolError:
        """The refusal as an error. Where a redirect leads inside, nobody is asked to open the network for it."""
        led_inside = bool(self.passed) and isinstance(refused, NotPublic)
        return ToolError(self.sentence(refused), hint="" if led_inside else refused.hint)

    def sentence(self, refused: Refused) -> str:
        at, passed = (shown(url) for url in (self.at, self.passed[0] if self.passed else self.at))
        if not self.passed or refused.of_start:
            return f"{passed} {refused}"
        return f"{passed} redirects to {at}, which {refused}"


class Fetcher:
    """GETs and POSTs from the open web. One for a process: robots.txt and the delays between requests are its own.

    >>> page = Fetcher(WebSpec()).fetch("https://example.org/", accept=["text/html"])  # doctest: +SKIP
    """

    def __init__(self, spec: WebSpec, *, private_hosts: Sequence[str] = ()) -> None:
        self._spec = spec
        self._private = PrivateHosts.read(private_hosts)
        self._pace = Pace(spec.delay)
        self._robots = Robots(spec.user_agent)

    def fetch(
        self,
        url: str,
        *,
        accept: Sequence[str],
        allow: Allow = lambda _url: "",
        robots: bool | None = None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Fetched:
        """What stands at `url`, or a ToolError.

        `accept` are content types ("text/html", "application/*+json"); `allow` is asked for the URL and for each
        redirect before anything is sent; `headers` and `json` go to the first origin only.
        """
        if method not in ("GET", "POST"):
            raise ValueError(f"{method} is neither GET nor POST")
        body = None if json is None else dumps(json).encode()
        request = Request(method, self._spec.user_agent, ", ".join(accept), headers or {}, body)
        trip = _Trip(url, Deadline(self._spec.seconds), allow, self._spec.robots if robots is None else robots)
        try:
            return self._fetch(request, tuple(accept), trip)
        except Refused as error:
            raise trip.error(error) from None
        except TimeoutError:
            late = Refused(f"took longer than {self._spec.seconds:g} seconds (web.seconds)", of_start=True)
            raise trip.error(late) from None

    def _fetch(self, request: Request, accept: tuple[str, ...], trip: _Trip) -> Fetched:
        target = _go_to(trip.at, trip)
        trip.check(target)
        with self._follow(target, request, trip) as answer:
            if not 200 <= answer.status < 300:
                raise Refused(f"answered {answer.status}")
            kind, charset = content.read_type(answer.header("Content-Type"))
            if kind:
                _check_type(kind, accept)
            body = answer.body(self._spec.bytes)
            kind = kind or content.guess_type(body)
            if body:
                _check_type(kind, accept)
            if content.is_text(kind) and content.is_binary(body, charset):
                raise Refused(f"sends binary data as {kind}")
            return Fetched(trip.at, answer.status, kind, charset, body, tuple(trip.passed), trip.deadline.spent())

    @contextmanager
    def _follow(self, target: Target, request: Request, trip: _Trip) -> Iterator[Answer]:
        """The answer at the end of all redirects."""
        been = {(request.method, target.url)}
        while True:
            with self._visit(target, request, trip) as answer:
                if (location := answer.location) is None:
                    yield answer
                    return
                status = answer.status
            if len(trip.passed) >= self._spec.redirects:
                raise Refused(f"redirects more than {self._spec.redirects} times (web.redirects)", of_start=True)
            trip.passed.append(target.url)
            source, target = target, _go_to(_join(target.url, location), trip)
            request = _carry_over(request, status, source, target)
            if (request.method, target.url) in been:
                raise Refused("redirects in a circle", of_start=True)
            been.add((request.method, target.url))
            trip.check(target)

    @contextmanager
    def _visit(self, target: Target, request: Request, trip: _Trip) -> Iterator[Answer]:
        """One request: the address first, then robots.txt, then the turn of this host."""
        private = target in self._private
        addresses = resolve(target, trip.deadline, private=private)
        crawl_delay = self._robots.check(target, lambda place: self._get_rules(place, trip)) if trip.robots else 0.0
        if not private:
            self._pace.wait(target.host, trip.deadline, crawl_delay=crawl_delay if trip.page else None)
        with exchange(target, addresses, request, trip.deadline) as answer:
            yield answer

    def _get_rules(self, place: Target, trip: _Trip) -> tuple[int, bytes]:
        """Status and body of a robots.txt. The policy is asked only where it leads elsewhere."""
        inner = _Trip(place.url, trip.deadline, trip.allow, robots=False, page=False)
        request = Request("GET", self._spec.user_agent, "text/plain, */*;q=0.1")
        try:
            with self._follow(place, request, inner) as answer:
                found = 200 <= answer.status < 300
                return answer.status, answer.body(CAP, cut=True) if found else b""
        except Refused as error:
            raise Refused(inner.sentence(error).removeprefix(f"{shown(place.url)} ")) from None


def _go_to(url: str, trip: _Trip) -> Target:
    trip.at = url
    target = read_url(url)
    trip.at = target.url
    return target


def _join(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError:
        return location  # what cannot be joined cannot be read either


def _check_type(kind: str, accept: tuple[str, ...]) -> None:
    if not content.accepts(accept, kind):
        raise Refused(f"sends {kind}, which is not among {', '.join(accept)}")


def _carry_over(request: Request, status: int, source: Target, target: Target) -> Request:
    """What is sent to where a redirect leads: POST becomes GET as in browsers, nothing given leaves the origin."""
    if request.method == "POST" and status not in (307, 308):
        request = replace(request, method="GET", body=None)
    if source.origin == target.origin:
        return request
    if request.body is not None:
        raise Refused("is another host, and what was posted is not sent there")
    if request.given and (source.scheme, target.scheme) == ("https", "http"):
        raise Refused("is not encrypted, and headers were given")
    return replace(request, given={})
