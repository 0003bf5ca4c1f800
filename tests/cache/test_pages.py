"""Pages and searches from the cache, on loopback servers that count what they are asked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.cache.figures import listed, stats
from pilotage.cache.pages import PageCache
from pilotage.cache.served import listening
from pilotage.cache.store import Store
from pilotage.errors import ToolError
from pilotage.reading.page import fetch_page
from pilotage.spec import WebSpec
from pilotage.tools.websearch import web_search
from pilotage.web import Fetched, Fetcher
from tests.cache.conftest import SECRET
from tests.support.web import Asked, Reply, Server, html, redirect, web

HTML = {"Content-Type": "text/html; charset=utf-8"}
BODY = b"<html><body><p>Tea is drunk hot.</p></body></html>"
ACCEPT = ["text/html", "text/plain"]
Table = dict[str, Any]
Clock = Callable[[float], None]


@pytest.fixture
def table() -> Table:
    return {"/tea": html(BODY.decode())}


@pytest.fixture
def server(table: Table) -> Iterator[Server]:
    with web(table) as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`clock(60)`: a minute later."""
    real, ahead = time.time, [0.0]
    monkeypatch.setattr("time.time", lambda: real() + ahead[0])

    def later(seconds: float) -> None:
        ahead[0] += seconds

    return later


@pytest.fixture
def fetcher(store: Store, server: Server) -> Fetcher:
    return make(store, server)


def make(store: Store, *servers: Server, seconds: float = 3600, fresh: bool = False, **spec: Any) -> Fetcher:
    values = {"seconds": 5.0, "robots": False, "delay": 0.0} | spec
    cache = PageCache(store, seconds, fresh=fresh)
    return Fetcher(WebSpec(**values), private_hosts=[server.host for server in servers], cache=cache)


def read(fetcher: Fetcher, url: str, **options: Any) -> tuple[Fetched, list[str]]:
    """The page, and what was noted of where it came from."""
    with listening() as noted:
        page = fetcher.fetch(url, accept=ACCEPT, cached=True, **options)
    return page, noted


def tagged(version: list[str], **more: str) -> Callable[[Asked], Reply]:
    """A page with an ETag; whoever has this one hears that it has not changed."""

    def answer(asked: Asked) -> Reply:
        etag = f'"{version[0]}"'
        if asked.headers.get("if-none-match") == etag:
            return Reply(304, {"ETag": etag, **more})
        return Reply(200, {**HTML, "ETag": etag, **more}, BODY + version[0].encode())

    return answer


# --- young


def test_a_young_page_is_served_without_any_request(fetcher: Fetcher, server: Server, clock: Clock) -> None:
    first, noted = read(fetcher, server.url("/tea#part"))
    assert noted == []
    clock(3500)
    again, noted = read(fetcher, server.url("/tea"))
    assert noted == ["fresh"]
    assert len(server.requests) == 1
    assert again.read_at == first.read_at
    assert (again.url, again.status, again.content_type, again.charset, again.body, again.redirects) == (
        first.url, 200, "text/html", "utf-8", first.body, (),
    )  # fmt: skip


def test_another_process_serves_it_too(
    fetcher: Fetcher, server: Server, opened: Callable[..., Store], path: Path
) -> None:
    read(fetcher, server.url("/tea"))
    _, noted = read(make(opened(), server), server.url("/tea"))
    assert noted == ["fresh"]
    assert len(server.requests) == 1
    (entry,) = listed(path, "page")
    assert entry["about"]["url"] == server.url("/tea")


def test_an_old_page_without_a_validator_is_read_anew(fetcher: Fetcher, server: Server, clock: Clock) -> None:
    first, _ = read(fetcher, server.url("/tea"))
    clock(3601)
    again, noted = read(fetcher, server.url("/tea"))
    assert noted == []
    assert len(server.requests) == 2
    assert again.read_at > first.read_at


