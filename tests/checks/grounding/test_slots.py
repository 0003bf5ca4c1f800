"""Another name where the sentence has one: what decides, what is only a sign, and what is none."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.lines import read_line
from pilotage.checks.grounding.pairing import pair_words
from pilotage.checks.grounding.slots import find_slots
from pilotage.checks.grounding.vetoes import find_veto


def strengths(claim: str, sentence: str) -> list[float]:
    return [found.strength for found in find_slots(pair_words(read_line(claim), read_line(sentence)))]


@pytest.mark.parametrize(
    ("claim", "sentence", "reason"),
    [
        ("Ida Holm made 35 saves in Leeds.", "Ada Berg made 35 saves in Leeds, as Ida Holm looked on.",
         "source: Ada Berg; claim: Ida Holm"),
        ("In 1968 during the Regency, farmers burnt the mill.", "In 1968 in the Great Thaw, farmers burnt a mill.",
         "source: Great Thaw; claim: Regency"),
        ("The firm opened a mill near Tovik harbour.", "The firm opened a mill near Salla harbour.",
         "source: Salla; claim: Tovik"),
    ],
)  # fmt: skip
def test_another_name_between_the_same_words_decides(claim: str, sentence: str, reason: str) -> None:
    veto = find_veto(claim, [sentence], f"{sentence} Tovik and the Regency came later.")
    assert veto is not None
    assert veto.sure
    assert veto.kind == "name"
    assert reason in veto.reason


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("Ada Berg made 35 saves.", "Berg made 35 saves."),  # a part of the name
        ("Ada Berg made 35 saves.", "She made 35 saves."),
        ("Ada Berg made 35 saves.", "The keeper of Leeds made 35 saves."),  # no name alone
        ("The mill of the USA opened early.", "The mill of the United States opened early."),
        ("The Lantern signifies the victory of light.", "A feast of Tovik, it signifies the victory of light."),
        ("Ada Berg and Ida Holm made 35 saves.", "Ida Holm and Ada Berg made 35 saves."),
    ],
)
def test_what_may_be_the_same_does_not(claim: str, sentence: str) -> None:
    assert not any(strength == 1.0 for strength in strengths(claim, sentence))


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("Alva Strand is a long film.", "Daag is a long film by Alva Strand."),
        ("Northern was born in May.", "Ada Berg was born in May 1908 to a Northern painter."),
    ],
)
def test_what_is_said_of_another_subject_decides(claim: str, sentence: str) -> None:
    (found,) = find_slots(pair_words(read_line(claim), read_line(sentence)))
    assert found.strength == 1.0
    assert found.reason.startswith("source says it of ")


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("Alva Strand is a painter.", "Daag is a film by the painter Alva Strand."),
        ("Alva Strand is a long film.", "Alva Strand is a long film by Daag."),
        ("Alva Strand is a long film.", "The long film, shown in Leeds, is Alva Strand."),
    ],
)
def test_what_may_be_said_of_the_subject_does_not(claim: str, sentence: str) -> None:
    assert not strengths(claim, sentence)


def test_words_on_one_side_are_a_sign() -> None:
    assert strengths("The old mill went past Tovik.", "The old mill went beyond Salla.") == [0.6]
    assert strengths("The old mill was sold to Tovik.", "The old mill was sold to Salla.") == [1.0]  # by the same word


def test_a_claim_that_denies_is_not_struck_by_what_stands_there_instead() -> None:
    veto = find_veto("It was not Tovik harbour that opened.", ["It was Salla harbour that opened."])
    assert veto is None or not veto.sure
