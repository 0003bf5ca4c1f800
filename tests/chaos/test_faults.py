"""Faults of the provider: each is retried when that can help, as often as limits.retries says, and by nobody else."""

from __future__ import annotations

import pytest

from tests.chaos.scenario import LATE, MODEL, Scenario
from tests.support.chaos import TOKENS, Play, serve
from tests.support.plays import (
    cut,
    cut_at_length,
    during,
    empty,
    end_early,
    error_in_200,
    error_in_stream,
    filtered,
    good,
    no_choices,
    no_json,
    overflow,
    rate_limit_in_words,
    refuse,
    reset,
    slow,
    status,
    then,
    truncated,
)  # fmt: skip


@pytest.mark.parametrize("number", [400, 401, 404])
def test_what_no_retry_can_help_is_asked_once(scenario: Scenario, number: int) -> None:
    ended = scenario(status(number), "failed", requests=1, by=2)
    assert str(number) in ended.reason
    assert "hint: " in ended.err


@pytest.mark.parametrize("play", [pytest.param(rate_limit_in_words, id="words"), pytest.param(overflow, id="overflow")])
def test_a_bad_request_is_asked_once_whatever_its_words(scenario: Scenario, play: Play) -> None:
    ended = scenario(play, "failed", requests=1, by=2)
    assert "400" in ended.reason or "context" in ended.reason
    assert "hint: " in ended.err


BROKEN = [
    pytest.param(status(429, retry_after=0.05), False, id="429"),
    pytest.param(status(500), False, id="500"),
    pytest.param(no_json, False, id="invalid-json"),
    pytest.param(no_choices, False, id="no-choices"),
    pytest.param(error_in_200, False, id="error-in-200"),
    pytest.param(error_in_stream, True, id="error-in-stream"),
    pytest.param(empty, False, id="empty"),
    pytest.param(truncated, True, id="truncated-streamed"),
    pytest.param(cut, False, id="cut-body"),
    pytest.param(cut, True, id="cut-stream"),
    pytest.param(end_early, True, id="stream-without-its-end"),
    pytest.param(reset, False, id="reset"),
]


@pytest.mark.parametrize(("play", "stream"), BROKEN)
def test_a_passing_fault_costs_one_more_request(scenario: Scenario, play: Play, stream: bool) -> None:
    ended = scenario(then(play, good), "accepted", requests=6, by=5, model__stream=stream)
    first, second, *_ = ended.of("model_call")
    assert first.facts["failed"]
    assert first.content["error"]
    assert second.facts["attempt"] == 2


@pytest.mark.parametrize(("play", "stream"), BROKEN[2::5])
def test_a_lasting_fault_is_asked_as_often_as_retries_allow(scenario: Scenario, play: Play, stream: bool) -> None:
    ended = scenario(play, "failed", requests=2, by=4, limits__retries=1, model__stream=stream)
    assert MODEL in ended.reason
    assert "hint: " in ended.err
    assert all(call.facts["failed"] for call in ended.of("model_call"))


def test_without_retries_a_fault_ends_the_run(scenario: Scenario) -> None:
    scenario(status(500), "failed", requests=1, by=4, limits__retries=0)


def test_each_call_has_retries_of_its_own(scenario: Scenario) -> None:
    fault = status(429, retry_after=0.05)
    scenario(then(fault, good, fault, good, fault, good), "accepted", requests=8, by=6, limits__retries=1)


def test_a_streamed_run_is_like_any_other(scenario: Scenario) -> None:
    ended = scenario(good, "accepted", requests=5, by=4, model__stream=True)
    assert ended.result["tokens"] == 5 * TOKENS
    assert all(exchange.stream for exchange in ended.requests)


def test_a_server_that_is_not_there_is_named(scenario: Scenario) -> None:
    with serve(good) as gone:
        pass
    ended = scenario(good, "failed", requests=0, by=4, model__base_url=gone.url, limits__retries=1)
    assert "cannot be reached" in ended.reason
    assert len(ended.of("model_call")) == 2


def test_an_answer_cut_at_its_length_is_paid_for_and_says_which_setting_helps(scenario: Scenario) -> None:
    ended = scenario(during("explain", cut_at_length), "failed", requests=6, by=4, limits__retries=1)
    assert "model.max_tokens" in ended.err
    assert ended.result["tokens"] == 6 * TOKENS


def test_a_typed_stream_cut_at_its_length_is_booked_in_full_under_a_strict_budget(scenario: Scenario) -> None:
    """The SDK raises at the cut, before the tokens are told: what nobody knows counts as the worst case."""
    play = during("explain", cut_at_length)
    ended = scenario(
        play, "failed", requests=6, by=4, limits__retries=1, model__stream=True, limits__strict_budget=True
    )
    assert "model.max_tokens" in ended.err
    assert ended.result["tokens"] > 6 * TOKENS


def test_a_refusal_is_told_and_not_asked_for_again(scenario: Scenario) -> None:
    ended = scenario(refuse, "failed", requests=1, by=3)
    assert "cannot help with that" in ended.reason


def test_a_streamed_refusal_is_an_empty_answer(scenario: Scenario) -> None:
    """CrewAI 1.15 drops what a stream says of a refusal; if this fails it no longer does, and one request is enough."""
    ended = scenario(refuse, "failed", requests=2, by=3, model__stream=True, limits__retries=1)
    assert "nothing" in ended.reason


def test_a_filtered_answer_is_not_asked_for_again(scenario: Scenario) -> None:
    scenario(filtered, "failed", requests=1, by=3)


# --- how long a provider asks to wait


@pytest.mark.parametrize("as_date", [False, True])
def test_what_the_provider_asks_to_wait_is_waited(scenario: Scenario, as_date: bool) -> None:
    after = 2.0 if as_date else 0.7  # a date knows whole seconds only
    ended = scenario(then(status(429, retry_after=after, as_date=as_date), good), "accepted", requests=6, by=6)
    first, second = ended.requests[:2]
    assert second.arrived - first.arrived >= after - (1.0 if as_date else 0.05)


def test_a_wait_longer_than_the_time_left_is_not_waited(scenario: Scenario) -> None:
    play = status(429, retry_after=30, as_date=True)
    ended = scenario(play, "failed", requests=1, by=LATE, limits__seconds=5)
    assert "limits.seconds" in ended.reason
    assert "wait" in ended.reason


def test_a_wait_longer_than_the_time_of_the_agent_is_not_waited(scenario: Scenario) -> None:
    play = status(503, retry_after=5)
    ended = scenario(play, "failed", requests=1, by=LATE, agents__researcher__max_execution_time=2)
    assert "agents.researcher.max_execution_time" in ended.reason


def test_the_run_may_end_in_the_middle_of_a_wait(scenario: Scenario) -> None:
    """The wait fits when it begins; what is slow before it makes the run end in the next call."""
    play = then(status(429, retry_after=0.6), slow(5, good))
    scenario(play, "limited", requests=2, by=1.5 + LATE, limits__seconds=1.5)