def test_a_lowered_setting_counts_for_what_is_there(
    store: Store, fetcher: Fetcher, server: Server, clock: Clock
) -> None:
    read(fetcher, server.url("/tea"))
    clock(100)
    assert read(make(store, server, seconds=60), server.url("/tea"))[1] == []


def test_a_fetch_that_does_not_ask_for_it_and_a_fetcher_without_a_cache_go_past_it(
    fetcher: Fetcher, server: Server, path: Path
) -> None:
    for _ in range(2):
        fetcher.fetch(server.url("/tea"), accept=ACCEPT)
        read(fetcher.caching(None), server.url("/tea"))
        read(fetcher, server.url("/tea"), headers={"X-Own": "1"})
        read(fetcher, server.url("/tea"), method="POST", json={})
    assert len(server.requests) == 8
    assert stats(path) == {}


def test_fresh_reads_past_the_cache_and_fills_it(
    store: Store, fetcher: Fetcher, server: Server, table: Table, clock: Clock
) -> None:
    read(fetcher, server.url("/tea"))
    table["/tea"] = tagged(["new"])
    clock(10)
    for _ in range(2):
        page, noted = read(make(store, server, fresh=True), server.url("/tea"))
        assert (page.body, noted) == (BODY + b"new", [])
    assert all("if-none-match" not in asked.headers for asked in server.requests)
    page, noted = read(fetcher, server.url("/tea"))
    assert (page.body, noted) == (BODY + b"new", ["fresh"])


# --- old, with a validator


def test_an_unchanged_page_is_renewed_by_304_and_keeps_the_time_of_its_reading(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock
) -> None:
    table["/tea"] = tagged(["1"])
    first, _ = read(fetcher, server.url("/tea"))
    clock(3601)
    again, noted = read(fetcher, server.url("/tea"))
    assert noted == ["renewed"]
    assert (again.body, again.status, again.read_at) == (first.body, 200, first.read_at)
    clock(3500)
    assert read(fetcher, server.url("/tea"))[1] == ["fresh"]
    assert [asked.headers.get("if-none-match") for asked in server.requests] == [None, '"1"']


def test_a_changed_page_replaces_the_old_one(fetcher: Fetcher, server: Server, table: Table, clock: Clock) -> None:
    version = ["1"]
    table["/tea"] = tagged(version)
    read(fetcher, server.url("/tea"))
    version[0] = "2"
    clock(3601)
    again, noted = read(fetcher, server.url("/tea"))
    assert (again.body, noted) == (BODY + b"2", [])
    assert read(fetcher, server.url("/tea"))[1] == ["fresh"]


def test_last_modified_is_asked_about(fetcher: Fetcher, server: Server, table: Table, clock: Clock) -> None:
    stamp = "Mon, 23 Nov 2026 10:00:00 GMT"

    def answer(asked: Asked) -> Reply:
        same = asked.headers.get("if-modified-since") == stamp
        return Reply(304) if same else Reply(200, {**HTML, "Last-Modified": stamp}, BODY)

    table["/tea"] = answer
    read(fetcher, server.url("/tea"))
    clock(3601)
    assert read(fetcher, server.url("/tea"))[1] == ["renewed"]


def test_with_no_seconds_a_page_is_asked_about_every_time(store: Store, server: Server, table: Table) -> None:
    table["/tea"] = tagged(["1"])
    fetcher = make(store, server, seconds=0)
    assert [read(fetcher, server.url("/tea"))[1] for _ in range(3)] == [[], ["renewed"], ["renewed"]]
    assert len(server.requests) == 3


def test_a_304_that_nobody_asked_for_is_no_page(fetcher: Fetcher, server: Server, table: Table) -> None:
    table["/tea"] = Reply(304, {"ETag": '"1"'})
    with pytest.raises(ToolError, match="answered 304"):
        read(fetcher, server.url("/tea"))


