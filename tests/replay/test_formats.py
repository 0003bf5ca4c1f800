from __future__ import annotations

import pytest

from pilotage.replay.formats import (
    clock,
    count,
    exact_money,
    money,
    plural,
    seconds,
    share,
    short_clock,
    titled,
    tokens,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 ms"), (0.0404, "40 ms"), (1.5, "1.5 s"), (9.96, "10 s"), (59.9, "60 s"), (59.96, "1 min 00 s"),
     (125, "2 min 05 s"), (3599.7, "1 h 00 min"), (3725, "1 h 02 min")],
)  # fmt: skip
def test_seconds_are_written_as_people_say_them(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (999_949, "999.9k"), (999_951, "1.00M")],
)
def test_tokens_are_shortened_from_ten_thousand_on(value: float | None, shown: str) -> None:
    assert tokens(value) == shown


def test_what_nobody_knows_is_a_dash() -> None:
    assert (count(None), share(None), count(1234), share(0.1234)) == ("–", "–", "1,234", "12.3 %")


def test_a_cost_is_never_longer_than_a_tile() -> None:
    assert (money(0.0000752), exact_money(0.0000752)) == ("<$0.0001", "$0.0000752")
    assert (money(0.0042), exact_money(0.0042)) == ("$0.0042", "")
    assert (money(0.0), money(None), exact_money(None)) == ("$0.00", "unpriced", "")


def test_one_is_not_many() -> None:
    assert (plural(1, "unpriced call"), plural(1200, "step")) == ("1 unpriced call", "1,200 steps")


@pytest.mark.parametrize("question", [None, "", "  ", "\u200b", "\x00\n"])
def test_a_session_whose_question_shows_nothing_is_called_by_its_id(question: str | None) -> None:
    assert titled(question, "the-id") == "the-id"
    assert titled(" why? ", "the-id") == "why?"


def test_times_are_in_utc() -> None:
    assert clock(1_795_437_402) == "23 Nov 2026, 12:36:42 UTC"
    assert short_clock(1_795_437_402) == "23 Nov, 12:36"
