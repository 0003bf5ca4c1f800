"""No way leads to a private address: a loopback server counts connections, and must count none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pilotage.errors import ToolError
from pilotage.guard.policy import Reason
from pilotage.web import Fetcher
from tests.support.web import Reply, Server, html, redirect, web
from tests.web.fetching import make, refusal

PUBLIC = "93.184.216.34"
Resolve = Callable[..., list[str]]


@pytest.fixture
def inside() -> Iterator[Server]:
    """What must not be reached: /secret, and /out that a redirect could come back from."""
    with web({"/secret": html("secret")}) as server:
        yield server


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """`resolve(["1.2.3.4"], ["127.0.0.1"])` gives look-ups these answers in turn, and returns the names asked for."""

    def install(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            ips = answers[min(len(asked), len(answers)) - 1]
            family = {True: socket.AF_INET6, False: socket.AF_INET}
            return [(family[":" in ip], socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return install


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where sockets were told to connect; none is let through."""
    addresses: list[Any] = []

    def connect(_: socket.socket, address: Any) -> None:
        addresses.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return addresses


FORMS = {
    "loopback": "http://127.0.0.1:{port}/secret",
    "loopback name": "http://localhost:{port}/secret",
    "this network": "http://0.0.0.0:{port}/secret",
    "decimal": "http://2130706433:{port}/secret",
    "hexadecimal": "http://0x7f000001:{port}/secret",
    "octal": "http://0177.0.0.1:{port}/secret",
    "short": "http://127.1:{port}/secret",
    "full-width digits": "http://１２７.０.０.１:{port}/secret",
    "ideographic full stop": "http://127。0。0。1:{port}/secret",
    "circled letters": "http://ⓛocalhost:{port}/secret",
    "IPv6 loopback": "http://[::1]:{port}/secret",
    "IPv4-mapped": "http://[::ffff:127.0.0.1]:{port}/secret",
    "IPv4-compatible": "http://[::127.0.0.1]:{port}/secret",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}/secret",
    "6to4": "http://[2002:7f00:1::]:{port}/secret",
    "zone": "http://[fe80::1%25lo]:{port}/secret",
    "user name": "http://example.org@127.0.0.1:{port}/secret",
    "backslash": "http://127.0.0.1:{port}\\@example.org/secret",
    "trailing dot": "http://localhost.:{port}/secret",
    "trailing dot of an address": "http://127.0.0.1.:{port}/secret",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata over IPv6": "http://[fd00:ec2::254]/latest/meta-data/",
    "link-local": "http://169.254.1.1:{port}/",
    "private": "http://192.168.0.1:{port}/",
    "file": "file:///etc/passwd",
    "file on a host": "file://127.0.0.1:{port}/secret",
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_an_address_leads_inside(form: str, inside: Server) -> None:
    before = threading.active_count()
    sentence = refusal(make(), FORMS[form].format(port=inside.port))
    assert any(
        word in sentence for word in ("public address", "form", "proper host", "carries", "backslash", "http or")
    )
    assert inside.connections == 0
    assert threading.active_count() <= before + 1


def test_the_server_that_must_not_be_reached_is_reached_when_it_is_named(inside: Server) -> None:
    assert make(inside).fetch(inside.url("/secret"), accept=["text/html"]).body == b"secret"
    assert inside.connections == 1


def test_a_name_that_leads_inside_is_refused(resolve: Resolve, dialled: list[Any]) -> None:
    for ips in (
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["2606:4700::1", "::ffff:10.0.0.1"],
        ["fe80::1%1"],
        ["64:ff9b::1"],
    ):
        resolve(ips)
        assert "which is not a public address" in refusal(make(), "http://rebind.example/")
    assert dialled == []


def test_the_address_that_was_checked_is_the_one_that_is_dialled(
    inside: Server, resolve: Resolve, dialled: list[Any]
) -> None:
    asked = resolve([PUBLIC], ["127.0.0.1"])
    sentence = refusal(make(), f"http://rebind.example:{inside.port}/secret")
    assert dialled == [(PUBLIC, inside.port)]
    assert asked == ["rebind.example"]
    assert inside.connections == 0
    assert sentence == f"http://rebind.example:{inside.port}/secret could not be reached (Connection refused)"


