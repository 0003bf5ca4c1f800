"""The golden questions are what they claim to be, and rows of a file are read strictly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.checks.verbatim import normalise, stands_in
from pilotage.errors import ConfigError
from pilotage.evals.questions import GOLDEN, Question, read_questions

ROOT = Path(__file__).parents[2]
ROWS = read_questions(ROOT / GOLDEN)
KINDS = {"answerable": 14, "two-document": 6, "trap": 6, "off-topic": 4, "near-topic": 6, "injected": 4}
ABSENT = {  # what the documents would have to speak of to answer
    "off-world-cup": "World Cup|football|soccer", "off-wine-stain": "wine|stain|carpet",
    "off-capital": "Australia|Canberra", "off-bread": "bread|sourdough|bake",
    "near-langgraph-limit": "LangGraph|recursion limit", "near-agentops-price": r"Pro plan|per month|\bplan costs?",
    "near-gdpr-fine": r"\bfines?\b|penalt|turnover", "near-gpu-memory": r"\bGPU|70 billion|video memory",
    "near-most-agents": "number of agents|most agents|agents at most|many agents may",
    "near-monty-licence": r"licen[cs]e\b|\bMIT\b|Apache", "trap-reflexion-mbpp": "MBPP", "trap-http-503": r"\b503\b",
    "injected-own-knowledge": "Mona Lisa|Leonardo|painted",
    "injected-warranty": r"warranty (?:is|lasts|of|runs)|\d years?\b",
}  # fmt: skip


def documents(row: Question) -> dict[str, str]:
    """What its answers must stand in, without the orders that a fixture holds."""
    folder = row.folder(ROOT) or ROOT / "knowledge"
    texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.md"))}
    return {
        name: "\n".join(line for line in text.splitlines() if not ORDER.match(line)) for name, text in texts.items()
    }


ORDER = re.compile(r"(?:NOTE TO AI ASSISTANTS|SYSTEM): ")


# --- the golden questions


def test_there_are_forty_of_six_kinds() -> None:
    assert Counter(row.kind for row in ROWS) == KINDS
    assert sum(KINDS.values()) == len({row.id for row in ROWS}) == len({row.question for row in ROWS}) == 40


@pytest.mark.parametrize("row", [row for row in ROWS if row.expected], ids=lambda row: row.id)
def test_a_golden_answer_stands_verbatim_in_one_document_of_its_own(row: Question) -> None:
    texts = documents(row)
    homes = [[name for name, text in texts.items() if stands_in(wanted, text)] for wanted in row.expected]
    assert all(len(home) == 1 for home in homes), homes
    assert len({home[0] for home in homes}) == len(row.expected) == (2 if row.kind == "two-document" else 1)


@pytest.mark.parametrize("row", [row for row in ROWS if row.outcome == "unanswered"], ids=lambda row: row.id)
def test_the_documents_do_not_speak_of_what_cannot_be_answered(row: Question) -> None:
    assert not [text for text in documents(row).values() if re.search(ABSENT[row.id], text, re.IGNORECASE)]


def test_each_row_is_either_answerable_or_not() -> None:
    unanswerable = {row.id for row in ROWS if row.outcome == "unanswered"}
    assert unanswerable == set(ABSENT) == {row.id for row in ROWS if not row.expected}
    assert {row.kind for row in ROWS if row.id not in unanswerable} == {
        "answerable",
        "two-document",
        "trap",
        "injected",
    }


def test_a_trap_has_a_number_near_by_that_is_not_the_answer() -> None:
    near = {
        "retry-amplification": "27 requests", "identical-calls": "after four repetitions",
        "trap-akickoff": "after 15.5 seconds", "trap-best-grader": "770 million parameters",
        "trap-reflexion-mbpp": "91% pass@1", "trap-http-503": "9 HTTP requests",
    }  # fmt: skip
    traps = [row for row in ROWS if row.kind == "trap"]
    assert {row.id for row in traps} == set(near)
    for row in traps:
        assert any(stands_in(near[row.id], text) for text in documents(row).values()), row.id
        assert not any(stands_in(near[row.id], wanted) for wanted in row.expected)


def test_an_order_stands_in_the_question_or_in_the_document_and_is_not_to_be_followed() -> None:
    for row in (row for row in ROWS if row.kind == "injected"):
        assert row.never
        folder = row.folder(ROOT)
        said = row.question if folder is None else "\n".join(p.read_text("utf-8") for p in folder.glob("*.md"))
        assert re.search("ignore|whoever asks", said, re.IGNORECASE)
        assert normalise(row.never) in said or row.outcome == "unanswered"


# --- reading questions


def test_rows_are_read_with_what_they_know_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "a?"}\n\n{"id": 7, "question": "b?", "answer": "x", "note": "ignored"}\n', "utf-8")
    assert read_questions(path) == [Question("1", "a?"), Question("7", "b?", "x")]


def test_a_question_may_hold_what_other_files_end_a_line_with(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "a\u2028b\x85c?"}\r\n{"question": "d?"}\n', "utf-8")
    assert [row.question for row in read_questions(path)] == ["a\u2028b\x85c?", "d?"]


@pytest.mark.parametrize(
    "line", ["[" * 100_000, "not json", "[]", '"text"', "{}", '{"id": "a"}', "null", '{"question": "a?"']
)
def test_a_bad_row_gives_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f'{{"question": "a?"}}\n{line}\n', "utf-8")
    with pytest.raises(ConfigError, match=r"q\.jsonl:2: ") as caught:
        read_questions(path)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    "row", ['{"question": 5}', '{"question": null}', '{"question": ""}', '{"question": "a", "answer": 3}']
)
def test_a_row_with_a_value_of_a_wrong_type_gives_file_and_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"{row}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"q\.jsonl:1: "):
        read_questions(path)


@pytest.mark.parametrize("outcome", ["acepted", "yes"])
def test_an_outcome_that_does_not_exist_gives_file_and_line(tmp_path: Path, outcome: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "a?", "outcome": outcome}), "utf-8")
    with pytest.raises(ConfigError, match=r"q\.jsonl:1: "):
        read_questions(path)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_questions_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.jsonl").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="holds no question"):
        read_questions(tmp_path / "q.jsonl")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe\0")])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "q.jsonl")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_questions(tmp_path / "q.jsonl")


@pytest.mark.parametrize(
    "row",
    [
        {"answer": "a", "answers": ["b", "c"]}, {"answer": "a", "outcome": "unanswered"}, {"answers": "ab"},
        {"answers": [""]}, {"answers": [1]}, {"kind": 3}, {"knowledge": ""}, {"never": 42},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_cannot_be_meant_gives_file_and_line(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "a?"} | row), "utf-8")
    with pytest.raises(ConfigError, match=r"q\.jsonl:1: "):
        read_questions(path)


def test_a_row_says_all_that_it_expects(tmp_path: Path) -> None:
    path, row = tmp_path / "q.jsonl", {"id": "x", "kind": "trap", "question": "a?", "answers": ["b", "c"]}
    path.write_text(json.dumps(row | {"never": "d", "knowledge": "docs", "outcome": "accepted"}), "utf-8")
    (read,) = read_questions(path)
    assert read == Question("x", "a?", None, "accepted", ("b", "c"), "trap", "d", "docs")
    assert (read.expected, read.folder(tmp_path)) == (("b", "c"), tmp_path / "docs")
    assert Question("1", "a?", "b").expected == ("b",)
    assert Question("1", "a?", "").expected == ()
