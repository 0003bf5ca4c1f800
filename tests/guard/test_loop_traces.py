"""The generated traces that loop detectors are measured on: benchmarks/loop_traces.py.

Whether a trace reads like real work is not covered.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LOOPS, HONEST = 252, 200

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def traces() -> Any:
    """benchmarks/loop_traces.py as a module, with its neighbours importable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        spec = importlib.util.spec_from_file_location("loop_traces", BENCHMARKS / "loop_traces.py")
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def loops(traces: Any) -> Rows:
    return list(traces.loop_rows())


@pytest.fixture(scope="module")
def honest(traces: Any) -> Rows:
    return list(traces.honest_rows())


def test_the_same_seed_gives_the_same_bytes(traces: Any, loops: Rows, honest: Rows) -> None:
    assert traces.as_lines(traces.loop_rows(7)) == traces.as_lines(loops)
    assert traces.as_lines(traces.honest_rows(7)) == traces.as_lines(honest)
    assert traces.as_lines(traces.loop_rows(8)) != traces.as_lines(loops)


def test_the_sets_have_the_size_they_are_said_to_have(loops: Rows, honest: Rows) -> None:
    assert (len(loops), len(honest)) == (LOOPS, HONEST)
    assert len({row["id"] for row in (*loops, *honest)}) == LOOPS + HONEST


def test_each_family_is_in_both_halves(loops: Rows, honest: Rows) -> None:
    rows = [*loops, *honest]
    families = {(row["label"], row["family"]) for row in rows}
    halves = {(row["label"], row["family"], row["half"]) for row in rows}
    assert len(halves) == 2 * len(families) == 2 * (21 + 19)


def test_a_loop_begins_repeats_itself_five_times_and_goes_on(loops: Rows) -> None:
    for row in loops:
        assert 0 <= row["first"] < row["fifth"] < len(row["events"]) - 1, row["id"]
        assert row["fifth"] - row["first"] >= 5, row["id"]


def test_an_exact_loop_has_six_equal_calls_up_to_its_fifth_repetition(loops: Rows) -> None:
    for row in (row for row in loops if row["family"] in ("exact", "same_failure")):
        first = row["events"][row["first"]]
        equal = [number for number, event in enumerate(row["events"]) if event == first]
        assert (equal[0], equal[5]) == (row["first"], row["fifth"]), row["id"]


def test_shuffled_keys_are_shuffled_and_their_values_stay(loops: Rows) -> None:
    for row in (row for row in loops if row["family"] == "shuffled_keys"):
        first, last = row["events"][row["first"]]["arguments"], row["events"][row["fifth"]]["arguments"]
        assert first == last, row["id"]
    calls = next(row for row in loops if row["family"] == "shuffled_keys")["events"]
    orders = {tuple(event["arguments"]) for event in calls if event["kind"] == "tool"}
    assert len(orders) > 5


def test_honest_traces_have_no_marks_and_end_with_an_answer(honest: Rows) -> None:
    for row in honest:
        assert row["first"] is None, row["id"]
        assert row["fifth"] is None, row["id"]
        assert row["events"][-1]["text"].startswith("Final answer: "), row["id"]


def test_every_event_has_the_fields_of_its_kind(loops: Rows, honest: Rows) -> None:
    fields = {"message": {"agent", "kind", "text"}, "tool": {"agent", "kind", "name", "arguments", "result"}}
    for row in (*loops, *honest):
        assert all(set(event) == fields[event["kind"]] for event in row["events"]), row["id"]
