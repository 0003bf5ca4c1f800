"""The collector over real HTTP: who may record, what is refused and how it is said."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import Engine, delete

import pilotage
from pilotage.collector import bodies, drafts, otlp
from pilotage.collector import routes as served
from pilotage.collector.routes import Tokens
from pilotage.collector.writer import Writer
from pilotage.link import store_digest
from pilotage.record.journal import list_runs, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import metadata, open_store
from tests.collector.serving import application
from tests.collector.spans import TRACE, as_json, protobuf, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    port: int
    writer: Writer

    def send(
        self, path: str, body: bytes | str = b"", headers: dict[str, str] | None = None, method: str = "POST"
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            connection.close()


@contextmanager
def listening(engine: Engine, tokens: Tokens) -> Iterator[Client]:
    writer = Writer(engine, Redactor({"SHOP_API_KEY": "s3cr3t-value"}))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application(engine, tokens, writer), log_level="error", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Client(listener.getsockname()[1], writer)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collector") / "runs.db"


@pytest.fixture(scope="module")
def opened(store: Path) -> Iterator[Engine]:
    engine = open_store(store)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(opened: Engine) -> Engine:
    """The store, empty again."""
    with opened.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))
    return opened


@pytest.fixture(scope="module")
def without_tokens(opened: Engine) -> Iterator[Client]:
    with listening(opened, Tokens()) as client:
        yield client


@pytest.fixture(scope="module")
def with_tokens(opened: Engine) -> Iterator[Client]:
    with listening(opened, Tokens(read="reads-all", write="writes-only")) as client:
        yield client


@pytest.fixture
def client(without_tokens: Client, engine: Engine) -> Client:
    return without_tokens


@pytest.fixture
def guarded(with_tokens: Client, engine: Engine) -> Client:
    return with_tokens


def said(answer: Answer) -> str:
    """The message of a google.rpc.Status in protobuf."""
    body = answer.body
    assert body[0] == 0x08
    assert body[2] == 0x12
    start = 5 if body[3] & 0x80 else 4
    size = (body[3] & 0x7F) | (body[4] << 7) if body[3] & 0x80 else body[3]
    assert len(body) == start + size
    return body[start:].decode()


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [(lambda b: b, ""), (lambda b: b, "identity"), (gzip.compress, "gzip"), (zlib.compress, "deflate"),
     (lambda b: zlib.compress(b, wbits=-15), "deflate"),
     (lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:]), "GZIP")],
    ids=["plain", "identity", "gzip", "deflate", "raw deflate", "two members"],
)  # fmt: skip
def test_spans_are_in_the_store_when_200_comes(
    client: Client, engine: Engine, packed: Callable[[bytes], bytes], encoding: str
) -> None:
    body = packed(protobuf(span({}, parent="", name="main")))
    answer = client.send("/v1/traces", body, PROTOBUF | ({"Content-Encoding": encoding} if encoding else {}))
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "application/x-protobuf")
    assert [row["question"] for row in list_runs(engine)] == ["main"]


def test_json_is_answered_in_json(client: Client, engine: Engine) -> None:
    answer = client.send("/v1/traces", json.dumps(as_json(span())), {"Content-Type": "application/json; charset=utf-8"})
    assert (answer.status, answer.json) == (200, {})
    assert len(list_runs(engine)) == 1


def test_spans_that_were_refused_are_a_partial_success(client: Client) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    sent = span(), span(trace="00" * 16)
    answer = client.send("/v1/traces", json.dumps(as_json(*sent)), JSON)
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    told = ExportTraceServiceResponse.FromString(client.send("/v1/traces", protobuf(*sent), PROTOBUF).body)
    assert told.partial_success.rejected_spans == 1
    assert "trace id of 16 bytes" in told.partial_success.error_message


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"\xff", PROTOBUF, 400, "no ExportTraceServiceRequest"),
        (b"plain", PROTOBUF | {"Content-Encoding": "gzip"}, 400, "The body is no gzip"),
        (b"plain", PROTOBUF | {"Content-Encoding": "deflate"}, 400, "The body is no deflate"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], PROTOBUF | {"Content-Encoding": "gzip"}, 400, "The body is no gzip"),
        (b"", PROTOBUF | {"Content-Encoding": "br"}, 415, "'br' is not known"),
    ],
    ids=["no protobuf", "no gzip", "no deflate", "cut gzip", "brotli"],
)  # fmt: skip
def test_a_bad_body_is_told_in_the_senders_encoding(
    client: Client, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    answer = client.send("/v1/traces", body, headers)
    assert answer.status == status
    assert message in said(answer)


def test_an_error_in_json_has_a_message(client: Client) -> None:
    answer = client.send("/v1/traces", b"[]", JSON)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert "no ExportTraceServiceRequest in JSON" in answer.json["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs", "/v3/auth/token", "/v4/logs/upload/"])
def test_content_types_that_a_page_could_send_anywhere_are_refused(client: Client, path: str, kind: str) -> None:
    headers = {"Trace-Id": "7"} | ({"Content-Type": kind} if kind else {})
    assert client.send(path, b"{}", headers).status == 415


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client) -> None:
    headers = PROTOBUF | {"Content-Length": str(bodies.MOST_BYTES + 1)}
    assert client.send("/v1/traces", b"", headers).status == 413


def test_a_body_that_grows_too_large_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 1_000)
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) > 1_000
    chunked = iter([b"x" * 600, b"x" * 600])
    for body, headers in ((bomb, {"Content-Encoding": "gzip"}), (chunked, {})):
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
        connection.request("POST", "/v1/traces", body, PROTOBUF | headers, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def test_a_bomb_is_stopped_while_it_inflates(client: Client) -> None:
    bomb = gzip.compress(bytes(bodies.MOST_BYTES * 4))
    assert len(bomb) < bodies.MOST_BYTES
    assert client.send("/v1/traces", bomb, PROTOBUF | {"Content-Encoding": "gzip"}).status == 413


def test_too_many_spans_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MOST_SPANS", 1)
    answer = client.send("/v1/traces", protobuf(span(), span()), PROTOBUF)
    assert (answer.status, "more than 1 spans" in said(answer)) == (413, True)


def test_a_full_queue_asks_to_come_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MOST_HELD", -1)
    answer = client.send("/v1/traces", protobuf(span()), PROTOBUF)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_a_body_that_does_not_come_is_not_waited_for_long(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "SLOWEST", 0.2)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 99\r\n\r\n{")  # fmt: skip
        assert b" 408 " in connection.recv(200)


def test_a_store_that_is_gone_asks_to_come_again(tmp_path: Path) -> None:
    gone = open_store(tmp_path / "runs.db")
    with listening(gone, Tokens()) as client:
        (tmp_path / "runs.db").unlink()
        answer = client.send("/v1/traces", protobuf(span()), PROTOBUF)
    gone.dispose()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "deleted or replaced" in said(answer)


def test_a_fault_of_ours_is_told_without_its_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a detail")

    monkeypatch.setattr(otlp, "read", fail)
    answer = client.send("/v1/traces", protobuf(span()), PROTOBUF)
    assert (answer.status, said(answer)) == (500, "The request could not be recorded (RuntimeError)")


def test_who_asks_whether_it_is_well_learns_which_store_it_is(guarded: Client, store: Path) -> None:
    answer = guarded.send("/healthz", method="GET")
    expected = hashlib.sha256(str(store.resolve()).encode()).hexdigest()
    assert answer.json == {"ok": True, "store": expected, "version": pilotage.__version__}
    assert store_digest(store) == expected


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs", "/v4/logs/upload/"])
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic writes-only", "writes-only", "Bearer writes-onl"]
)
def test_without_a_token_nothing_is_recorded(guarded: Client, engine: Engine, path: str, header: str) -> None:
    answer = guarded.send(path, json.dumps(as_json(span())), JSON | ({"Authorization": header} if header else {}))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert not list_runs(engine)


@pytest.mark.parametrize("token", ["reads-all", "writes-only"])
def test_a_token_is_an_api_key_and_a_bearer(guarded: Client, engine: Engine, token: str) -> None:
    given = guarded.send("/v3/auth/token", json.dumps({"api_key": token}), JSON)
    assert given.status == 200
    bearer = {"Authorization": f"Bearer {given.json['token']}"}
    assert given.json["project_prem_status"]
    assert guarded.send("/v1/traces", protobuf(span()), PROTOBUF | bearer).status == 200
    assert len(list_runs(engine)) == 1


@pytest.mark.parametrize("document", [{"api_key": "wrong"}, {"api_key": ""}, {"api_key": 7}, {}])
def test_a_wrong_api_key_gets_no_bearer(guarded: Client, document: dict[str, Any]) -> None:
    assert guarded.send("/v3/auth/token", json.dumps(document), JSON).status == 401


def test_without_tokens_any_api_key_gets_a_bearer(client: Client) -> None:
    assert client.send("/v3/auth/token", json.dumps({"api_key": "no-key"}), JSON).json["token"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_key_that_is_no_json_is_a_bad_request(client: Client, body: bytes) -> None:
    assert client.send("/v3/auth/token", body, JSON).status == 400


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://[::1"},
     {"Origin": "http://evil.example:80", "Host": "evil.example:80"}],
)  # fmt: skip
def test_a_page_of_another_site_may_not_record(client: Client, engine: Engine, headers: dict[str, str]) -> None:
    assert client.send("/v1/traces", json.dumps(as_json(span())), JSON | headers).status == 403
    assert not list_runs(engine)


def test_a_page_of_this_server_may_record(client: Client) -> None:
    origin = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert client.send("/v1/traces", json.dumps(as_json(span())), JSON | origin).status == 200


def test_a_small_body_that_grows_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST_STORED", 10_000)
    sent = [span({"text": "x" * 2_000}) for _ in range(10)]
    answer = client.send("/v1/traces", gzip.compress(protobuf(*sent)), PROTOBUF | {"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert "10,000 characters" in said(answer)


def test_what_has_grown_counts_while_it_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = gzip.compress(protobuf(*(span({"text": "x" * 2_000}) for _ in range(10))))
    monkeypatch.setattr(served, "MOST_HELD", len(sent) + 1_000)
    assert client.send("/v1/traces", sent, PROTOBUF | {"Content-Encoding": "gzip"}).status == 429


@pytest.mark.parametrize("path", ["/v4/logs/upload/", "/v4/logs/upload"])
def test_what_a_program_printed_is_kept_with_its_session(client: Client, engine: Engine, path: str) -> None:
    body = json.dumps({"body": "key s3cr3t-value\nthree lamps" + "x" * 300_000})
    answer = client.send(path, body, JSON | {"Trace-Id": str(int(TRACE, 16))})
    assert (answer.status, answer.json["size"]) == (200, 300_028)
    event = list(read_events(engine, TRACE))[-1]
    text = str(event.content["text"])
    assert (event.kind, text[:27]) == ("log", "key [redacted]\nthree lampsx")
    assert len(text) <= 200_000


@pytest.mark.parametrize("trace", ["", "abc", "0", "-7", str(1 << 128), "9" * 60, "٣"])
def test_a_log_of_no_session_is_a_bad_request(client: Client, trace: str) -> None:
    headers = JSON | {"Trace-Id": trace.encode().decode("latin-1")}
    assert client.send("/v4/logs/upload/", b'{"body": "x"}', headers).status == 400


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs"])
def test_metrics_and_logs_are_taken_and_dropped(client: Client, engine: Engine, path: str) -> None:
    assert client.send(path, b"\x0a\x00", PROTOBUF).status == 200
    assert not list_runs(engine)


def test_what_has_no_route_is_not_found(client: Client) -> None:
    assert client.send("/v1/traces", method="GET").status == 405
    assert client.send("/v2/nothing").status == 404
