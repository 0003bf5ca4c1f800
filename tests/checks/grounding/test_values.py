"""Numbers and months of a text are found in every form."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pilotage.checks.grounding.values import months_of, values_of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,024 calls at $3.50", {1024, Fraction(7, 2)}),
        ("1.5 million", {Fraction(3, 2), 1500000}),
        ("$4bn", {4, 4 * 10**9}),
        ("one hundred and twenty", {1, 20, 120}),
        ("twenty-first", {20, 1, 21}),
        ("in 2018-19", {2018, 2019, 19}),
        ("both, twice and a dozen", {2, 12}),
        ("no number", set()),
    ],
)
def test_every_number_is_found(text: str, values: set[int | Fraction]) -> None:
    assert {Fraction(value) for value in values} <= values_of(text)
    assert values or not values_of(text)


def test_months_are_found_by_name_and_in_dates() -> None:
    assert months_of("From Sept. to 2019-02-03, not in maybe.") == {9, 2}
