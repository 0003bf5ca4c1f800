"""The scorecard counts what came of the attempts, by question, by kind, and over all."""

from __future__ import annotations

import json

import pytest

from pilotage.evals.judging import Attempt
from pilotage.evals.questions import Question
from pilotage.evals.score import Tally, count, score
from tests.evals.made import attempt, ended

ATTEMPTS = [
    attempt("a", True, kind="plain", cited=True, seconds=1.0),
    attempt("a", True, kind="plain", cited=True, seconds=2.0),
    attempt("b", True, kind="plain", cited=True, seconds=3.0),
    attempt("b", False, kind="plain", cited=False, seconds=4.0),
    attempt("near-c", True, "unanswered", seconds=5.0),
    attempt("near-c", False, cited=True, seconds=6.0),
]


def test_each_figure_is_of_the_attempts_that_it_is_about() -> None:
    card = count(ATTEMPTS, "m", times=2)
    shares = {name: (found.value, found.of) for name, found in card.shares.items()}
    assert shares == {
        "right": (pytest.approx(4 / 6), 6), "cited": (pytest.approx(4 / 5), 5), "rightly_unanswered": (0.5, 2),
        "wrong_accepted": (pytest.approx(2 / 6), 6),
    }  # fmt: skip
    assert [found.value for found in card.pass_all] == pytest.approx([4 / 6, 1 / 3])
    assert [found.value for found in card.pass_any] == pytest.approx([4 / 6, 1.0])
    assert (card.questions, card.attempts, card.judged, card.times) == (3, 6, 6, 2)
    assert card.outcomes == {"accepted": 5, "unanswered": 1}
    assert (card.amounts["seconds_median"].value, card.amounts["seconds_p95"].value) == (3.5, 6.0)
    assert (card.tokens, card.usd, card.amounts["tokens_mean"].value) == (60, 3.0, 10.0)


def test_the_kinds_stand_in_the_order_of_the_file_and_a_row_without_one_is_among_the_others() -> None:
    kinds = count(ATTEMPTS, "m", times=2).kinds
    assert list(kinds) == ["plain", "other"]
    assert (kinds["plain"]["right"].value, kinds["plain"]["pass_hat_k"].value) == (0.75, 0.5)
    assert count([attempt("a", True)], "m").kinds == {}


def test_a_tally_knows_its_question_and_every_outcome() -> None:
    tallies = count(ATTEMPTS, "m", times=2).tallies
    assert tallies[1] == Tally("b", "plain", "b?", 2, 1, 1, {"accepted": 2})
    assert tallies[2] == Tally("near-c", None, "near-c?", 2, 1, 1, {"accepted": 1, "unanswered": 1})


def test_what_was_interrupted_is_in_no_figure() -> None:
    card = count([*ATTEMPTS[:3], attempt("b", False, "interrupted", seconds=99.0)], "m", times=2)
    assert card.interrupted
    assert (card.attempts, card.right, card.amounts["seconds_p95"].value) == (3, 1.0, 3.0)
    assert "interrupted" not in card.outcomes
    assert [found.of for found in card.pass_all] == [2, 1], "b was asked once only"


def test_nothing_done_is_a_card_without_figures() -> None:
    card = count([attempt("a", False, "interrupted")], "m", times=3, interrupted=True)
    assert (card.questions, card.right, card.judged) == (0, 0.0, 0)
    assert json.loads(json.dumps(card.as_json()))["seconds_median"] is None
    assert "questions" in card.table()


def test_failed_and_limited_runs_are_not_right_and_not_wrongly_accepted() -> None:
    card = score(
        [Question("1", "q", "x1"), Question("2", "q", None, "unanswered")], [ended("failed"), ended("limited")]
    )
    assert (card.right, card.shares["wrong_accepted"].value, card.shares["cited"].of) == (0.0, 0.0, 0)


def test_the_card_adds_up_and_is_json() -> None:
    questions = [Question("1", "q", "x1"), Question("2", "q", "x2"), Question("3", "q")]
    results = [
        ended("accepted", "is x1", seconds=1.0),
        ended("rejected", seconds=3.0),
        ended("accepted", "x", seconds=2.0),
    ]
    card = score(questions, results)
    assert (card.questions, card.judged, card.right, card.tokens, card.usd) == (3, 2, 0.5, 30, 1.5)
    assert card.outcomes == {"accepted": 2, "rejected": 1}
    assert card.amounts["seconds_median"].value == 2.0
    assert json.loads(json.dumps(card.as_json())) == card.as_json()


def test_one_unpriced_run_makes_the_sum_unpriced() -> None:
    card = score([Question("1", "q"), Question("2", "q")], [ended("accepted"), ended("accepted", usd=None)])
    assert (card.usd, card.amounts["usd_mean"].value) == (None, None)
    assert "unpriced" in card.table()


def test_two_rows_of_one_id_are_two_questions() -> None:
    asked = [Question("1", "q?", "x"), Question("1", "r?", "x")]
    judged = [Attempt(question, 1, "accepted", True, True, 1.0, 1, 0.0) for question in asked]
    assert count(judged, "m").questions == 2