@pytest.mark.parametrize("status", [404, 500])
def test_an_old_page_is_not_served_when_its_server_has_it_no_more(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock, status: int
) -> None:
    table["/tea"] = tagged(["1"])
    read(fetcher, server.url("/tea"))
    table["/tea"] = Reply(status, HTML, b"gone")
    clock(3601)
    with pytest.raises(ToolError, match=f"answered {status}"):
        read(fetcher, server.url("/tea"))


# --- what its server says about keeping it


@pytest.mark.parametrize("stated", ["no-store", "private, max-age=600", "max-age=0", "no-cache"])
def test_a_page_that_is_not_to_be_kept_is_not(
    fetcher: Fetcher, server: Server, table: Table, path: Path, stated: str
) -> None:
    table["/tea"] = Reply(200, {**HTML, "Cache-Control": stated}, BODY)
    read(fetcher, server.url("/tea"))
    assert read(fetcher, server.url("/tea"))[1] == []
    assert stats(path) == {}


def test_a_page_that_is_now_forbidden_to_keep_goes(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock, path: Path
) -> None:
    table["/tea"] = tagged(["1"])
    read(fetcher, server.url("/tea"))
    table["/tea"] = tagged(["1"], **{"Cache-Control": "no-store"})
    clock(3601)
    assert read(fetcher, server.url("/tea"))[1] == ["renewed"]
    assert stats(path) == {}


def test_no_cache_with_a_validator_is_asked_about_every_time(fetcher: Fetcher, server: Server, table: Table) -> None:
    table["/tea"] = tagged(["1"], **{"Cache-Control": "no-cache"})
    assert [read(fetcher, server.url("/tea"))[1] for _ in range(3)] == [[], ["renewed"], ["renewed"]]


def test_a_shorter_max_age_counts_and_a_longer_one_does_not(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock
) -> None:
    table["/tea"] = Reply(200, {**HTML, "Cache-Control": "max-age=60"}, BODY)
    table["/long"] = Reply(200, {**HTML, "Cache-Control": "max-age=99999"}, BODY)
    for page in ("/tea", "/long"):
        read(fetcher, server.url(page))
    clock(59)
    assert read(fetcher, server.url("/tea"))[1] == ["fresh"]
    clock(2)
    assert read(fetcher, server.url("/tea"))[1] == []
    assert read(fetcher, server.url("/long"))[1] == ["fresh"]
    clock(3600)
    assert read(fetcher, server.url("/long"))[1] == []


def test_a_short_max_age_outlives_a_304_that_says_nothing(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock
) -> None:
    def answer(asked: Asked) -> Reply:
        if "if-none-match" in asked.headers:
            return Reply(304)
        return Reply(200, {**HTML, "ETag": '"1"', "Cache-Control": "max-age=60"}, BODY)

    table["/tea"] = answer
    noted = []
    for _ in range(4):
        noted.append(read(fetcher, server.url("/tea"))[1])
        clock(45)
    assert noted == [[], ["fresh"], ["renewed"], ["fresh"]]


# --- what never enters


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, HTML, BODY), Reply(500, HTML, BODY), Reply(201, HTML, BODY), Reply(203, HTML, BODY),
        Reply(200, {"Content-Type": "application/pdf"}, b"%PDF-"), Reply(200, HTML, b"x" * 2_000),
        Reply(200, HTML | {"Vary": "*"}, BODY), Reply(200, HTML, f"<p>{SECRET}</p>".encode()),
    ],
)  # fmt: skip
def test_only_whole_good_answers_without_a_secret_are_kept(
    store: Store, server: Server, table: Table, path: Path, reply: Reply
) -> None:
    table["/tea"] = reply
    fetcher = make(store, server, bytes=1_000)
    for _ in range(2):
        try:
            read(fetcher, server.url("/tea"))
        except ToolError:
            continue
    assert len(server.requests) == 2
    assert stats(path) == {}


