"""A whole run of the crew, with the reader and with scripted models."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from pilotage.checks.results import Explanation, Statement
from pilotage.record.audit import audit
from pilotage.record.journal import read_events
from pilotage.record.store import open_store
from pilotage.run import Runner, run_crew
from pilotage.settings import Settings
from tests.support.project import events_of
from tests.support.scripted import Turn, calls, good

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"


def said(text: str, like: Explanation) -> Explanation:
    """The same citations under other words."""
    return Explanation(statements=[Statement(text=text, cites=[1])], citations=like.citations)


def test_the_reader_answers_with_a_quote(load: Load) -> None:
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "accepted", result.reason
    assert any("27 requests" in c["quote"] for c in result.citations)
    assert result.exit_code == 0
    assert result.folder is not None
    assert json.loads((result.folder / "result.json").read_text("utf-8")) == json.loads(json.dumps(result.as_json()))


def test_the_reader_says_when_the_documents_do_not_answer(load: Load) -> None:
    result = run_crew("Who won the chess championship of 1972?", settings=load())
    assert result.outcome == "unanswered", result.citations
    assert not result.citations


def test_a_good_model_is_accepted(load: Load, scripted: Any) -> None:
    model = scripted(good)
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert len(model.turns) == 5
    assert result.tokens == 600
    assert result.answer == "One fault can become 27 requests when three owners retry [1]."


def test_every_sentence_leads_to_a_decision(load: Load, scripted: Any) -> None:
    scripted(good)
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert result.folder is not None
    answer = (result.folder / "answer.md").read_text("utf-8")
    said = [
        e for e in read_events(open_store(settings.store, create=False), result.run) if e.facts.get("what") == "said"
    ]
    assert len(said) == 1
    assert f"event {said[0].seq}:" in answer
    assert "27 requests" in str(said[0].content["because"])


def test_a_wrong_number_goes_back_once_and_is_corrected(load: Load, scripted: Any) -> None:
    def play(turn: Turn) -> Any:
        answer = good(turn)
        if isinstance(answer, Explanation) and turn.number == 5:
            return said("One fault can become 28 requests.", answer)
        return answer

    model = scripted(play)
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "accepted", result.reason
    assert len(model.turns) == 6
    feedback = str(model.turns[5].messages)
    assert "the number 28 does not stand in what it cites" in feedback
    assert "one fault makes 27 requests" in feedback


def test_a_wrong_number_twice_is_rejected_and_named(load: Load, scripted: Any) -> None:
    def play(turn: Turn) -> Any:
        answer = good(turn)
        if isinstance(answer, Explanation):
            return said("One fault can become 28 requests.", answer)
        return answer

    scripted(play)
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "rejected"
    assert result.exit_code == 1
    assert result.unsupported == [
        {"sentence": "One fault can become 28 requests.", "reason": "the number 28 does not stand in what it cites"}
    ]
    assert result.answer is None


def test_the_max_iter_of_an_agent_stops_the_run(load: Load, scripted: Any) -> None:
    model = scripted(lambda turn: calls(("search_knowledge", {"query": f"retries {turn.number}"})))
    result = run_crew(QUESTION, settings=load(agents__researcher__max_iter=3))
    assert result.outcome == "limited", result.reason
    assert result.exit_code == 3
    assert "agents.researcher.max_iter" in result.reason
    assert len(model.turns) == 3


def test_a_bare_thought_is_limited_never_an_answer(load: Load, scripted: Any) -> None:
    scripted(lambda _turn: "Thought: I need to search\nAction: search_knowledge")
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "limited", result.reason


def test_the_chain_of_every_run_verifies(load: Load, scripted: Any) -> None:
    scripted(good)
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    report = audit(open_store(settings.store, create=False), result.run, result.seal)
    assert report.ok, report


KOREAN = """# 재시도

재시도의 주인은 하나여야 한다. 주인이 셋이고 저마다 세 번 시도하면 요청은 스물일곱 번이 된다.

