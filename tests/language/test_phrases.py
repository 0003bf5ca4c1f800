"""The lists written by hand: no opposites in a group, nothing said twice, noun classes as WordNet has them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from pilotage.language import lexicon as module
from pilotage.language.lexicon import lexicon

FOLDER = Path(module.__file__).parent


def groups(name: str) -> list[list[str]]:
    lines = (FOLDER / name).read_text("utf-8").splitlines()
    return [[part.strip() for part in line.split(",")] for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["synonyms.txt", "phrases.txt"])
def test_no_group_holds_opposites(name: str) -> None:
    book = lexicon()
    found = [pair for group in groups(name) for pair in combinations(group, 2) if book.is_opposite(*pair)]
    assert found == []


def test_a_group_of_phrases_has_two_members_at_least_and_none_twice() -> None:
    assert [group for group in groups("phrases.txt") if len(group) < 2 or len(set(group)) < len(group)] == []


def test_hyphens_and_determiners_do_not_matter() -> None:
    own = lexicon().own
    assert own["work from home"] & own["home working"]
    assert own["co worker"] & own["colleague"]
    assert "take a shower" not in own
    assert "take shower" in own


@pytest.mark.parametrize(
    ("word", "name"), [("driver", "person"), ("siege", "act"), ("bridge", "artifact"), ("xylograph", "")]
)
def test_the_class_of_a_noun_is_that_of_its_usual_meaning(word: str, name: str) -> None:
    assert lexicon().noun_class(word) == name
