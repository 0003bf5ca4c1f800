from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from crewai.hooks import HookAborted
from crewai.utilities.agent_utils import handle_max_iterations_exceeded
from crewai_core.printer import PRINTER
from pydantic import BaseModel

from pilotage.checks.results import Explanation, Finding, Findings, Verdict, Verdicts
from pilotage.guard.fence import fence
from pilotage.model.door import Door, open_door
from tests.model.bench import Bench, Make
from tests.model.llama import NAME, Llama, gguf, schema_of

TEXT = "The deadline stops the run after 300 seconds. Nothing starts after the deadline."
FOUND = Finding(claim="It stops it.", quote="The deadline stops the run after 300 seconds.", source="a.md#1")
OTHER = Finding(claim="None starts.", quote="Nothing starts after the deadline.", source="a.md#1")
SEARCH = {"tool": "search_knowledge", "arguments": {"query": "deadline"}}


def tool(name: str, *arguments: str) -> dict[str, Any]:
    properties = {argument: {"type": "string", "title": argument} for argument in arguments}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": parameters}}


TOOLS = [tool("search_knowledge", "query"), tool("read_source", "source"), tool("read_page", "url")]


def task(kind: type[BaseModel]) -> Any:
    return SimpleNamespace(response_model=kind)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def after_search(*more: dict[str, Any]) -> list[dict[str, Any]]:
    passages = [{"source": "a.md#1", "text": TEXT, "quotes": [[0, 45, 0.9], [46, 80, 0.1]]}]
    result = fence(json.dumps({"passages": passages}), "search_knowledge", "7a")
    return [user("How long?"), call("search_knowledge", query="deadline"),
            {"role": "tool", "tool_call_id": "1", "name": "search_knowledge", "content": result}, *more]  # fmt: skip


