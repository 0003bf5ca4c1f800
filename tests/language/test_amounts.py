"""Numbers, quantities, dates, times and ordinals have one form, and different ones different forms."""

from __future__ import annotations

import pytest

from pilotage.language.amounts import read_amount, unit_of
from pilotage.language.wording import tokenize


def amount(text: str) -> str:
    return read_amount([token.raw for token in tokenize(text)], 0)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"), ("1000", "one thousand"), ("1k", "1000"), ("twenty-five", "25"), ("1.50", "1.5"),
        ("three hundred and five", "305"), ("24 hours", "1 day"), ("24 h", "one day"), ("1.5 kg", "1500 grams"),
        ("2 pm", "14:00"), ("12 am", "00:00"), ("5 June 2024", "2024-06-05"), ("June 5th, 2024", "5 June 2024"),
        ("31 March", "March 31st"), ("third", "3rd"), ("twenty-first", "21st"), ("50%", "50 per cent"),
        ("$50", "50 dollars"), ("180 °C", "180 degrees Celsius"), ("12 months", "one year"), ("1/2", "0.5"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_amount_are_equal(one: str, other: str) -> None:
    assert amount(one) == amount(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("450", "540"), ("1,000", "1.000 km"), ("5 km", "5 m"), ("5 mW", "5 MW"), ("8 am", "8 pm"), ("3", "third"),
        ("0.5", "50%"), ("5 June 2024", "June 2024"), ("31 March", "31 May"), ("1970", "1970s"), ("5 GB", "5 MB"),
        ("twenty", "twelve"), ("1/2", "1/4"), ("10 euros", "10 dollars"), ("4 thousand", "4 million"),
    ],
)  # fmt: skip
def test_different_amounts_differ(one: str, other: str) -> None:
    assert amount(one) != amount(other)


@pytest.mark.parametrize("text", ["cats", "may I", "k", "hundred years", "second", "12:99"])
def test_words_that_begin_no_amount(text: str) -> None:
    assert amount(text) in ("", "number #2", "number 12")


def test_a_sign_counts_only_after_a_number() -> None:
    assert unit_of("m", after_number=True) == ("m", 1)
    assert unit_of("m", after_number=False) is None
    assert unit_of("Ms", after_number=True) is None
