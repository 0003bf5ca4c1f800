"""A text falls into claims that stand for themselves, and no word of it is lost."""

from __future__ import annotations

import random

import pytest

from pilotage.checks.grounding.claims import split_claims


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Bell bought Nokia in 1998; Nokia had 4,000 workers.",
         ["Bell bought Nokia in 1998", "Nokia had 4,000 workers."]),
        ("The tower opened in 1889, and the bridge was built in 1901.",
         ["The tower opened in 1889", "the bridge was built in 1901."]),
        ("Sales fell by 3.5 %. Costs grew.", ["Sales fell by 3.5 %.", "Costs grew."]),
        ("- First item is here.\n- Second is 5.", ["First item is here.", "Second is 5."]),
        ("# A title\n\nParis is in France.", ["Paris is in France."]),
        ("Paris is big. [1] Berlin is too [2].", ["Paris is big. [1]", "Berlin is too [2]."]),
    ],
)  # fmt: skip
def test_sentences_and_clauses_that_stand_for_themselves_are_cut(text: str, claims: list[str]) -> None:
    assert split_claims(text) == claims


@pytest.mark.parametrize(
    "text",
    [
        "He said “I came; I saw; I won.” and left.",
        "He said “Paris is big. Berlin is not.” and left.",
        "Red, white, and blue are colours.",
        "Dr. Smith met A, B, and C.",
        "The film was shot in 1998, and it won a prize.",
        "The film was shot in 1998, and won a prize.",
        "If it rains, and the dam breaks, the town floods.",
        "It rose by 3.5 % to 1,200,000.",
        "The firm (the bank owned it; the state did not) was sold.",
        "She was born in Norway, and in Oslo she died.",
    ],
)
def test_a_quote_a_list_a_number_and_a_leaning_clause_are_never_cut(text: str) -> None:
    assert split_claims(text) == [text]


@pytest.mark.parametrize("text", ["", "  \n", "---", "[1]", "# Only a title"])
def test_a_text_without_a_claim_gives_none(text: str) -> None:
    assert split_claims(text) == []


def test_no_word_of_a_text_escapes_the_claims() -> None:
    rng = random.Random(20261123)
    parts = [
        "Bell",
        "bought",
        "Nokia",
        "the",
        "bank",
        "was",
        "sold",
        ".",
        ";",
        ", and",
        "“",
        "”",
        "(",
        ")",
        "3.5",
        "[1]",
    ]
    for _ in range(300):
        text = " ".join(rng.choices(parts, k=rng.randrange(1, 25)))
        told = " ".join(split_claims(text))
        for word in ("Bell", "Nokia", "bank", "sold", "3.5"):
            assert told.count(word) == text.count(word), (text, told)
