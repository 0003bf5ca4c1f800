"""What came back: as text, and whether it is an answer at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from pilotage.checks.results import Findings
from pilotage.model.answers import (
    REFUSALS,
    TRUNCATIONS,
    Attempt,
    BadAnswer,
    Call,
    CutOff,
    EmptyAnswer,
    LeftBehind,
    Refused,
    Truncated,
    check,
    check_message,
    pack,
    wanted_tools,
)

WHOLE = '{"findings": [{"claim": "c", "quote": "q", "source": "s"}]}'


def ended(finish: str | None, *, stream: bool = False, reported: bool = True) -> Attempt:
    return Attempt(streamed=stream, reported=reported, finish=finish)


# --- whether it is an answer


@pytest.mark.parametrize("finish", ["stop", "STOP", "end_turn", "tool_calls", "tool_use", None, "anything new"])
def test_an_answer_that_ended_by_itself_is_one(finish: str | None) -> None:
    check("words", ended(finish), None)


@pytest.mark.parametrize("finish", [*sorted(TRUNCATIONS), "MAX_TOKENS", "FinishReason.MAX_TOKENS"])
def test_a_truncated_answer_is_none(finish: str) -> None:
    for answer in ("half of a sen", "", None, [{"function": {"name": "x", "arguments": '{"a'}}]):
        with pytest.raises(Truncated, match=r"model\.max_tokens"):
            check(answer, ended(finish), None)


def test_what_was_cut_behind_a_complete_result_of_its_type_is_kept() -> None:
    check(WHOLE, ended("length"), Findings)
    check(f"Thought: done\n{WHOLE}\nAnd now I go on and on", ended("length"), Findings)
    check(Findings(findings=[]), ended("length"), Findings)


@pytest.mark.parametrize(("answer", "wanted"), [(WHOLE[:-3], Findings), (WHOLE, None), (WHOLE + '{"find', Findings)])
def test_what_is_not_complete_or_of_no_known_type_is_not_kept(answer: str, wanted: type[BaseModel] | None) -> None:
    with pytest.raises(Truncated):
        check(answer, ended("length"), wanted)


def test_a_stream_without_an_end_is_cut_off() -> None:
    with pytest.raises(CutOff):
        check("half of a sen", ended(None, stream=True), None)
    check(WHOLE, ended(None, stream=True), Findings)
    check("words", ended("stop", stream=True), None)
    check("words", ended(None, stream=True, reported=False), None)  # a class of one's own that says nothing


@pytest.mark.parametrize("finish", [*sorted(REFUSALS), "SAFETY"])
def test_a_refusal_is_told_from_a_bad_answer(finish: str) -> None:
    with pytest.raises(Refused, match="refused"):
        check("I cannot", ended(finish), None)
    assert not issubclass(Refused, BadAnswer)


@pytest.mark.parametrize("answer", [None, "", "  \n", []])
def test_nothing_is_no_answer(answer: Any) -> None:
    with pytest.raises(EmptyAnswer):
        check(answer, ended("stop"), None)


def message(**more: Any) -> Any:
    return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(**{"tool_calls": None, **more}))])


def test_a_refusal_in_the_message_is_one() -> None:
    with pytest.raises(Refused, match="I will not"):
        check_message(message(refusal="I will not"))


def test_a_typed_message_without_its_type_is_no_answer() -> None:
    with pytest.raises(EmptyAnswer):
        check_message(message(refusal=None, parsed=None))
    check_message(message(refusal=None, parsed=None, tool_calls=["call"]))
    check_message(message(refusal=None, parsed=Findings(findings=[])))
    check_message(message(refusal=None, content=None))
    check_message(SimpleNamespace(choices=[]))
    check_message("no object at all")


def test_a_stream_that_nobody_reads_stops_at_its_next_piece() -> None:
    attempt = Attempt()
    attempt.go_on()
    attempt.left = True
    with pytest.raises(LeftBehind):
        attempt.go_on()


def test_the_type_that_is_wanted_is_the_tasks_where_the_agent_has_tools() -> None:
    task = SimpleNamespace(response_model=Findings)
    assert Call("q", from_task=task).wanted is Findings
    assert Call("q", response_model=Findings).wanted is Findings
    assert Call("q").wanted is None


# --- as text


@pytest.mark.parametrize(
    ("answer", "packed"),
    [("words", "words"), (Findings(findings=[]), '{"findings":[]}'), ([{"id": "c"}], '[{"id": "c"}]'), (3, "3")],
)
def test_an_answer_of_any_kind_is_packed_as_text(answer: Any, packed: str) -> None:
    assert pack(answer) == packed


NATIVE = (
    '[{"function": {"name": "shell", "arguments": "{}"}}, {"name": "today", "input": {}}, {"name": "lens", "args": {}}]'
)
IN_WORDS = "Thought: what now?\nAction: shell\nAction Input: {}"


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (NATIVE, ["shell", "today", "lens"]),
        ('[{"name": "Alice"}, {"function": "mean"}, {"function": null}, 5, null, ["x"], {"name": 1, "input": {}}]', []),
        ("[not JSON", []), ("[]", []), ("", []), ('{"function": {"name": "shell", "arguments": "{}"}}', []),
        (IN_WORDS, []),
    ],
)  # fmt: skip
def test_the_tools_that_an_answer_calls_natively(answer: str, names: list[str]) -> None:
    assert wanted_tools(answer) == names


def test_the_tools_that_an_answer_calls_in_words() -> None:
    assert wanted_tools(IN_WORDS, in_words=True) == ["shell"]
    assert wanted_tools("  Action : `word count`\nAction Input: {}", in_words=True)[0].strip("`") == "word count"
    assert wanted_tools("I know it.\nFinal Answer: 5", in_words=True) == []
    assert wanted_tools(NATIVE, in_words=True) == []
