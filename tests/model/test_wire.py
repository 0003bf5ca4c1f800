"""CrewAI's class for OpenAI behind the door, a loopback server at the other end: each fault, counted in requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from crewai import LLM

from pilotage.checks.results import Findings
from pilotage.model import factory
from pilotage.model.answers import Attempt
from pilotage.model.door import Door, Stopped, open_door
from pilotage.spec import ModelSpec
from tests.model.bench import Bench, Make
from tests.model.wire import USAGE, Talk, Wire, listen

WHOLE = '{"findings": [{"claim": "c", "quote": "q", "source": "s"}]}'
TOOL = {"type": "function", "function": {"name": "today", "description": "the day", "parameters": {
    "type": "object", "properties": {}}}}  # fmt: skip
NAME = "openai/local-model"
KINDS = ["plain", "typed", "streamed", "streamed and typed"]


class Line:
    """One server and its models for many tests: to build a client takes longer than to ask it."""

    def __init__(self) -> None:
        self.play: Callable[[Talk], Any] = lambda talk: talk.status(500)
        self.models: dict[bool, Any] = {}
        self.wire: Wire


LINE = Line()


@pytest.fixture(scope="module", autouse=True)
def _line() -> Iterator[None]:
    with listen(lambda talk: LINE.play(talk)) as LINE.wire:
        yield
    LINE.models.clear()


@contextmanager
def answering(play: Callable[[Talk], Any]) -> Iterator[Wire]:
    LINE.play = play
    LINE.wire.requests.clear()
    yield LINE.wire


def guard(table: Bench, wire: Wire, kind: str = "plain") -> Any:
    stream, shared = "streamed" in kind, wire is LINE.wire
    llm = LINE.models.get(stream) if shared else None
    if llm is None:
        llm = factory.build(NAME, ModelSpec(base_url=wire.url, stream=stream), table.meter.limits.call_seconds)
    if shared:
        LINE.models[stream] = llm
    return open_door(llm, Door("agent", NAME, table.meter, table.journal))


def ask(table: Bench, wire: Wire, kind: str = "plain", **more: Any) -> Any:
    """One call through the door, of one of the KINDS."""
    kinds: dict[str, Any] = {"response_model": Findings} if "typed" in kind else {}
    return guard(table, wire, kind).call([{"role": "user", "content": "q"}], **kinds, **more)


def fails(table: Bench, play: Callable[[Talk], Any], kind: str = "plain") -> tuple[int, str]:
    """How many requests a fault makes, and what is said in the end."""
    with answering(play) as wire, pytest.raises(Stopped) as caught:
        ask(table, wire, kind)
    return len(wire.requests), str(caught.value)


# --- an answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_answer_is_one_request_and_counted_once(bench: Make, kind: str) -> None:
    def play(talk: Talk) -> None:
        if talk.request.get("stream"):
            talk.stream(WHOLE[:9], WHOLE[9:], {"finish": "stop"})
        else:
            talk.answer(WHOLE)

    table = bench()
    with answering(play) as wire:
        answer = ask(table, wire, kind)
    assert answer == (Findings.model_validate_json(WHOLE) if "typed" in kind else WHOLE)
    assert len(wire.requests) == 1
    assert bool(wire.requests[0].get("stream")) is ("streamed" in kind)
    assert table.meter.tokens == USAGE["total_tokens"]


@pytest.mark.parametrize("kind", ["streamed", "streamed and typed"])
@pytest.mark.parametrize("each", [False, True])
def test_usage_beside_the_last_piece_or_each_piece_of_a_stream_takes_nothing_from_it(
    bench: Make, kind: str, each: bool
) -> None:
    def play(talk: Talk) -> None:
        so_far = {"usage": USAGE | {"completion_tokens": 1}} if each else {}
        parts = [{"content": WHOLE[:9], **so_far}, {"content": WHOLE[9:], **so_far}]
        talk.stream(*parts, {"finish": "stop", "usage": USAGE}, usage=None)

    table = bench(retries=0)
    with answering(play) as wire:
        answer = ask(table, wire, kind)
    assert answer == (Findings.model_validate_json(WHOLE) if "typed" in kind else WHOLE)
    assert len(wire.requests) == 1
    assert table.meter.tokens == USAGE["total_tokens"]


def test_without_the_door_crewai_would_pass_over_a_piece_with_usage() -> None:
    """When this fails, CrewAI reads such a piece, and `_part_usage` can go."""
    with answering(lambda talk: talk.stream(WHOLE, {"finish": "stop", "usage": USAGE}, usage=None)) as wire:
        llm = LLM(model=NAME, base_url=wire.url, api_key="k", stream=True)
        ends: list[Any] = []
        object.__setattr__(llm, "_emit_call_completed_event", lambda **facts: ends.append(facts["finish_reason"]))
        llm.call("q")
    assert ends == [None]


@pytest.mark.parametrize("kind", ["plain", "streamed"])
def test_calls_of_tools_come_through(bench: Make, kind: str) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "today", "arguments": "{}"}}

    def play(talk: Talk) -> None:
        if kind == "streamed":
            talk.stream({"tool_calls": [call]}, {"finish": "tool_calls"})
        else:
            talk.answer({"content": None, "tool_calls": [call]}, "tool_calls")

    table = bench()
    with answering(play) as wire:
        answer = ask(table, wire, kind, tools=[TOOL])
    assert len(answer) == len(wire.requests) == 1
    assert "today" in table.calls()[0].content["answer"]


# --- what is told of tokens


REPORTS: list[tuple[Any, int | None]] = [
    (None, None), ({}, None), ({"total_tokens": 5000}, 5000), ({"prompt_tokens": 10**30, "completion_tokens": 5}, None),
    ({"prompt_tokens": -100_000, "completion_tokens": 5, "total_tokens": 5}, None),
    ({"prompt_tokens": "many", "completion_tokens": "few", "total_tokens": "all"}, None), ("none", None), ([], None),
    ({**USAGE, "prompt_tokens_details": {"cached_tokens": 10**30}}, 120),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the SDK's, of a report of another shape
@pytest.mark.parametrize(("usage", "tokens"), REPORTS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_report_of_tokens_ends_a_run_or_goes_uncounted(
    bench: Make, kind: str, usage: Any, tokens: int | None
) -> None:
    def play(talk: Talk) -> None:
        if talk.request.get("stream"):
            talk.stream(WHOLE, {"finish": "stop"}, usage=usage)
        else:
            talk.answer(WHOLE, usage=usage)

    table = bench(retries=0)
    with answering(play) as wire:
        ask(table, wire, kind)
    (event,) = table.calls()
    assert len(wire.requests) == 1
    assert event.facts.get("estimated", False) is (tokens != 120)
    assert table.meter.tokens == (tokens or event.facts["prompt_tokens"] + event.facts["completion_tokens"])
    assert 15 < table.meter.tokens < 10_000


@pytest.mark.parametrize(("usage", "total"), [({}, None), ({"prompt_tokens": 1, "total_tokens": None}, None)])
def test_without_the_door_crewai_would_stumble_over_a_report_without_a_total(usage: Any, total: Any) -> None:
    """When this fails, CrewAI looks before it compares, and `tokens_of` need not change what it is given."""
    with answering(lambda talk: talk.answer("x", usage=usage)) as wire:
        llm = LLM(model="local-model", custom_openai=True, base_url=wire.url, api_key="x")
        with pytest.raises(TypeError, match="NoneType"):
            llm.call("q")


# --- faults, by how many requests they make


@pytest.mark.parametrize(
    ("kind", "status", "requests"),
    [(kind, status, requests) for kind in KINDS for status, requests in ((400, 1), (404, 1), (429, 3), (503, 3))]
    + [("plain", status, 1) for status in (401, 403, 422)]
    + [("plain", status, 3) for status in (408, 409, 425, 500, 529)],
)
def test_a_status_makes_as_many_requests_as_the_settings_say(
    bench: Make, kind: str, status: int, requests: int
) -> None:  # fmt: skip
    made, said = fails(bench(retries=2), lambda talk: talk.status(status), kind)
    assert made == requests
    assert str(status) in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_rate_limit_make_no_further_requests(bench: Make, kind: str) -> None:
    limited = {"error": {"message": "Rate limit reached: too many requests", "type": "requests", "code": "429"}}
    assert fails(bench(retries=0), lambda talk: talk.status(429, limited), kind)[0] == 1
    assert fails(bench(retries=1), lambda talk: talk.status(400, limited), kind)[0] == 1


FAULTS: dict[str, Callable[[Talk], Any]] = {
    "no choices": lambda talk: talk.status(200, {"id": "x", "choices": []}),
    "no JSON": lambda talk: talk.body(b'{"id": "x", "choi'),
    "a page": lambda talk: talk.body(b"<html>busy</html>", content_type="text/html"),
    "an empty body": lambda talk: talk.body(b""),
    "a cut body": lambda talk: talk.body(b'{"id": "x"', promised=5000),
    "no body at all": lambda talk: None,
    "an error inside a 200": lambda talk: talk.status(200, {"error": {"message": "boo", "code": 503}}),
    "an empty answer": lambda talk: talk.answer(""),
    "no content": lambda talk: talk.answer({"content": None}),
    "a choice without a message": lambda talk: talk.status(200, {"id": "x", "choices": [{"index": 0}]}),
    "a truncated answer": lambda talk: talk.answer(WHOLE[:-4], "length"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["plain", "typed"])
def test_what_is_no_answer_is_tried_again(bench: Make, kind: str, fault: str) -> None:
    table = bench(retries=1)
    made, _ = fails(table, FAULTS[fault], kind)
    assert made == 2, table.meter.ended
    assert [e.facts["attempt"] for e in table.calls()] == [1, 2]
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "failed"


STREAMS: dict[str, Callable[[Talk], Any]] = {
    "cut in the middle": lambda talk: talk.stream(WHOLE[:20], end="break"),
    "closed without an end": lambda talk: talk.stream(WHOLE[:20], end="close", usage=None),
    "done without an end": lambda talk: talk.stream(WHOLE[:20]),
    "truncated": lambda talk: talk.stream(WHOLE[:20], {"finish": "length"}),
    "nothing in it": lambda talk: talk.stream({"finish": "stop"}),
    "no event at all": lambda talk: talk.stream(usage=None),
    "an error in it": lambda talk: talk.body(
        b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n', content_type="text/event-stream"
    ),
    "no JSON in it": lambda talk: talk.body(b"data: {oh\n\n", content_type="text/event-stream"),
}


@pytest.mark.parametrize("fault", STREAMS)
@pytest.mark.parametrize("kind", ["streamed", "streamed and typed"])
def test_a_stream_that_is_no_answer_is_tried_again(bench: Make, kind: str, fault: str) -> None:
    table = bench(retries=1)
    made, said = fails(table, STREAMS[fault], kind)
    assert made == 2, said


@pytest.mark.parametrize("kind", ["plain", "typed"])
def test_the_tokens_of_truncated_answers_are_charged_each_time(bench: Make, kind: str) -> None:
    table = bench(retries=2)
    made, said = fails(table, lambda talk: talk.answer(WHOLE[:-4], "length"), kind)
    assert made == 3
    assert "model.max_tokens" in said
    assert table.meter.tokens == 3 * USAGE["total_tokens"]
    assert table.meter.ended is not None
    assert "raise model.max_tokens" in table.meter.ended.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_one_request(bench: Make, kind: str) -> None:
    def play(talk: Talk) -> None:
        if talk.request.get("stream"):
            talk.stream({"refusal": "I will not"}, {"finish": "content_filter"})
        else:
            talk.answer({"content": None, "refusal": "I will not"})

    made, said = fails(bench(retries=2), play, kind)
    assert made == 1
    assert "refused to answer" in said


IN_A_200: dict[str, Callable[[Talk], Any]] = {
    "plain": lambda talk: talk.status(200, {"error": {"message": "boo", "code": 429}}),
    "typed": lambda talk: talk.status(200, {"error": {"message": "boo", "code": 503}}),
    "streamed": lambda talk: talk.stream(WHOLE[:9], {"error": {}}, end="break"),
}


@pytest.mark.parametrize("kind", IN_A_200)
def test_a_strict_budget_books_a_fault_inside_a_200(bench: Make, kind: str) -> None:
    table = bench(retries=0, strict_budget=True)
    fails(table, IN_A_200[kind], kind)
    assert table.meter.tokens > 2048


@pytest.mark.parametrize(("status", "booked"), [(400, False), (429, False), (503, False), (500, True), (502, True)])
def test_a_strict_budget_books_what_a_gateway_may_have_used(bench: Make, status: int, booked: bool) -> None:
    table = bench(retries=0, strict_budget=True)
    fails(table, lambda talk: talk.status(status))
    assert (table.meter.tokens > 2048) is booked


@pytest.mark.parametrize("kind", ["typed", "streamed and typed"])
def test_an_answer_that_is_not_of_its_type_is_tried_again(bench: Make, kind: str) -> None:
    def play(talk: Talk) -> None:
        text = "in words" if talk.number == 1 else WHOLE
        if "streamed" in kind:
            talk.stream(text, {"finish": "stop"})
        else:
            talk.answer(text)

    table = bench(retries=1)
    with answering(play) as wire:
        assert ask(table, wire, kind) == Findings.model_validate_json(WHOLE)
    assert len(wire.requests) == 2


@pytest.mark.parametrize("kind", ["plain", "streamed"])
def test_a_closed_port_is_tried_again_and_named(bench: Make, kind: str) -> None:
    table = bench(retries=1)
    with listen(lambda talk: talk.answer("x")) as wire:
        pass
    with pytest.raises(Stopped, match="cannot be reached"):
        ask(table, wire, kind)
    assert len(table.calls()) == 2


@pytest.mark.parametrize("header", [{"retry_after": "1"}, {"retry_after_ms": "1000"}])
def test_the_wait_that_the_server_asks_for_is_kept(
    bench: Make, monkeypatch: pytest.MonkeyPatch, header: dict[str, str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("pilotage.guard.limits.Meter.sleep", lambda _self, seconds: slept.append(seconds))

    def play(talk: Talk) -> None:
        if talk.number == 1:
            talk.status(429, None, **header)
        else:
            talk.answer("x")

    with answering(play) as wire:
        assert ask(bench(), wire) == "x"
    assert slept == [1.0]


# --- deadlines


def gone(wire: Wire, within: float) -> bool:
    """Whether the client has hung up, and its thread has ended, in that time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if wire.open == 0 and not [
            t for t in threading.enumerate() if t.name.startswith("pilotage-limits.call_seconds")
        ]:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["streamed", "streamed and typed"])