@pytest.mark.parametrize("query", ["?api_key=0123456789abcdef", "?a=1&token=0123456789abcdef", f"?q={SECRET}"])
def test_an_address_with_a_secret_is_not_kept(fetcher: Fetcher, server: Server, path: Path, query: str) -> None:
    for _ in range(2):
        assert read(fetcher, server.url(f"/tea{query}"))[1] == []
    assert len(server.requests) == 2
    assert stats(path) == {}


def test_a_page_nobody_can_read_is_not_kept(fetcher: Fetcher, server: Server, table: Table, path: Path) -> None:
    table["/tea"] = html("<html><body><script>draw()</script></body></html>")
    for _ in range(2):
        with pytest.raises(ToolError, match="no text to read"):
            fetch_page(server.url("/tea"), fetcher, WebSpec(), lambda _url: "")
    assert len(server.requests) == 2
    assert stats(path) == {}


def test_a_page_larger_than_a_lowered_cap_is_read_anew(
    store: Store, fetcher: Fetcher, server: Server, table: Table
) -> None:
    table["/tea"] = html("<p>" + "tea " * 500)
    read(fetcher, server.url("/tea"))
    with pytest.raises(ToolError, match="1,000 bytes"):
        read(make(store, server, bytes=1_000), server.url("/tea"))


# --- redirects, the policy and the network


def test_a_redirect_is_kept_with_the_way_to_it(fetcher: Fetcher, server: Server, table: Table) -> None:
    table["/old"] = redirect("/tea", 301)
    first, _ = read(fetcher, server.url("/old"))
    again, noted = read(fetcher, server.url("/old"))
    assert noted == ["fresh"]
    assert (again.url, again.redirects) == (server.url("/tea"), (server.url("/old"),)) == (first.url, first.redirects)
    assert server.paths() == ["/old", "/tea"]


def test_a_redirect_that_is_not_to_be_kept_is_followed_again(fetcher: Fetcher, server: Server, table: Table) -> None:
    table["/old"] = Reply(302, {"Location": "/tea", "Cache-Control": "no-store"})
    for _ in range(2):
        read(fetcher, server.url("/old"))
    assert server.paths() == ["/old", "/tea"] * 2


def test_an_old_redirect_is_followed_and_its_end_asked_about(
    fetcher: Fetcher, server: Server, table: Table, clock: Clock
) -> None:
    table |= {"/old": redirect("/tea", 301), "/tea": tagged(["1"]), "/coffee": tagged(["1"])}
    read(fetcher, server.url("/old"))
    clock(3601)
    assert read(fetcher, server.url("/old"))[1] == ["renewed"]
    assert [asked.headers.get("if-none-match") for asked in server.requests[2:]] == [None, '"1"']
    table["/old"] = redirect("/coffee", 301)
    clock(3601)
    page, noted = read(fetcher, server.url("/old"))
    assert (page.url, noted) == (server.url("/coffee"), []), "another page, though its tag is the same"


@pytest.mark.parametrize("denied", ["/old", "/tea"])
def test_the_policy_is_asked_for_every_address_of_a_hit(
    fetcher: Fetcher, server: Server, table: Table, denied: str
) -> None:
    table["/old"] = redirect("/tea", 301)
    read(fetcher, server.url("/old"))
    with pytest.raises(ToolError, match="may not be fetched: it is denied"):
        read(fetcher, server.url("/old"), allow=lambda url: "it is denied" if url.endswith(denied) else "")


def test_a_private_host_that_is_no_longer_named_is_not_served(store: Store, fetcher: Fetcher, server: Server) -> None:
    read(fetcher, server.url("/tea"))
    with pytest.raises(ToolError, match="is not at a public address"):
        read(make(store), server.url("/tea"))
    assert len(server.requests) == 1


