"""The other providers' classes behind the door: no SDK retries by itself, none waits without an end.

Each needs its SDK (`uv sync --extra anthropic`, …); without it its tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from typing import Any

import pytest

from pilotage.checks.results import Findings
from pilotage.model import factory
from pilotage.model.door import Door, Stopped, open_door
from pilotage.spec import ModelSpec
from tests.model.bench import Bench, Make
from tests.model.wire import Talk, Wire, listen

WHOLE = '{"findings": [{"claim": "c", "quote": "q", "source": "s"}]}'
SDKS = {
    "anthropic/claude-haiku-4-5": "anthropic",
    "gemini/gemini-2.5-flash": "google.genai",
    "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0": "boto3",
    "azure/gpt-4o-mini": "azure.ai.inference",
    "mistral/mistral-small": "litellm",
}
CLAUDE, LITELLM = "anthropic/claude-haiku-4-5", "mistral/mistral-small"


def needs(name: str) -> pytest.MarkDecorator:
    sdk = SDKS[name]
    try:
        there = importlib.util.find_spec(sdk) is not None
    except ModuleNotFoundError:  # the package around it
        there = False
    return pytest.mark.skipif(not there, reason=f"{sdk} is not installed")


ALL = [pytest.param(name, marks=needs(name)) for name in SDKS]
needs_anthropic, needs_litellm = needs(CLAUDE), needs(LITELLM)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-needed")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def ask(table: Bench, wire: Wire, name: str, *, stream: bool = False, **more: Any) -> Any:
    address = wire.url if name == LITELLM else wire.address
    spec = ModelSpec(base_url=address, stream=stream)
    llm: Any = factory.build(name, spec, table.meter.limits.call_seconds)
    guarded: Any = open_door(llm, Door("agent", name, table.meter, table.journal))
    return guarded.call([{"role": "user", "content": "q"}], **more)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "requests"), [(400, 1), (401, 1), (429, 2), (503, 2)])
@pytest.mark.parametrize("name", ALL)
def test_a_status_makes_as_many_requests_as_the_settings_say(
    bench: Make, name: str, status: int, requests: int, stream: bool
) -> None:
    with listen(lambda talk: talk.status(status)) as wire, pytest.raises(Stopped) as caught:
        ask(bench(retries=1, seconds=60), wire, name, stream=stream)
    assert len(wire.requests) == requests, caught.value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALL)
def test_a_silent_server_is_left_soon_by_the_thread_too(bench: Make, name: str) -> None:
    over = threading.Event()
    with listen(lambda _: over.wait(20)) as wire:
        with pytest.raises(Stopped, match="no answer within 1 s"):
            ask(bench(retries=0, call_seconds=1), wire, name)
        until = time.monotonic() + 3
        while time.monotonic() < until and any(
            t.name.startswith("pilotage-limits.call_seconds") for t in threading.enumerate()
        ):
            time.sleep(0.05)
        left = [t.name for t in threading.enumerate() if t.name.startswith("pilotage-limits.call_seconds")]
        over.set()
    assert not left
    assert len(wire.requests) == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALL)
def test_a_closed_port_is_tried_again(bench: Make, name: str) -> None:
    with listen(lambda talk: talk.status(500)) as wire:
        pass
    table = bench(retries=1)
    with pytest.raises(Stopped):
        ask(table, wire, name)
    assert len(table.calls()) == 2


# --- Anthropic


def claude(text: str, reason: str | None) -> dict[str, Any]:
    return {
        "id": "m", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": text}], "stop_reason": reason, "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }  # fmt: skip


def events(text: str, reason: str | None) -> bytes:
    """A stream of Anthropic's, without its last events when `reason` is None."""
    start = {**claude("", None), "content": []}
    parts: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    ]
    if reason:
        parts += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
             "usage": {"output_tokens": 20}},
            {"type": "message_stop"},
        ]  # fmt: skip
    return b"".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in parts)


@needs_anthropic
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reason", "requests", "said"), [("end_turn", 1, ""), ("max_tokens", 2, "cut"), ("refusal", 1, "refused")]
)
def test_why_an_answer_of_anthropic_ended(bench: Make, stream: bool, reason: str, requests: int, said: str) -> None:
    def play(talk: Talk) -> None:
        if stream:
            talk.body(events("an answer", reason), content_type="text/event-stream")
        else:
            talk.status(200, claude("an answer", reason))

    table = bench(retries=1)
    with listen(play) as wire:
        if said:
            with pytest.raises(Stopped, match=said):
                ask(table, wire, CLAUDE, stream=stream)
        else:
            assert ask(table, wire, CLAUDE, stream=stream) == "an answer"
    assert len(wire.requests) == requests
    assert table.meter.tokens == 120 * requests


@needs_anthropic
def test_a_stream_of_anthropic_that_broke_off_is_tried_again(bench: Make) -> None:
    def play(talk: Talk) -> None:
        talk.body(events("half of", None), content_type="text/event-stream")

    with listen(play) as wire, pytest.raises(Stopped, match="ended before the answer did"):
        ask(bench(retries=1), wire, CLAUDE, stream=True)
    assert len(wire.requests) == 2


@needs_anthropic
def test_an_overloaded_stream_of_anthropic_is_tried_again(bench: Make) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    body = f"event: error\ndata: {json.dumps(error)}\n\n".encode()
    with listen(lambda talk: talk.body(body, content_type="text/event-stream")) as wire, pytest.raises(Stopped):
        ask(bench(retries=1), wire, CLAUDE, stream=True)
    assert len(wire.requests) == 2


# --- LiteLLM


@needs_litellm
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stream", [False, True])
def test_a_typed_answer_of_litellm_is_one_request_to_the_address_in_the_settings(bench: Make, stream: bool) -> None:
    def play(talk: Talk) -> None:
        if stream:
            talk.stream(WHOLE[:9], WHOLE[9:], {"finish": "stop"})
        else:
            talk.answer(WHOLE)

    table = bench()
    with listen(play) as wire:
        assert ask(table, wire, LITELLM, stream=stream, response_model=Findings) == Findings.model_validate_json(WHOLE)
    assert len(wire.requests) == 1
    assert "JSON Schema" in str(wire.requests[0]["messages"])
    assert table.meter.tokens == 120


@needs_litellm
@pytest.mark.filterwarnings("ignore")
def test_a_stream_of_litellm_that_broke_off_is_tried_again(bench: Make) -> None:
    with listen(lambda talk: talk.stream("half of", end="break")) as wire, pytest.raises(Stopped):
        ask(bench(retries=1), wire, LITELLM, stream=True)
    assert len(wire.requests) == 2


@needs_litellm
@pytest.mark.filterwarnings("ignore")
def test_a_truncated_answer_of_litellm_is_tried_again(bench: Make) -> None:
    with listen(lambda talk: talk.answer("half of", "length")) as wire, pytest.raises(Stopped, match="cut"):
        ask(bench(retries=1), wire, LITELLM)
    assert len(wire.requests) == 2


@needs_litellm
@pytest.mark.filterwarnings("ignore")
def test_a_stream_of_litellm_is_closed_at_its_next_piece(bench: Make) -> None:
    with listen(lambda talk: talk.stream(*["x"] * 100, every=0.1)) as wire:
        with pytest.raises(Stopped, match="no answer within 1 s"):
            ask(bench(retries=0, call_seconds=1), wire, LITELLM, stream=True)
        until = time.monotonic() + 3
        while wire.open and time.monotonic() < until:
            time.sleep(0.02)
        assert wire.pieces < 45, "of 100"
