"""The surroundings of quotes in long texts."""

from __future__ import annotations

import pytest

from pilotage.evidence.around import GAP, LONG, NEAR, around

ROWS = [f"name: item {number} | price: {number}.50" for number in range(1, 400)]
TABLE = "columns: name, price\n" + "\n".join(ROWS)
QUOTE = ROWS[200]


def test_a_short_text_and_one_that_nothing_is_quoted_from_come_in_whole() -> None:
    assert around(TABLE[:LONG], [ROWS[3]]) == TABLE[:LONG]
    assert around(TABLE, []) == TABLE


def test_of_a_long_text_come_its_head_and_what_stands_around_the_quote() -> None:
    told = around(TABLE, [QUOTE])
    assert told.startswith("columns: name, price\n")
    assert all(row in told for row in ROWS[195:206])
    assert len(told) < 2 * NEAR + 700 < len(TABLE) / 4
    assert told.count(GAP.strip()) == 2
    parts = told.replace(GAP.strip(), "\n").split("\n")
    assert all(part in TABLE for part in parts)


def test_no_word_is_cut() -> None:
    words = [f"word{number}" for number in range(2000)]
    told = around(" ".join(words), ["word900 word901"])
    assert set(told.replace(GAP, " ").replace(GAP.strip(), " ").split()) <= set(words)


@pytest.mark.parametrize("other", [ROWS[202], ROWS[399 - 1], ROWS[0]])
def test_every_quote_is_there(other: str) -> None:
    told = around(TABLE, [QUOTE, other])
    assert QUOTE in told
    assert other in told


def test_a_quote_with_other_white_space_is_found() -> None:
    assert ROWS[201] in around(TABLE, [QUOTE.replace(" ", "\n ")])


def test_a_quote_that_does_not_stand_there_leaves_the_whole_text_to_be_judged() -> None:
    assert around(TABLE, [QUOTE, "name: item 999 | price: 1.00"]) == TABLE
    assert around(TABLE, [" "]) == TABLE


def test_a_text_without_spaces_is_cut_anywhere() -> None:
    text = "あ" * 5000 + "終わり" + "い" * 5000
    told = around(text, ["終わり"])
    assert "終わり" in told
    assert len(told) < 5 * NEAR
