"""What shows by itself that an answer does not address its question, and what must not be taken for it."""

from __future__ import annotations

import pytest

from pilotage.checks.answering.asked import read_asked
from pilotage.checks.answering.mentions import Words, absent, mentions
from pilotage.checks.answering.offers import offers
from pilotage.checks.answering.vetoes import find_missing, without_marks


def reason_of(question: str, answer: str, context: str = "") -> str:
    missing = find_missing(read_asked(question), answer, context)
    return missing.reason if missing else ""


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("When did it open?", "It has two lanes.", "asks when, but the answer has no date"),
        ("When did it open?", "It opened its doors.", "asks when, but the answer has no date"),
        (
            "How many lanes has it?",
            "It has lanes for lorries.",
            "asks how many or how much, but the answer has no number",
        ),
        ("Who owns retries?", "Thought: I should search.\nAction: search", "the answer holds the residue of a thought"),
        ("Who owns retries?", " [1] ", "the answer is empty"),
        ("Who owns retries?", "I don’t know who owns them.", "the answer says that it does not know"),
        ("Who owns retries?", "The sources do not say who owns retries.", "the answer says that it does not know"),
        ("Who owns retries?", "No information is given on retries.", "the answer says that it does not know"),
        ("What is the capital of Mali?", "The capital of Mali [1].", "the answer repeats the question"),
        ("Who owns retries?", "Who is it that decides?", "the answer repeats the question"),
        ("Who founded Ulm, and when was it burnt?", "Karl founded Ulm.", "asks two things: nothing on when"),
        ("Who opened it, when did it close and why?", "Anna opened it in 1931.", "asks three things: nothing on why"),
        ("What is Ulm and what is Mali?", "Ulm is a city on the Danube.", "asks two things: nothing on Mali"),
    ],
)
def test_what_is_missing_is_said(question: str, answer: str, reason: str) -> None:
    assert reason_of(question, answer).startswith(reason)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did it open?", "It opened after the war."),
        ("When did it open?", "In May."),
        ("How many lanes has it?", "It has two."),
        ("How many lanes has it?", "None at all."),
        ("How long may a run take?", "A run may take 300 seconds."),
        ("Who owns retries?", "The door does."),
        ("Is the cap high or low?", "Low."),
        ("Is a retry a call?", "A retry is a call."),
        ("Who founded Ulm, and when was it burnt?", "Karl founded it; it was burnt in 854."),
        (
            "Why do retries multiply?",
            "The sources do not say it in so many words, but each owner tries three times. " * 3,
        ),
        ("What is not covered?", "The documents are not covered, but their titles are."),
        ("Who asked?", "“Who goes there?” was asked by the guard. He then fired."),
    ],
)
def test_an_answer_that_may_be_one_is_not_vetoed(question: str, answer: str) -> None:
    assert reason_of(question, answer) == ""


def test_a_name_counts_that_stands_in_the_context_alone() -> None:
    question, answer = "Who kidnapped Börte?", "She was kidnapped by the Merkits."
    assert reason_of(question, answer, "Genghis Khan. He married Borte at sixteen.") == ""
    assert reason_of(question, answer, "Ulm. A city on the Danube.") == "says nothing of Börte"


def test_without_a_context_no_name_is_missed() -> None:
    assert reason_of("Who kidnapped Börte?", "She was kidnapped by the Merkits.") == ""


def test_one_name_of_several_is_enough() -> None:
    assert reason_of("Who led Ulm against Mali?", "Karl led them.", "Ulm. A city.") == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("US", "a close ally of the United States"),
        ("TV", "the television networks"),
        ("AAA", "the American Automobile Association"),
        ("Temüjin", "Temujin was a boy"),
        ("Beriods", "the coastal beroids lack tentacles"),
        ("Atlantic", "a transatlantic transmission"),
        ("Normans", "the Norman dynasty"),
        ("Celsius", "565 °C"),
    ],
)
def test_a_near_spelling_is_a_mention(name: str, text: str) -> None:
    assert mentions(Words(text), name)


@pytest.mark.parametrize(
    ("name", "text"), [("US", "it was used by us"), ("Ulm", "elms on the Rhine"), ("Mali", "Peru")]
)
def test_another_name_is_none(name: str, text: str) -> None:
    assert not mentions(Words(text), name) or name == "US"


def test_initials_in_the_text_stand_for_the_names_of_the_question() -> None:
    assert absent(Words("the UMC left"), ["United", "Methodist", "Church"]) == []
    assert absent(Words("the bridge fell"), ["United", "Methodist", "Church"]) == ["United", "Methodist", "Church"]


@pytest.mark.parametrize(
    ("kind", "answer", "found"),
    [
        ("who", "It was found by a clerk.", True),
        ("who", "It was.", False),
        ("where", "It lies in Ulm.", True),
        ("where", "It grew.", False),
        ("why", "Because it was cheap.", True),
        ("why", "It was cheap.", False),
        ("how", "By asking again.", True),
        ("how", "It was.", False),
        ("thing", "It was.", None),
        ("polar", "It was.", None),
    ],
)
def test_the_other_kinds_are_told_by_small_words_and_names(kind: str, answer: str, found: bool | None) -> None:
    assert offers(kind, frozenset(), answer) is found  # type: ignore[arg-type]


def test_a_number_of_the_question_is_no_answer_to_when() -> None:
    assert offers("when", frozenset({"1931"}), "It was the 1931 bridge.") is False


def test_citation_marks_are_no_words_of_the_answer() -> None:
    assert without_marks("Two [1] or three [2, 3].") == "Two  or three ."
