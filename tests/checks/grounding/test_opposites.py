"""Opposites count where a counterpart should stand, and only there."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.opposites import find_degrees, find_opposites, is_opposite
from pilotage.checks.grounding.pairing import pair_words


@pytest.mark.parametrize(
    ("one", "other"),
    [("rose", "fell"), ("known", "unknown"), ("careful", "careless"), ("sold", "bought"), ("before", "after"),
     ("largest", "smallest"), ("dead", "alive"), ("fiction", "nonfiction")],
)  # fmt: skip
def test_opposites_are_known_both_ways(one: str, other: str) -> None:
    first, second = read_line(one).items[0], read_line(other).items[0]
    assert is_opposite(first, second)
    assert is_opposite(second, first)


@pytest.mark.parametrize(("one", "other"), [("rose", "grew"), ("united", "ited"), ("under", "der"), ("Bonn", "Mainz")])
def test_other_words_are_no_opposites(one: str, other: str) -> None:
    assert not is_opposite(read_line(one).items[0], read_line(other).items[0])


def strengths(claim: str, sentence: str) -> list[float]:
    pairing = pair_words(read_line(claim), read_line(sentence))
    return [finding.strength for finding in (*find_opposites(pairing), *find_degrees(pairing))]


def test_an_opposite_in_the_same_place_decides_and_one_elsewhere_does_not() -> None:
    assert max(strengths("Prices rose sharply in May.", "Prices fell sharply in May.")) == 1.0
    far = strengths("Prices rose.", "Prices of the goods that men of this old town made were high when snow fell.")
    assert all(strength < 1.0 for strength in far)


def test_bounds_of_one_number_that_exclude_each_other_decide() -> None:
    assert max(strengths("Over 500 came.", "Under 500 came.")) == 1.0
    assert strengths("Over 500 came.", "More than 500 came.") == []
