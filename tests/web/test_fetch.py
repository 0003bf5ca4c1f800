"""What comes back from servers that behave, and what is sent to them."""

from __future__ import annotations

import gzip
import ssl
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pilotage.web import Fetched, Fetcher, connect
from tests.support.web import Reply, Server, html, redirect, web
from tests.web.fetching import make, refusal

TEXT = "<p>Größe 크기 大きさ</p>"
JSON = {"Content-Type": "application/json"}


def get(server: Server, path: str = "/", **options: Any) -> Fetched:
    return make(server).fetch(server.url(path), **{"accept": ["text/html"]} | options)


def test_a_page_comes_with_its_type_charset_and_address() -> None:
    with web({"/a": redirect("/b?c=d#e", 301), "/b": html(TEXT)}) as server:
        page = get(server, "/a")
    assert (page.url, page.status, page.redirects) == (server.url("/b?c=d"), 200, (server.url("/a"),))
    assert (page.content_type, page.charset, page.body.decode()) == ("text/html", "utf-8", TEXT)
    assert 0 < page.seconds < 2


@pytest.mark.parametrize(
    ("header", "kind", "charset"),
    [
        ("text/html", "text/html", ""),
        ("Text/HTML ; Charset='EUC-KR'", "text/html", "EUC-KR"),
        ('text/html; boundary=x; charset="Shift_JIS"', "text/html", "Shift_JIS"),
        ("text/html, text/plain", "text/html", ""),
        ("text/html; charset=no-such", "text/html", "no-such"),
    ],
)
def test_the_charset_is_what_the_header_says(header: str, kind: str, charset: str) -> None:
    with web({"/": Reply(200, {"Content-Type": header}, b"<p>a</p>")}) as server:
        page = get(server)
    assert (page.content_type, page.charset) == (kind, charset)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>a", "text/html"),
        (b"<HTML><p>a", "text/html"),
        (b'<?xml version="1.0"?><a/>', "application/xml"),
        (b' {"a": 1}', "application/json"),
        (b"Only words", "text/plain"),
        (b"%PDF-1.7\n\0", "application/pdf"),
        (b"\0\1\2\3", "application/octet-stream"),
    ],
)
def test_without_a_content_type_the_body_tells(body: bytes, kind: str) -> None:
    with web({"/": Reply(200, {}, body)}) as server:
        assert get(server, accept=["*/*"]).content_type == kind
        assert f"sends {kind}, which is not among image/png" in refusal(
            make(server), server.url(), accept=["image/png"]
        )


def test_a_type_that_is_not_accepted_is_refused_by_name() -> None:
    with web({"/": Reply(200, {"Content-Type": "application/pdf"}, b"%PDF-1.7")}) as server:
        sentence = refusal(make(server), server.url(), accept=["text/html", "application/*+xml"])
        assert sentence == f"{server.url()} sends application/pdf, which is not among text/html, application/*+xml"
        assert get(server, accept=["application/pdf"]).body == b"%PDF-1.7"


def test_a_pattern_of_types_is_accepted() -> None:
    with web({"/": Reply(200, {"Content-Type": "application/geo+json"}, b"{}")}) as server:
        assert get(server, accept=["application/*+json"]).content_type == "application/geo+json"


@pytest.mark.parametrize("bom", ["utf-16", "utf-32"])
def test_wide_characters_are_text(bom: str) -> None:
    with web({"/": Reply(200, {"Content-Type": "text/html"}, TEXT.encode(bom))}) as server:
        assert get(server).body.decode(bom) == TEXT


@pytest.mark.parametrize("charset", ["shift_jis", "euc-kr", "gb18030", "iso2022_jp", "utf-16-le"])
def test_text_of_any_charset_is_text(charset: str) -> None:
    body = ("<p>" + "大小" * 500 + "</p>").encode(charset)
    with web({"/": Reply(200, {"Content-Type": f"text/html; charset={charset}"}, body)}) as server:
        assert get(server).body == body


