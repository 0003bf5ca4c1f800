"""Whether a text has a number, whatever form it stands in there."""

from __future__ import annotations

import pytest

from pilotage.checks.grounding.figures import stands, telling
from pilotage.checks.grounding.lines import read_line


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("two", "2"), ("2", "two"), ("21", "twenty-one"), ("1,500,000", "1.5 million"), ("1.5 million", "1500000"),
        ("4 billion", "$4bn"), ("1993", "on 3.4.1993"), ("2019", "in 2018-19"), ("1971", "in ’71"), ("3.50", "3.5"),
        ("1200", "1,200 miles"), ("the 1990s", "1999"), ("the 20th century", "1936"), ("about 500", "512"),
        ("over 250", "300"), ("24 hours", "1 day"), ("May 1993", "3 May 1993"), ("120", "one hundred and twenty"),
    ],
)  # fmt: skip
def test_a_number_stands_in_a_text_in_another_form(claim: str, text: str) -> None:
    (figure,) = read_line(claim).figures
    assert stands(figure, text)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("450", "4500 and 1450 and 4.450"), ("1993", "1994"), ("May 1993", "June 1993"), ("3 May", "4 May"),
        ("the 1980s", "1993"), ("the 19th century", "1993"), ("about 500", "700"), ("over 350", "300"),
        ("about 513", "500"), ("24 hours", "2 days"), ("1.5 million", "1.5 billion and 15"),
    ],
)  # fmt: skip
def test_another_number_does_not(claim: str, text: str) -> None:
    (figure,) = read_line(claim).figures
    assert not stands(figure, text)


def test_one_and_first_in_words_and_twenty_four_seven_say_no_number() -> None:
    assert telling(read_line("One of the first is open 24/7 for 3 years.").figures)[0].text == "3 years"
