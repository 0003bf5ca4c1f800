"""Right is what stands in the quotes; cited is what stands in the sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotage.evals.judging import is_cited, is_right, judge, sources_of
from pilotage.evals.questions import Question
from pilotage.outcome import Result
from pilotage.record.journal import Journal
from pilotage.run import Runner
from pilotage.settings import Settings
from tests.evals.made import ended

Load = Callable[..., Settings]
ONE = Question("1", "q", "27 requests")
TWO = Question("2", "q", answers=("25 by default", "four times"))
NONE = Question("3", "q", None, "unanswered")
ORDERED = Question("4", "q", "27 requests", never="42")


@pytest.mark.parametrize(
    ("question", "result", "right"),
    [
        (ONE, ended("accepted", "it makes 27\n requests."), True),
        (ONE, ended("accepted", "it makes 28 requests."), False),
        (ONE, ended("accepted", "it makes 127 requests."), False),
        (ONE, ended("accepted", "other words", answer="27 requests"), False),
        (ONE, ended("unanswered"), False),
        (ONE, ended("rejected", "it makes 27 requests."), False),
        (Question("1", "q", "27"), ended("accepted", "it makes 1270 requests."), False),
        (Question("1", "q", "27"), ended("accepted", "it makes 27.5 requests."), False),
        (Question("1", "q", "27"), ended("accepted", "it makes 27."), True),
        (TWO, ended("accepted", "a.md: 25 by default", "b.md: runs four times"), True),
        (TWO, ended("accepted", "a.md: 25 by default", "a.md: runs four times"), False),
        (TWO, ended("accepted", "a.md: 25 by default, four times", "b.md: 25 by default"), True),
        (TWO, ended("accepted", "a.md: 25 by default"), False),
        (NONE, ended("unanswered"), True),
        (NONE, ended("accepted", "x"), False),
        (NONE, ended("limited"), False),
        (ORDERED, ended("accepted", "it makes 27 requests.", answer="27, not 420."), True),
        (ORDERED, ended("accepted", "it makes 27 requests.", answer="42, but 27 requests."), False),
        (Question("5", "q", None, "unanswered", never="Leonardo"), ended("unanswered", answer="leonardo did"), False),
        (Question("6", "q"), ended("accepted", "x"), None),
        (Question("7", "q", never="x"), ended("accepted", "x", answer="x"), None),
    ],
)
def test_right_is_what_the_row_expects(question: Question, result: Result, right: bool | None) -> None:
    assert is_right(question, result) is right


def test_wrong_accepted_is_an_answer_that_was_given_and_is_not_right() -> None:
    assert judge(ONE, ended("accepted", "it makes 28 requests.")).is_wrong
    assert judge(NONE, ended("accepted", "x")).is_wrong
    assert not judge(ONE, ended("accepted", "it makes 27 requests.")).is_wrong
    assert not judge(ONE, ended("rejected", "it makes 28 requests.")).is_wrong
    assert not judge(Question("6", "q"), ended("accepted", "x")).is_wrong


def test_every_quote_must_stand_in_its_source() -> None:
    def texts(source: str) -> Iterator[str]:
        yield {"a.md#1": "One fault makes 27 requests.", "b.md#2": "A deadline stops."}.get(source, "")

    assert is_cited(ended("accepted", "a.md: fault makes 27 requests", "b.md: A deadline stops."), texts)
    assert not is_cited(ended("accepted", "a.md: fault makes 27 requests", "b.md: fault makes 27 requests"), texts)
    assert not is_cited(ended("accepted", "a.md: fault makes 2"), texts)
    assert not is_cited(ended("accepted"), texts)
    assert judge(ONE, ended("unanswered"), texts).cited is None
    assert judge(ONE, ended("accepted", "a.md: fault makes 27 requests"), texts).cited is True


def test_sources_are_read_anew_from_the_documents_and_else_from_the_record(load: Load, project: Path) -> None:
    runner = Runner(load())
    try:
        result = runner.answer("How many requests can one fault make when retries are nested?", write=False, fresh=True)
        texts = sources_of(runner, result.run)
        assert is_cited(result, texts)
        assert any("27 requests" in text for text in texts(result.citations[0]["source"]))

        page = json.dumps({"passages": [{"text": "The tea house opened in 1904."}]})
        journal = Journal(runner.engine, runner.redactor)
        journal.append("run_started", {"question": "q"}, model="m")
        journal.append(
            "tool_call", {"arguments": "", "result": f"<<<data 1a from x>>>\n{page}\n<<<end 1a>>>"}, tool="p"
        )
        journal.append("tool_call", {"arguments": "", "result": "It burned in 1931."}, tool="p", failed=True)
        read = sources_of(runner, journal.run)
        assert is_cited(ended("accepted", "opened in 1904", source="https://x.example/#1"), read)
        assert not is_cited(ended("accepted", "burned in 1931", source="https://x.example/#1"), read)
        assert not is_cited(ended("accepted", "opened in 1905", source="https://x.example/#1"), read)
    finally:
        runner.close()
