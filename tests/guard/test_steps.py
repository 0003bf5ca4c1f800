"""Steps from rows and from the journal; failure, emptiness and acknowledgement as they are read from a result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.guard.steps import Step, step_of_row, steps_of
from pilotage.record.journal import Event, Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store


def result_of(result: Any, failed: bool | None = None) -> Step:
    return Step(0, "a", "tool", "search", {"q": "x"}, result, failed=failed)


@pytest.mark.parametrize(
    "result",
    [
        "Error: no such file",
        "search failed: TimeoutError",
        "Traceback (most recent call last):\n  File …",
        "HTTP 503 Service Unavailable",
        "status: 404",
        "404 Not Found",
        "Permission denied",
        "The request timed out",
        {"error": "quota exceeded"},
        {"ok": False},
        {"success": False, "items": [1]},
        {"status": "failed"},
        {"status": 404, "items": ["a"]},
        '{"error": {"code": 1}}',
        "ValueError: bad",
    ],
)
def test_a_failure_is_read_from_the_result(result: Any) -> None:
    assert result_of(result).is_failure


@pytest.mark.parametrize(
    "result",
    [
        "0 failed, 12 passed",
        "no errors found in module",
        "finished without any errors",
        {"errors": [], "success": True},
        {"error": None, "rows": 3},
        {"status": 200, "items": ["failed banks of 1907"]},
        "Room 404 shows the amber pendant",
        "An essay on " + "rivers, " * 60 + "and on how one error of a clerk moved a border",
        "The terror of the sea",
        None,
    ],
)
def test_what_only_looks_like_a_failure_is_none(result: Any) -> None:
    assert not result_of(result).is_failure


def test_a_flag_says_more_than_the_words() -> None:
    assert result_of("fine", failed=True).is_failure
    assert not result_of("Error: this is the title of a song", failed=False).is_failure


@pytest.mark.parametrize(
    "result",
    ["", "  ", "[]", [], {}, "{}", "null", "None", "No results.", "0 matches", "Nothing found for foxes",
     "no documents found", "Your search did not match any document.", {"results": []}, '{"hits": [], "total": 0}',
     "not found"],
)  # fmt: skip
def test_an_empty_result_is_seen(result: Any) -> None:
    assert result_of(result).is_empty


@pytest.mark.parametrize(
    "result",
    ["42", "false", [0], {"results": [1]}, {"total": 0, "note": "closed on Mondays"}, "No. 7 in the catalogue",
     "The rest of the results was not foundational", "ok"],
)  # fmt: skip
def test_a_result_that_says_something_is_not_empty(result: Any) -> None:
    assert not result_of(result).is_empty


@pytest.mark.parametrize(
    "result", ["ok", "sent", "1 row updated", "已发送", {"success": True, "errors": []}, True, None]
)
def test_a_short_word_is_an_acknowledgement(result: Any) -> None:
    assert result_of(result).is_bare


@pytest.mark.parametrize(
    "result",
    [
        "I first need more information from you.",
        "Error",
        "[]",
        "The amber pendant came into the house in 1922",
        "没有找到任何相关的结果。",
    ],
)
def test_a_sentence_a_failure_or_nothing_is_no_acknowledgement(result: str) -> None:
    assert not result_of(result).is_bare


def test_a_complaint_leaves_out_the_arguments_it_quotes() -> None:
    def complaint(path: str) -> str:
        return Step(0, "a", "tool", "read", {"path": path}, f"Error: no such file: {path}").complaint

    assert complaint("reports/a.txt") == complaint("notes/b.txt")
    assert complaint("a.txt") != Step(0, "a", "tool", "read", {"path": "a.txt"}, "Error: a.txt is locked").complaint


def test_a_complaint_leaves_out_addresses_and_long_numbers_but_not_small_ones() -> None:
    def complaint(text: str) -> str:
        return Step(0, "a", "tool", "run", {}, f"Error: {text}").complaint

    assert complaint("<Node at 0x7f01>, process 4711") == complaint("<Node at 0x9A>, process 81500")
    assert complaint("8 failed, 992 passed") != complaint("7 failed, 993 passed")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Thought: I look.\nAction: search\nAction Input: {}", "search"),
        ("Action:  read page \nAction Input: x", "read page"),
        ("Action: search, which I will not do", ""),
        ("Thought: Action Input: is what they want", ""),
        ("", ""),
    ],
)
def test_a_call_in_words_wants_a_tool(text: str, wanted: str) -> None:
    assert Step(0, "a", "message", text=text).wanted == wanted


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        ({"query": "Red foxes"}, 'query: "Red foxes"'),
        ('{"limit": null, "empty": "", "n": 0}', 'n: "0"'),
        ("not JSON", 'arguments: "not JSON"'),
        ({"a\x1b[1m": ["x\x07", {"b": "\u202e"}]}, 'a [1m: "["x\\u0007", {"b": " "}]"'),
        ({"q": "é" * 61}, 'q: "' + "é" * 60 + '…"'),
        ([10**6000], 'arguments: "<list>"'),
        ({}, ""),
        (None, ""),
    ],
)
def test_one_of_the_arguments_is_an_example_on_one_line(arguments: Any, example: str) -> None:
    assert Step(0, "a", "tool", "search", arguments).example == example


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"text": None},
        {"kind": "tool"},
        {"kind": "tool", "name": None, "arguments": None, "result": None},
        {"kind": "tool", "name": 7, "arguments": 7, "result": 7},
        {"kind": "tool", "name": "t", "arguments": "not json {", "result": {"deep": [[[]]]}},
        {"kind": "tool", "name": "t", "arguments": [1, "2"], "result": [None]},
        {"kind": 3, "agent": ["x"], "text": {"a": 1}},
        {"name": "t", "failed": "yes"},
    ],
)
def test_rows_of_any_shape_are_steps(row: dict[str, Any]) -> None:
    step = step_of_row(row, 3)
    assert (step.number, step.is_repeatable) == (3, True)
    assert isinstance(step.said + step.outcome + step.complaint, str)
    assert isinstance(step.doing, tuple)


def test_results_that_json_cannot_hold_are_steps_too() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for result in (circle, {1: "a", "b": 2}, {("x",): 1}, 10**6000, [10**6000]):
        assert step_of_row({"name": "t", "result": result}, 0).outcome


@pytest.mark.parametrize("depth", [900, 940, 950, 960, 975, 1_000, 5_000])
def test_towers_are_steps_too(depth: int) -> None:
    tower: Any = {}
    for _ in range(depth):
        tower = {"a": tower}
    step = step_of_row({"name": "t", "arguments": tower, "result": tower, "failed": True}, 0)
    assert step.said
    assert step.outcome
    assert isinstance(step.complaint + step.example, str)


def test_a_row_without_a_kind_is_told_by_its_name() -> None:
    assert step_of_row({"name": "t"}, 0).kind == "tool"
    assert step_of_row({"text": "t"}, 0).kind == "message"


# --- the journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield Journal(engine, Redactor())
    engine.dispose()


def test_a_tool_call_is_a_step_with_its_number(journal: Journal) -> None:
    journal.append("note")
    event = journal.append("tool_call", {"arguments": {"q": "Foxes"}, "result": "red"}, agent="a", tool="search")
    step = steps_of(event)
    assert step == Step(2, "a", "tool", "search", '{"q": "Foxes"}', "red", failed=False)
    assert step.doing == Step(9, "a", "tool", "search", {"q": "foxes"}).doing


def test_a_failed_tool_call_is_a_failure_whatever_it_says(journal: Journal) -> None:
    step = steps_of(journal.append("tool_call", {"arguments": {}, "result": "hm"}, agent="a", tool="t", failed=True))
    assert step is not None
    assert step.is_failure


def test_words_of_a_model_are_a_message(journal: Journal) -> None:
    step = steps_of(journal.append("model_call", {"request": {}, "answer": "I think."}, agent="a"))
    assert step == Step(1, "a", "message", text="I think.")


@pytest.mark.parametrize("answer", ['[{"function": {"name": "t", "arguments": "{}"}}]', "", "  "])
def test_native_tool_calls_and_nothing_are_no_message(journal: Journal, answer: str) -> None:
    assert steps_of(journal.append("model_call", {"request": {}, "answer": answer}, agent="a")) is None


@pytest.mark.parametrize("answer", ["[1] says so", "[]", '["a", "b"]'])
def test_words_that_begin_with_a_bracket_are_a_message(journal: Journal, answer: str) -> None:
    step = steps_of(journal.append("model_call", {"request": {}, "answer": answer}, agent="a"))
    assert step is not None
    assert step.text == answer


def test_what_failed_at_the_provider_is_no_step(journal: Journal) -> None:
    assert steps_of(journal.append("model_call", {"request": {}, "error": "503"}, agent="a", failed=True)) is None


def test_checks_and_tasks_are_steps_and_the_rest_is_not(journal: Journal) -> None:
    faults = [{"text": "x", "reason": "the sentence carries no citation"}]
    failed = steps_of(journal.append("check", {"faults": faults}, check="citations", agent="a", passed=False))
    passed = steps_of(journal.append("check", None, check="citations", agent="a", passed=True))
    began = steps_of(journal.append("task_started", {"context": ""}, task="t", agent="a"))
    assert failed is not None
    assert passed is not None
    assert began is not None
    assert (failed.kind, failed.name, failed.is_failure) == ("check", "check citations", True)
    assert "no citation" in failed.outcome
    assert (passed.kind, passed.is_repeatable, began.kind) == ("progress", False, "boundary")
    journal.append("run_started", {"question": "?"}, model="m")
    for kind in ("decision", "suspicious", "limit", "loop", "code_run", "run_ended"):
        assert steps_of(journal.append(kind, {"text": "x"}, agent="a")) is None


def test_an_erased_text_is_known_by_its_digest() -> None:
    def erased(digest: str) -> Step:
        event = Event("r", 1, 0.0, "tool_call", {"agent": "a", "tool": "t"}, {"result": None}, {"result": digest * 64})
        step = steps_of(event)
        assert step is not None
        return step

    assert erased("a").outcome == erased("a").outcome != erased("b").outcome
    assert not erased("a").is_empty
