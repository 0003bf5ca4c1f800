"""A sentence is read into words, names and figures."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pilotage.checks.grounding.lines import read_line


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("born on May 3 , 1993", [("date", (1993, 5, 3))]),
        ("born 12 June 1875 -- died 1947", [("date", (1875, 6, 12)), ("date", (1947, 0, 0))]),
        ("in May", [("date", (0, 5, 0))]),
        ("it may rain", []),
        ("from 1927-1941", [("date", (1927, 0, 0)), ("date", (1941, 0, 0))]),
        ("the 2018–19 season", [("date", (2018, 0, 0))]),
    ],
)
def test_dates_are_read_in_every_usual_form(text: str, figures: list[tuple[str, tuple[int, int, int]]]) -> None:
    assert [(figure.kind, figure.date) for figure in read_line(text).figures] == figures


@pytest.mark.parametrize(
    ("text", "kind", "value", "unit", "bound"),
    [
        ("more than 1,500,000 copies", "number", 1500000, "", "more"),
        ("$ 1.5 million", "amount", 1500000, "$", ""),
        ("nearly 40 per cent", "amount", 40, "%", "about"),
        ("less than two kilometres", "amount", 2, "m", "less"),
        ("in the 1970s", "decade", 1970, "", ""),
        ("in the 1900's", "decade", 1900, "", ""),
        ("the 20th century", "century", 20, "", ""),
        ("the third man", "ordinal", 3, "", ""),
        ("1200 miles", "number", 1200, "", ""),
    ],
)
def test_numbers_keep_their_value_unit_and_bound(text: str, kind: str, value: int, unit: str, bound: str) -> None:
    (figure,) = read_line(text).figures
    assert (figure.kind, figure.value, figure.unit, figure.bound) == (kind, Fraction(value), unit, bound)


def test_a_number_knows_what_it_counts() -> None:
    (figure,) = read_line("There are 450 luxury seats in the hall.").figures
    assert {"luxury", "seat"} <= figure.head
    assert "hall" not in figure.head


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("He joined the Bank of England in London.", ["Bank of England", "London"]),
        ("Later Tom Brady left.", ["Tom Brady"]),
        ("Rivers flow.", []),
        ("Nokia grew.", ["Nokia"]),
        ("-LRB- Sydney -RRB- is big", ["Sydney"]),
    ],
)
def test_names_are_runs_of_capitals_and_no_common_word_that_opens_the_sentence(text: str, names: list[str]) -> None:
    line = read_line(text)
    assert [" ".join(item.raw for item in line.items[start:end]) for start, end in line.names] == names