def test_a_stream_that_drips_is_left_at_its_deadline_and_closed_at_its_next_piece(bench: Make, kind: str) -> None:
    table = bench(retries=0, call_seconds=0.5)
    with listen(lambda talk: talk.stream('{"findings": [', *[" "] * 100, every=0.1)) as wire:
        began = time.monotonic()
        with pytest.raises(Stopped, match=r"no answer within 0\.5 s \(limits\.call_seconds\)"):
            ask(table, wire, kind)
        assert time.monotonic() - began < 2
        assert gone(wire, 1.5)
        assert wire.pieces < 25, "of 100"


def test_a_stream_is_closed_when_the_run_ends(bench: Make) -> None:
    table = bench(retries=0, seconds=0.5)
    with listen(lambda talk: talk.stream(*["x"] * 100, every=0.1)) as wire:
        with pytest.raises(Stopped, match=r"limits\.seconds"):
            ask(table, wire, "streamed")
        assert gone(wire, 1.5)


@pytest.mark.parametrize("kind", ["plain", "typed", "streamed"])
def test_a_silent_server_is_left_at_the_deadline_and_soon_by_the_thread_too(bench: Make, kind: str) -> None:
    table, over = bench(retries=0, call_seconds=0.5), threading.Event()
    with listen(lambda _: over.wait(10)) as wire:
        with pytest.raises(Stopped, match=r"no answer within 0\.5 s"):
            ask(table, wire, kind)
        wire.open = 0  # the server itself cannot see that the client has gone
        assert gone(wire, 1.5)
        over.set()