def test_a_name_that_leads_inside_today_is_not_served(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = make(store, server)
    fetcher._private = type(fetcher._private).read([server.host, f"localhost:{server.port}"])
    read(fetcher, server.url("/tea", host="localhost"))
    assert read(fetcher, server.url("/tea", host="localhost"))[1] == ["fresh"]
    with pytest.raises(ToolError, match=r"leads to .*, which is not a public address"):
        read(make(store), server.url("/tea", host="localhost"))
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)
    with pytest.raises(ToolError, match="was not found"):
        read(make(store), server.url("/tea", host="localhost"))


def test_without_a_network_what_is_young_is_still_served(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = make(store, server)
    fetcher._private = type(fetcher._private).read([f"localhost:{server.port}"])
    read(fetcher, server.url("/tea", host="localhost"))
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)
    assert read(fetcher, server.url("/tea", host="localhost"))[1] == ["fresh"]


def test_robots_are_asked_before_a_page_is_asked_about(
    store: Store, server: Server, table: Table, clock: Clock
) -> None:
    table["/tea"] = tagged(["1"])
    read(make(store, server), server.url("/tea"))
    table["/robots.txt"] = Reply(200, {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /tea")
    clock(3601)
    with pytest.raises(ToolError, match=r"robots\.txt .* does not allow it"):
        read(make(store, server, robots=True), server.url("/tea"))


def _unknown(*_: Any, **__: Any) -> Any:
    raise socket.gaierror("no network")


# --- searches


class Engine(Fetcher):
    """The guarded fetch, with the engine's host answered by a loopback server."""

    base: str

    def fetch(self, url: str, **options: Any) -> Fetched:
        return super().fetch(url.replace("https://google.serper.dev", self.base), **options)


@pytest.fixture
def engine(store: Store, server: Server, table: Table) -> Engine:
    found = {"organic": [{"title": "Tea", "link": "https://example.org/tea", "snippet": "About tea."}]}
    table["/search"] = Reply(200, {"Content-Type": "application/json"}, json.dumps(found).encode())
    cache = PageCache(store, 3600)
    made = Engine(WebSpec(seconds=3, delay=0, redirects=0), private_hosts=[server.host], cache=cache)
    made.base = server.url("")
    return made


KEY = {"SERPER_API_KEY": "k3y-of-the-engine"}


def test_a_search_is_sent_once(engine: Engine, server: Server, path: Path, clock: Clock) -> None:
    search = web_search(KEY, fetcher=engine)
    first = search("tea")
    with listening() as noted:
        assert search("  tea ") == first
    assert noted == ["fresh"]
    assert len(server.requests) == 1
    search("coffee")
    web_search(KEY, 3, engine)("tea")
    assert len(server.requests) == 3
    clock(3601)
    search("tea")
    assert len(server.requests) == 4
    data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert KEY["SERPER_API_KEY"].encode() not in data


def test_a_search_past_the_cache_fills_it(engine: Engine, server: Server, store: Store) -> None:
    web_search(KEY, fetcher=engine)("tea")
    fresh = engine.caching(PageCache(store, 3600, fresh=True))
    web_search(KEY, fetcher=fresh)("tea")
    assert len(server.requests) == 2


def test_a_search_for_a_secret_and_one_that_fails_are_not_kept(
    engine: Engine, server: Server, table: Table, path: Path
) -> None:
    search = web_search(KEY, fetcher=engine)
    for _ in range(2):
        search(f"who uses {SECRET}")
    assert len(server.requests) == 2
    for reply in (Reply(500), Reply(200, {"Content-Type": "application/json"}, b'{"organic": []}')):
        table["/search"] = reply
        for _ in range(2):
            try:
                search("tea")
            except ToolError:
                continue
    assert len(server.requests) == 6
    assert stats(path) == {}


def test_another_engine_has_its_own_searches(store: Store) -> None:
    cache = PageCache(store, 3600)
    cache.keep_search([{"title": "t", "link": "l", "snippet": "s"}], "SerperDevTool", "tea", limit=8)
    assert cache.search("SerperDevTool", "tea", limit=8)
    assert cache.search("BraveWebSearchTool", "tea", limit=8) is None
