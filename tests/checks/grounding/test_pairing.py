"""Words find their counterparts by base form, meaning and root; opposites do not."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.pairing import Pairing, pair_words


def pair(claim: str, sentence: str) -> Pairing:
    return pair_words(read_line(claim), read_line(sentence))


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("cities", "city"), ("wrote", "writes"), ("purchase", "buy"), ("Norwegian", "Norway"), ("began", "started"),
        ("invention", "invented"),
    ],
)  # fmt: skip
def test_a_word_finds_its_counterpart(claim: str, sentence: str) -> None:
    assert pair(claim, sentence).alike == 1.0


@pytest.mark.parametrize(("claim", "sentence"), [("harmless", "harmful"), ("rise", "fall"), ("Bonn", "Mainz")])
def test_opposites_and_other_names_are_no_counterparts(claim: str, sentence: str) -> None:
    assert pair(claim, sentence).alike == 0.0


def test_what_has_no_counterpart_is_named_on_both_sides() -> None:
    pairing = pair("The merchant sold red timber.", "The merchant sold cheap timber.")
    assert [pairing.claim.items[at].low for at in pairing.alone()] == ["red"]
    assert [pairing.sentence.items[at].low for at in pairing.spare()] == ["cheap"]
    assert pairing.alike == 0.75