def bare(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(TEXT.encode() * 9999)),
        ("x-gzip", gzip.compress(TEXT.encode() * 9999)),
        ("deflate", zlib.compress(TEXT.encode() * 9999)),
        ("deflate", bare(TEXT.encode() * 9999)),
        ("gzip, deflate", zlib.compress(gzip.compress(TEXT.encode() * 9999))),
        ("identity", TEXT.encode() * 9999),
        ("gzip", gzip.compress(TEXT.encode() * 9998) + gzip.compress(TEXT.encode())),
        ("gzip", gzip.compress(TEXT.encode() * 9999) + bytes(512)),
    ],
)
def test_what_is_packed_is_unpacked(encoding: str, packed: bytes) -> None:
    headers = {"Content-Type": "text/html", "Content-Encoding": encoding}
    pieces = [packed[at : at + 97] for at in range(0, len(packed), 97)]
    with web({"/": Reply(200, headers, packed), "/pieces": Reply(200, headers, pieces)}) as server:
        assert get(server).body == get(server, "/pieces").body == TEXT.encode() * 9999


def test_chunks_are_joined() -> None:
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (b"<p>", b"a" * 70_000, b"</p>")]
    headers = {"Content-Type": "text/html", "Transfer-Encoding": "chunked"}
    with web({"/": Reply(200, headers, [*chunks, b"0\r\n\r\n"])}) as server:
        assert get(server).body == b"<p>" + b"a" * 70_000 + b"</p>"


def test_an_empty_page_is_a_page() -> None:
    with web(
        {"/": Reply(204), "/gzip": Reply(200, {"Content-Type": "text/html", "Content-Encoding": "gzip"})}
    ) as server:
        assert (get(server).status, get(server).body) == (204, b"")
        assert get(server, "/gzip").body == b""


# --- what is sent


def test_a_request_says_who_asks_and_what_for() -> None:
    with web({"/a?b=%C3%BC": html()}) as server:
        make(server, user_agent="Reader/2").fetch(server.url("/a?b=ü"), accept=["text/html", "text/plain"])
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.body) == ("GET", "/a?b=%C3%BC", b"")
    assert asked.headers == {
        "host": server.host,
        "user-agent": "Reader/2",
        "accept": "text/html, text/plain",
        "accept-encoding": "gzip, deflate",
        "connection": "close",
    }


def test_json_is_posted() -> None:
    with web({"/": Reply(200, JSON, b'{"a": 1}')}) as server:
        get(
            server,
            accept=["application/json"],
            method="POST",
            json={"q": "크기"},
            headers={"X-Key": "k", "accept": "x/y"},
        )
    (asked,) = server.requests
    assert (asked.method, asked.body) == ("POST", b'{"q": "\\ud06c\\uae30"}')
    assert asked.headers["content-type"] == "application/json"
    assert (asked.headers["x-key"], asked.headers["accept"]) == ("k", "x/y")


def test_a_post_without_a_body_is_possible_and_another_method_is_not() -> None:
    with web({"/": html()}) as server:
        get(server, method="POST")
        assert server.requests[0].method == "POST"
        with pytest.raises(ValueError, match="DELETE is neither GET nor POST"):
            get(server, method="DELETE")


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Key", "secret\r\nHost: evil"), ("X-Key", "secret\0"), ("X-Key", "secret크"), ("X Key", "secret"),
     ("", "secret"), ("Host", "secret"), ("content-length", "secret"), ("Transfer-Encoding", "secret")],
)  # fmt: skip
def test_a_header_that_would_change_the_request_is_refused_and_not_repeated(name: str, value: str) -> None:
    with web({"/": html()}) as server:
        sentence = refusal(make(server), server.url(), headers={name: value})
        assert server.connections == 0
    assert "header" in sentence
    assert "secret" not in sentence


# --- what a redirect may carry

