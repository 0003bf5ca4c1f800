"""Models that hang, drip or dawdle: whatever cap is the first to be reached ends the call, and the run in time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from crewai.llms.providers.openai.completion import OpenAICompletion

from tests.chaos.scenario import LATE, Scenario
from tests.support.chaos import Exchange, Play
from tests.support.plays import drip, during, good, hang, hang_after_headers, then

STUCK = [
    pytest.param(hang, False, id="hang"),
    pytest.param(hang_after_headers, True, id="headers-only-streamed"),
    pytest.param(drip, False, id="drip"),
    pytest.param(drip, True, id="drip-streamed"),
]


@pytest.mark.parametrize(("play", "stream"), STUCK)
def test_a_stuck_model_ends_with_the_run(scenario: Scenario, play: Play, stream: bool) -> None:
    ended = scenario(play, "limited", requests=1, by=1 + LATE, limits__seconds=1, model__stream=stream)
    assert "limits.seconds" in ended.reason
    assert ended.seconds >= 1
    assert ended.of("limit", key="limits.seconds")
    if play is drip:
        assert hung_up(ended.requests[0]), "the provider goes on generating for nobody"


def hung_up(exchange: Exchange) -> bool:
    """Whether the client lets go of the connection within a moment."""
    end = time.monotonic() + LATE
    while not exchange.gone and time.monotonic() < end:
        time.sleep(0.02)
    return exchange.gone is not None


@pytest.mark.parametrize(("play", "stream"), STUCK[2:])
def test_a_stuck_model_is_left_at_the_cap_of_its_call(scenario: Scenario, play: Play, stream: bool) -> None:
    ended = scenario(
        play, "failed", requests=2, by=3 + LATE, limits__call_seconds=0.5, limits__retries=1, model__stream=stream
    )
    assert "limits.call_seconds" in ended.reason + ended.err
    assert ended.seconds >= 1, "two calls of half a second"


CAPS = [
    pytest.param({"agents__researcher__max_execution_time": 1}, "agents.researcher.max_execution_time", id="turn"),
    pytest.param({"agents__researcher__limits": {"seconds": 1}}, "agents.researcher.limits.seconds", id="agent"),
    pytest.param({"tasks__research__limits": {"seconds": 1}}, "tasks.research.limits.seconds", id="task"),
]  # fmt: skip


@pytest.mark.parametrize(("caps", "key"), CAPS)
def test_a_hung_model_ends_with_the_time_of_its_agent_or_task(
    scenario: Scenario, caps: dict[str, Any], key: str
) -> None:
    ended = scenario(hang, "limited", requests=1, by=1 + LATE, **caps)
    assert key in ended.reason


def test_an_agent_may_have_shorter_calls(scenario: Scenario) -> None:
    caps = {"call_seconds": 0.5}
    ended = scenario(hang, "failed", requests=1, by=0.5 + LATE, limits__retries=0, agents__researcher__limits=caps)
    assert "agents.researcher.limits.call_seconds" in ended.reason


def test_a_call_that_hung_once_is_made_again(scenario: Scenario) -> None:
    ended = scenario(then(hang, good), "accepted", requests=6, by=5, limits__call_seconds=1)
    assert [e.facts["attempt"] for e in ended.of("model_call")][:2] == [1, 2]


def test_a_hung_explainer_leaves_findings_and_verdicts_as_partial(scenario: Scenario) -> None:
    ended = scenario(
        during("explain", hang), "limited", requests=5, by=1.5 + LATE, agents__explainer__max_execution_time=1
    )
    assert "Partial" in ended.answer
    assert "one fault makes 27 requests" in ended.answer
    assert "supported" in ended.answer.lower()


def test_a_call_left_behind_before_its_request_was_sent_never_sends_it(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = OpenAICompletion._prepare_completion_params

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(1.0)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(OpenAICompletion, "_prepare_completion_params", slowly)
    monkeypatch.setattr("tests.chaos.scenario.AFTER", 1.2)
    scenario(good, "limited", requests=0, by=2, limits__seconds=0.6)
    scenario.watch.close()
