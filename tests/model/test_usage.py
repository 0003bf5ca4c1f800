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
    ],
)
def test_a_report_of_any_provider_is_read(usage: dict[str, Any], used: Used) -> None:
    assert told(usage) == used


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
