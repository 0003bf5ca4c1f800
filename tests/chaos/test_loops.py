"""Models that go round in circles: told so at the third time, stopped at the fifth at the latest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.scenario import Ended, Scenario
from tests.support.plays import constant, endless, endless_words, good, in_turn, say, then, times, use, use_raw
from tests.support.project import change

SEARCH = "search_knowledge"
SPELLINGS = ["nested retries", "Nested Retries", "NESTED RETRIES", "nested RETRIES", "Nested retries", "nESTED rETRIES"]
SPACES = [
    "nested retries",
    " nested retries",
    "nested  retries",
    "nested retries ",
    "nested\tretries",
    "nested\nretries",
]
A, B = (SEARCH, {"query": "who owns retries"}), (SEARCH, {"query": "what stops after the deadline"})
THOUGHTS = [
    "I should look into how retries are nested before I answer the question about them.",
    "Before I answer the question about retries, I should look into how they are nested.",
    "I should first look into the nesting of retries before the question about them is answered by me.",
    "To answer the question about retries I should look into how they are nested before.",
    "Before answering the question about the retries, I should look into how retries are nested.",
    "How retries are nested is what I should look into before I answer the question about them.",
]
PATIENT: dict[str, Any] = {"agents__researcher__max_iter": 50, "checks__feedback_rounds": 5, "web__delay": 0}


def shuffled(number: int) -> tuple[str, dict[str, Any]]:
    """The same arguments, their keys in another order."""
    pairs = [("url", "http://127.0.0.1:9/"), ("looking_for", "retries")]
    return "read_page", dict(pairs if number % 2 else reversed(pairs))


CIRCLES = [
    pytest.param(constant(A), id="exact"),
    pytest.param(in_turn(*[(SEARCH, {"query": q}) for q in SPELLINGS]), id="case"),
    pytest.param(in_turn(*[(SEARCH, {"query": q}) for q in SPACES]), id="space"),
    pytest.param(shuffled, id="shuffled-keys"),
    pytest.param(lambda n: (SEARCH, {"query": f"nested retries, attempt number {n}"}), id="growing-counter"),
    pytest.param(in_turn(A, B), id="a-b-a-b"),
    pytest.param(constant(("launch_rocket", {"at": "noon"})), id="unknown-tool"),
    pytest.param(constant((SEARCH, {})), id="missing-argument"),
]


@pytest.mark.parametrize("wanted", CIRCLES)
def test_a_circle_of_tool_calls_is_told_and_then_stopped(scenario: Scenario, wanted: Any) -> None:
    _is_told_and_stopped(scenario(endless(wanted), "limited", requests=range(4, 11), by=4, **PATIENT))


def test_a_circle_in_a_stream_is_stopped_too(scenario: Scenario) -> None:
    play = endless(constant(A))
    _is_told_and_stopped(scenario(play, "limited", requests=5, by=4, model__stream=True, **PATIENT))


def test_a_circle_of_calls_that_cannot_be_read_is_stopped_too(scenario: Scenario) -> None:
    play = use_raw(SEARCH, '{"query": "retries')
    _is_told_and_stopped(scenario(play, "limited", requests=range(4, 8), by=4, **PATIENT))


def test_the_same_call_is_told_at_the_third_and_stopped_at_the_fifth_time(scenario: Scenario) -> None:
    ended = scenario(endless(constant(A)), "limited", requests=5, by=3, **PATIENT)
    nudge = _is_told_and_stopped(ended)
    assert nudge.facts["rule"] == "repeat"
    calls = ended.of("tool_call")
    assert len(calls) == 5
    assert calls[2].seq < nudge.seq < calls[3].seq
    said = str(nudge.content["nudge"])
    assert [said in _last(exchange) for exchange in ended.requests] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_circle_in_words_of_react_is_stopped_too(scenario: Scenario) -> None:
    text = f'Thought: I need to search.\nAction: {SEARCH}\nAction Input: {{"query": "nested retries"}}'
    ended = scenario(say(text), "limited", requests=range(4, 8), by=4, model__tool_calls="text", **PATIENT)
    nudge = _is_told_and_stopped(ended)
    assert f"for {SEARCH}" in str(nudge.content["nudge"]) or f"called {SEARCH}" in str(nudge.content["nudge"])
    last = str(ended.requests[-1].messages)
    told = {str(event.content["nudge"]) for event in ended.of("loop", level="nudge")}
    assert all(last.count(said) <= 1 for said in told)


def test_the_same_words_over_and_over_are_stopped(scenario: Scenario) -> None:
    play = endless_words(constant(THOUGHTS[0]))
    _is_told_and_stopped(scenario(play, "limited", requests=range(4, 7), by=4, **PATIENT))


def test_the_same_thought_in_other_words_is_told_and_stopped(scenario: Scenario) -> None:
    """A model that takes thinking for a tool: what it thinks is never quite the same."""
    play = endless_words(lambda n: f"Thought: hm\nAction: think\nAction Input: {THOUGHTS[n % len(THOUGHTS)]}")
    ended = scenario(play, "limited", requests=range(4, 7), by=4, model__tool_calls="text", **PATIENT)
    _is_told_and_stopped(ended)
    assert "near-repeat" in [event.facts["rule"] for event in ended.of("loop")]


def test_other_words_that_no_check_accepts_are_told_and_stopped(scenario: Scenario) -> None:
    play = endless_words(lambda n: THOUGHTS[n % len(THOUGHTS)])
    _is_told_and_stopped(scenario(play, "limited", requests=range(4, 6), by=4, **PATIENT))


def test_other_words_that_no_check_accepts_end_with_the_rounds_of_feedback(scenario: Scenario) -> None:
    play = endless_words(lambda n: THOUGHTS[n % len(THOUGHTS)])
    scenario(play, "rejected", requests=3, by=4, **PATIENT | {"checks__feedback_rounds": 2})


def test_an_answer_of_nothing_but_dots_does_not_hold_the_run_up(scenario: Scenario) -> None:
    play = endless_words(constant("." * 130_000 + "b"))
    scenario(play, "limited", requests=range(4, 7), by=4, **PATIENT)


def test_a_circle_inside_one_answer_is_stopped(scenario: Scenario) -> None:
    """CrewAI makes the calls of one answer side by side: all may have begun before the fifth has ended."""
    ended = scenario(use(*[A] * 8), "limited", requests=1, by=3, **PATIENT)
    assert ended.of("loop", level="stop")


def test_two_agents_that_send_one_task_to_and_fro_are_stopped(scenario: Scenario) -> None:
    change(scenario.project / "config" / "agents.yaml", lambda tree: tree["researcher"].update(allow_delegation=True))
    change(scenario.project / "config" / "agents.yaml", lambda tree: tree["verifier"].update(allow_delegation=True))
    ended = scenario(_ping_pong, "limited", requests=range(3, 14), by=5, **PATIENT)
    assert ended.of("loop", level="stop")


def _ping_pong(exchange: Any) -> None:
    """Whoever is asked asks the other one."""
    other = "Verifier" if "You are Researcher" in exchange.text else "Researcher"
    question = {"question": "What do you think?", "context": "The user asks about retries.", "coworker": other}
    use(("ask_question_to_coworker", question))(exchange)


def test_a_nudge_that_helps_leads_to_an_answer(scenario: Scenario) -> None:
    ended = scenario(times(3, use(A), good), "accepted", requests=range(6, 9), by=4, **PATIENT)
    assert ended.of("loop", level="nudge")
    assert not ended.of("loop", level="stop")


def test_an_honest_search_in_several_words_is_no_loop(scenario: Scenario) -> None:
    queries = ["who owns retries", "how many requests does one fault make", "what happens after the deadline"]
    play = then(*[use((SEARCH, {"query": query})) for query in queries], good)
    ended = scenario(play, "accepted", requests=range(7, 9), by=4, **PATIENT)
    assert not ended.of("loop", level="stop")


def test_without_the_detector_a_cap_ends_the_circle(scenario: Scenario) -> None:
    play = endless(lambda n: (SEARCH, {"query": f"nested retries, attempt number {n}"}))
    ended = scenario(play, "limited", requests=9, by=4, loops__enabled=False, limits__model_calls=9, **PATIENT)
    assert "limits.model_calls" in ended.reason
    assert not ended.of("loop")


def _is_told_and_stopped(ended: Ended) -> Any:
    """A nudge, seen by the model in its next request, and a stop that ends the run; returns the nudge."""
    nudges, stops = ended.of("loop", level="nudge"), ended.of("loop", level="stop")
    assert nudges, ended.reason
    assert len(stops) == 1
    assert all(event.content["evidence"] and event.facts["rule"] and event.facts["agent"] for event in nudges + stops)
    assert nudges[0].seq < stops[0].seq
    assert "loop" in ended.reason
    assert "loops" in ended.err
    told = [e.number for e in ended.requests if str(nudges[0].content["nudge"]) in _last(e)]
    assert told, "the model was never told"
    return nudges[0]


def _last(exchange: Any) -> str:
    """The newest message of a request."""
    return str(exchange.messages[-1]["content"])
