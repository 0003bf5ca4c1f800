"""The sentences that speak of a claim come first, stand where they say, and bring what they need to be understood."""

from __future__ import annotations

import random
import time

import pytest

from pilotage.checks.grounding.evidence import best_sentences, split_text

PAGE = """# The Harbour of Wells

The harbour of Wells is a port on the north coast. Mr. Smith built it in 1931 with 450 men.
It was widened twice. The town grew.

## Trade

Ships from Norway bring timber. In a good year 1,200,000 tons are landed there.
"""


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("Timber comes from Norway.", "Ships from Norway bring timber."),
        ("1.2 million tons are landed in a year.", "In a good year 1,200,000 tons are landed there."),
        ("The port was constructed by Smith.", "Mr. Smith built it in 1931 with 450 men."),
        ("It employed 450 workers.", "Mr. Smith built it in 1931 with 450 men."),
        ("It was opened in 1931.", "Mr. Smith built it in 1931 with 450 men."),
    ],
)
def test_the_sentence_that_says_it_comes_first(claim: str, found: str) -> None:
    assert best_sentences(claim, PAGE)[0].text == found


def test_candidates_stand_where_they_say_best_first_and_at_most_so_many() -> None:
    found = best_sentences("The harbour of Wells grew in a good year.", PAGE, most=3)
    assert 1 < len(found) <= 3
    assert [candidate.score for candidate in found] == sorted((c.score for c in found), reverse=True)
    for candidate in found:
        assert PAGE[candidate.start : candidate.start + len(candidate.text)] == candidate.text
        assert 0.0 < candidate.score <= 1.0


def test_the_context_tells_what_it_is() -> None:
    best = best_sentences("It was widened twice.", PAGE)[0]
    assert best.text == "It was widened twice."
    assert best.context == "The Harbour of Wells Mr. Smith built it in 1931 with 450 men."
    trade = best_sentences("Timber comes from Norway.", PAGE)[0]
    assert trade.context == "The Harbour of Wells Trade"


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    text = "The town is old. The town is big. The town is rich. A lighthouse stood there."
    assert best_sentences("There was a lighthouse in town.", text)[0].text == "A lighthouse stood there."


def test_nothing_in_common_gives_the_beginning_with_no_score() -> None:
    (only,) = best_sentences("Quantum foam wobbles.", "Bread is baked. Milk is drunk.")
    assert (only.text, only.start, only.score) == ("Bread is baked.", 0, 0.0)
    assert best_sentences("A claim.", "") == []
    assert best_sentences("", "Bread is baked.")[0].score == 0.0


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. X came. He left.", ["Mr. X came.", "He left."]),
        ("It grew by 3.5 % (see below). Then it fell!", ["It grew by 3.5 % (see below).", "Then it fell!"]),
        ("J. R. Smith met Dr. Brown at 5 p.m. on Monday.", ["J. R. Smith met Dr. Brown at 5 p.m. on Monday."]),
        ("A title\nAnother line", ["A title", "Another line"]),
        ("Of three owners,\none makes\nfew requests.", ["Of three owners,\none makes\nfew requests."]),
        ("of three\n\nof four", ["of three", "of four"]),
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("再試行の持ち主は一つだ。要求は27回になる。", ["再試行の持ち主は一つだ。", "要求は27回になる。"]),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split_text(text)] == sentences


def test_no_letter_of_a_text_is_lost_and_no_sentence_is_too_long() -> None:
    rng = random.Random(20261123)
    for _ in range(100):
        text = "".join(rng.choices("ab cD. \n!?“”;,1İ。", k=rng.randrange(0, 3000)))
        spans = split_text(text)
        assert "".join(text[a:b] for a, b in spans).replace(" ", "").replace("\n", "") == "".join(text.split())
        assert all(end - start <= 600 for start, end in spans)


def test_a_page_of_five_thousand_words_is_searched_in_milliseconds() -> None:
    """About 3 ms where it was measured; the bound leaves room for a slow machine."""
    rng = random.Random(1)
    words = [
        f"{rng.choice('bcdfg')}{rng.choice('aeiou')}{rng.choice('lmnrst')}{rng.choice('aeiou')}" for _ in range(5000)
    ]
    page = " ".join(word if at % 12 else f"{word}. The" for at, word in enumerate(words))
    claim = "The old harbour of Wells was built by bola and cima in 1931."
    best_sentences(claim, "The harbour.")
    began = time.process_time()
    best_sentences(claim, page)
    assert time.process_time() - began < 0.03
