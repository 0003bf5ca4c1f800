"""Negations are counted before the same word on both sides; quantifiers of two strengths do not agree."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.denials import denied, find_denials, find_quantifiers, has_denial
from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.pairing import pair_words


def under_negation(text: str, other: str = "") -> list[str]:
    line = read_line(text)
    return [line.items[at].low for at in denied(line, read_line(other))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The tower is not open.", ["open"]),
        ("She never wrote a book.", ["wrote"]),
        ("They played without a keeper.", ["keeper"]),
        ("The firm failed to pay.", ["pay"]),
        ("It is not impossible.", []),
        ("It isn't only tall.", []),
        ("There was not one march, but several.", []),
        ("No. 3 is open.", []),
        ("No more than 5 came.", []),
        ("She was not the first woman.", []),  # the number is denied, not the woman
        ("Whether or not it rains, they play.", []),
    ],
)
def test_a_negation_stands_before_its_word(text: str, words: list[str]) -> None:
    assert under_negation(text) == words


def test_two_negations_of_one_word_are_none() -> None:
    assert under_negation("He did not fail to pay.") == []


def test_a_turning_word_that_both_have_turns_nothing() -> None:
    assert under_negation("The firm refused to pay.", "It refused payment.") == []


def test_only_a_real_negation_is_a_denial() -> None:
    assert has_denial(read_line("It was never so."))
    assert not has_denial(read_line("It was not only so."))


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [("He often sang.", "He sang often and well."), ("Some men voted.", "All men voted."), ("It fell.", "All fell.")],
)
def test_a_weaker_claim_holds(claim: str, sentence: str) -> None:
    pairing = pair_words(read_line(claim), read_line(sentence))
    assert not list(find_quantifiers(pairing))
    assert not list(find_denials(pairing))
