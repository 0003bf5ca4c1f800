"""Names that are not there, names in another's place, and names that have changed places."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.pairing import pair_words
from pilotage.checks.grounding.roles import are_same, find_names, find_swaps, is_absent


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("the United States", "in the US"), ("the U.S.", "the United States of America"), ("Norway", "Norwegians"),
        ("L'Oréal", "loreal"), ("Tom Brady", "Brady"), ("NASA", "NASA’s"), ("AT&T", "at AT & T"),
    ],
)  # fmt: skip
def test_a_name_in_another_form_is_there(name: str, text: str) -> None:
    line = read_line(f"It is {name}")
    assert not is_absent(line, line.names[0], text)


def test_a_name_that_no_word_of_the_text_has_is_absent() -> None:
    line = read_line("He lives in Mexico")
    assert is_absent(line, line.names[0], "He lives in Norway and met Max.")


def test_another_name_in_the_slot_is_told() -> None:
    pairing = pair_words(read_line("He was born in Mexico."), read_line("He was born in Norway."))
    (finding,) = find_names(pairing, "He was born in Norway.")
    assert (finding.reason, finding.strength) == ("name Mexico not in source: it has Norway", 1.0)


@pytest.mark.parametrize(
    ("one", "other"), [("America", "United States"), ("Vasquez", "Vázquez"), ("England", "Britain")]
)
def test_usual_names_of_one_thing_are_no_rivals(one: str, other: str) -> None:
    assert are_same(read_line(f"of {one}").items[1:], read_line(f"of {other}").items[1:])


SWAPPED = [
    ("Nokia bought Ericsson.", "Ericsson bought Nokia."),
    ("Nokia was bought by Ericsson.", "Nokia bought Ericsson."),
    ("Nokia bought Ericsson.", "Nokia was bought by Ericsson."),
    ("France beat Spain in May.", "In May Spain beat France."),
    ("He flew from Oslo to Bonn.", "He flew from Bonn to Oslo."),
    ("Nokia sued the owner of Ericsson.", "Ericsson sued the owner of Nokia."),
]
KEPT = [
    ("Nokia bought Ericsson.", "In 1998 Nokia bought the firm Ericsson."),
    ("Nokia was bought by Ericsson.", "Ericsson bought Nokia."),
    ("Nokia bought Ericsson.", "Ericsson was bought by Nokia."),
    ("Tom married Ann.", "Ann married Tom."),
    ("Oslo and Bonn are cities.", "Bonn and Oslo are cities."),
    ("He flew from Oslo to Bonn.", "He flew to Bonn from Oslo."),
]


@pytest.mark.parametrize(("claim", "sentence"), SWAPPED)
def test_names_that_changed_places_are_found(claim: str, sentence: str) -> None:
    assert list(find_swaps(pair_words(read_line(claim), read_line(sentence))))


@pytest.mark.parametrize(("claim", "sentence"), KEPT)
def test_voice_order_and_mutual_verbs_change_no_roles(claim: str, sentence: str) -> None:
    assert not list(find_swaps(pair_words(read_line(claim), read_line(sentence))))
