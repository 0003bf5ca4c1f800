"""Real SDKs against a loopback server: what is journalled is what the provider says it bills, to the token.

Each SDK but OpenAI's comes with an extra (`uv sync --extra anthropic`, …); without it its tests are skipped.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from crewai import LLM

from pilotage.model import factory
from pilotage.model.door import Door, open_door
from pilotage.spec import ModelSpec
from tests.model.bench import Bench, Make
from tests.model.test_providers import needs
from tests.model.wire import Talk, Wire, listen

OPENAI, CLAUDE, GEMINI = "openai/local-model", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"
BEDROCK, AZURE = "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", "azure/gpt-4o-mini"
LITELLM = "mistral/mistral-small"
CHAT = {
    "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 50},
    "completion_tokens_details": {"reasoning_tokens": 192},
}  # fmt: skip
BILLED = {"prompt": 2006, "completion": 300, "cached": 1920, "written": 50, "reasoning": 192}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-needed")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def billed(table: Bench, name: str, play: Callable[[Talk], None], *, stream: bool = False) -> dict[str, int]:
    """The tokens that the journal has of one call which `play` answers."""
    with listen(play) as wire:
        spec = ModelSpec(base_url=address(name, wire), stream=stream)
        return ask(table, name, factory.build(name, spec, 20))


def ask(table: Bench, name: str, llm: Any) -> dict[str, int]:
    opened: Any = open_door(llm, Door("agent", name, table.meter, table.journal))
    assert opened.call([{"role": "user", "content": "q"}]) == "an answer"
    (call,) = table.calls()
    assert "estimated" not in call.facts
    return {key.removesuffix("_tokens"): value for key, value in call.facts.items() if key.endswith("_tokens")}


def address(name: str, wire: Wire) -> str:
    return wire.url if name in (OPENAI, LITELLM) else wire.address


EXTRACTS = {  # private names that are overridden to see a usage block whole
    OPENAI: ("_extract_openai_token_usage", "_extract_responses_token_usage"),
    CLAUDE: ("_extract_anthropic_token_usage",),
    GEMINI: ("_extract_token_usage",),
    AZURE: ("_extract_azure_token_usage", "_extract_finish_reason_and_id"),
}


@pytest.mark.parametrize("name", [OPENAI, *(pytest.param(name, marks=needs(name)) for name in (CLAUDE, GEMINI, AZURE))])
def test_the_private_names_that_are_overridden_still_exist(name: str) -> None:
    llm: Any = factory.build(name, ModelSpec(base_url="http://127.0.0.1:9"), 1)
    assert [each for each in EXTRACTS[name] if not callable(getattr(type(llm), each, None))] == []


def chat(talk: Talk) -> None:
    if talk.request.get("stream"):
        talk.stream("an ", "answer", {"finish": "stop"}, usage=CHAT)
    else:
        talk.answer("an answer", usage=CHAT)


def events(*parts: dict[str, Any], named: bool = True) -> bytes:
    lines = ((f"event: {part['type']}\n" if named else "") + f"data: {json.dumps(part)}\n\n" for part in parts)
    return "".join(lines).encode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [OPENAI, pytest.param(AZURE, marks=needs(AZURE))])
def test_openais_shape(bench: Make, name: str, stream: bool) -> None:
    assert billed(bench(), name, chat, stream=stream) == BILLED


@needs(LITELLM)
@pytest.mark.parametrize("stream", [False, True])
def test_the_shape_of_litellm(bench: Make, stream: bool) -> None:
    found = billed(bench(), LITELLM, chat, stream=stream)
    assert {key: found[key] for key in ("prompt", "completion", "cached", "reasoning")} == {
        key: BILLED[key] for key in ("prompt", "completion", "cached", "reasoning")
    }


@pytest.mark.parametrize("stream", [False, True])
def test_openais_responses(bench: Make, stream: bool) -> None:
    usage = {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 52,
             "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 380}  # fmt: skip
    text = {"type": "output_text", "text": "an answer", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    whole = {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [message],
             "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage}  # fmt: skip
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0,
             "content_index": 0, "delta": "an answer", "logprobs": []}  # fmt: skip

    def play(talk: Talk) -> None:
        if talk.request.get("stream"):
            end = {"type": "response.completed", "sequence_number": 2, "response": whole}
            talk.body(events(delta, end), content_type="text/event-stream")
        else:
            talk.status(200, whole)

    with listen(play) as wire:
        llm = LLM(model="openai/m", api="responses", base_url=wire.url, api_key="x", max_retries=0, stream=stream)
        found = ask(bench(), "openai/m", llm)
    assert found == {"prompt": 328, "completion": 52, "cached": 128, "reasoning": 40}


@needs(CLAUDE)
@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_shape(bench: Make, stream: bool) -> None:
    usage = {"input_tokens": 50, "output_tokens": 12, "cache_read_input_tokens": 9000,
             "cache_creation_input_tokens": 1500,
             "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1000}}  # fmt: skip
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
               "stop_sequence": None, "content": [{"type": "text", "text": "an answer"}], "usage": usage}  # fmt: skip
    start = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    parts: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "an answer"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ]  # fmt: skip

    def play(talk: Talk) -> None:
        if stream:
            talk.body(events(*parts), content_type="text/event-stream")
        else:
            talk.status(200, message)

    found = billed(bench(), CLAUDE, play, stream=stream)
    assert found == {"prompt": 10550, "completion": 12, "cached": 9000, "written": 1500, "written_long": 1000}


@needs(GEMINI)
@pytest.mark.parametrize("stream", [False, True])
def test_geminis_shape(bench: Make, stream: bool) -> None:
    first = {"promptTokenCount": 1005, "totalTokenCount": 1005, "cachedContentTokenCount": 900}
    last = {**first, "candidatesTokenCount": 40, "thoughtsTokenCount": 200, "toolUsePromptTokenCount": 60,
            "totalTokenCount": 1305, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1005}]}  # fmt: skip

    def piece(text: str, usage: dict[str, Any], **more: Any) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage}

    def play(talk: Talk) -> None:
        if stream:
            parts = (piece("an ", first), piece("answer", last, finishReason="STOP"))
            talk.body(events(*parts, named=False), content_type="text/event-stream")
        else:
            talk.status(200, piece("an answer", last, finishReason="STOP"))

    found = billed(bench(), GEMINI, play, stream=stream)
    assert found == {"prompt": 1065, "completion": 240, "cached": 900, "reasoning": 200}


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    """One event of AWS's binary streams."""
    names = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return whole + struct.pack("!I", zlib.crc32(whole))


