"""Known values, and intervals that hold when they are tried."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from pilotage.evals.estimates import (
    average,
    bootstrap,
    figure_of,
    median,
    p95,
    pass_all,
    pass_any,
    share_of,
    sign_test,
    wilson,
)


@pytest.mark.parametrize(  # Newcombe 1998, table I
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(right: int, of: int, low: float, high: float) -> None:
    assert wilson(right, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(of - right, of) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("of", "right", "k", "all_", "any_"), [(8, 4, 2, 6 / 28, 22 / 28), (5, 1, 3, 0.0, 0.6)])
def test_pass_k_gives_the_known_values(of: int, right: int, k: int, all_: float, any_: float) -> None:
    assert (pass_all(of, right, k), pass_any(of, right, k)) == pytest.approx((all_, any_))


@pytest.mark.parametrize(("of", "right"), [(4, 0), (4, 1), (4, 3), (5, 5)])
def test_pass_k_is_the_mean_over_all_choices_of_k_attempts(of: int, right: int) -> None:
    answers = [True] * right + [False] * (of - right)
    for k in range(1, of + 1):
        chosen = list(itertools.combinations(answers, k))
        assert pass_all(of, right, k) == pytest.approx(sum(map(all, chosen)) / len(chosen))
        assert pass_any(of, right, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))
    assert pass_all(of, right, 1) == pytest.approx(right / of)
    assert pass_all(of, right, of) == float(right == of)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (11, 2, 184 / 8192), (2, 11, 184 / 8192)],
)
def test_the_sign_test_is_mcnemars_exact_one(better: int, worse: int, p: float) -> None:
    assert sign_test(better, worse) == pytest.approx(p)


def test_questions_that_were_asked_once_get_wilsons_interval() -> None:
    found = share_of([[1.0]] * 81 + [[0.0]] * 182 + [[]])
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (found.of, found.method) == (263, "wilson")


def test_asking_again_what_is_answered_alike_makes_no_interval_narrower() -> None:
    once, often = share_of([[1.0], [0.0]] * 20), share_of([[1.0] * 10, [0.0] * 10] * 20)
    assert (often.value, often.of, often.method) == (0.5, 400, "bootstrap over questions")
    assert once.low is not None
    assert often.low == pytest.approx(once.low, abs=0.03)


def test_answers_that_are_all_right_are_not_taken_for_certainty() -> None:
    found = share_of([[1.0] * 3] * 10)
    assert found.low == pytest.approx(0.7225, abs=5e-5)
    assert (found.high, found.method) == (1.0, "wilson over questions")


def test_nothing_asked_is_no_figure() -> None:
    for found in (share_of([]), share_of([[], []]), figure_of([[]], median)):
        assert (found.value, found.low, found.high, found.of) == (None, None, None, 0)


def test_the_bootstrap_is_the_same_each_time_and_another_with_another_seed() -> None:
    groups = [[float(number % 7), float(number % 3)] for number in range(30)]
    assert bootstrap(groups, average) == bootstrap(groups, average)
    assert bootstrap(groups, average) != bootstrap(groups, average, seed=1)


def test_the_bootstrap_of_a_mean_comes_near_the_textbook() -> None:
    values = np.random.default_rng(5).normal(10, 2, 400)
    low, high = bootstrap([[value] for value in values.tolist()], average)
    error = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.03)


def test_the_interval_of_repeated_questions_covers_the_truth_as_often_as_it_says() -> None:
    """Thirty questions of differing difficulty, three answers each: nineteen in twenty, give or take."""
    rng, covered, trials = random.Random(3), 0, 200
    for trial in range(trials):
        chances = [rng.choice((0.2, 0.95)) for _ in range(30)]
        groups = [[float(rng.random() < chance) for _ in range(3)] for chance in chances]
        low, high = bootstrap(groups, average, seed=trial, resamples=300)
        covered += low <= 0.575 <= high
    assert 0.89 <= covered / trials <= 0.99


def test_groups_of_different_sizes_are_drawn_whole() -> None:
    low, high = bootstrap([[0.0], [1.0, 1.0, 1.0]], average)
    assert (low, high) == (0.0, 1.0)


def test_the_slow_end_is_in_the_p95() -> None:
    assert p95(np.array([1.0] * 18 + [9.0] * 2)) == 9.0
    assert p95(np.array([1.0] * 19 + [9.0])) == 1.0
    assert median(np.array([1.0, 2.0, 9.0])) == 2.0
    found = figure_of([[1.0, 1.0], [5.0]], median)
    assert (found.value, found.low, found.high, found.of) == (1.0, 1.0, 5.0, 3)
