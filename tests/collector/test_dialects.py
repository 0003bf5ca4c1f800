"""What each vocabulary says becomes the same event: attributes as the instrumentations of 2024 to 2026 set them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pilotage.collector.meaning import kind_of, tags_of, tokens
from pilotage.model.prices import price
from pilotage.record.journal import Event
from tests.collector.spans import span

Record = Callable[..., list[Event]]
QUESTION, ANSWER = "Who owns retries?", "The door owns them."
USED = {"prompt_tokens": 321, "completion_tokens": 45}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "retries"}'}}

DIALECTS: dict[str, dict[str, Any]] = {
    "AgentOps": {
        "agentops.span.kind": "llm", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.usage.prompt_tokens": 321,
        "gen_ai.usage.completion_tokens": 45, "gen_ai.usage.total_tokens": 366,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": QUESTION,
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": ANSWER,
    },
    "AgentOps without a kind": {
        "gen_ai.system": "OpenAI", "gen_ai.request.type": "chat", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 321, "gen_ai.usage.completion_tokens": 45,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": QUESTION, "gen_ai.completion.0.content": ANSWER,
    },
    "OpenTelemetry": {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 321, "gen_ai.usage.output_tokens": 45,
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"}]),
    },
    "OpenTelemetry with lists": {
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 321, "gen_ai.usage.output_tokens": 45,
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}],
    },
    "OpenInference": {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.system": "openai",
        "llm.token_count.prompt": 321, "llm.token_count.completion": 45, "llm.token_count.total": 366,
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": QUESTION,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "text",
        "llm.output_messages.0.message.contents.0.message_content.text": ANSWER,
    },
    "OpenInference with values": {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 321, "llm.token_count.completion": 45,
        "input.value": json.dumps({"messages": [{"role": "user", "content": QUESTION}]}), "output.value": ANSWER,
    },
    "OpenLLMetry": {
        "llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 321, "gen_ai.usage.completion_tokens": 45, "llm.usage.total_tokens": 366,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": QUESTION,
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": ANSWER,
        "gen_ai.completion.0.finish_reason": "stop",
    },
}  # fmt: skip
EVENTS = {
    "per message": [
        {"name": "gen_ai.user.message", "at": 1.0, "attributes": {"content": QUESTION}},
        {"name": "gen_ai.choice", "at": 2.0, "attributes": {"index": 0, "message": json.dumps({"content": ANSWER})}},
    ],
    "per content": [
        {"name": "gen_ai.content.prompt", "at": 1.0, "attributes": {
            "gen_ai.prompt": json.dumps([{"role": "user", "content": QUESTION}])}},
        {"name": "gen_ai.content.completion", "at": 2.0, "attributes": {
            "gen_ai.completion": json.dumps([{"role": "assistant", "content": ANSWER}])}},
    ],
    "of the details": [
        {"name": "gen_ai.client.inference.operation.details", "at": 1.0, "attributes": {
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}])}},
    ],
}  # fmt: skip
BARE = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 321, "gen_ai.usage.output_tokens": 45}  # fmt: skip
LOOP = '{"rule": "exact", "level": "stop", "agent": "a", "first_step": 3, "last_step": 9, "times": 3}'


def content(event: Event, name: str) -> str:
    text = event.content[name]
    assert text is not None
    return text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_call_is_the_same_event_in_every_vocabulary(record: Record, dialect: str) -> None:
    event = record(span(DIALECTS[dialect]))[-1]
    assert event.kind == "model_call"
    assert event.facts["model"] == "gpt-4o-mini"
    assert {name: event.facts[name] for name in USED} == USED
    assert event.facts["usd"] == pytest.approx(price("gpt-4o-mini", 321, 45))
    request = json.loads(content(event, "request"))
    assert request["messages"] == [{"role": "user", "content": QUESTION}]
    assert content(event, "response") == ANSWER
    assert json.loads(content(event, "attributes")) == DIALECTS[dialect]


@pytest.mark.parametrize("events", EVENTS)
def test_messages_that_stand_in_span_events_are_found(record: Record, events: str) -> None:
    event = record(span(BARE, events=EVENTS[events]))[-1]
    assert json.loads(content(event, "request"))["messages"] == [{"role": "user", "content": QUESTION}]
    assert content(event, "response") == ANSWER
    assert len(json.loads(content(event, "span_events"))) == len(EVENTS[events])


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.tool_calls.0.id": "c1",
         "gen_ai.completion.0.tool_calls.0.name": "search",
         "gen_ai.completion.0.tool_calls.0.arguments": '{"q": "retries"}'},
        {"llm.output_messages.0.message.role": "assistant",
         "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
         "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "search",
         "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"q": "retries"}'},
        {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": "retries"}}]}])},
    ],
    ids=["numbered", "OpenInference", "parts"],
)  # fmt: skip
def test_calls_of_tools_that_a_model_asks_for_are_kept(record: Record, attributes: dict[str, Any]) -> None:
    (message,) = json.loads(content(record(span(BARE | attributes))[-1], "response"))
    assert message["tool_calls"] == [TOOL_CALL]


def test_instructions_and_answers_of_tools_stand_in_the_request(record: Record) -> None:
    sent = span(BARE | {
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Quote."}]),
        "gen_ai.input.messages": json.dumps([{"role": "tool", "parts": [
            {"type": "tool_call_response", "id": "c1", "response": {"found": 3}}]}]),
        "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "search"}]),
    })  # fmt: skip
    request = json.loads(content(record(sent)[-1], "request"))
    assert request["messages"] == [
        {"role": "system", "content": "Quote."}, {"role": "tool", "content": '{"found": 3}', "tool_call_id": "c1"},
    ]  # fmt: skip
    assert request["tools"] == [{"type": "function", "name": "search"}]


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c1",
         "gen_ai.tool.call.arguments": '{"q": 1}', "gen_ai.tool.call.result": "three"},
        {"agentops.span.kind": "tool", "tool.name": "search", "tool.parameters": '{"q": 1}', "tool.result": "three"},
        {"agentops.span.kind": "AgentOpsSpanKindValues.TOOL", "operation.name": "search",
         "agentops.entity.input": '{"q": 1}', "agentops.entity.output": "three"},
        {"openinference.span.kind": "TOOL", "tool.name": "search", "input.value": '{"q": 1}', "output.value": "three"},
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "search", "traceloop.entity.input": '{"q": 1}',
         "traceloop.entity.output": "three"},
    ],
    ids=["OpenTelemetry", "AgentOps", "AgentOps decorator", "OpenInference", "OpenLLMetry"],
)  # fmt: skip
def test_a_tool_call_is_the_same_event_in_every_vocabulary(record: Record, attributes: dict[str, Any]) -> None:
    event = record(span(attributes, failed=True, message="no network"))[-1]
    assert (event.kind, event.facts["tool"], event.facts["failed"]) == ("tool_call", "search", True)
    assert (event.content["arguments"], event.content["result"]) == ('{"q": 1}', "three")
    assert event.content["error"] == "no network"


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"agentops.span.kind": "workflow.step"}, "task"), ({"agentops.span.kind": "agent"}, "agent"),
        ({"agentops.span.kind": "session"}, "session"), ({"agentops.span.kind": "guardrail"}, "check"),
        ({"agentops.span.kind": "agent", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}, "agent"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"}, "agent"),
        ({"openinference.span.kind": "CHAIN"}, "span"), ({"openinference.span.kind": "EMBEDDING"}, "llm"),
        ({"traceloop.span.kind": "workflow"}, "workflow"), ({"gen_ai.operation.name": "embeddings"}, "llm"),
        ({"agentops.span.kind": "unknown", "gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"http.request.method": "GET"}, "span"), ({}, "span"), ({"agentops.span.kind": "new in 2030"}, "span"),
        ({"gen_ai.request.model": 7, "gen_ai.system": ["x"]}, "llm"),
    ],
)  # fmt: skip
def test_the_kind_of_a_span(attributes: dict[str, Any], kind: str) -> None:
    assert kind_of(attributes) == kind


@pytest.mark.parametrize(
    ("attributes", "used"),
    [
        ({}, None), ({"gen_ai.usage.total_tokens": 10}, (10, 0, 0)),
        ({"gen_ai.usage.total_tokens": 10, "gen_ai.usage.output_tokens": 4}, (6, 4, 0)),
        ({"gen_ai.usage.input_tokens": "12"}, (12, 0, 0)),
        ({"gen_ai.usage.input_tokens": 12, "gen_ai.usage.cache_read.input_tokens": 5}, (12, 0, 5)),
        ({"llm.token_count.prompt": 12, "llm.token_count.prompt_details.cache_read": 50}, (12, 0, 12)),
        ({"gen_ai.usage.input_tokens": -5}, None), ({"gen_ai.usage.input_tokens": 10**30}, None),
        ({"gen_ai.usage.input_tokens": "many"}, None), ({"gen_ai.usage.input_tokens": float("inf")}, None),
        ({"gen_ai.usage.input_tokens": [3]}, None),
    ],
)  # fmt: skip
def test_tokens_that_make_no_sense_are_no_tokens(attributes: dict[str, Any], used: tuple[int, int, int] | None) -> None:
    assert tokens(attributes) == used


@pytest.mark.parametrize(
    ("attributes", "usd"),
    [
        ({"gen_ai.usage.total_cost": 0.25}, 0.25), ({"llm.cost.total": "0.5"}, 0.5),
        ({"gen_ai.usage.total_cost": 0}, 0),
        ({"gen_ai.usage.total_cost": -1, "gen_ai.request.model": "nobody/knows"}, "unpriced"),
        ({"gen_ai.usage.total_cost": "much", "gen_ai.request.model": "nobody/knows"}, "unpriced"),
        ({"gen_ai.request.model": "nobody/knows"}, "unpriced"),
        ({"gen_ai.request.model": "llama3", "gen_ai.system": "ollama"}, 0),
        ({"gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.system": "anthropic"},
         pytest.approx(price("anthropic/claude-sonnet-4-5", 321, 45))),
        ({"gen_ai.request.model": "my-deployment", "gen_ai.response.model": "gpt-4o-mini", "gen_ai.system": "openai"},
         pytest.approx(price("gpt-4o-mini", 321, 45))),
        ({"pilotage.price": "unknown"}, "unpriced"),
    ],
)  # fmt: skip
def test_a_cost_is_the_senders_else_the_lists_else_unpriced(
    record: Record, attributes: dict[str, Any], usd: Any
) -> None:
    assert record(span(BARE | attributes))[-1].facts["usd"] == usd


def test_a_call_that_failed_without_usage_has_cost_nothing(record: Record) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
    event = record(span(attributes, failed=True, message="429"))[-1]
    assert (event.facts["usd"], event.content["error"]) == (0.0, "429")
    assert record(span(attributes))[-1].facts["usd"] == "unpriced"


def test_an_error_without_words_is_told_by_its_exception(record: Record) -> None:
    told = {"name": "exception", "at": 1.0, "attributes": {"exception.type": "OSError", "exception.message": "gone"}}
    assert record(span({}, failed=True, events=[told]))[-1].content["error"] == "OSError: gone"


def test_a_span_that_nobody_explains_keeps_all_it_says(record: Record) -> None:
    event = record(span({"db.system": "postgresql", "input.value": "in", "output.value": "out"}, name="SELECT"))[-1]
    assert (event.kind, event.facts["name"], event.facts["span_kind"]) == ("span", "SELECT", "span")
    assert (event.content["input"], event.content["output"]) == ("in", "out")
    assert json.loads(content(event, "attributes"))["db.system"] == "postgresql"


@pytest.mark.parametrize(
    ("said", "tags"),
    [(["a", "b"], ["a", "b"]), ('["a", "b"]', ["a", "b"]), ("a, b", ["a", "b"]), (7, []), ("", []), ({"a": 1}, [])],
)
def test_tags_are_given_in_many_ways(said: Any, tags: list[str]) -> None:
    assert tags_of({"agentops.tags": said}) == tags


@pytest.mark.parametrize("junk", [None, 0, [], {}, "{", "[1", '{"a": NaN}', [None], "\x00", "x" * 300_000])
@pytest.mark.parametrize(
    "name",
    ["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content", "gen_ai.prompt.x", "gen_ai.prompt",
     "gen_ai.tool.definitions", "gen_ai.system_instructions", "llm.tools.0.tool.json_schema", "pilotage.facts",
     "agentops.span.kind", "pilotage.kind", "agent.name", "agentops.tags", "gen_ai.completion.0.tool_calls.0.arguments",
     "gen_ai.completion.0.role", "input.value", "gen_ai.request.model"],
)  # fmt: skip
def test_no_value_of_an_attribute_is_refused(record: Record, name: str, junk: Any) -> None:
    assert len(record(span(BARE | {name: junk}), span({"pilotage.kind": "loop", name: junk}))) == 3


def test_half_a_surrogate_pair_in_json_within_a_text_is_recorded(record: Record) -> None:
    messages = '[{"role": "user", "parts": [{"type": "text", "content": "x\\ud800y"}]}]'
    check = {"pilotage.kind": "loop", "pilotage.facts": LOOP.replace("exact", "r\\ud800")}
    found = record(span(BARE | {"gen_ai.input.messages": messages}, parent=""), span(check))
    assert found[0].content["question"] == "x?y"
    assert [event.facts["rule"] for event in found if event.kind == "loop"] == ["r?"]
