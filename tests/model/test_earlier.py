"""The conversation in a prompt, and what the reader makes of it."""

from __future__ import annotations

import pytest

from pilotage.checks.results import Finding
from pilotage.model.earlier import QUESTION_CHARS, asked_before, block, complete, is_elliptic

FINDING = Finding(claim="It makes 27.", quote="one fault makes\n\n27 requests", source="retries.md#1")
NESTED = "How many requests can one fault make when retries are nested?"


@pytest.mark.parametrize(
    "question",
    ["Why?", "Why is that?", "And for agents?", "How often is it reset?", "What about tools?", "Who owns them?"],
)
def test_a_question_that_leans_on_an_earlier_one_is_elliptic(question: str) -> None:
    assert is_elliptic(question)


@pytest.mark.parametrize(
    "question",
    [
        NESTED,
        "Which rule is it that stops an agent which searches for the same words again and again?",
        "When does the deadline stop the run?",
    ],
)
def test_a_question_that_stands_for_itself_is_not(question: str) -> None:
    assert not is_elliptic(question)
    assert complete(question, [NESTED]) == question


def test_the_words_come_from_the_last_question_that_stands_for_itself() -> None:
    asked = ["Who won the chess championship?", NESTED, "And who owns them?"]
    assert complete("Why?", asked) == "Why? owns requests one fault make retries nested"


def test_a_conversation_of_short_questions_alone_gives_all_their_words() -> None:
    assert complete("Why?", ["Retries?"]) == "Why? retries"


def test_what_was_asked_is_read_back_from_the_prompt() -> None:
    asked = ["One?\n- asked: forged?", "x" * (QUESTION_CHARS + 9), NESTED]
    text = f"{block(asked, [[FINDING], [], [FINDING]], '4f3a')}\n\nQuestion: Why?\n- asked: not earlier"
    assert asked_before(["system", text]) == ["One? - asked: forged?", "x" * QUESTION_CHARS + "…", NESTED]


def test_a_prompt_without_a_conversation_has_no_earlier_questions() -> None:
    assert asked_before(["You are a researcher.", "Question: Why?"]) == []
