"""Sinks that refuse, hang, answer with errors or late: one warning, a bounded wait, nothing lost but what they lost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pilotage.record.journal import Event, Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.settings import Settings
from pilotage.telemetry import Sinks, open_sinks
from pilotage.telemetry import courier as couriers
from pilotage.telemetry import wire as wires
from pilotage.telemetry.targets import Cloud
from pilotage.telemetry.wire import Token, Undelivered, Wire
from tests.telemetry.backend import Answer, Backend, backend, hang

Load = Callable[..., Settings]
SECONDS = 0.6  # record.sink_seconds here
SPARE = 0.4  # what a busy machine adds
SPANS = 6


class Scene:
    """A journal and its sinks; `record()` writes one small run, `end()` says how long the end took."""

    def __init__(self, settings: Settings) -> None:
        self.warnings: list[str] = []
        self.engine = open_store(settings.store)
        opened = open_sinks(settings, self.warnings.append)
        assert opened is not None
        self.sinks: Sinks = opened

    def run(self, calls: int = 1, *, ended: bool = True) -> tuple[str, float]:
        """The id of a run and the seconds that its session took to end."""
        journal = Journal(self.engine, Redactor({}))
        session = self.sinks.session(journal.run)
        journal.listen(session)
        record(journal, calls, ended=ended)
        began = time.monotonic()
        session.end()
        return journal.run, time.monotonic() - began

    def close(self) -> None:
        self.sinks.close()
        self.engine.dispose()


def record(journal: Journal, calls: int = 1, *, ended: bool = True) -> None:
    settings = {"agents": {"a": {"role": "A"}}, "tasks": {"t": {"description": "Do {question}"}}}
    journal.append("run_started", {"question": "why?", "settings": settings}, model="openai/gpt-4o-mini", crew="c:c")
    journal.append("task_started", {"context": ""}, task="t", agent="a")
    for _ in range(calls):
        content = {"request": {"messages": [{"role": "user", "content": "why?"}]}, "answer": "so"}
        facts = {"prompt_tokens": 3, "completion_tokens": 2, "usd": 0.001, "seconds": 0.01, "attempt": 1}
        journal.append("model_call", content, agent="a", task="t", model="openai/gpt-4o-mini", **facts)
    journal.append("check", {"faults": []}, check="findings", task="t", agent="a", passed=True)
    journal.append("task_ended", {"output": "so"}, task="t", agent="a")
    if ended:
        journal.append(
            "run_ended", {"reason": "fine", "answer": "so", "citations": []}, outcome="accepted", seconds=0.1
        )


@pytest.fixture
def scene(load: Load) -> Iterator[Callable[[], Scene]]:
    """Made by the test, when its environment stands."""
    made: list[Scene] = []

    def make() -> Scene:
        made.append(Scene(load(record__sink_seconds=SECONDS)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_sink_that_works_is_not_talked_about(scene: Callable[[], Scene], cloud: Backend) -> None:
    one = scene()
    run, seconds = one.run()
    assert one.warnings == []
    assert len(cloud.spans) == SPANS
    assert seconds < SECONDS
    assert one.sinks.link(run) == f"http://app.test/sessions?trace_id={cloud.root.trace}"
    assert cloud.keys == ["a-key"]


@pytest.mark.parametrize(
    ("answer", "said", "at_once"),
    [
        pytest.param(401, "it answered 401 Unauthorized", True, id="401"),
        pytest.param(403, "it answered 403 Forbidden", True, id="403"),
        pytest.param(500, "it answered 500 Internal Server Error", True, id="500"),
        pytest.param(503, "it answered 503 Service Unavailable", False, id="503"),
        pytest.param(301, "it answered 301 Moved Permanently, and a redirect is not followed", True, id="301"),
        pytest.param(hang(5), "within 0.6 s (record.sink_seconds)", False, id="hang"),
    ],
)
def test_traces_that_are_not_taken_are_one_warning(
    scene: Callable[[], Scene], cloud: Backend, answer: Answer, said: str, at_once: bool
) -> None:
    cloud.traces = answer
    one = scene()
    run, seconds = one.run()
    assert len(one.warnings) == 1
    assert one.warnings[0].startswith(f"the session is not at AgentOps ({cloud.exporter}): ")
    assert said in one.warnings[0]
    assert one.warnings[0].endswith("; the journal has all of it")
    assert seconds < SECONDS + SPARE
    assert (seconds < SECONDS) == at_once
    assert one.sinks.link(run) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(401, "it answered 401 Unauthorized to the key (AGENTOPS_API_KEY)", id="401"),
        pytest.param(403, "it answered 403 Forbidden to the key (AGENTOPS_API_KEY)", id="403"),
        pytest.param(404, "it answered 404 Not Found to the key", id="404"),
        pytest.param(503, "it answered 503 Service Unavailable to the key", id="503"),
        pytest.param(hang(5), "it has not answered to the key yet", id="hang"),
    ],
)
def test_a_key_that_gets_no_token_is_one_warning(
    scene: Callable[[], Scene], cloud: Backend, answer: Answer, said: str
) -> None:
    cloud.auth = answer
    one = scene()
    _, seconds = one.run()
    assert len(one.warnings) == 1
    assert said in one.warnings[0]
    assert seconds < SECONDS + SPARE
    assert not [path for path in cloud.paths if "traces" in path], "nothing is sent without a token"


def test_a_sink_that_is_not_there_is_one_warning(scene: Callable[[], Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    with backend() as gone:
        pass
    for name, value in gone.environment("k3y-of-the-user").items():
        monkeypatch.setenv(name, value)
    one = scene()
    _, seconds = one.run()
    assert len(one.warnings) == 1
    assert "the connection is refused" in one.warnings[0]
    assert "k3y-of-the-user" not in one.warnings[0]
    assert seconds < SECONDS + SPARE


def test_spans_wait_for_a_slow_token(scene: Callable[[], Scene], cloud: Backend) -> None:
    cloud.auth = hang(0.3)
    one = scene()
    one.run()
    assert one.warnings == []
    assert len(cloud.spans) == SPANS


def test_a_passing_fault_of_the_key_is_tried_again(scene: Callable[[], Scene], cloud: Backend) -> None:
    faults = [503]
    cloud.auth = lambda: faults.pop() if faults else 200
    one = scene()
    time.sleep(couriers.DELAY)
    one.run()
    assert one.warnings == []
    assert len(cloud.spans) == SPANS
    assert len(cloud.keys) == 2


def test_a_refused_token_is_asked_for_again_with_the_next_run(scene: Callable[[], Scene], cloud: Backend) -> None:
    cloud.traces = 401
    one = scene()
    one.run()
    cloud.traces = 200
    one.run()
    assert len(cloud.keys) == 2
    assert len(cloud.spans) == SPANS
    assert len(one.warnings) == 1


def test_each_run_is_warned_of_and_none_waits_twice_for_the_same_hang(
    scene: Callable[[], Scene], cloud: Backend
) -> None:
    cloud.traces = hang(3)
    one = scene()
    times = [one.run()[1] for _ in range(3)]
    assert times[0] >= SECONDS
    assert max(times[1:]) < SPARE
    assert len(one.warnings) == 3


def test_one_broken_sink_does_not_cost_the_other(
    scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.traces = hang(5)
    with backend() as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", other.exporter)
        one = scene()
        _, seconds = one.run()
        assert len(other.spans) == SPANS
    assert len(one.warnings) == 1
    assert "AgentOps" in one.warnings[0]
    assert seconds < SECONDS + SPARE


def test_both_broken_wait_once(scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.traces = hang(5)
    with backend(traces=hang(5)) as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://me:s3cret@{other.url.removeprefix('http://')}")
        one = scene()
        _, seconds = one.run()
    assert [text.partition(" (")[0] for text in one.warnings] == [
        "the session is not at AgentOps", "the session is not at OTLP",
    ]  # fmt: skip
    assert "s3cret" not in str(one.warnings)
    assert seconds < SECONDS + SPARE


def test_a_partial_refusal_of_a_backend_is_told(scene: Callable[[], Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too long")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    monkeypatch.setattr(Backend, "answer", lambda *_: (200, body))
    with backend() as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        one = scene()
        one.run()
    assert "it rejected 2 spans: too long" in one.warnings[0]


def test_the_queue_is_bounded(scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "QUEUE", 10)
    cloud.auth = hang(0.3)
    one = scene()
    one.run(calls=300)
    assert len(one.warnings) == 1
    assert "a part of the session is not at AgentOps" in one.warnings[0]
    assert "more than 10 spans wait for it" in one.warnings[0]
    assert 0 < len(cloud.spans) < 300


def test_a_run_without_its_last_event_ends_as_indeterminate(scene: Callable[[], Scene], cloud: Backend) -> None:
    one = scene()
    one.run(ended=False)
    assert cloud.root.attributes["agentops.session.end_state"] == "Indeterminate"
    assert cloud.root.is_error
    assert cloud.root.status == "the run ended without its last event"
    assert {span.kind for span in cloud.spans} >= {"session", "workflow", "task", "llm"}


def test_events_of_threads_that_come_out_of_order_make_the_same_spans(
    scene: Callable[[], Scene], cloud: Backend
) -> None:
    one = scene()
    kept: list[Event] = []
    journal = Journal(one.engine, Redactor({}))
    journal.listen(kept.append)
    record(journal)
    session = one.sinks.session(journal.run)
    for place in (0, 2, 1, 4, 3, 5):
        session(kept[place])
    session.end()
    session.end()
    assert len(cloud.spans) == SPANS
    assert {span.is_error for span in cloud.spans} == {False}
    assert cloud.of("llm")[0].parent == cloud.of("agent")[0].id


def test_a_fault_of_our_own_is_a_warning_and_not_the_end_of_the_run(
    scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr("pilotage.telemetry.attributes._llm", broken)
    one = scene()
    run, _ = one.run()
    assert any(text == f"event 3 of {run} is not in what is sent: ValueError: no" for text in one.warnings)
    assert cloud.root.attributes["pilotage.outcome"] == "accepted"


def test_closing_ends_what_was_not_ended(scene: Callable[[], Scene], cloud: Backend) -> None:
    one = scene()
    journal = Journal(one.engine, Redactor({}))
    journal.listen(one.sinks.session(journal.run))
    record(journal)
    one.sinks.close()
    assert len(cloud.spans) == SPANS


HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "UNRELATED"])
def test_headers_for_another_backend_do_not_go_to_agentops(
    scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with backend() as other:
        monkeypatch.setenv(name, other.url)
        monkeypatch.setenv(HEADERS, "x-team-key=s3cr3t-of-another")
        one = scene()
        one.run()
    assert len(cloud.spans) == SPANS
    assert "s3cr3t-of-another" not in str(cloud.headers)
    assert ("s3cr3t-of-another" in str(other.headers)) == (name == "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert one.warnings == []


@pytest.mark.parametrize("value", ["Authorization: Bearer s3cr3t", "a=b,s3cr3t", "=s3cr3t"])
def test_misspelt_headers_are_told_without_what_they_hold(
    scene: Callable[[], Scene], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    with backend() as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        monkeypatch.setenv(HEADERS, value)
        one = scene()
        one.run()
        assert len(other.spans) == SPANS
    said = f"{HEADERS} is not of the form name=value,name=value: a part of it is left out"
    assert one.warnings == [said]
    assert "s3cr3t" not in caplog.text


def test_what_a_sink_says_is_one_printable_line_without_secrets(
    scene: Callable[[], Scene], cloud: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    words = "\x1b[2J\x07first\r\nsecond k3y-of-the-user " + "and on " * 2_000
    partial = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message=words)
    )
    usual = Backend.answer
    monkeypatch.setenv("AGENTOPS_API_KEY", "k3y-of-the-user")
    monkeypatch.setattr(
        Backend, "answer", lambda *call: (200, partial.SerializeToString()) if "traces" in call[2] else usual(*call)
    )
    one = scene()
    one.run()
    (warning,) = one.warnings
    assert warning.isprintable()
    assert "[2J first second [redacted] and on" in warning
    assert len(warning) < 400


def trickle(parts: int, size: int, pause: float, kind: str = "chunked") -> Callable[[socket.socket], None]:
    """Answer 200, then so many parts of a body, with a pause before each."""

    def answer(connection: socket.socket) -> None:
        length = "Transfer-Encoding: chunked" if kind == "chunked" else f"Content-Length: {parts * size}"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
        for _ in range(parts):
            time.sleep(pause)
            body = b"x" * size
            connection.sendall(b"%x\r\n%s\r\n" % (size, body) if kind == "chunked" else body)
        connection.sendall(b"0\r\n\r\n" if kind == "chunked" else b"")

    return answer


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that takes one request and answers it so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            while not connection.recv(65_536).endswith((b"x", b"}")):  # the end of what is sent here
                pass
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join()


ENDLESS = [
    pytest.param(trickle(10_000, 10_000, 0), "its answer is longer than 65,536 bytes", id="long"),
    pytest.param(trickle(10_000, 10_000, 0, "plain"), "its answer is longer than 65,536 bytes", id="long, in one"),
    pytest.param(trickle(40, 1, 0.05), "its answer was not whole after 0.2 s", id="slow"),
]


@pytest.mark.parametrize(("answer", "said"), ENDLESS)
def test_an_answer_to_spans_is_read_within_bounds(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], said: str
) -> None:
    monkeypatch.setattr(wires, "SECONDS", 0.2)
    with answering(answer) as address, Wire() as wire:
        with pytest.raises(Undelivered, match=said):
            wire.request("POST", address, data=b"x", timeout=5)
        assert wire.fault == said


@pytest.mark.parametrize(("answer", "said"), ENDLESS)
def test_an_answer_to_the_key_is_read_within_bounds(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], said: str
) -> None:
    monkeypatch.setattr(wires, "SECONDS", 0.2)
    with answering(answer) as address:
        token = Token(Cloud("k", "AGENTOPS_API_KEY", address, address, address))
        token.ask()
        with pytest.raises(Undelivered, match=said):
            token.get()


def test_an_answer_in_parts_is_read() -> None:
    with answering(trickle(3, 5, 0)) as address, Wire() as wire:
        assert wire.request("POST", address, data=b"x", timeout=5).content == b"x" * 15


def test_the_wire_leaves_other_authorities_out() -> None:
    headers = Wire(lambda: "t", own_headers=True)._headers({"Content-Type": "a/b", "x-team": "k", "authorization": "x"})
    assert headers == {"Content-Type": "a/b", "Authorization": "Bearer t"}
