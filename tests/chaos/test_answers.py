"""Answers that arrive whole and are wrong: they go back with what is wrong, or the run ends without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.scenario import Scenario
from tests.support.chaos import Play
from tests.support.plays import FABRICATED, during, good, huge, say, then, use, use_raw

WRONG_TYPE = say('{"verdicts": [{"claim": "x", "verdict": "supported"}]}')
NO_OBJECT = say('["findings", 1, 2]')
NULL = say("null")
PROSE = say("I found that one fault makes 27 requests, which answers the question.")
INVENTED = say('{"findings": [{"claim": "99", "quote": "One fault makes 99 requests.", "source": "retries.md#1"}]}')
BARE_ACTION = say("Thought: I need to look this up first.\nAction: search_knowledge")


@pytest.mark.parametrize("play", [WRONG_TYPE, INVENTED])
def test_a_wrong_answer_goes_back_once_and_is_rejected(scenario: Scenario, play: Play) -> None:
    ended = scenario(play, "rejected", requests=2, by=3)
    assert len(ended.of("check", passed=False)) == 2
    assert not ended.result["citations"]


@pytest.mark.parametrize("play", [NULL, say(FABRICATED), BARE_ACTION])
def test_a_wrong_answer_that_is_corrected_is_accepted(scenario: Scenario, play: Play) -> None:
    ended = scenario(then(play, good), "accepted", requests=6, by=4)
    (check,) = ended.of("check", passed=False)
    assert check.facts["task"] == "research"
    assert "27 requests" in ended.answer


def test_a_wrong_answer_of_each_task_is_corrected(scenario: Scenario) -> None:
    play = during("verify", then(NO_OBJECT, good), during("explain", then(NO_OBJECT, good)))
    scenario(play, "accepted", requests=7, by=4)


def test_five_megabytes_are_no_answer(scenario: Scenario) -> None:
    ended = scenario(huge, "failed", requests=1, by=4)
    assert "characters, more than 1,000,000" in ended.reason


def test_a_thought_without_an_answer_is_limited(scenario: Scenario) -> None:
    ended = scenario(BARE_ACTION, "limited", requests=2, by=3)
    assert "researcher" in ended.reason


@pytest.mark.parametrize("text_tools", [False, True])
def test_a_fabricated_observation_is_never_an_answer(scenario: Scenario, text_tools: bool) -> None:
    calls = "text" if text_tools else "native"
    ended = scenario(say(FABRICATED), "limited", requests=range(2, 7), by=4, model__tool_calls=calls)
    assert not ended.of("decision", what="found")
    assert not ended.result["citations"]


WRONG_CALLS = [
    pytest.param(use(("launch_rocket", {"at": "noon"})), "launch_rocket", False, id="unknown-tool"),
    pytest.param(use(("search_knowledge", {})), "search_knowledge", False, id="missing-argument"),
    pytest.param(use(("search_knowledge", {"query": {"deep": [1]}})), "search_knowledge", True, id="wrong-type"),
    pytest.param(use_raw("search_knowledge", '{"query": "retries'), "search_knowledge", False, id="cut-json"),
    pytest.param(use_raw("search_knowledge", '{"query": "retries'), "search_knowledge", True, id="cut-json-streamed"),
    pytest.param(use_raw("search_knowledge", '["retries"]'), "search_knowledge", True, id="a-list-streamed"),
]


@pytest.mark.parametrize(("play", "tool", "stream"), WRONG_CALLS)
def test_a_wrong_call_is_told_and_the_run_goes_on(scenario: Scenario, play: Play, tool: str, stream: bool) -> None:
    ended = scenario(then(play, good_after_a_fault), "accepted", requests=6, by=4, model__stream=stream)
    first = ended.of("tool_call")[0]
    assert first.facts["tool"] == tool
    assert first.facts["failed"]
    told = [message for message in ended.requests[1].messages if message["role"] == "tool"]
    assert told, "the model is not told what was wrong"


def good_after_a_fault(exchange: Any) -> None:
    """The good model, which does not take the words about a wrong call for a result."""
    heard = [m for m in exchange.messages if m["role"] == "tool"]
    if exchange.task == "research" and len(heard) == 1:
        return use(("search_knowledge", {"query": "who owns retries, nested retries multiply"}))(exchange)
    return good(exchange)


def test_many_calls_in_one_answer_are_all_made(scenario: Scenario) -> None:
    many = use(*[("search_knowledge", {"query": f"retries {word}"}) for word in ("owner", "nested", "deadline")])
    ended = scenario(then(many, good), "accepted", requests=5, by=4)
    assert len(ended.of("tool_call", tool="search_knowledge")) == 3
