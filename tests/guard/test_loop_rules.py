"""The published rules that the project's detector is compared with: benchmarks/loop_rules.py, as they are described.

Whether the projects that they come from behave like this in every detail is not covered.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "loop_rules.py"
LONG = "This sentence is somewhat longer than fifty characters, so it is. "

Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rules() -> Any:
    """benchmarks/loop_rules.py as a module."""
    spec = importlib.util.spec_from_file_location("loop_rules", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(result: str = "the same", **arguments: Any) -> dict[str, Any]:
    return {"agent": "a", "kind": "tool", "name": "search", "arguments": arguments, "result": result}


def say(text: str, agent: str = "a") -> dict[str, Any]:
    return {"agent": agent, "kind": "message", "text": text}


def stops(rules: Any, events: Events) -> list[int | None]:
    """Where each rule stops: window, cycles, consecutive, same call and result."""
    return [rule(events) for rule in rules.RULES.values()]


def test_a_repeated_call_with_the_same_result(rules: Any) -> None:
    assert stops(rules, [call(q=1)] * 9) == [3, 4, 4, 4]


def test_a_repeated_call_with_other_results(rules: Any) -> None:
    assert stops(rules, [call(str(n), q=1) for n in range(9)]) == [None, 4, 4, None]


def test_a_repeated_call_that_ends_in_an_error(rules: Any) -> None:
    assert stops(rules, [call(f"Error: number {n}", q=1) for n in range(9)]) == [3, 4, 4, None]


def test_the_order_of_keys_hides_a_repetition_from_a_hash_of_the_text(rules: Any) -> None:
    orders: list[dict[str, Any]] = [{"q": 1, "limit": 2}, {"limit": 2, "q": 1}, {"limit": 2, "q": 1}]
    assert stops(rules, [call(**orders[n % 3]) for n in range(12)]) == [3, None, 4, 4]


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6])
def test_cycles(rules: Any, length: int) -> None:
    events = [call(str(n), q=n) for n in range(length)] * 6
    _, cycles, consecutive, same = stops(rules, events)
    assert (cycles, consecutive, same) == (5 * length - 1 if length <= 5 else None, None, 4 * length)


def test_a_repetition_that_is_spread_over_more_than_the_window_is_not_seen_by_it(rules: Any) -> None:
    events = [event for n in range(5) for event in (call(q=0), *(call(str(n), q=10 * n + m) for m in range(1, 8)))]
    assert stops(rules, events) == [None, None, None, 32]


def test_messages(rules: Any) -> None:
    assert stops(rules, [say("No.")] * 12) == [2, None, None, None]
    assert stops(rules, [say(LONG)] * 12)[1] == 9
    assert stops(rules, [say("After you.", "a"), say("No, after you.", "b")] * 5)[0] == 5


def test_repeated_text_in_lists_tables_and_code_is_none(rules: Any) -> None:
    listed = "".join(f"- {LONG}\n" for _ in range(12))
    assert stops(rules, [say(listed)])[1] is None
    assert stops(rules, [say(f"```\n{LONG * 12}\n```")])[1] is None
    assert stops(rules, [say(LONG * 12)])[1] == 0
