"""What a question is read as: its kind, its words, tense, modality, voice, and what stands before the question."""

from __future__ import annotations

import pytest

from pilotage.answers.question import is_english, read_question
from pilotage.language.lexicon import lexicon


def words(text: str) -> list[str]:
    return [word.text for word in read_question(text).words]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How do I start?", "how"), ("What is the best way to start?", "how"), ("Why is it late?", "why"),
        ("What is the reason that it is late?", "why"), ("At what time does it start?", "when"),
        ("In which year did it start?", "year"), ("Which people came?", "who"), ("How many came?", "count"),
        ("How often does it run?", "often"), ("How long does it take to boil?", "duration"), ("Is it late?", "polar"),
        ("How tall is it?", "what"), ("What happens if it rains?", "what if"), ("Opening hours", "tell"),
        ("Can you tell me where it is?", "where"), ("Do you know whether it is late?", "polar"),
        ("By whom was it written?", "who"), ("Whose book is it?", "whose"), ("What if it rains?", "what if"),
    ],
)  # fmt: skip
def test_the_kind_of_answer(text: str, kind: str) -> None:
    assert read_question(text).kind == kind


@pytest.mark.parametrize(
    ("text", "tense"),
    [
        ("Who wins?", "present"), ("Who won the cup?", "past"), ("Will it rain?", "future"), ("Is it late?", "present"),
        ("Was it late?", "past"), ("Has it rained?", "past"), ("Is it going to rain?", "future"),
        ("Is the house that was sold big?", "present"),
    ],
)  # fmt: skip
def test_the_tense_is_that_of_the_main_verb(text: str, tense: str) -> None:
    assert read_question(text).tense == tense


@pytest.mark.parametrize(
    ("text", "modals"),
    [
        ("Must I pay?", {"must"}), ("Do I have to pay?", {"must"}), ("Is a helmet required?", {"must"}),
        ("Who need not pay?", {"need"}), ("May I pay?", {"may"}), ("Am I allowed to pay?", {"may"}),
        ("Is it possible to pay?", {"able"}), ("Should I pay?", {"should"}), ("Do I pay?", set()),
        ("Is the water drinkable?", {"can"}),
    ],
)  # fmt: skip
def test_the_modality_in_whatever_words(text: str, modals: set[str]) -> None:
    assert read_question(text).modals == modals


def test_a_negation_inside_a_word_is_a_negation() -> None:
    assert words("Is the claim invalid?") == words("Is the claim not valid?")
    assert words("Are the results unpaid?")[-2:] == ["not", "paid"]
    assert words("Is it gluten-free?") == ["not", "gluten"]
    assert words("Is the union under stress?")[0] == "union"


def test_what_stands_before_the_question_goes_behind_it() -> None:
    assert words("In Japan, do people drive fast?") == words("Do people drive fast in Japan?")
    assert words("The printer is off. What should I do?") == words("What should I do if the printer is off?")


def test_a_passive_is_one_and_its_doer_is_marked() -> None:
    question = read_question("Was the prize won by Anna?")
    assert question.is_passive
    assert question.words[question.verb].text == "won"
    assert question.words[-1].marker == "by"
    assert not read_question("Did Anna win the prize?").is_passive


def test_a_possessive_is_no_short_is() -> None:
    assert read_question("What is Niger's capital?").words[0].is_owner
    assert words("What's the capital?") == words("What is the capital?")


@pytest.mark.parametrize(("text", "known"), [("Is it safe to reheat rice?", True), ("Wo ist der Bahnhof?", False)])
def test_english_is_told_from_other_languages(text: str, known: bool) -> None:
    assert is_english(text) is known


def test_base_forms_and_degrees() -> None:
    book = lexicon()
    assert book.bases("went") == {"go"}
    assert book.bases("cities") == {"city"}
    assert "run" in book.bases("running")
    assert [book.degree(word) for word in ("larger", "best", "offer", "west", "west")] == ["more", "most", "", "", ""]
    assert book.rank("purchase", "buy") == (1, 1)
    assert book.is_opposite("hot", "cold")


def test_a_question_may_end_with_a_bound() -> None:
    read = read_question("What is the size of an upload limited to?")
    assert [word.raw for word in read.words] == ["size", "upload", "limited"]
    assert read_question("How many seats is a booking limited to").kind == "count"


@pytest.mark.parametrize("text", ["Is a booking of at most 12 seats limited to", "How long is over 30 minutes up to"])
def test_a_question_may_break_off_anywhere(text: str) -> None:
    words = text.split()
    for count in range(1, len(words) + 1):
        assert read_question(" ".join(words[:count])).kind
