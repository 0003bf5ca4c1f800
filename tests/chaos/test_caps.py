"""Caps of the run, of an agent and of a task, against a model that would go on for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.scenario import Scenario
from tests.support.chaos import TOKENS
from tests.support.plays import during, endless, good, hang, say, status, then, use

USD = 321 * 0.15e-6 + 45 * 0.6e-6  # of one answer of gpt-4o-mini
KEYS: list[tuple[str, float, int]] = [  # key, cap, requests until it is reached
    ("iterations", 3, 3),
    ("model_calls", 3, 3),
    ("tool_calls", 2, 3),
    ("tokens", 2 * TOKENS + 1, 3),
    ("usd", 2.5 * USD, 3),
]
WORDS = ("owner", "nested", "deadline", "fault", "door", "attempt", "layer", "stop", "start", "cost")
PROSE = say("One fault makes 27 requests.")
STRICT: dict[str, Any] = {
    "limits__strict_budget": True, "loops__enabled": False, "model__max_tokens": 64,
    "agents__researcher__max_iter": 100, "limits__model_calls": 100,
}  # fmt: skip


def wander() -> Any:
    """A model that asks for something else each time and never answers."""
    return endless(lambda n: ("search_knowledge", {"query": f"{WORDS[n % 10]} of {n} retries"}))


@pytest.mark.parametrize(("key", "cap", "requests"), KEYS)
def test_the_caps_of_the_run(scenario: Scenario, key: str, cap: float, requests: int) -> None:
    ended = scenario(wander(), "limited", requests=requests, by=3, **{f"limits__{key}": cap})
    _is_told(ended, f"limits.{key}", "config/pilotage.yaml")


@pytest.mark.parametrize(("key", "cap", "requests"), KEYS[::3])
def test_the_caps_of_an_agent(scenario: Scenario, key: str, cap: float, requests: int) -> None:
    ended = scenario(wander(), "limited", requests=requests, by=3, agents__researcher__limits={key: cap})
    _is_told(ended, f"agents.researcher.limits.{key}", "config/agents.yaml")


@pytest.mark.parametrize(("key", "cap", "requests"), KEYS[2:4])
def test_the_caps_of_a_task(scenario: Scenario, key: str, cap: float, requests: int) -> None:
    ended = scenario(wander(), "limited", requests=requests, by=3, tasks__research__limits={key: cap})
    _is_told(ended, f"tasks.research.limits.{key}", "config/tasks.yaml")


def _is_told(ended: Any, key: str, file: str) -> None:
    assert key in ended.reason
    assert file in ended.err
    (limit,) = ended.of("limit")
    assert limit.facts["key"] == key
    assert len(ended.requests) == len(ended.of("model_call")), "no call was made after the cap"


def test_a_cap_of_another_agent_or_task_does_not_bind(scenario: Scenario) -> None:
    caps = {"model_calls": 1, "tokens": 400}  # enough for the one call of the last task
    scenario(good, "accepted", requests=5, by=3, agents__explainer__limits=caps, tasks__explain__limits=caps)


def test_the_smallest_cap_is_the_one_that_is_named(scenario: Scenario) -> None:
    ended = scenario(
        wander(), "limited", requests=2, by=3,
        limits__model_calls=4,
        tasks__research__limits={"model_calls": 3}, agents__researcher__limits={"model_calls": 2},
    )  # fmt: skip
    assert "agents.researcher.limits.model_calls" in ended.reason


def test_max_iter_counts_the_rounds_of_feedback_too(scenario: Scenario) -> None:
    ended = scenario(
        PROSE, "limited", requests=3, by=3, agents__researcher__max_iter=3, checks__feedback_rounds=5,
    )  # fmt: skip
    assert "agents.researcher.max_iter" in ended.reason


def test_retries_count_as_model_calls_and_not_as_iterations(scenario: Scenario) -> None:
    fault = status(429, retry_after=0.05)
    play = then(fault, good, fault, good, good)
    ended = scenario(play, "accepted", requests=7, by=4, agents__researcher__max_iter=2, limits__model_calls=7)
    assert [e.facts["attempt"] for e in ended.of("model_call", agent="researcher")] == [1, 2, 1, 2]


def test_calls_in_one_answer_are_counted_one_by_one(scenario: Scenario) -> None:
    many = use(*[("search_knowledge", {"query": f"{word} of retries"}) for word in WORDS])
    ended = scenario(many, "limited", requests=range(1, 3), by=3, limits__tool_calls=4)
    assert len(ended.of("tool_call")) <= 4
    assert "limits.tool_calls" in ended.reason


# --- what is left of the work


@pytest.mark.parametrize(
    "caps",
    [
        {"limits__tokens": 2 * TOKENS},
        {"agents__verifier__limits": {"tokens": 1}},
        {"tasks__verify__limits": {"tool_calls": 1}, "agents__verifier__max_iter": 1},
    ],
)
def test_the_findings_of_a_run_that_was_limited_are_kept_as_partial(scenario: Scenario, caps: dict[str, Any]) -> None:
    ended = scenario(good, "limited", requests=(2, 3), by=3, **caps)
    assert "one fault makes 27 requests" in ended.answer
    assert "Partial" in ended.answer
    assert ended.result["answer"] is None


def test_the_verdicts_of_a_run_that_was_limited_are_kept_too(scenario: Scenario) -> None:
    ended = scenario(good, "limited", requests=4, by=3, limits__model_calls=4)
    assert "Partial" in ended.answer
    assert "supported" in ended.answer


# --- strict_budget


@pytest.mark.parametrize("cap", [500, 20_000])
def test_a_strict_budget_of_tokens_is_never_passed(scenario: Scenario, cap: int) -> None:
    ended = scenario(wander(), "limited", requests=range(0, 30), by=4, limits__tokens=cap, **STRICT)
    assert ended.result["tokens"] <= cap
    assert "limits.tokens" in ended.reason


@pytest.mark.parametrize("answers", [0.1, 60])
def test_a_strict_budget_of_dollars_is_never_passed(scenario: Scenario, answers: float) -> None:
    cap = answers * USD
    ended = scenario(wander(), "limited", requests=range(0, 61), by=6, limits__usd=f"{cap:.9f}", **STRICT)
    assert (ended.result["usd"] or 0) <= cap
    assert "limits.usd" in ended.reason


def test_a_strict_budget_with_room_enough_stops_nothing(scenario: Scenario) -> None:
    scenario(good, "accepted", requests=5, by=3, limits__strict_budget=True, model__max_tokens=256)


def test_a_strict_budget_books_a_call_that_was_left_behind_in_full(scenario: Scenario) -> None:
    """Nobody knows what a call that was abandoned has cost: under a strict budget its worst case counts as spent."""
    ended = scenario(
        hang, "limited", requests=1, by=3, limits__strict_budget=True, limits__tokens=5_000,
        limits__call_seconds=0.5, limits__retries=2, model__max_tokens=64,
    )  # fmt: skip
    assert "limits.tokens" in ended.reason
    assert 2_000 < ended.result["tokens"] <= 5_000


def test_a_cap_reached_between_two_tasks_stops_the_next(scenario: Scenario) -> None:
    ended = scenario(during("verify", PROSE), "limited", requests=3, by=3, limits__model_calls=3)
    assert [e.facts["task"] for e in ended.of("task_started")] == ["research", "verify"]