GIVEN = {"Authorization": "Bearer secret", "X-Key": "secret", "Cookie": "secret"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_given_headers_stay_at_their_origin(host: str) -> None:
    with web({"/b": html()}) as other:
        with web({"/": redirect("/a"), "/a": redirect(other.url("/b", host))}) as first:
            fetcher = make(first, other, private_hosts=("localhost",))
            fetcher.fetch(first.url(), accept=["text/html"], headers=GIVEN)
        assert [asked.headers.get("x-key") for asked in first.requests] == ["secret", "secret"]
        (asked,) = other.requests
    assert "secret" not in str(asked.headers)
    assert asked.headers["user-agent"] == "Pilotage/0.1"


def test_headers_that_were_dropped_do_not_come_back() -> None:
    table: dict[str, Any] = {}
    with web(table) as first, web({"/": redirect(first.url("/back"))}) as other:
        table |= {"/": redirect(other.url()), "/back": html()}
        make(first, other).fetch(first.url(), accept=["text/html"], headers=GIVEN)
        assert [asked.headers.get("x-key") for asked in first.requests] == ["secret", None]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_becomes_a_get(status: int) -> None:
    with web({"/": redirect("/b", status), "/b": html()}) as server:
        get(server, method="POST", json={"a": 1})
    assert [(asked.method, asked.body) for asked in server.requests] == [("POST", b'{"a": 1}'), ("GET", b"")]
    assert "content-type" not in server.requests[1].headers


@pytest.mark.parametrize("status", [307, 308])
def test_a_post_is_repeated_at_its_origin_and_nowhere_else(status: int) -> None:
    with web({"/c": html()}) as other:
        with web({"/": redirect("/b", status), "/b": html(), "/c": redirect(other.url("/c"), status)}) as server:
            get(server, method="POST", json={"a": 1})
            assert [asked.body for asked in server.requests] == [b'{"a": 1}'] * 2
            sentence = refusal(make(server, other), server.url("/c"), method="POST", json={"a": 1})
        assert other.connections == 0
    assert sentence.endswith("which is another host, and what was posted is not sent there")


def test_an_answer_to_a_post_at_the_same_address_is_no_circle() -> None:
    pages = {"POST": redirect("/", 303), "GET": html()}
    with web({"/": lambda asked: pages[asked.method]}) as server:
        assert get(server, method="POST", json={}).status == 200


# --- TLS


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's context with a certificate for localhost that this process trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    connect._tls.cache_clear()
    yield context
    connect._tls.cache_clear()


def test_a_page_comes_over_tls(tls: ssl.SSLContext) -> None:
    with web({"/": html(TEXT)}, tls=tls) as server:
        fetcher = Fetcher(make()._spec, private_hosts=["localhost"])
        page = fetcher.fetch(server.url("/", "localhost."), accept=["text/html"])
    assert (page.url, page.body.decode()) == (server.url("/", "localhost"), TEXT)
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"


def test_a_certificate_for_another_name_is_refused(tls: ssl.SSLContext) -> None:
    with web({"/": html()}, tls=tls) as server:
        sentence = refusal(make(server), server.url())
        assert server.requests == []
    assert "over TLS: its certificate does not hold" in sentence


def test_a_certificate_that_nobody_vouches_for_is_refused(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with web({"/": html()}, tls=tls) as server:
        sentence = refusal(make(private_hosts=("localhost",)), server.url("/", "localhost"))
        assert server.requests == []
    assert "over TLS: its certificate does not hold" in sentence


def test_headers_never_go_from_tls_into_the_clear(tls: ssl.SSLContext) -> None:
    with web({"/": html()}) as clear, web({"/": redirect(clear.url())}, tls=tls) as server:
        fetcher = make(clear, private_hosts=("localhost",))
        url = server.url("/", "localhost")
        sentence = refusal(fetcher, url, headers=GIVEN)
        assert sentence == f"{url} redirects to {clear.url()}, which is not encrypted, and headers were given"
        assert clear.connections == 0
        assert fetcher.fetch(url, accept=["text/html"]).url == clear.url()


# --- many at once


def test_threads_may_share_a_fetcher() -> None:
    pages: list[bytes] = []
    with web({f"/{n}": html(f"<p>{n}</p>") for n in range(20)}) as server:
        fetcher = make(server, robots=True)

        def work(n: int) -> None:
            pages.append(fetcher.fetch(server.url(f"/{n}"), accept=["text/html"]).body)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(pages) == sorted(f"<p>{n}</p>".encode() for n in range(20))
