"""What a run amounts to: what a call has cost that failed, and what a copy of a run says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from pilotage.record.journal import Event
from pilotage.record.tally import Tally

FAILED = {"model": "m", "usd": "unpriced", "prompt_tokens": 0, "completion_tokens": 0, "failed": True}


def tally(*steps: tuple[str, dict[str, Any]]) -> Tally:
    found = Tally()
    for seq, (kind, facts) in enumerate(steps, 1):
        found.add(Event("r", seq, 1.0, kind, facts))
    return found


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ({}, 0.0),
        ({"failed": None}, None),
        ({"prompt_tokens": 7}, None),
        ({"estimated": True}, None),
        ({"usd": 0.5}, 0.5),
    ],
)
def test_a_failed_call_that_used_nothing_has_cost_nothing(more: dict[str, Any], cost: float | None) -> None:
    found = tally(("model_call", FAILED | more))
    assert found.cost == cost
    assert found.models["m"].unpriced == (cost is None)


@pytest.mark.parametrize(("usd", "cost"), [(0.25, 0.25), ("unpriced", None)])
def test_what_a_copy_of_a_run_says_of_itself_is_its_cost(usd: Any, cost: float | None) -> None:
    assert tally(("model_call", FAILED | {"usd": 0.5}), ("session_ended", {"usd": usd})).cost == cost


def test_a_run_that_was_answered_before_is_served_and_saves_what_the_first_one_cost() -> None:
    found = tally(("answered", {"saved_usd": 0.25}))
    assert (found.served, found.saved_usd, found.model_calls, found.cost) == (1, 0.25, 0, 0.0)
