"""What a call has used: what is believed of a report, and what is estimated where there is none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pilotage.model.usage import MOST, Used, estimate, guess, reported, tokens_of

LITTLE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def told(usage: dict[str, Any]) -> Used | None:
    return reported(Counter(tokens_of(dict(usage))))


# --- what a provider says


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        (LITTLE, Used(100, 20)),
        ({"input_tokens": 7, "output_tokens": 3}, Used(7, 3)),
        ({"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 5}, Used(12, 3, 5)),
        ({"prompt_token_count": 7, "candidates_token_count": 3, "total_token_count": 10}, Used(7, 3)),
        ({"inputTokens": 7, "outputTokens": 3, "totalTokens": 10, "cacheReadInputTokens": 5}, Used(12, 3, 5)),
        (LITTLE | {"prompt_tokens_details": {"cached_tokens": 60}}, Used(100, 20, 60)),
        (LITTLE | {"prompt_tokens_details": None, "cost": 0.00042, "is_byok": False}, Used(100, 20)),
        ({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}, Used(100, 0)),
        ({"prompt_tokens": 100, "total_tokens": 120}, Used(100, 20)),
        ({"completion_tokens": 20, "total_tokens": 120}, Used(100, 20)),
        ({"prompt_tokens": 100.0, "completion_tokens": MOST}, Used(100, MOST)),
        (LITTLE | {"completion_tokens_details": {"reasoning_tokens": 500}}, Used(100, 520, reasoning=500)),
        (LITTLE | {"prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40}, Used(100, 20, 60)),
        (
            {
                "inputTokens": 7,
                "outputTokens": 3,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [
                    {"ttl": "1h", "inputTokens": 4},
                    {"ttl": "1h", "inputTokens": 2},
                    {"ttl": "5m", "inputTokens": 3},
                ],
            },
            Used(16, 3, written=9, written_long=6),
        ),
    ],
)
def test_a_report_of_any_provider_is_read(usage: dict[str, Any], used: Used) -> None:
    assert told(usage) == used


REPORTS: dict[str, tuple[dict[str, Any], Used]] = {  # as the providers send them, and what they bill
    "OpenAI, chat": (
        {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
         "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                       "rejected_prediction_tokens": 0}},
        Used(2006, 300, 1920, reasoning=192),
    ),
    "OpenAI, responses": (
        {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 52,
         "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 380},
        Used(328, 52, 128, reasoning=40),
    ),
    "OpenRouter, a cache written": (
        {"prompt_tokens": 10339, "completion_tokens": 60, "total_tokens": 10399, "cost": 0.0031, "is_byok": False,
         "prompt_tokens_details": {"cached_tokens": 318, "cache_write_tokens": 10000, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 0}},
        Used(10339, 60, 318, written=10000),
    ),
    "DeepSeek": (
        {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050, "prompt_cache_hit_tokens": 640,
         "prompt_cache_miss_tokens": 360, "prompt_tokens_details": {"cached_tokens": 640}},
        Used(1000, 50, 640),
    ),
    "xAI, thoughts beside the answer": (
        {"prompt_tokens": 37, "completion_tokens": 9, "total_tokens": 371,
         "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 325}},
        Used(37, 334, 8, reasoning=325),
    ),
    "Anthropic": (
        {"input_tokens": 21, "output_tokens": 393, "cache_creation_input_tokens": 188086,
         "cache_read_input_tokens": 0, "service_tier": "standard",
         "cache_creation": {"ephemeral_5m_input_tokens": 188086, "ephemeral_1h_input_tokens": 0}},
        Used(188107, 393, written=188086),
    ),
    "Anthropic, five minutes and an hour": (
        {"input_tokens": 50, "output_tokens": 12, "cache_creation_input_tokens": 1500, "cache_read_input_tokens": 9000,
         "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1000},
         "server_tool_use": None},
        Used(10550, 12, 9000, written=1500, written_long=1000),
    ),
    "Anthropic, the whole prompt from the cache": (
        {"input_tokens": 0, "output_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 900},
        Used(900, 12, 900),
    ),
    "Gemini": (
        {"prompt_token_count": 1005, "cached_content_token_count": 900, "candidates_token_count": 40,
         "thoughts_token_count": 200, "tool_use_prompt_token_count": None, "total_token_count": 1245,
         "prompt_tokens_details": [{"modality": "TEXT", "token_count": 1005}], "cache_tokens_details": None},
        Used(1005, 240, 900, reasoning=200),
    ),
    "Gemini, a tool of the provider": (
        {"prompt_token_count": 100, "candidates_token_count": 40, "thoughts_token_count": 10,
         "tool_use_prompt_token_count": 60, "total_token_count": 210},
        Used(160, 50, reasoning=10),
    ),
    "Gemini, a total that has the tool in the prompt": (
        {"prompt_token_count": 160, "candidates_token_count": 50, "tool_use_prompt_token_count": 60,
         "total_token_count": 210},
        Used(160, 50),
    ),
    "Gemini, cut while it thought": (
        {"prompt_token_count": 100, "candidates_token_count": None, "thoughts_token_count": 50,
         "total_token_count": 150},
        Used(100, 50, reasoning=50),
    ),
    "Bedrock": (
        {"inputTokens": 30, "outputTokens": 70, "totalTokens": 4100, "cacheReadInputTokens": 1000,
         "cacheWriteInputTokens": 3000,
         "cacheDetails": [{"ttl": "1h", "inputTokens": 2000}, {"ttl": "5m", "inputTokens": 1000}]},
        Used(4030, 70, 1000, written=3000, written_long=2000),
    ),
    "LiteLLM, of Anthropic": (
        {"prompt_tokens": 10550, "completion_tokens": 12, "total_tokens": 10562, "cache_creation_input_tokens": 1500,
         "cache_read_input_tokens": 9000, "completion_tokens_details": None,
         "prompt_tokens_details": {"cached_tokens": 9000, "text_tokens": None, "cache_creation_tokens": 1500,
                                   "cache_creation_token_details": {"ephemeral_5m_input_tokens": 500,
                                                                    "ephemeral_1h_input_tokens": 1000}}},
        Used(10550, 12, 9000, written=1500, written_long=1000),
    ),
    "CrewAI's, of Anthropic": (
        {"input_tokens": 10550, "output_tokens": 12, "total_tokens": 10562, "cached_prompt_tokens": 9000,
         "cache_creation_tokens": 1500},
        Used(10550, 12, 9000, written=1500),
    ),
    "CrewAI's, of Gemini": (
        {"prompt_token_count": 1005, "candidates_token_count": 40, "completion_tokens": 240, "total_token_count": 1245,
         "total_tokens": 1245, "cached_prompt_tokens": 900, "reasoning_tokens": 200},
        Used(1005, 240, 900, reasoning=200),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_each_kind_of_token_is_read_to_the_token(name: str) -> None:
    usage, used = REPORTS[name]
    assert told(usage) == used


@pytest.mark.parametrize("name", ["cache_read_input_tokens", "cache_creation_input_tokens"])
@pytest.mark.parametrize("figure", [-5, 10**30, 0.5, "9"])
def test_anthropics_figures_beside_the_prompt_are_main_ones(name: str, figure: Any) -> None:
    assert tokens_of({"input_tokens": 7, "output_tokens": 3, name: figure}) == {}


def test_no_part_is_more_than_what_it_is_a_part_of() -> None:
    report = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_prompt_tokens": 90}
    report |= {"cache_creation_tokens": 90, "ephemeral_1h_input_tokens": 95, "reasoning_tokens": 15}
    assert told(report) == Used(100, 20, 90, reasoning=15, written=10, written_long=10)


@pytest.mark.parametrize(
    "usage",
    [{}, {"total_tokens": 0}, {"total_tokens": 120}, {"prompt_tokens": 100}, {"completion_tokens": 20},
     {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, dict.fromkeys(LITTLE, 0)],
)  # fmt: skip
def test_what_does_not_tell_all_is_no_whole_report(usage: dict[str, Any]) -> None:
    assert told(usage) is None


@pytest.mark.parametrize("name", LITTLE)
@pytest.mark.parametrize("figure", [-1, MOST + 1, 10**30, 12.5, "100", True, float("inf"), float("nan"), [1]])
def test_with_a_false_figure_nothing_of_the_report_is_believed(name: str, figure: Any) -> None:
    usage = LITTLE | {name: figure}
    assert tokens_of(usage) == {}
    assert set(usage.values()) == {0}


@pytest.mark.parametrize(("cached", "believed"), [(-1, 0), (101, 100), (10**30, 0), ("60", 0), (float("inf"), 0)])
def test_cached_tokens_are_some_of_the_prompts(cached: Any, believed: int) -> None:
    for more in ({"cached_prompt_tokens": cached}, {"prompt_tokens_details": {"cached_tokens": cached}}):
        assert told(LITTLE | more) == Used(100, 20, believed)


# --- where it says nothing


def test_what_is_not_told_is_estimated_and_what_is_told_stays() -> None:
    assert estimate(Counter(), 300, 100) == Used(300, 100, estimated=True)
    assert estimate(Counter(prompt_tokens=7), 300, 100) == Used(7, 100, estimated=True)
    assert estimate(Counter(completion_tokens=0), 300, 100) == Used(300, 0, estimated=True)


@pytest.mark.parametrize("total", [1, 2, 399, 400, 12_345])
def test_a_bare_total_is_kept_to(total: int) -> None:
    used = estimate(Counter(tokens_of({"total_tokens": total})), 300, 100)
    assert used.tokens == total
    assert used.completion == pytest.approx(total / 4, abs=0.5)


def test_a_bare_total_beside_a_whole_report_is_added() -> None:
    """A call in two parts, of which only the first was reported whole."""
    both = Counter(prompt_tokens=100, completion_tokens=20, total_tokens=400)
    assert reported(both) is None
    assert estimate(both, 300, 100) == Used(400, 120, estimated=True)


def test_four_characters_are_a_token_rounded_up() -> None:
    assert [guess(""), guess("a"), guess("abcd"), guess("abcde"), guess("äöüß")] == [0, 1, 1, 2, 1]
    assert guess([{"role": "user"}]) == 5
    assert guess({"kind": object}) > 0