@needs(BEDROCK)
@pytest.mark.parametrize("stream", [False, True])
def test_bedrocks_shape(bench: Make, stream: bool) -> None:
    usage = {"inputTokens": 30, "outputTokens": 70, "totalTokens": 4100, "cacheReadInputTokens": 1000,
             "cacheWriteInputTokens": 3000, "cacheDetails": [{"ttl": "1h", "inputTokens": 2000}]}  # fmt: skip

    def play(talk: Talk) -> None:
        if stream:
            frames = (
                frame("messageStart", {"role": "assistant"}),
                frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "an answer"}}),
                frame("contentBlockStop", {"contentBlockIndex": 0}),
                frame("messageStop", {"stopReason": "end_turn"}),
                frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
            )
            talk.body(b"".join(frames), content_type="application/vnd.amazon.eventstream")
        else:
            message = {"message": {"role": "assistant", "content": [{"text": "an answer"}]}}
            talk.status(200, {"output": message, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}})

    found = billed(bench(), BEDROCK, play, stream=stream)
    assert found == {"prompt": 4030, "completion": 70, "cached": 1000, "written": 3000, "written_long": 2000}


def test_thoughts_beside_the_answer_are_billed(bench: Make) -> None:
    usage = {"prompt_tokens": 37, "completion_tokens": 9, "total_tokens": 371,
             "completion_tokens_details": {"reasoning_tokens": 325}}  # fmt: skip
    found = billed(bench(), OPENAI, lambda talk: talk.answer("an answer", usage=usage))
    assert found == {"prompt": 37, "completion": 334, "reasoning": 325}