def test_an_answer_in_one_piece_that_drips_is_left_too(bench: Make) -> None:
    table = bench(retries=1, call_seconds=0.3)
    with listen(lambda talk: talk.drip(0.05, 100)) as wire:
        with pytest.raises(Stopped, match=r"no answer within 0\.3 s"):
            ask(table, wire)
        assert gone(wire, 1.5)
        assert len(wire.requests) == 2
        assert wire.pieces < 60, "of 200"


def test_a_stream_of_signs_of_life_is_left_too(bench: Make) -> None:
    with listen(lambda talk: talk.stream(*[{}] * 100, every=0.05)) as wire:
        with pytest.raises(Stopped, match=r"no answer within 0\.3 s"):
            ask(bench(retries=0, call_seconds=0.3), wire, "streamed")
        assert gone(wire, 1.5)


def test_only_a_call_that_is_alone_on_its_connection_is_hung_up(bench: Make) -> None:
    with listen(lambda talk: talk.answer("x")) as wire:
        llm = guard(bench(), wire)
        client, one, two = llm._client, Attempt(), Attempt()
        llm._under_way = {id(one), id(two)}
        llm.hang_up(one)
        assert llm._client is client, "another call is under way on it"
        llm._under_way = {id(two)}
        llm.hang_up(one)
        assert llm._client is client, "it is over"
        llm.hang_up(two)
        assert llm._client is None
        assert client.is_closed()
        llm._under_way.clear()
        assert llm.call("q") == "x", "the next call has a connection of its own"


def test_a_slow_answer_is_waited_for_when_there_is_time(bench: Make) -> None:
    def play(talk: Talk) -> None:
        talk.stream("a", "b", "c", {"finish": "stop"}, every=0.1)

    with listen(play) as wire:
        assert ask(bench(call_seconds=5), wire, "streamed") == "abc"
