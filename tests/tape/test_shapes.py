"""Every provider's shape of an answer survives the tape: recorded, served, and the next request is the same.

Providers other than OpenAI need their SDK (`uv sync --extra anthropic`, …); without it their tests are skipped.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from crewai.utilities.agent_utils import build_tool_calls_assistant_message

from pilotage.checks.results import Findings, Verdicts
from pilotage.model import factory
from pilotage.model.door import Door, Stopped, open_door
from pilotage.record.journal import read_events
from pilotage.spec import ModelSpec
from pilotage.tape.keys import normalised
from pilotage.tape.recall import Recall
from pilotage.tape.tape import Tape
from tests.model.bench import Bench, Make
from tests.model.test_providers import needs
from tests.model.wire import Talk, Wire, listen

NUMBER = "0badcafe"
WANTED = [("look", {"item": "bolt", "times": 2}), ("look", {"item": "nüt"}), ("bare", {})]
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {
        "item": {"type": "string"}, "times": {"type": "integer"}}}}}
    for name in ("look", "bare")
]  # fmt: skip
OPENAI, CLAUDE, GEMINI = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"
BEDROCK = "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "not-needed")


def of_openai(number: int) -> dict[str, Any]:
    calls = [
        {"id": f"call_{number}{n}", "type": "function",
         "function": {"name": name, "arguments": json.dumps(given) if given else ""}}
        for n, (name, given) in enumerate(WANTED)
    ]  # fmt: skip
    return {"content": None, "tool_calls": calls}


def of_claude(number: int) -> dict[str, Any]:
    content = [
        {"type": "tool_use", "id": f"toolu_{number}{n}", "name": name, "input": given}
        for n, (name, given) in enumerate(WANTED)
    ]
    return {
        "id": "m", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 2},
    }  # fmt: skip


def of_gemini(_number: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": given}} for name, given in WANTED]
    parts[0]["thoughtSignature"] = "c2lnbmVkIGJ5IGl0"  # it wants it back
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2}}


def of_bedrock(number: int) -> dict[str, Any]:
    content = [
        {"toolUse": {"toolUseId": f"tooluse_{number}{n}", "name": name, "input": given}}
        for n, (name, given) in enumerate(WANTED)
    ]
    return {
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use",
        "usage": {"inputTokens": 9, "outputTokens": 2, "totalTokens": 11}, "metrics": {"latencyMs": 1},
    }  # fmt: skip


BODIES = {CLAUDE: of_claude, GEMINI: of_gemini, BEDROCK: of_bedrock}
ALL = [OPENAI, *(pytest.param(name, marks=needs(name)) for name in BODIES)]


def answer(name: str, number: int) -> Any:
    """Tool calls with other ids each time."""

    def play(talk: Talk) -> None:
        if name == OPENAI:
            talk.answer(of_openai(number), "tool_calls")
        else:
            talk.status(200, BODIES[name](number))

    return play


def opened(table: Bench, wire: Wire, name: str, tape: Tape | None = None) -> Any:
    spec = ModelSpec(base_url=wire.url if name == OPENAI else wire.address)
    recall = Recall(table.journal.redactor, NUMBER, tape=tape)
    llm: Any = factory.build(name, spec, table.meter.limits.call_seconds)
    return open_door(llm, Door("agent", name, table.meter, table.journal, recall=recall))


def turn(llm: Any, messages: list[Any]) -> list[Any]:
    """Ask, and the conversation as CrewAI goes on with it: the calls and their results."""
    message, calls = build_tool_calls_assistant_message(llm.call(messages, tools=TOOLS))
    results = [
        {"role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": "it is there"}
        for call in calls
    ]
    return [*messages, message, *results]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALL)
def test_the_request_behind_a_served_answer_is_the_one_behind_a_real_one(
    bench: Make,
    name: str,
) -> None:
    asked = [{"role": "user", "content": "which items are there?"}]
    tables = [bench(), bench()]
    bodies = []
    tape = None
    for number, table in enumerate(tables):
        with listen(answer(name, number)) as wire:
            llm = opened(table, wire, name, tape)
            told = turn(llm, asked)
            assert len(wire.requests) == 1 - number, "the second answer is served"
            llm.call(told, tools=TOOLS)
            bodies.append(wire.requests[-1])
        events = list(read_events(table.journal.engine, table.journal.run))
        tape = Tape(events[:1])
    recorded = [table.calls() for table in tables]
    assert [event.facts.get("served") for event in recorded[1]] == ["tape", None]
    assert recorded[0][1].facts["key"] == recorded[1][1].facts["key"]
    requests = [json.loads(events[1].content["request"]) for events in recorded]
    assert normalised(requests[0], NUMBER) == normalised(requests[1], NUMBER)
    assert without_ids(bodies[0]) == without_ids(bodies[1])
    assert "bolt" in str(bodies[1])


def without_ids(body: Any) -> Any:
    """A request as it went over the wire, without the ids that the provider gives, and with empty arguments alike."""
    if isinstance(body, dict):
        named = {k: v for k, v in body.items() if k not in ("id", "tool_call_id", "tool_use_id", "toolUseId")}
        return {k: "{}" if (k, v) == ("arguments", "") else without_ids(v) for k, v in named.items()}
    return [without_ids(item) for item in body] if isinstance(body, list) else body


@needs(GEMINI)
@pytest.mark.filterwarnings("ignore")
def test_the_signature_of_a_call_of_gemini_goes_back_to_it(bench: Make) -> None:
    table, asked = bench(), [{"role": "user", "content": "which items are there?"}]
    with listen(answer(GEMINI, 0)) as wire:
        turn(opened(table, wire, GEMINI), asked)
        llm = opened(table, wire, GEMINI, Tape(table.calls()))
        llm.call(turn(llm, asked), tools=TOOLS)
    assert len(wire.requests) == 2
    assert "c2lnbmVkIGJ5IGl0" in json.dumps(wire.requests[-1])


WHOLE = '{"findings": [{"claim": "c", "quote": "q", "source": "s"}]}'


def test_a_typed_answer_comes_back_as_its_type(bench: Make) -> None:
    table, asked = bench(), [{"role": "user", "content": "q"}]
    with listen(lambda talk: talk.answer(WHOLE)) as wire:
        first = opened(table, wire, OPENAI).call(asked, response_model=Findings)
        again = opened(table, wire, OPENAI, Tape(table.calls())).call(asked, response_model=Findings)
    assert first == again == Findings.model_validate_json(WHOLE)
    assert [event.facts["form"] for event in table.calls()] == ["typed", "typed"]
    assert len(wire.requests) == 1


def test_a_fork_that_wants_another_type_asks(bench: Make) -> None:
    table, asked = bench(), [{"role": "user", "content": "q"}]
    with listen(lambda talk: talk.answer(WHOLE)) as wire:
        opened(table, wire, OPENAI).call(asked, response_model=Findings)
        tape = Tape(table.calls(), until=99)
        with pytest.raises(Stopped, match="verdicts"):
            opened(table, wire, OPENAI, tape).call(asked, response_model=Verdicts)
    assert len(wire.requests) > 1


def test_a_fence_that_a_model_repeats_gets_the_number_of_the_new_run(bench: Make) -> None:
    table = bench()
    fenced = f"<<<data {NUMBER} from look>>>\nit is there\n<<<end {NUMBER}>>>"
    asked = [{"role": "user", "content": fenced}]
    with listen(lambda talk: talk.answer(f"It says {fenced}.")) as wire:
        opened(table, wire, OPENAI).call(asked)
        recall = Recall(table.journal.redactor, "12345678", tape=Tape(table.calls()))
        llm: Any = factory.build(OPENAI, ModelSpec(base_url=wire.url), 9)
        again = open_door(llm, Door("agent", OPENAI, table.meter, table.journal, recall=recall))
        said = again.call([{"role": "user", "content": fenced.replace(NUMBER, "12345678")}])
    assert len(wire.requests) == 1
    assert said == f"It says {fenced}.".replace(NUMBER, "12345678")
