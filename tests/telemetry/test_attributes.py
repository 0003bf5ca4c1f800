"""What spans say: names as AgentOps and OpenTelemetry have them, messages of every form, texts cut and clean."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import Any

import pytest

from pilotage.record.journal import Event
from pilotage.record.tree import Tree
from pilotage.telemetry.attributes import Attributes, Describer, note, provider_of
from pilotage.telemetry.messages import MESSAGES, of_request, of_response
from pilotage.telemetry.text import LONGEST, NOTE, clean

RUN = "20261123-084501-3f9a2c"
SETTINGS = {
    "agents": {"a": {"role": "Writer ", "goal": "g", "backstory": "b", "tools": ["t1"], "llm": None}},
    "tasks": {"t": {"description": "Do {question}", "expected_output": "x", "agent": "a"}},
}


def events(*steps: tuple[str, dict[str, Any], dict[str, Any]]) -> list[Event]:
    """A run with these steps (kind, facts, content) in the task t of the agent a."""
    began: tuple[str, dict[str, Any], dict[str, Any]]
    began = ("run_started", {"model": "openai/gpt-4o", "crew": "c:c", "tags": ["own"]}, {
        "question": "why?", "settings": json.dumps(SETTINGS),
    })  # fmt: skip
    task = ("task_started", {"task": "t", "agent": "a"}, {"context": "what was found"})
    ended = ("task_ended", {"task": "t", "agent": "a"}, {"output": "so"})
    over = ("run_ended", {"outcome": "accepted"}, {"reason": "fine", "answer": "so", "citations": "[]"})
    every = [began, task, *steps, ended, over]
    return [
        Event(RUN, seq, 1000.0 + seq, kind, facts, content, hash=f"hash{seq}")
        for seq, (kind, facts, content) in enumerate(every, 1)
    ]


def described(*steps: tuple[str, dict[str, Any], dict[str, Any]]) -> dict[str, Attributes]:
    """The attributes of the last span of each kind."""
    tree, describer, said = Tree(), Describer(RUN, ["nightly"]), dict[str, Attributes]()
    for event in events(*steps):
        if event.kind == "run_started":
            describer.learn(event)
        change = tree.add(event)
        for span in change.opened:
            said[span.kind] = describer.at_start(span)
        for span in change.closed:
            said[span.kind] |= describer.at_end(span)
    return said


def call(usd: Any = 0.5, **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    facts = {
        "agent": "a",
        "task": "t",
        "model": "openai/gpt-4o",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "usd": usd,
    }
    content = {"request": json.dumps({"messages": [{"role": "user", "content": "hi"}]}), "answer": "ho"}
    return "model_call", facts | {"seconds": 0.5, "attempt": 1} | more, content


def test_a_session_carries_its_tags_and_its_end() -> None:
    said = described()["session"]
    digest = hashlib.sha256(b"why?").hexdigest()[:12]
    assert said["agentops.tags"] == ["nightly", "own", "crew:c:c", f"question:{digest}", "outcome:accepted"]
    assert (said["pilotage.seal"], said["gen_ai.conversation.id"]) == ("hash4", RUN)
    assert (said["agentops.entity.input"], said["agentops.entity.output"]) == ("why?", "so")
    assert (said["pilotage.model"], said["pilotage.usd"]) == ("openai/gpt-4o", "unpriced")


def test_tasks_and_agents_say_what_they_were_asked() -> None:
    said = described()
    assert said["task"]["crewai.task.description"] == "Do why?"
    assert said["task"]["agentops.entity.input"] == "what was found"
    assert said["task"]["agentops.entity.output"] == said["agent"]["agentops.entity.output"] == "so"
    assert said["agent"]["agent.role"] == "Writer"
    assert said["agent"]["agent.tools"] == ["t1"]
    assert "agent.models" not in said["agent"], "None is left out"


def test_tokens_and_cost_stand_on_the_call_alone() -> None:
    said = described(call(cached_tokens=3))
    assert said["llm"]["gen_ai.usage.total_tokens"] == 12
    assert said["llm"]["gen_ai.usage.total_cost"] == 0.5
    assert said["llm"]["gen_ai.usage.cache_read.input_tokens"] == 3
    for kind in ("session", "workflow", "task", "agent"):
        assert not [name for name in said[kind] if name.startswith("gen_ai.usage")]


def test_an_unknown_price_is_no_cost() -> None:
    said = described(call("unpriced"))["llm"]
    assert said["pilotage.price"] == "unknown"
    assert "gen_ai.usage.total_cost" not in said


def test_a_free_call_costs_nothing() -> None:
    assert described(call(0.0))["llm"]["gen_ai.usage.total_cost"] == 0.0


@pytest.mark.parametrize(
    ("facts", "content", "kind"),
    [
        ({"failed": True}, {"error": "ValueError: no such day\n  at line 3"}, "ValueError"),
        ({"failed": True, "denied": "policy.tools"}, {"result": "t was denied"}, "denied"),
        ({"failed": True}, {"result": "t failed: it is broken"}, "tool_failed"),
    ],
)
def test_a_failed_tool_has_a_type_of_error(facts: dict[str, Any], content: dict[str, Any], kind: str) -> None:
    said = described(("tool_call", {"agent": "a", "task": "t", "tool": "t1", **facts}, content))["tool"]
    assert said["error.type"] == kind
    assert said["tool.status"] == "failed"


def test_a_loop_says_where_it_went_in_circles() -> None:
    facts = {"rule": "exact", "level": "stop", "agent": "a", "first_step": 3, "last_step": 9, "times": 5}
    said = described(("loop", facts, {"evidence": "the same call"}))["loop"]
    assert (said["loop.kind"], said["loop.level"], said["loop.steps"]) == ("exact", "stop", "3..9")
    assert (said["loop.times"], said["loop.evidence"], said["error.type"]) == (5, "the same call", "exact")
    assert json.loads(said["pilotage.facts"]) == facts


def test_content_that_was_erased_is_left_out() -> None:
    kind, facts, _ = call()
    said = described((kind, facts, {"request": None, "answer": None}))["llm"]
    assert said["gen_ai.usage.prompt_tokens"] == 7
    assert not [name for name in said if name.startswith(("gen_ai.prompt", "gen_ai.completion"))]


def test_long_texts_are_cut_and_json_stays_json() -> None:
    messages = [{"role": "user", "content": "x" * (2 * LONGEST)}]
    content = {"request": json.dumps({"messages": messages}), "answer": "y" * (2 * LONGEST)}
    kind, facts, _ = call()
    said = described((kind, facts, content))["llm"]
    assert said["gen_ai.prompt.0.content"] == "x" * LONGEST + "… (32,000 characters)"
    assert len(json.loads(said["gen_ai.input.messages"])[0]["parts"][0]["content"]) < LONGEST + 30
    assert len(said["gen_ai.completion.0.content"]) < LONGEST + 30
    assert len(note(Event(RUN, 1, 0.0, "check", {}, {"faults": "z" * LONGEST}))["pilotage.faults"]) < NOTE + 30


def test_a_long_conversation_is_cut_in_its_middle() -> None:
    said = of_request({"messages": [{"role": "user", "content": str(n)} for n in range(500)]})
    assert said["pilotage.messages"] == 500
    kept = [said[f"gen_ai.prompt.{i}.content"] for i in range(MESSAGES)]
    assert kept[:10] == [str(n) for n in range(10)]
    assert kept[10:] == [str(n) for n in range(410, 500)]
    assert f"gen_ai.prompt.{MESSAGES}.role" not in said


def test_halves_of_surrogate_pairs_do_not_stop_a_batch() -> None:
    kind, facts, _ = call()
    content = {"request": json.dumps({"messages": [{"role": "user", "content": "caf\ud800e"}]}), "answer": "\udfff"}
    for value in described((kind, facts, content))["llm"].values():
        json.dumps(value, ensure_ascii=False).encode()
    assert clean("caf\ud800e") == "caf?e"


@pytest.mark.parametrize(
    ("packed", "name", "arguments"),
    [
        ('[{"id": "c1", "type": "function", "function": {"name": "t", "arguments": "{\\"a\\": 1}"}}]', "t", '{"a": 1}'),
        ('[{"id": "c1", "name": "t", "input": {"a": 1}}]', "t", '{"a": 1}'),
        ('[{"name": "t", "args": {}}]', "t", "{}"),
    ],
)
def test_calls_of_every_provider_are_calls(packed: str, name: str, arguments: str) -> None:
    said = of_response(packed)
    assert said["gen_ai.completion.0.tool_calls.0.name"] == name
    assert said["gen_ai.completion.0.tool_calls.0.arguments"] == arguments
    assert said["gen_ai.completion.0.finish_reason"] == "tool_calls"
    (message,) = json.loads(said["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "tool_call", "id": said["gen_ai.completion.0.tool_calls.0.id"], "name": name,
                                 "arguments": arguments}]  # fmt: skip


@pytest.mark.parametrize("words", ["[1, 2]", "[not json", '[{"a": 1}]', "[]", "plain"])
def test_words_in_brackets_are_words(words: str) -> None:
    said = of_response(words)
    assert said["gen_ai.completion.0.content"] == words
    assert said["gen_ai.completion.0.finish_reason"] == "stop"


def test_messages_of_odd_forms_are_read() -> None:
    call = {"id": "c1", "function": {"name": "t", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        "just words",
    ]
    said = of_request({"messages": messages, "tools": [{"function": {"name": "t", "description": "d"}}]})
    contents = [said[f"gen_ai.prompt.{i}.content"] for i in range(4)]
    assert contents == ["look\n[image_url]", '[{"name": "t", "arguments": "{}"}]', "done", "just words"]
    parts = [message["parts"] for message in json.loads(said["gen_ai.input.messages"])]
    assert parts[2] == [{"type": "tool_call_response", "id": "c1", "response": "done"}]
    assert said["gen_ai.request.tools.0.name"] == "t"


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("openai/gpt-4o", "openai"), ("gpt-4o", "openai"), ("claude-haiku-4-5", "anthropic"), ("reader", "pilotage"),
        ("gemini/gemini-2.5-flash", "gcp.gemini"), ("bedrock/x", "aws.bedrock"), ("ollama/llama3.2", "ollama"),
    ],
)  # fmt: skip
def test_providers_are_called_as_opentelemetry_calls_them(model: str, provider: str) -> None:
    assert provider_of(model)[0] == provider


def test_the_names_are_those_of_the_sdk_and_of_opentelemetry() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from agentops import semconv
        from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes

        modules = (error_attributes, gen_ai_attributes)
        known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
        classes = (
            semconv.SpanAttributes, semconv.AgentAttributes, semconv.ToolAttributes, semconv.WorkflowAttributes,
            semconv.CoreAttributes, semconv.MessageAttributes,
        )  # fmt: skip
        known |= {value for one in classes for value in vars(one).values() if isinstance(value, str)}
    tool = ("tool_call", {"agent": "a", "task": "t", "tool": "t1", "failed": True}, {"arguments": "{}", "result": "no"})
    said = described(call(cached_tokens=1), tool)
    own = ("pilotage.", "crewai.", "loop.")  # crewai.*: names of the SDK's instrumentation of CrewAI
    used = {name for attributes in said.values() for name in attributes if not name.startswith(own)}
    numbered = {"gen_ai.prompt.0.", "gen_ai.completion.0.", "gen_ai.request.tools.0."}
    unknown = {name for name in used if name not in known and not name.startswith(tuple(numbered))}
    assert unknown == set()
    assert {one.value for one in semconv.AgentOpsSpanKindValues} >= {a["agentops.span.kind"] for a in said.values()}
