"""The lists written by hand hold no word that the benchmark's contrasts turn on, so that its figures say something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotage.answers.lexicon import lexicon
from pilotage.answers.words import CLOSED

QUESTIONS = Path(__file__).parents[2] / "benchmarks" / "data" / "questions.jsonl"


def contrasts() -> set[str]:
    if not QUESTIONS.exists():
        pytest.skip("the benchmark's questions are not in this checkout")
    rows = map(json.loads, QUESTIONS.read_text("utf-8").splitlines())
    return {word.lower() for row in rows for word in row.get("words", [])}


def test_no_open_class_word_of_a_contrast_stands_in_our_synonyms() -> None:
    own = lexicon()
    words = {base for word in contrasts() - CLOSED for base in (word, *own.bases(word))}
    assert sorted(phrase for phrase in own.own if phrase.lower() in words) == []