def test_a_second_connection_is_checked_anew(inside: Server, resolve: Resolve, dialled: list[Any]) -> None:
    resolve([PUBLIC], [PUBLIC], ["127.0.0.1"])
    fetcher = make(robots=True)
    url = f"http://rebind.example:{inside.port}/secret"
    assert "robots.txt could not be reached" in refusal(fetcher, url)
    assert "leads to 127.0.0.1, which is not a public address" in refusal(fetcher, url)
    assert dialled == [(PUBLIC, inside.port)]


def test_all_public_addresses_of_a_host_are_tried(resolve: Resolve, dialled: list[Any]) -> None:
    resolve(["2606:4700::1", PUBLIC, PUBLIC])
    refusal(make(), "http://two.example/")
    assert dialled == [("2606:4700::1", 80), (PUBLIC, 80)]


def test_a_peer_that_is_not_the_one_dialled_is_refused(inside: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda _: ("127.0.0.2", inside.port), raising=False)
    assert "another host answered than was asked" in refusal(make(inside), inside.url("/secret"))
    assert inside.requests == []


# --- redirects


@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/secret", "//127.0.0.1:{port}/secret", "http://[::1]:{port}/",
                                "http://2130706433:{port}/", "file:///etc/passwd", "http://u:p@127.0.0.1:{port}/",
                                "http://localhost:{port}/secret", "ht\ttp://127.0.0.1:{port}/secret",
                                "http://127.0.0.1:{port}\\@example.org/", "http://[::1/"])  # fmt: skip
@pytest.mark.parametrize("hops", [1, 3])
def test_a_redirect_does_not_lead_inside(to: str, hops: int, inside: Server) -> None:
    table = {f"/{n}": redirect(f"/{n + 1}") for n in range(1, hops)} | {
        f"/{hops}": redirect(to.format(port=inside.port))
    }
    with web(table) as outside:
        sentence = refusal(make(outside), outside.url("/1"))
        assert len(outside.requests) == hops
    assert sentence.startswith(f"{outside.url('/1')} redirects to ")
    assert "u:p" not in sentence
    assert inside.connections == 0


def test_a_redirect_from_one_named_host_to_another_private_one_is_refused(inside: Server) -> None:
    with web({"/": redirect(inside.url("/secret"))}) as named:
        fetcher = make(named)
        assert refusal(fetcher, named.url()).endswith(f"{inside.url('/secret')}, which is not at a public address")
        assert inside.connections == 0
        assert make(named, inside).fetch(named.url(), accept=["text/html"]).body == b"secret"


def test_robots_txt_does_not_lead_inside_either(inside: Server) -> None:
    with web({"/robots.txt": redirect(inside.url("/secret")), "/": html()}) as outside:
        sentence = refusal(make(outside, robots=True), outside.url())
        assert outside.paths() == ["/robots.txt"]
    assert sentence == (
        f"{outside.url()} is not fetched, because {outside.url('/robots.txt')} redirects to {inside.url('/secret')}, "
        "which is not at a public address"
    )
    assert inside.connections == 0


# --- private hosts


def test_a_named_host_opens_itself_and_no_other_name_port_or_address_of_it(inside: Server) -> None:
    port = inside.port
    by_name = make(private_hosts=(f"localhost:{port}",))
    assert by_name.fetch(inside.url("/secret", "localhost"), accept=["text/html"]).body == b"secret"
    refusal(by_name, inside.url("/secret"))
    refusal(by_name, inside.url("/secret", "127.0.0.1."))
    refusal(make(private_hosts=(f"127.0.0.1:{port + 1}",)), inside.url("/secret"))
    refusal(make(private_hosts=("127.0.0.2",)), inside.url("/secret"))
    refusal(by_name, f"http://2130706433:{port}/secret")
    assert inside.connections == 1
    assert make(private_hosts=("127.0.0.1",)).fetch(inside.url("/secret"), accept=["text/html"]).status == 200


def test_a_named_host_does_not_open_the_metadata_address(resolve: Resolve, dialled: list[Any]) -> None:
    resolve(["169.254.169.254"])
    sentence = refusal(make(private_hosts=("intranet.example",)), "http://intranet.example/latest/")
    assert "leads to 169.254.169.254" in sentence
    assert dialled == []


