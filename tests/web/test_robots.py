"""robots.txt is obeyed and read once; requests to one host keep their distance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from protego import Protego

from pilotage.web import Fetcher
from pilotage.web.address import Refused, is_public
from pilotage.web.connect import Deadline
from pilotage.web.pace import Pace
from pilotage.web.robots import fold_agents
from tests.support.web import Reply, Server, html, redirect, web, wire
from tests.web.fetching import make, refusal

RULES = b"""\xef\xbb\xbfUser-agent: *
Disallow: /private
Allow: /private/open
Disallow: /*.pdf$

User-agent: Other
Disallow: /
"""


@contextmanager
def site(robots: Reply | Callable[..., Reply], **more: Any) -> Iterator[tuple[Server, Fetcher]]:
    table = {"/robots.txt": robots, "/": html(), "/open": html(), "/private/open": html(), "/private/a": html()}
    with web(table | more) as server:
        yield server, make(server, robots=True)


def fetch(fetcher: Fetcher, url: str, **options: Any) -> int:
    return fetcher.fetch(url, accept=["text/html"], **options).status


def test_what_robots_txt_does_not_allow_is_not_fetched() -> None:
    with site(Reply(200, {"Content-Type": "text/plain"}, RULES)) as (server, fetcher):
        sentence = refusal(fetcher, server.url("/private/a"))
        assert sentence == (
            f"{server.url('/private/a')} is not fetched, because robots.txt of {server.host} "
            "does not allow it for Pilotage/0.1"
        )
        assert "does not allow it" in refusal(fetcher, server.url("/a.pdf"))
        assert fetch(fetcher, server.url("/private/open")) == fetch(fetcher, server.url("/open")) == 200
        assert server.paths() == ["/robots.txt", "/private/open", "/open"]


def test_robots_txt_speaks_to_the_user_agent_that_asks() -> None:
    with site(Reply(200, {}, RULES)) as (server, _):
        other = make(server, robots=True, user_agent="Other/1")
        assert "does not allow it for Other/1" in refusal(other, server.url("/open"))
    assert server.requests[0].headers["user-agent"] == "Other/1"


def test_robots_txt_holds_where_a_redirect_leads() -> None:
    with site(Reply(200, {}, RULES), **{"/away": redirect("/private/a")}) as (server, fetcher):
        assert "/private/a, which is not fetched, because robots.txt of" in refusal(fetcher, server.url("/away"))
        assert server.paths() == ["/robots.txt", "/away"]


def test_robots_txt_can_be_left_aside_by_the_setting_and_by_the_call() -> None:
    with site(Reply(200, {}, RULES)) as (server, fetcher):
        assert fetch(fetcher, server.url("/private/a"), robots=False) == 200
        assert fetch(make(server, robots=False), server.url("/private/a")) == 200
        assert "/robots.txt" not in server.paths()
        assert "does not allow it" in refusal(make(server, robots=False), server.url("/private/a"), robots=True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429])
def test_without_a_robots_txt_everything_is_allowed_and_it_is_asked_for_once(status: int) -> None:
    with site(Reply(status, {}, RULES)) as (server, fetcher):
        assert fetch(fetcher, server.url("/private/a")) == fetch(fetcher, server.url("/open")) == 200
        assert server.paths().count("/robots.txt") == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_whose_robots_txt_fails_is_left_alone_until_it_works(status: int) -> None:
    replies = [Reply(status), Reply(404)]
    with site(lambda asked: replies.pop(0)) as (server, fetcher):
        sentence = refusal(fetcher, server.url("/open"))
        assert (
            sentence == f"{server.url('/open')} is not fetched, because {server.url('/robots.txt')} answered {status}"
        )
        assert server.paths() == ["/robots.txt"]
        assert fetch(fetcher, server.url("/open")) == 200


def test_a_server_that_breaks_off_its_robots_txt_is_left_alone() -> None:
    with wire(lambda client: client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nUser")) as server:
        sentence = refusal(make(server, robots=True), server.url())
    assert sentence.endswith("/robots.txt broke off before its answer was whole")


def test_robots_txt_that_drips_is_cut_at_the_deadline_of_the_page() -> None:
    def drip(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"#")
            time.sleep(0.05)

    with wire(drip) as server:
        start = time.monotonic()
        sentence = refusal(make(server, robots=True, seconds=0.4), server.url())
        assert time.monotonic() - start < 0.8
    assert sentence == f"{server.url()} took longer than 0.4 seconds (web.seconds)"


def test_robots_txt_may_be_redirected() -> None:
    with web({"/rules": Reply(200, {}, RULES)}) as other, site(redirect(other.url("/rules"))) as (server, _):
        fetcher = make(server, other, robots=True)
        assert "does not allow it" in refusal(fetcher, server.url("/private/a"))
        assert fetch(fetcher, server.url("/open")) == 200
        assert other.paths() == ["/rules"]


@pytest.mark.parametrize("stated", [True, False])
def test_only_the_first_500_000_bytes_of_robots_txt_count(stated: bool) -> None:
    text = b"User-agent: *\nDisallow: /first\n" + b"# filling\n" * 50_000 + b"Disallow: /second\n"
    reply = Reply(200, {}, text if stated else [text, b"#" * 5_000_000])
    with site(reply, **{"/second": html(), "/first": html()}) as (server, fetcher):
        assert fetch(fetcher, server.url("/second")) == 200
        assert "does not allow it" in refusal(fetcher, server.url("/first"))


@pytest.mark.parametrize(
    "text",
    [b"Disallow: /" + b"*a" * 240_000, b"Disallow: /*a*b*c*d*e$\n" * 20_000, b"Allow: /a\n" * 49_000,
     b"User-agent: a\n" * 35_000, bytes(range(256)) * 1900,
     b"".join(b"User-agent: b%d\n" % n for n in range(12_000)) + b"Disallow: /b\n" * 15_000,
     b"".join(b"user  agent b%d*\n" % n for n in range(12_000)) + b"Disallow: /b\n" * 15_000],
)  # fmt: skip
def test_a_hostile_robots_txt_is_read_in_good_time(text: bytes) -> None:
    with site(Reply(200, {}, b"User-agent: *\n" + text), **{"/" + "a" * 4000: html()}) as (server, fetcher):
        start = time.monotonic()
        assert fetch(fetcher, server.url("/" + "a" * 4000)) == 200
        assert time.monotonic() - start < 3


GROUPS = """User-agent: A
User-agent: B # not us
Disallow: /a
useragent Pilotage
user agent: C
Disallow: /p
User-agent: *
Disallow: /s
"""


@pytest.mark.parametrize(
    ("agent", "closed"),
    [("Pilotage/0.1", "/p"), ("Mozilla/5.0 (compatible; Pilotage)", "/p"), ("A", "/a"), ("Z", "/s")],
)
def test_folding_the_names_of_others_changes_no_rule_of_ours(agent: str, closed: str) -> None:
    for text in (GROUPS, fold_agents(GROUPS, agent)):
        rules = Protego.parse(text)
        assert [path for path in ("/a", "/p", "/s") if not rules.can_fetch(f"http://h{path}", agent)] == [closed]


def test_each_origin_has_its_own_robots_txt() -> None:
    with site(Reply(404)) as (one, _), site(Reply(200, {}, b"User-agent: *\nDisallow: /")) as (two, _):
        fetcher = make(one, two, robots=True)
        assert fetch(fetcher, one.url()) == 200
        refusal(fetcher, two.url())


# --- distance


@pytest.fixture
def open_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 counts as a public address, so that the delays of the open web hold for it."""
    monkeypatch.setattr("pilotage.web.connect.is_public", lambda ip: str(ip) == "127.0.0.1" or is_public(ip))


@contextmanager
def clocked(robots: Reply | None = None) -> Iterator[tuple[Server, list[float]]]:
    """A site that notes when it was asked."""
    times: list[float] = []

    def note(reply: Reply) -> Callable[..., Reply]:
        return lambda _: times.append(time.monotonic()) or reply  # type: ignore[func-returns-value]

    table = {"/robots.txt": note(robots or Reply(404)), "/": note(html()), "/r": note(redirect("/"))}
    with web(table) as server:
        yield server, times


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False)]


@pytest.mark.usefixtures("open_web")
def test_requests_to_one_host_keep_their_distance_redirects_and_robots_txt_too() -> None:
    with clocked() as (server, times):
        fetcher = make(delay=0.2, robots=True)
        fetch(fetcher, server.url("/r"))
        fetch(fetcher, server.url())
    assert server.paths() == ["/robots.txt", "/r", "/", "/"]
    assert all(0.18 < gap < 0.4 for gap in gaps(times)), gaps(times)


@pytest.mark.usefixtures("open_web")
def test_threads_keep_their_distance_together() -> None:
    with clocked() as (server, times):
        fetcher = make(delay=0.15)
        threads = [threading.Thread(target=fetch, args=(fetcher, server.url())) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(times) == 5
    assert all(gap > 0.12 for gap in gaps(times)), gaps(times)


@pytest.mark.usefixtures("open_web")
def test_two_hosts_do_not_wait_for_each_other() -> None:
    with clocked() as (server, _):
        fetcher = make(delay=2.0, private_hosts=(f"localhost:{server.port}",))
        start = time.monotonic()
        fetch(fetcher, server.url())
        fetch(fetcher, server.url("/", "localhost"))
        assert time.monotonic() - start < 1


def test_a_private_host_needs_no_distance() -> None:
    with clocked() as (server, times):
        fetcher = make(server, delay=5.0, robots=True)
        for _ in range(3):
            fetch(fetcher, server.url())
    assert max(gaps(times)) < 1


@pytest.mark.usefixtures("open_web")
def test_a_wait_that_would_pass_the_deadline_is_refused_at_once() -> None:
    with clocked() as (server, times):
        fetcher = make(delay=3.0, seconds=1.0)
        fetch(fetcher, server.url())
        start = time.monotonic()
        sentence = refusal(fetcher, server.url())
        assert time.monotonic() - start < 0.5
    assert len(times) == 1
    assert sentence.startswith(
        f"{server.url()} was not asked: web.delay asks for 3 seconds between two requests to 127.0.0.1, and the wait of"
    )
    assert sentence.endswith("would pass the deadline of 1 (web.seconds)")


@pytest.mark.usefixtures("open_web")
def test_the_crawl_delay_of_robots_txt_is_kept_when_it_is_longer() -> None:
    rules = Reply(200, {}, b"User-agent: *\nCrawl-delay: 0.5\n")
    with clocked(rules) as (server, times):
        fetcher = make(delay=0.1, robots=True, seconds=2)
        fetch(fetcher, server.url())
        fetch(fetcher, server.url())
        first, second = gaps(times)
    assert 0.08 < first < 0.4
    assert 0.45 < second < 0.9


@pytest.mark.usefixtures("open_web")
def test_a_crawl_delay_beyond_the_deadline_is_said() -> None:
    with clocked(Reply(200, {}, b"User-agent: *\nCrawl-delay: 10\n")) as (server, _):
        fetcher = make(delay=0.1, robots=True, seconds=2)
        fetch(fetcher, server.url())
        sentence = refusal(fetcher, server.url())
    assert "was not asked: robots.txt asks for 10 seconds between two requests to 127.0.0.1" in sentence
    assert sentence.endswith("would pass the deadline of 2 (web.seconds)")


def test_a_crawl_delay_without_measure_is_followed_up_to_30_seconds() -> None:
    pace = Pace(0.0)
    pace.wait("host", Deadline(1), crawl_delay=1e9)
    with pytest.raises(Refused, match="asks for 30 seconds between two requests to host, and the wait of 30"):
        pace.wait("host", Deadline(1), crawl_delay=1e9)
