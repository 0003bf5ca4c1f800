"""When a model has failed for good, the next of model.fallbacks is asked, and stays for the rest of the run."""

from __future__ import annotations

import pytest

from tests.chaos.scenario import MODEL, OTHER, Scenario
from tests.support.chaos import Play
from tests.support.plays import by_model, drip, good, hang, overflow, status, then, truncated

FIRST, SECOND = "gpt-4o-mini", "gpt-4o"
LOST = [
    pytest.param(status(401), 1, False, id="401"),
    pytest.param(overflow, 1, False, id="overflow"),
    pytest.param(status(429, retry_after=30), 1, False, id="too-long-a-wait"),
    pytest.param(status(500), 2, False, id="500"),
    pytest.param(truncated, 2, True, id="truncated-streamed"),
    pytest.param(hang, 2, False, id="hang"),
    pytest.param(drip, 2, True, id="drip-streamed"),
]


@pytest.mark.parametrize(("play", "tries", "stream"), LOST)
def test_the_next_model_takes_over(scenario: Scenario, play: Play, tries: int, stream: bool) -> None:
    ended = scenario(
        by_model(gpt_4o_mini=play, gpt_4o=good), "accepted", requests=tries + 5, by=5,
        model__fallbacks=[OTHER], model__stream=stream, limits__retries=1, limits__call_seconds=0.5,
    )  # fmt: skip
    assert ended.models == [FIRST] * tries + [SECOND] * 5, "the run goes on with the model that works"
    (event,) = ended.of("fallback")
    assert (event.facts["agent"], event.facts["to"]) == ("researcher", OTHER)
    assert MODEL in event.facts.values()
    assert event.content["reason"]
    assert [e.facts["model"] for e in ended.of("model_call")] == [MODEL] * tries + [OTHER] * 5


def test_a_model_that_fails_later_is_left_later(scenario: Scenario) -> None:
    play = by_model(gpt_4o_mini=then(good, good, status(401)), gpt_4o=good)
    ended = scenario(play, "accepted", requests=6, by=4, model__fallbacks=[OTHER])
    assert ended.models == [FIRST] * 3 + [SECOND] * 3
    assert ended.of("fallback")[0].facts["agent"] == "verifier"


def test_when_all_models_fail_each_is_named(scenario: Scenario) -> None:
    ended = scenario(status(401), "failed", requests=2, by=3, model__fallbacks=[OTHER])
    assert MODEL in ended.reason
    assert f"{OTHER}:" in ended.reason


def test_the_fallback_of_a_fallback(scenario: Scenario) -> None:
    play = by_model(gpt_4o_mini=status(401), gpt_4o=status(404), gpt_4=good)
    ended = scenario(play, "accepted", requests=7, by=4, model__fallbacks=[OTHER, "openai/gpt-4"])
    assert len(ended.of("fallback")) == 2


def test_a_cap_is_no_reason_to_ask_another_model(scenario: Scenario) -> None:
    ended = scenario(good, "limited", requests=2, by=3, model__fallbacks=[OTHER], limits__model_calls=2)
    assert ended.models == [FIRST] * 2
    assert not ended.of("fallback")


def test_the_requests_of_a_fallback_are_capped_like_any_other(scenario: Scenario) -> None:
    play = by_model(gpt_4o_mini=status(401), gpt_4o=good)
    ended = scenario(play, "limited", requests=3, by=3, model__fallbacks=[OTHER], limits__model_calls=3)
    assert "limits.model_calls" in ended.reason
