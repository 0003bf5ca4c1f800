"""The lists written by hand hold no word that the benchmark's contrasts turn on, so that its figures say something.

Closed classes and days of the calendar are exempt, and so are the lexicon made from WordNet, the international
system, time and money.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotage.answers import order, pairing
from pilotage.language import amounts, words
from pilotage.language.lexicon import lexicon

QUESTIONS = Path(__file__).parents[2] / "benchmarks" / "data" / "questions.jsonl"
LISTS = {
    "synonyms": frozenset(lexicon().own),
    "light verbs": words.LIGHT,
    "bland words": words.BLAND,
    "nouns before a number": words.DESIGNATORS,
    "sums of money": words.SUMS,
    "events": words.EVENTS,
    "dimensions": words.DIMENSIONS,
    "verbs of measures": words.MEASURING,
    "magnitudes": words.MAGNITUDES,
    "habits": words.HABITS,
    "now": words.NOWADAYS,
    "emphases": words.EMPHASES,
    "bodies": words.BODIES,
    "directed": words.DIRECTED,
    "converses": frozenset().union(*words.CONVERSES),
    "giving": words.GIVING,
    "handing in": words.HANDING,
    "coming about": order.COMING_ABOUT,
    "makers": pairing.MAKERS,
    "estranged adverbs": pairing.ESTRANGED,
}
NUMBERS = frozenset().union(amounts.ONES, amounts.TENS, amounts.SCALES, amounts.ORDINALS, amounts.MONTHS)
BEYOND = ("inch", "mile", "pound", "ounce", "fahrenheit", "psi", "bar", "mph", "calorie", "acre", "gallon")


def contrasts() -> set[str]:
    """The words of both halves and their base forms, without those of closed classes."""
    if not QUESTIONS.exists():
        pytest.skip("benchmarks/data/questions.jsonl is not in this checkout")
    rows = map(json.loads, QUESTIONS.read_text("utf-8").splitlines())
    found = {word.lower() for row in rows for word in row.get("words", [])} - words.CLOSED - NUMBERS
    return {base for word in found for base in (word, *lexicon().bases(word))}


@pytest.mark.parametrize("name", LISTS)
def test_no_word_of_a_contrast_stands_in_a_list_of_ours(name: str) -> None:
    turning = contrasts()
    assert sorted(entry for entry in LISTS[name] - words.CLOSED if entry.lower() in turning) == []


@pytest.mark.parametrize("name", BEYOND)
def test_units_are_those_of_the_international_system_time_and_money(name: str) -> None:
    assert amounts.unit_of(name, after_number=True) is None
