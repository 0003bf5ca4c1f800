"""What a claim puts before, into or in the place of what the sentence says."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.additions import find_additions, find_frame, find_stretches, find_turn, weigh
from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.pairing import Pairing, pair_words

SENTENCE = "The harbour was opened by a wealthy merchant in spring."


def pair(claim: str, sentence: str = SENTENCE) -> Pairing:
    return pair_words(read_line(claim), read_line(sentence))


@pytest.mark.parametrize(
    ("claim", "added", "replaced"),
    [
        ("The harbour was opened by a wealthy merchant in spring.", 0.0, 0.0),
        ("In spring a wealthy merchant opened the harbour.", 0.0, 0.0),
        ("The harbour was opened by a wealthy beekeeper in spring.", 0.0, 1.0),
        ("The harbour was opened by a wealthy young merchant in spring.", 1.0, 0.0),
        ("The lighthouse was opened by a wealthy merchant in spring.", 0.0, 0.5),
    ],
)
def test_stretches_are_weighed_by_where_they_stand(claim: str, added: float, replaced: float) -> None:
    assert weigh(find_stretches(pair(claim))) == (added, replaced)


@pytest.mark.parametrize("frame", ["It is a rumour that", "Only a fool holds that", "It was a plot of a play that"])
def test_a_frame_that_the_sentence_has_not_is_found(frame: str) -> None:
    finding = find_frame(pair(f"{frame} the harbour was opened by a wealthy merchant."))
    assert finding is not None
    assert (finding.reason, finding.strength) == (f"claim says “{frame}”, source does not", 1.0)


@pytest.mark.parametrize("frame", ["It is known that", "The text says that", "Note that", "It is interesting that"])
def test_a_frame_that_affirms_is_none(frame: str) -> None:
    assert find_frame(pair(f"{frame} the harbour was opened by a wealthy merchant.")) is None


def test_other_superlatives_and_names_in_one_place_decide() -> None:
    (degree,) = find_additions(pair("It is the drabbest city of Spain.", "It is the largest city of Spain."))
    (name,) = find_additions(pair("The men of Oslo sold the ship.", "The men of Bonn sold the ship."))
    assert (degree.kind, degree.reason, degree.strength) == ("comparative", '"drabbest" against "largest"', 1.0)
    assert (name.kind, name.reason, name.strength) == ("name", "source: Bonn; claim: Oslo", 1.0)


def test_a_turn_before_the_verb_is_a_sign() -> None:
    (finding,) = find_additions(pair("The merchant came close to selling the ship.", "The merchant sold the ship."))
    assert (finding.kind, finding.reason) == ("negation", "claim adds “came close to”")


@pytest.mark.parametrize("turn", ["is all but", "was close to being", "has scorned to", "is the contrary of being"])
def test_new_words_between_the_verb_and_what_the_sentence_says_are_a_sign(turn: str) -> None:
    finding = find_turn(pair(f"The ship {turn} a prize of the king.", "The ship is a prize of the king."))
    assert finding is not None
    assert (finding.reason, finding.strength) == (f"claim adds “{turn}”", 0.8)


@pytest.mark.parametrize("turn", ["is", "is known to be", "is said to be", "has to be", "continues to be"])
def test_what_leaves_the_sentence_as_it_is_is_no_turn(turn: str) -> None:
    assert find_turn(pair(f"The ship {turn} a prize of the king.", "The ship is a prize of the king.")) is None