마감 시간은 실행을 300초 뒤에 멈춘다. 그 뒤에는 아무 호출도 시작되지 않는다.
"""


def test_a_korean_question_is_answered_from_a_korean_document(load: Load) -> None:
    settings = load()
    (settings.knowledge / "retries.md").write_text(KOREAN, "utf-8")
    result = run_crew("실행은 몇 초 뒤에 멈추는가?", settings=settings)
    assert result.outcome == "accepted", result.reason
    assert any("300초" in c["quote"] for c in result.citations)
    searches = [e for e in read_events(open_store(settings.store, create=False), result.run) if e.kind == "tool_call"]
    assert "vectors know English only" in str(searches[0].content["result"])


def test_every_tool_and_check_fires_inside_a_run(load: Load, scripted: Any) -> None:
    scripted(good)
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    events = list(read_events(open_store(settings.store, create=False), result.run))
    assert {e.facts["tool"] for e in events if e.kind == "tool_call"} == {"search_knowledge", "read_source"}
    assert {e.facts["check"] for e in events if e.kind == "check"} == {
        "findings", "verdicts", "citations", "grounding", "answer",
    }  # fmt: skip
    assert [e.facts["task"] for e in events if e.kind == "task_started"] == ["research", "verify", "explain"]


def test_a_hung_tool_delays_neither_the_outcome_nor_the_journal(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(good)
    monkeypatch.setattr("pilotage.evidence.knowledge.Knowledge.search", lambda *_, **__: time.sleep(8))
    settings = load(limits__seconds=1)
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "limited"
    assert result.seconds < 4, "1 s, and what a busy machine adds, against 8 s of hanging"
    assert audit(open_store(settings.store, create=False), result.run, result.seal).ok


def test_the_same_call_again_and_again_is_a_loop_and_limited(load: Load, scripted: Any) -> None:
    model = scripted(lambda _turn: calls(("search_knowledge", {"query": "retries"})))
    result = run_crew(QUESTION, settings=load(agents__researcher__max_iter=50))
    assert result.outcome == "limited"
    assert result.reason.endswith("loops.stop)")
    assert len(model.turns) == 5


def test_without_loop_detection_the_caps_stop_it_and_not_crewais_own_count(load: Load, scripted: Any) -> None:
    model = scripted(lambda _turn: calls(("search_knowledge", {"query": "retries"})))
    result = run_crew(QUESTION, settings=load(agents__researcher__max_iter=9, loops__enabled="false"))
    assert result.outcome == "limited"
    assert "(agents.researcher.max_iter)" in result.reason
    assert len(model.turns) == 9


def test_caps_of_an_agent_and_of_a_task_stop_a_run(load: Load, scripted: Any) -> None:
    scripted(good)
    for overrides, key in (
        ({"agents__verifier__limits": "{model_calls: 1}"}, "agents.verifier.limits.model_calls"),
        ({"tasks__verify__limits": "{tokens: 120}"}, "tasks.verify.limits.tokens"),
    ):
        result = run_crew(QUESTION, settings=load(**overrides))
        assert result.outcome == "limited"
        assert f"({key})" in result.reason


def test_the_seconds_of_a_tool_are_the_smallest_of_the_caps(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(good)
    monkeypatch.setattr("pilotage.evidence.knowledge.Knowledge.search", lambda *_, **__: time.sleep(1))
    settings = load(limits__tool_seconds=9, agents__researcher__limits="{tool_seconds: 0.1}")
    run_crew(QUESTION, settings=settings)
    call = next(e for e in events_of(settings) if e.kind == "tool_call")
    assert "no answer within 0.1 s (agents.researcher.limits.tool_seconds)" in str(call.content["result"])


def test_a_nudge_reaches_the_agent_with_each_further_call_until_its_task_ends(load: Load, scripted: Any) -> None:
    def play(turn: Turn) -> Any:
        if turn.task == "research" and len(turn.results) < 3:
            return calls(("search_knowledge", {"query": "who owns retries, nested retries multiply"}))
        if turn.task == "research" and len(turn.results) == 3:
            return calls(("search_knowledge", {"query": "deadlines"}))
        return good(turn)

    model, settings = scripted(play), load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    heard = [str(turn.messages[-1]["content"]) for turn in model.turns]
    nudged = [number for number, last in enumerate(heard) if last.startswith("You have called search_knowledge")]
    assert nudged == [3, 4]
    assert "read_source" in heard[3]
    results = [m["content"] for m in model.turns[3].messages if m["role"] == "tool"]
    assert len(results) == 3
    assert len(set(results)) == 1  # what a tool returned stays as it is
    requests = [e.content["request"] for e in events_of(settings) if e.kind == "model_call"]
    assert ["You have called search_knowledge" in str(text) for text in requests].count(True) == 2


def test_a_strict_budget_that_cannot_bind_is_said_before_the_run(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    for name, warned in (("openai/odd", True), ("openai/gpt-4o-mini", False)):
        runner = Runner(load(model__name=name, limits__strict_budget="true"))
        runner.close()
        said = "limits.usd cannot bind openai/odd, which nobody prices; limits.tokens does"
        assert (said in runner.warnings) == warned