# --- the policy


def test_the_policy_is_asked_for_each_url_before_a_socket_is_opened(inside: Server) -> None:
    seen: list[str] = []

    def allow(url: str) -> str:
        seen.append(url)
        return "the domain is not in policy.tools" if url.endswith("/secret") else ""

    with web({"/": redirect(inside.url("/secret"))}) as outside:
        fetcher = make(outside, inside)
        sentence = refusal(fetcher, outside.url(), allow=allow)
        assert sentence.endswith("/secret, which may not be fetched: the domain is not in policy.tools")
        assert seen == [outside.url(), inside.url("/secret")]
        first = refusal(fetcher, inside.url("/secret"), allow=allow)
        assert first == f"{inside.url('/secret')} may not be fetched: the domain is not in policy.tools"
    assert inside.connections == 0


def test_the_policy_sees_the_host_that_is_reached(inside: Server) -> None:
    seen: list[str] = []
    url = f"http://LOCALHOST.:{inside.port}/secret#part"

    def allow(url: str) -> str:
        seen.append(url)
        return ""

    make(private_hosts=("localhost",)).fetch(url, accept=["text/html"], allow=allow)
    assert seen == [inside.url("/secret", "localhost")]


def test_the_policy_is_asked_where_robots_txt_leads_to(inside: Server) -> None:
    with web({"/robots.txt": redirect(inside.url("/robots.txt")), "/": html()}) as outside:
        fetcher = make(outside, inside, robots=True)
        refusal(fetcher, outside.url(), allow=lambda url: "no" if str(inside.port) in url else "")
        assert inside.connections == 0
        assert fetcher.fetch(outside.url(), accept=["text/html"]).status == 200


# --- nothing of the environment


def test_proxies_netrc_and_cookies_have_no_effect(
    inside: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    told = Reply(302, {"Location": "/b", "Set-Cookie": "session=1; Path=/"})
    with web({}) as proxy, web({"/a": told, "/b": html()}) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        fetcher: Fetcher = make(server)
        for _ in range(2):
            fetcher.fetch(server.url("/a"), accept=["text/html"])
        assert proxy.connections == 0
        assert not [asked for asked in server.requests if {"authorization", "cookie"} & set(asked.headers)]


# --- hints


def hint_of(fetcher: Fetcher, url: str, **options: Any) -> str:
    with pytest.raises(ToolError) as caught:
        fetcher.fetch(url, accept=["text/html"], **options)
    return caught.value.hint


def test_an_address_of_ones_own_network_comes_with_the_line_that_opens_it(inside: Server) -> None:
    opening = 'to read your own network, add "{}" to policy.allow_private_hosts in config/pilotage.yaml'
    assert hint_of(make(), inside.url("/secret")) == opening.format(inside.host)
    assert hint_of(make(), inside.url("/secret", "localhost")) == opening.format(f"localhost:{inside.port}")
    assert hint_of(make(), "http://[::1]/") == opening.format("[::1]:80")
    assert make(private_hosts=(inside.host,)).fetch(inside.url("/secret"), accept=["text/html"]).body == b"secret"


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "http://168.63.129.16/", "http://[fd00:ec2::254]/"])
def test_nobody_is_asked_to_open_a_metadata_address(url: str) -> None:
    assert hint_of(make(), url) == ""


def test_nobody_is_asked_to_open_the_network_for_a_redirect(inside: Server) -> None:
    with web({"/": redirect(inside.url("/secret"))}) as outside:
        assert hint_of(make(outside), outside.url()) == ""


def test_the_hint_of_the_policy_comes_with_the_refusal(inside: Server) -> None:
    with web({"/": redirect(inside.url("/secret"))}) as outside:
        fetcher = make(outside, inside)
        assert (
            hint_of(fetcher, outside.url(), allow=lambda _url: Reason("not today", "come tomorrow")) == "come tomorrow"
        )
        assert hint_of(fetcher, outside.url(), allow=lambda _url: "not today") == ""
        later = hint_of(fetcher, outside.url(), allow=lambda url: Reason("no", "ask") if "secret" in url else "")
        assert later == "ask"
