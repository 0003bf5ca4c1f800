"""The golden questions can be answered from knowledge/, and the scorecard counts what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.checks.verbatim import normalise
from pilotage.errors import ConfigError
from pilotage.evals.score import GOLDEN, Question, evaluate, is_right, read_questions, score
from pilotage.outcome import Result
from pilotage.settings import Settings

ROOT = Path(__file__).parents[2]
Load = Callable[..., Settings]
QUESTIONS = [
    Question("nested", "How many requests can one fault make when retries are nested?", "27 requests", "accepted"),
    Question("chess", "Who won the chess championship of 1972?", None, "unanswered"),
    Question("open", "When does the deadline stop the run?"),
]
GOLDEN_ROWS = read_questions(ROOT / GOLDEN)
KNOWLEDGE = {path.name: normalise(path.read_text("utf-8")) for path in sorted((ROOT / "knowledge").glob("*.md"))}


# --- the golden questions


def test_golden_ids_and_questions_are_unique() -> None:
    assert len({q.id for q in GOLDEN_ROWS}) == len({q.question for q in GOLDEN_ROWS}) == len(GOLDEN_ROWS) >= 20


@pytest.mark.parametrize("row", [q for q in GOLDEN_ROWS if q.answer], ids=lambda q: q.id)
def test_a_golden_answer_stands_verbatim_in_one_document(row: Question) -> None:
    homes = [name for name, text in KNOWLEDGE.items() if normalise(str(row.answer)) in text]
    assert len(homes) == 1, homes


def test_some_golden_questions_have_no_answer() -> None:
    assert {q.outcome for q in GOLDEN_ROWS} == {"accepted", "unanswered"}
    assert all((q.answer is None) == (q.outcome == "unanswered") for q in GOLDEN_ROWS)


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


# --- evaluating


def test_every_question_is_a_run_and_a_line(load: Load, tmp_path: Path) -> None:
    progress: list[tuple[str, int, int]] = []
    out = tmp_path / "out.jsonl"
    card = evaluate(load(), QUESTIONS, out=out, progress=lambda *step: progress.append(step))
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(r["id"], r["outcome"]) for r in rows] == [
        ("nested", "accepted"),
        ("chess", "unanswered"),
        ("open", "accepted"),
    ]
    assert [set(r) for r in rows] == [{"id", "question", "outcome", "answer", "citations", "seconds", "usd", "run"}] * 3
    assert "27 requests" in rows[0]["citations"][0]["quote"]
    assert rows[1]["citations"] == []
    assert len({r["run"] for r in rows}) == 3
    assert (card.questions, card.outcomes, card.judged, card.right) == (3, {"accepted": 2, "unanswered": 1}, 2, 1.0)
    assert progress[-1] == ("answering", 3, 3)
    assert card.usd == 0.0


def test_a_line_stands_as_soon_as_its_question_is_answered(load: Load, tmp_path: Path) -> None:
    out, lines = tmp_path / "out.jsonl", []

    def look(what: str, done: int, _total: int) -> None:
        if what == "answering":
            lines.append((done, len(out.read_text("utf-8").splitlines())))

    evaluate(load(), QUESTIONS[:2], out=out, progress=look)
    assert lines == [(1, 1), (2, 2)]


# --- scoring


def ended(outcome: str, quote: str = "", **more: Any) -> Result:
    cites = [{"n": 1, "source": "a.md#1", "quote": quote, "where": ""}] if quote else []
    parts: dict[str, Any] = {
        "run": "r", "question": "q", "reason": "", "hint": "", "answer": None, "unsupported": [], "seconds": 1.0,
        "tokens": 10, "usd": 0.5, "seal": "", "exit_code": 0,
    }  # fmt: skip
    return Result(outcome=outcome, citations=cites, **{**parts, **more})


@pytest.mark.parametrize(
    ("question", "result", "right"),
    [
        (Question("1", "q", "27 requests"), ended("accepted", "it makes 27\n requests."), True),
        (Question("1", "q", "27 requests"), ended("accepted", "it makes 28 requests."), False),
        (Question("1", "q", "27 requests"), ended("unanswered"), False),
        (Question("1", "q", "27 requests"), ended("rejected", "it makes 27 requests."), False),
        (Question("1", "q", None, "unanswered"), ended("unanswered"), True),
        (Question("1", "q", None, "unanswered"), ended("accepted", "x"), False),
        (Question("1", "q"), ended("accepted", "x"), None),
    ],
)
def test_right_is_what_the_row_expects(question: Question, result: Result, right: bool | None) -> None:
    assert is_right(question, result) is right


def test_a_part_of_a_number_is_not_the_answer() -> None:
    assert is_right(Question("1", "q", "27"), ended("accepted", "it makes 1270 requests.")) is False


def test_the_card_adds_up() -> None:
    questions = [Question("1", "q", "x1"), Question("2", "q", "x2"), Question("3", "q")]
    results = [
        ended("accepted", "is x1", seconds=1.0),
        ended("rejected", seconds=3.0),
        ended("accepted", "x", seconds=2.0),
    ]
    card = score(questions, results)
    assert (card.questions, card.judged, card.right, card.tokens, card.usd) == (3, 2, 0.5, 30, 1.5)
    assert card.outcomes == {"accepted": 2, "rejected": 1}
    assert card.seconds_median == 2.0
    assert json.loads(json.dumps(card.as_json())) == card.as_json()
    assert "right       50.0% of 2" in card.table()


def test_one_unpriced_run_makes_the_sum_unpriced() -> None:
    card = score([Question("1", "q")] * 2, [ended("accepted"), ended("accepted", usd=None)])
    assert card.usd is None
    assert "unpriced" in card.table()


def test_the_slow_end_is_in_the_p95() -> None:
    results = [ended("accepted", seconds=1.0)] * 18 + [ended("accepted", seconds=9.0)] * 2
    assert score([Question("1", "q")] * 20, results).seconds_p95 == 9.0
