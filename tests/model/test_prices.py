"""What a call costs, and what it could cost at most."""

from __future__ import annotations

import pytest

from pilotage.model.prices import dearest, price


def test_a_known_model_has_its_price_with_and_without_its_provider() -> None:
    expected = pytest.approx(1000 * 0.15e-6 + 500 * 0.6e-6)
    assert price("openai/gpt-4o-mini", 1000, 500) == expected
    assert price("gpt-4o-mini", 1000, 500) == expected


@pytest.mark.parametrize("name", ["openai/no-such-model", "nobody/nothing", "", "openai/"])
def test_an_unknown_model_is_none_never_zero(name: str) -> None:
    assert price(name, 1000, 500) is None


@pytest.mark.parametrize("name", ["ollama/llama3.2", "ollama_chat/x", "hosted_vllm/y"])
def test_a_server_of_ones_own_costs_nothing(name: str) -> None:
    assert price(name, 1_000_000, 1_000_000) == 0.0


def test_cached_tokens_cost_less() -> None:
    full, cached = price("openai/gpt-4o-mini", 1000, 0), price("openai/gpt-4o-mini", 1000, 0, 1000)
    assert full is not None
    assert cached is not None
    assert cached == pytest.approx(1000 * 0.075e-6)
    assert cached < full


def test_no_price_list_means_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.model.prices._catalogue", dict)
    assert price("openai/gpt-4o-mini", 1, 1) is None


def test_a_model_of_an_unknown_provider_does_not_take_openais_price() -> None:
    assert price("myproxy/gpt-4o-mini", 1000, 500) is None


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-pro"])
def test_no_call_costs_more_than_the_dearest_price(name: str) -> None:
    most = dearest(name, 1000, 500)
    assert most is not None
    for cached in (0, 500, 1000):
        usual = price(name, 1000, 500, cached)
        assert usual is not None
        assert usual <= most


def test_the_dearest_price_is_that_of_long_prompts_and_of_written_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {
        "input_cost_per_token": 1.0, "input_cost_per_token_above_200k_tokens": 3.0,
        "input_cost_per_token_priority": 9.0,
        "cache_creation_input_token_cost": 2.0, "output_cost_per_token": 5.0, "output_cost_per_image": 99.0,
        "output_cost_per_reasoning_token": 6.0, "input_cost_per_token_above_200k_tokens_batches": 99.0,
    }  # fmt: skip
    monkeypatch.setattr("pilotage.model.prices._catalogue", lambda: {"tiered": entry})
    assert dearest("tiered", 10, 1) == 36.0


def test_the_dearest_price_of_an_unknown_model_is_none_and_of_ones_own_server_nothing() -> None:
    assert dearest("openai/no-such-model", 1, 1) is None
    assert dearest("ollama/llama3.2", 1000, 1000) == 0.0
