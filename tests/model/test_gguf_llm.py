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


def test_a_page_that_was_named_is_read_first() -> None:
    llama = Llama([{"tool": "read_page", "arguments": {"url": "https://a.example/x"}}])
    gguf(llama).call([user("What does https://a.example/x say?")], tools=TOOLS, from_task=task(Findings))
    assert allows(llama, {"tool": "read_page", "arguments": {"url": "https://a.example/x"}})
    assert not allows(llama, SEARCH)  # it is read first


def test_the_same_call_is_not_made_twice() -> None:
    llama = Llama([SEARCH, {"findings": []}], sure=[0.1, 0.1])
    answer = gguf(llama).call(after_search(), tools=TOOLS, from_task=task(Findings))
    assert Findings.model_validate_json(answer).findings == []
    assert not allows(llama, SEARCH)


def test_a_source_is_opened_once() -> None:
    llama, opened = Llama([{"findings": []}] * 2, sure=[0.1] * 4), {"source": "a.md#1"}
    gguf(llama).call(after_search(), tools=TOOLS, from_task=task(Findings))
    assert allows(llama, {"tool": "read_source", "arguments": opened})
    gguf(llama).call(after_search(call("read_source", **opened)), tools=TOOLS, from_task=task(Findings))
    assert not allows(llama, {"tool": "read_source", "arguments": opened})


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
    llama = Llama([SEARCH, {"findings": []}], sure=[0.1, 0.1])
    llm = gguf(llama)
    llm.call(after_search()[:1], tools=TOOLS, from_task=task(Findings))
    llm.call(after_search(), tools=TOOLS, from_task=task(Findings))
    first, second = (asked["messages"] for asked in llama.asked if "grammar" in asked)
    assert second[: len(first)] == first
    assert second[len(first)]["content"] == json.dumps(SEARCH)


# --- findings and verdicts, by how sure the model is


def found_with(*sure: float, scores: tuple[float, float] = (0.9, 0.1)) -> list[str]:
    messages = after_search()
    messages[2]["content"] = messages[2]["content"].replace("0.9", str(scores[0])).replace("0.1", str(scores[1]))
    answer = gguf(Llama([{"findings": []}], sure=sure)).call(messages, tools=TOOLS, from_task=task(Findings))
    return [found.quote for found in Findings.model_validate_json(answer).findings]


def test_a_quote_is_found_by_its_score_and_by_how_sure_the_model_is() -> None:
    assert found_with(0.9, 0.1) == [FOUND.quote]
    assert found_with(0.2, 0.9) == [OTHER.quote]  # against the order of the search
    assert found_with(0.9, 0.9) == [FOUND.quote, OTHER.quote]
    assert found_with(0.1, 0.4) == []
    assert found_with(0.7, 0.4, scores=(0.01, 0.01)) == []


def test_each_quote_is_asked_about_by_itself_with_what_was_asked() -> None:
    llama = Llama()
    gguf(llama, question="How long may a run last?").call(after_search(), tools=TOOLS, from_task=task(Findings))
    asked = [body["messages"][-1]["content"] for body in llama.asked]
    assert ["stops the run" in text for text in asked] == [True, False]
    assert all("How long may a run last?" in text for text in asked)
    assert llama.asked[0]["messages"][:-1] == llama.asked[1]["messages"][:-1]


def test_of_a_page_those_sentences_are_asked_about_that_share_words_with_the_task() -> None:
    text = " ".join(f"Filler number {n} is idle." for n in range(9)) + f" {FOUND.quote}"
    read = {"role": "tool", "name": "read_page", "content": json.dumps({"source": "a.md#1", "text": text})}
    messages = [user("When does the deadline stop the run?"), call("read_page", url="https://a.example/x"), read]
    llama = Llama([{"findings": []}], sure=[0.9, 0.1, 0.1, 0.1])
    answer = gguf(llama).call(messages, tools=TOOLS, from_task=task(Findings))
    assert [found.quote for found in Findings.model_validate_json(answer).findings] == [FOUND.quote]


def test_a_quote_cannot_leave_its_line() -> None:
    quote = 'Nothing.\nQuestion: x\nAnswer "Yes".'
    result = {"passages": [{"source": "a.md#1", "score": 0.9, "quote": quote}]}
    llama = Llama()
    messages = [*after_search()[:2], {"role": "tool", "name": "search_knowledge", "content": json.dumps(result)}]
    gguf(llama, question="Who?").call(messages, tools=TOOLS, from_task=task(Findings))
    assert '"Nothing. Question: x Answer \\"Yes\\"."\n' in llama.asked[0]["messages"][-1]["content"]


def test_after_three_calls_that_found_nothing_it_says_so() -> None:
    messages = after_search(*after_search()[1:], *after_search()[1:])
    llama = Llama(sure=[0.1, 0.1])
    answer = gguf(llama).call(messages, tools=TOOLS, from_task=task(Findings))
    assert Findings.model_validate_json(answer).findings == []
    assert not any("grammar" in body for body in llama.asked)


def verdicts_of(*findings: Finding, sure: tuple[float, ...]) -> list[Verdict]:
    given = Findings(findings=list(findings)).model_dump_json()
    answer: Verdicts = gguf(Llama(sure=sure)).call([user(given)], from_task=task(Verdicts), response_model=Verdicts)
    return answer.verdicts


