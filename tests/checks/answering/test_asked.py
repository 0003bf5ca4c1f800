"""What a question asks for is read from its words."""

from __future__ import annotations

import pytest

from pilotage.checks.answering.asked import only_asked, read_asked


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who retries a failed call?", "who"),
        ("When does a run end?", "when"),
        ("In what year was the bridge opened?", "when"),
        ("Where does the journal lie?", "where"),
        ("Which city is the capital?", "where"),
        ("How many attempts has a call?", "number"),
        ("How long may a run take?", "number"),
        ("What percentage of calls fail?", "number"),
        ("The bridge is how old?", "number"),
        ("Why do nested retries multiply?", "why"),
        ("How is a page read?", "how"),
        ("Is a retry a call?", "polar"),
        ("Which tool reads a page?", "thing"),
        ("In Japan, who drives the trains?", "who"),
        ("Name a tool that reads pages.", ""),
        ("Wer hat die Brücke gebaut?", ""),
    ],
)
def test_the_kind_is_that_of_the_question_word_and_its_noun(question: str, kind: str) -> None:
    assert [part.kind for part in read_asked(question).parts] == [kind]


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("Who founded Ulm, and when was it burnt?", ["who", "when"]),
        ("What is a tape and why is it kept?", ["thing", "why"]),
        ("How and when did it begin?", ["how", "when"]),
        ("Who opened it and in what year?", ["who", "when"]),
        ("Who opened it, when did it close and why?", ["who", "when", "why"]),
        ("What is a run? When does it end?", ["thing", "when"]),
    ],
)
def test_a_question_with_two_parts_has_two_kinds(question: str, kinds: list[str]) -> None:
    assert [part.kind for part in read_asked(question).parts] == kinds


@pytest.mark.parametrize(
    "question",
    [
        "What happens when a call fails and when a tool fails?",
        "Who owns the door and the journal?",
        "Which runs end before the deadline and where nothing failed?",
    ],
)
def test_a_clause_that_is_joined_with_and_is_no_second_question(question: str) -> None:
    assert len(read_asked(question).parts) == 1


def test_names_are_the_words_that_a_capital_makes_one() -> None:
    assert read_asked("Who kidnapped Börte of the Onggirat in 1180?").names == ("Börte", "Onggirat")
    assert read_asked("Retries have which owner?").names == ()


@pytest.mark.parametrize(
    "question",
    ["When did the house of http://tea.example/page?n=1 open?", "When did the house open, by https://tea.example/a.html?",
     "https://127.0.0.1:8080/x When did the house open?", "I live in Bremen. When did the house open? Please be brief.",
     "Mrs. Grey told me of it:\nWhen did the house open?"],
)  # fmt: skip
def test_what_stands_around_a_question_is_not_asked(question: str) -> None:
    assert only_asked(question).replace(",", "") == "When did the house open?"


@pytest.mark.parametrize("question", ["Explain the retries of https://tea.example/a.", "Retries. Who owns them", ""])
def test_an_order_is_asked_as_a_whole(question: str) -> None:
    assert only_asked(question) == question.replace(" of https://tea.example/a", "")


@pytest.mark.parametrize("question", ["", "?", "   ", "…", "and", "when"])
def test_any_text_can_be_read(question: str) -> None:
    assert read_asked(question).parts
