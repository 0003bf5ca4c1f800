"""The guarded fetch: public addresses only, every redirect checked anew, bytes and seconds capped, robots.txt obeyed.

No cookies, no proxy of the environment, no .netrc. What is refused or fails is a ToolError of one sentence that names
the URL; of what a server sent, it holds no more than status, content type and where a redirect leads.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Any
from urllib.parse import urljoin

from pilotage.cache.freshness import Terms, conditions, terms_of, validators
from pilotage.cache.pages import Hop, Kept, PageCache
from pilotage.errors import ToolError
from pilotage.guard.policy import Reason
from pilotage.spec import WebSpec
from pilotage.web import content
from pilotage.web.address import NotPublic, PrivateHosts, Refused, Target, read_url, shown
from pilotage.web.connect import Deadline, resolve
from pilotage.web.exchange import Answer, Request, exchange
from pilotage.web.pace import Pace
from pilotage.web.robots import CAP, Robots

LOOKS = 1.0  # seconds for looking up where a page from the cache would lead today

Allow = Callable[[str], str]
"""Why this URL may not be fetched, or "" when it may; a Reason brings its hint."""


@dataclass(frozen=True)
class Fetched:
    """What came: `url` is the last of the redirects, `content_type` is bare and in lower case, `body` is unpacked.

    `charset` is what the header states, "" when it does not. `redirects` are the URLs before the last. `read_at` is
    when the body came, in seconds since 1970: earlier than now when it is from the cache, where its key is `key`.
    """

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    redirects: tuple[str, ...]
    seconds: float
    read_at: float = 0.0
    key: str = ""


@dataclass
class _Trip:
    """One fetch on its way: where it is, where it has been, and what it may."""

    at: str
    deadline: Deadline
    allow: Allow
    robots: bool
    page: bool = True
    passed: list[str] = field(default_factory=list)
    key: str = ""  # in the cache, when the page may come from there
    known: Kept | None = None  # what lies there, to be asked about
    hops: list[Hop] = field(default_factory=list)
    terms: Terms = field(default_factory=Terms)  # of the redirects on the way

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

    `cache` is asked first where `fetch` says so; `caching` gives the same fetcher another one.

    >>> page = Fetcher(WebSpec()).fetch("https://example.org/", accept=["text/html"])  # doctest: +SKIP
    """

    def __init__(self, spec: WebSpec, *, private_hosts: Sequence[str] = (), cache: PageCache | None = None) -> None:
        self._spec, self.cache = spec, cache
        self._private = PrivateHosts.read(private_hosts)
        self._pace = Pace(spec.delay)
        self._robots = Robots(spec.user_agent)

    def caching(self, cache: PageCache | None) -> Fetcher:
        """The same fetcher, rules and delays shared, with this cache."""
        other = copy.copy(self)
        other.cache = cache
        return other

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
        cached: bool = False,
    ) -> Fetched:
        """What stands at `url`, or a ToolError.

        `accept` are content types ("text/html", "application/*+json"); `allow` is asked for the URL and for each
        redirect before anything is sent; `headers` and `json` go to the first origin only. A GET that is `cached` and
        carries neither may be answered from the cache.
        """
        if method not in ("GET", "POST"):
            raise ValueError(f"{method} is neither GET nor POST")
        body = None if json is None else dumps(json).encode()
        request = Request(method, self._spec.user_agent, ", ".join(accept), headers or {}, body)
        trip = _Trip(url, Deadline(self._spec.seconds), allow, self._spec.robots if robots is None else robots)
        try:
            if cached and self.cache and request == replace(request, method="GET", given={}, body=None):
                return self._fetch_cached(request, tuple(accept), trip, self.cache)
            return self._fetch(request, tuple(accept), trip)
        except Refused as error:
            raise trip.error(error) from None
        except TimeoutError:
            late = Refused(f"took longer than {self._spec.seconds:g} seconds (web.seconds)", of_start=True)
            raise trip.error(late) from None

    def forget(self, page: Fetched) -> None:
        """Take a page out of the cache: nobody could read it."""
        if self.cache and page.key:
            self.cache.forget(page.key)

    def _fetch_cached(self, request: Request, accept: tuple[str, ...], trip: _Trip, cache: PageCache) -> Fetched:
        """The page from the cache while it is good; else as the server has it, which may say that it is the same."""
        trip.key = cache.key_of(read_url(trip.at).url, [request.user_agent, request.accept])
        page = cache.page(trip.key)
        if page and len(page.body) <= self._spec.bytes and self._may_serve(page, trip):
            if page.is_good:
                cache.serve(page)
                return _from_cache(page, trip)
            trip.known = page
        return self._fetch(request, accept, trip)

    def _may_serve(self, page: Kept, trip: _Trip) -> bool:
        """Whether the whole way to the page would still be gone today; nothing is sent."""
        deadline = Deadline(min(LOOKS, trip.deadline.left()))
        for hop in page.hops:
            try:
                target = read_url(hop.url)
                private = target in self._private
                if trip.allow(target.url) or (hop.private and not private):
                    return False
                resolve(target, deadline, private=private)
            except NotPublic:
                return False
            except (Refused, TimeoutError):  # its name is not found: nothing has to be reached
                continue
        return True

    def _fetch(self, request: Request, accept: tuple[str, ...], trip: _Trip) -> Fetched:
        target = _go_to(trip.at, trip)
        trip.check(target)
        with self._follow(target, request, trip) as answer:
            if answer.status == 304 and trip.known and trip.at == trip.known.url:
                return self._renew(trip.known, answer, trip)
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
            now, spent = time.time(), trip.deadline.spent()
            if trip.key and answer.status == 200:
                self._keep(Kept(trip.key, (), kind, charset, now, body=body), answer, trip)
            return Fetched(trip.at, answer.status, kind, charset, body, tuple(trip.passed), spent, now, trip.key)

    def _keep(self, page: Kept, answer: Answer, trip: _Trip) -> None:
        assert self.cache is not None
        terms = trip.terms & terms_of(answer.header)
        page = replace(page, hops=tuple(trip.hops), terms=terms, validators=validators(answer.header))
        self.cache.keep(page)

    def _renew(self, page: Kept, answer: Answer, trip: _Trip) -> Fetched:
        """The page of the cache, which the server says is still the same; what it says about keeping it counts anew."""
        assert self.cache is not None
        said = terms_of(answer.header)
        terms = replace(said, seconds=page.terms.seconds) if said.seconds is None else said
        known = validators(answer.header) or page.validators
        page = replace(page, hops=tuple(trip.hops), terms=trip.terms & terms, validators=known)
        self.cache.renew(page)
        return _from_cache(page, trip)

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
                trip.terms &= terms_of(answer.header)
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
        trip.hops.append(Hop(target.url, private))
        crawl_delay = self._robots.check(target, lambda place: self._get_rules(place, trip)) if trip.robots else 0.0
        if not private:
            self._pace.wait(target.host, trip.deadline, crawl_delay=crawl_delay if trip.page else None)
        if trip.known and target.url == trip.known.url:
            request = replace(request, given=conditions(trip.known.validators))
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


def _from_cache(page: Kept, trip: _Trip) -> Fetched:
    passed = tuple(hop.url for hop in page.hops[:-1])
    spent = trip.deadline.spent()
    return Fetched(page.url, 200, page.content_type, page.charset, page.body, passed, spent, page.read_at, page.key)


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