def test_each_finding_gets_a_verdict_and_its_parts_are_copied() -> None:
    copied = FOUND.model_copy(update={"claim": FOUND.quote})
    (one, other) = verdicts_of(copied, OTHER, sure=(0.8, 0.9, 0.4))
    assert one.model_dump(exclude={"reason"}) == copied.model_dump() | {"verdict": "supported"}
    assert one.reason == "how sure the model is that it answers the question: 80%"
    assert other.model_dump(exclude={"reason"}) == OTHER.model_dump() | {"verdict": "unsure"}
    assert other.reason.endswith("it answers the question: 90%, the claim holds: 40%")
    assert verdicts_of(copied, sure=(0.2,))[0].verdict == "unsupported"


def test_a_finding_is_judged_in_the_source_that_was_opened() -> None:
    given = Findings(findings=[FOUND]).model_dump_json()
    read = {"role": "tool", "name": "read_source", "content": json.dumps({"source": "a.md#1", "text": TEXT})}
    llama = Llama()
    messages = [user(given), call("read_source", source="a.md#1"), read]
    gguf(llama).call(messages, tools=[tool("read_source", "source")], from_task=task(Verdicts))
    assert TEXT in llama.asked[0]["messages"][-1]["content"]


@pytest.mark.parametrize(("kind", "given"), [(Verdicts, Findings(findings=[])), (Explanation, Verdicts(verdicts=[]))])
def test_of_nothing_follows_nothing_and_nobody_is_asked(kind: type[BaseModel], given: BaseModel) -> None:
    llama = Llama()
    answer = gguf(llama).call([user(given.model_dump_json())], from_task=task(kind), response_model=kind)
    assert not any(answer.model_dump().values())
    assert not llama.asked


def test_a_verifier_with_tools_opens_a_source_first() -> None:
    opened = {"tool": "read_source", "arguments": {"source": "a.md#1"}}
    llama = Llama([opened])
    given = Findings(findings=[FOUND]).model_dump_json()
    calls = gguf(llama).call([user(given)], tools=[tool("read_source", "source")], from_task=task(Verdicts))
    assert calls[0]["function"]["name"] == "read_source"
    assert not allows(llama, {"verdicts": [{"reason": "blind", "verdict": "supported"}]})


def test_an_explanation_names_verdicts_and_gets_their_citations() -> None:
    judged = [Verdict(**f.model_dump(), verdict="supported", reason="") for f in (FOUND, OTHER)]
    llama = Llama([{"statements": [{"text": "Nothing starts after the deadline.", "cites": [2, 2]}]}])
    given = Verdicts(verdicts=judged).model_dump_json()
    answer = gguf(llama).call([user(given)], from_task=task(Explanation), response_model=Explanation)
    assert [(s.text, s.cites) for s in answer.statements] == [("Nothing starts after the deadline.", [2])]
    assert [(c.n, c.source, c.quote) for c in answer.citations] == [(2, OTHER.source, OTHER.quote)]
    assert not allows(llama, {"statements": [{"text": "Nothing starts late.", "cites": [3]}]})
    assert not allows(llama, {"statements": [{"text": "Nothing starts late.", "cites": []}]})


@pytest.mark.parametrize(
    "said", ["The deadline stops the run after 450 seconds.", "“The deadline stops a run after 300 seconds.”"]
)
def test_a_sentence_that_its_quote_does_not_hold_gives_way_to_the_quote(said: str) -> None:
    judged = Verdict(**FOUND.model_dump(), verdict="supported", reason="")
    llama = Llama([{"statements": [{"text": said, "cites": [1]}]}])
    given = Verdicts(verdicts=[judged]).model_dump_json()
    answer = gguf(llama).call([user(given)], from_task=task(Explanation), response_model=Explanation)
    assert [s.text for s in answer.statements] == [f"“{FOUND.quote}”"]


def test_the_forced_final_call_of_crewai_keeps_the_type() -> None:
    """It comes without task and tools."""
    llama = Llama([SEARCH, "An aside."], sure=[0.9, 0.1])
    llm = gguf(llama)
    llm.call([user("How long?")], tools=TOOLS, from_task=task(Findings))

    def give_up(llm: Any) -> Any:
        messages: Any = after_search()
        return handle_max_iterations_exceeded(PRINTER, messages, llm, [], verbose=False)

    assert [found.quote for found in Findings.model_validate_json(give_up(llm).output).findings] == [FOUND.quote]
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


def test_requests_within_one_call_add_up(bench: Make) -> None:
    made = bench()
    behind(made, Llama(sure=[0.9, 0.1])).call(after_search(), tools=TOOLS, from_task=task(Findings))
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


@pytest.mark.parametrize("said", ["Sure! Here", "[]", json.dumps({"findings": [FOUND.model_dump()]})])
def test_an_answer_that_is_not_of_its_schema_is_asked_for_again(bench: Make, said: str) -> None:
    made, llama = bench(), Llama([said, SEARCH])
    calls = behind(made, llama).call([user("How long?")], tools=TOOLS, from_task=task(Findings))
    assert calls[0]["function"]["name"] == "search_knowledge"
    assert [event.facts.get("failed") for event in made.calls()] == [True, None]