def call(name: str, **arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def allows(llama: Llama, written: dict[str, Any], asked: int = -1) -> bool:
    return bool(jsonschema.Draft202012Validator(schema_of(llama.asked[asked])).is_valid(written))


# --- tools


def test_a_call_of_a_tool_comes_back_as_crewai_takes_it() -> None:
    llama = Llama([SEARCH])
    calls = gguf(llama).call([user("How long?")], tools=TOOLS, from_task=task(Findings))
    function = {"name": "search_knowledge", "arguments": '{"query": "deadline"}'}
    assert calls == [{"id": "call_search_knowledge_0", "type": "function", "function": function}]


def test_who_quotes_must_look_first_and_opens_nothing_that_nobody_named() -> None:
    llama = Llama([SEARCH])
    gguf(llama).call([user("How long?")], tools=TOOLS, from_task=task(Findings))
    assert not allows(llama, {"findings": []})
    assert not allows(llama, {"tool": "read_source", "arguments": {"source": "made-up.md"}})
    assert not allows(llama, {"tool": "read_page", "arguments": {"url": "http://made.up"}})
    assert not allows(llama, {"tool": "shell", "arguments": {"query": "rm"}})


def test_a_source_that_was_named_in_words_can_be_opened() -> None:
    llama = Llama([SEARCH])
    gguf(llama).call([user("Open a.md#77aa01bc (the caps).")], tools=TOOLS, from_task=task(Findings))
    assert allows(llama, {"tool": "read_source", "arguments": {"source": "a.md#77aa01bc"}})


def test_a_page_that_was_named_can_be_read() -> None:
    llama = Llama([SEARCH])
    gguf(llama).call([user("What does https://a.example/x say?")], tools=TOOLS, from_task=task(Findings))
    assert allows(llama, {"tool": "read_page", "arguments": {"url": "https://a.example/x"}})


def test_what_was_found_can_be_opened_once_and_quoted_as_it_stands() -> None:
    llama = Llama([{"findings": [FOUND.model_dump()]}] * 2)
    answer = gguf(llama).call(after_search(), tools=TOOLS, from_task=task(Findings))
    assert Findings.model_validate_json(answer).findings == [FOUND]
    opened = {"tool": "read_source", "arguments": {"source": "a.md#1"}}
    assert allows(llama, opened)
    assert not allows(llama, {"findings": [FOUND.model_dump() | {"quote": "The deadline is 300 seconds."}]})
    gguf(llama).call(after_search(call("read_source", source="a.md#1")), tools=TOOLS, from_task=task(Findings))
    assert not allows(llama, opened)


def test_the_same_call_is_not_made_twice() -> None:
    llama = Llama([SEARCH, {"findings": [FOUND.model_dump()]}])
    answer = gguf(llama).call(after_search(), tools=TOOLS, from_task=task(Findings))
    assert Findings.model_validate_json(answer).findings == [FOUND]
    assert not allows(llama, SEARCH)


def test_without_a_type_the_answer_is_the_text() -> None:
    llama = Llama([{"answer": "It is Monday."}, "Plain words."])
    assert gguf(llama).call([user("?")], tools=[tool("today")]) == "It is Monday."
    assert gguf(llama).call([user("?")]) == "Plain words."
    assert "grammar" not in llama.asked[1]


def test_tools_stand_in_the_system_text_as_they_are_called() -> None:
    llama = Llama([SEARCH])
    system = {"role": "system", "content": "You are careful."}
    gguf(llama).call([system, user("?")], tools=TOOLS, from_task=task(Findings))
    text = llama.asked[0]["messages"][0]["content"]
    assert text.startswith("You are careful.")
    assert '- {"tool": "read_source", "arguments": {"source": "…"}}\n  Does read_source.' in text


def test_the_next_request_begins_with_the_one_before() -> None:
    """What llama.cpp has read once is then in its cache."""
    llama = Llama([SEARCH, {"findings": []}])
    llm = gguf(llama)
    llm.call(after_search()[:1], tools=TOOLS, from_task=task(Findings))
    llm.call(after_search(), tools=TOOLS, from_task=task(Findings))
    first, second = (asked["messages"] for asked in llama.asked)
    assert second[: len(first)] == first
    assert second[len(first)]["content"] == json.dumps(SEARCH)


# --- results of which parts are put in


def test_a_verdict_is_asked_for_each_finding_and_its_parts_are_copied() -> None:
    said = [{"reason": "it says so", "verdict": "supported"}, {"reason": "no word of it", "verdict": "unsure"}]
    llama = Llama([{"verdicts": said}])
    given = Findings(findings=[FOUND, OTHER]).model_dump_json()
    answer = gguf(llama).call([user(given)], from_task=task(Verdicts), response_model=Verdicts)
    assert answer.verdicts == [
        Verdict(**FOUND.model_dump(), reason="it says so", verdict="supported"),
        Verdict(**OTHER.model_dump(), reason="no word of it", verdict="unsure"),
    ]
    assert not allows(llama, {"verdicts": said[:1]})


def test_a_verifier_with_tools_opens_a_source_first() -> None:
    opened = {"tool": "read_source", "arguments": {"source": "a.md#1"}}
    llama = Llama([opened])
    given = Findings(findings=[FOUND]).model_dump_json()
    calls = gguf(llama).call([user(given)], tools=[tool("read_source", "source")], from_task=task(Verdicts))
    assert calls[0]["function"]["name"] == "read_source"
    assert not allows(llama, {"verdicts": [{"reason": "blind", "verdict": "supported"}]})


def test_an_explanation_names_verdicts_and_gets_their_citations() -> None:
    judged = [Verdict(**f.model_dump(), verdict="supported", reason="") for f in (FOUND, OTHER)]
    llama = Llama([{"statements": [{"text": "Nothing starts late.", "cites": [2, 2]}]}])
    given = Verdicts(verdicts=judged).model_dump_json()
    answer = gguf(llama).call([user(given)], from_task=task(Explanation), response_model=Explanation)
    assert [(s.text, s.cites) for s in answer.statements] == [("Nothing starts late.", [2])]
    assert [(c.n, c.source, c.quote) for c in answer.citations] == [(2, OTHER.source, OTHER.quote)]
    assert not allows(llama, {"statements": [{"text": "Nothing starts late.", "cites": [3]}]})
    assert not allows(llama, {"statements": [{"text": "Nothing starts late.", "cites": []}]})


def test_the_forced_final_call_of_crewai_keeps_the_type() -> None:
    """It comes without task and tools."""
    llama = Llama([SEARCH, {"findings": [FOUND.model_dump()]}, "An aside."])
    llm = gguf(llama)
    llm.call([user("How long?")], tools=TOOLS, from_task=task(Findings))

    def give_up(llm: Any) -> Any:
        messages: Any = after_search()
        return handle_max_iterations_exceeded(PRINTER, messages, llm, [], verbose=False)

    assert Findings.model_validate_json(give_up(llm).output).findings == [FOUND]
    assert llm.call([user("Another thing.")]) == "An aside."


# --- the text mode


def test_in_the_text_mode_the_prompt_stays_and_the_stop_words_hold(bench: Make) -> None:
    llama, made = Llama(["Thought: look\nAction: today\nAction Input: {}"]), bench()
    llm: Any = open_door(gguf(llama), Door("agent", NAME, made.meter, made.journal, text_tools=True))
    llm.stop = ["\nObservation:"]
    prompt = [user("Use: Action: x\nAction Input: {}\nObservation: ...")]
    assert llm.call(prompt, from_task=task(Findings)).startswith("Thought: look")
    assert llama.asked[0]["stop"] == ["\nObservation:"]
    assert "grammar" not in llama.asked[0]
    assert llama.asked[0]["messages"] == prompt


def test_a_document_about_the_text_mode_does_not_switch_it_on() -> None:
    llama = Llama([{"findings": []}])
    gguf(llama).call([user("It says: Action Input: {}")], from_task=task(Findings))
    assert "grammar" in llama.asked[0]


# --- behind the door


def behind(bench: Bench, llama: Llama) -> Any:
    return open_door(gguf(llama), Door("agent", NAME, bench.meter, bench.journal))


def test_the_journal_has_the_tokens_that_llama_counts(bench: Make) -> None:
    made = bench()
    assert behind(made, Llama(["Hello."])).call([user("hi")]) == "Hello."
    (event,) = made.calls()
    assert (event.facts["prompt_tokens"], event.facts["completion_tokens"]) == (100, 7)
    assert event.facts["cached_tokens"] == 60
    assert "estimated" not in event.facts


def test_a_call_made_again_within_one_counts_twice(bench: Make) -> None:
    made = bench()
    llm = behind(made, Llama([SEARCH, {"findings": [FOUND.model_dump()]}]))
    llm.call(after_search(), tools=TOOLS, from_task=task(Findings))
    (event,) = made.calls()
    assert (event.facts["prompt_tokens"], event.facts["completion_tokens"]) == (200, 14)


def test_a_call_past_its_time_is_stopped_and_counts_what_was_read(bench: Make) -> None:
    made = bench(call_seconds=0.2, retries=0)
    llama = Llama(["x" * 400], between=lambda _number: time.sleep(0.05), progress=90)
    with pytest.raises(HookAborted, match=r"limits\.call_seconds"):
        behind(made, llama).call([user("hi")])
    (event,) = made.calls()
    assert event.facts["prompt_tokens"] == 90
    assert 0 < event.facts["completion_tokens"] < 10
    give_up = time.monotonic() + 5
    while not llama.stopped and time.monotonic() < give_up:
        time.sleep(0.01)
    assert llama.stopped == 1


def test_a_request_that_is_too_long_names_the_key_and_is_not_made_again(bench: Make) -> None:
    made, llama = bench(), Llama(["exceed_context_size_error"] * 3)
    with pytest.raises(HookAborted):
        behind(made, llama).call([user("hi")])
    assert len(llama.asked) == 1
    assert made.meter.ended is not None
    assert "longer than the model can read" in made.meter.ended.reason
    assert "local.context" in made.meter.ended.reason


@pytest.mark.parametrize("said", ["Sure! Here", "[]", json.dumps({"findings": [OTHER.model_dump() | {"quote": "No"}]})])
def test_an_answer_that_is_not_of_its_schema_is_asked_for_again(bench: Make, said: str) -> None:
    made, llama = bench(), Llama([said, {"findings": [FOUND.model_dump()]}])
    answer = behind(made, llama).call(after_search(), tools=TOOLS, from_task=task(Findings))
    assert Findings.model_validate_json(answer).findings == [FOUND]
    assert [event.facts.get("failed") for event in made.calls()] == [True, None]
