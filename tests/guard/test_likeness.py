"""What stays the same in another form, and what does not: near misses stand next to what they miss."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotage.guard.likeness import CUT, Vocabulary, alike, masked, normal, plain, skeleton, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"q": "Red Foxes"}, {"q": "red foxes"}),
        ({"q": "red  foxes\n"}, {"q": " red\tfoxes"}),
        ({"q": "red foxes ..."}, {"q": "red foxes?"}),
        ({"q": "red, foxes"}, {"q": "red foxes"}),
        ({"q": "“red” foxes"}, {"q": "'red' \"foxes\""}),
        ({"q": "ｒｅｄ　ｆｏｘｅｓ"}, {"q": "red foxes"}),
        ({"q": "red\u200b foxes"}, {"q": "red foxes"}),
        ({"q": "STRASSE"}, {"q": "straße"}),
        ({"n": 1000}, {"n": "1,000"}),
        ({"n": 1000.0}, {"n": "1000"}),
        ({"n": 2.50}, {"n": "2.5"}),
        ({"n": "1,234,567 items"}, {"n": "1234567.0 items"}),
        ({"Query": "x"}, {"query": "x"}),
        ({"deep": {"b": [1, {"c": "X"}], "a": 0}}, {"deep": {"a": "0", "b": ["1", {"c": "x"}]}}),
        ('{"q": "red", "n": 1}', {"n": 1, "q": "Red"}),
        ('{"q": "red"', '{"q":  "RED"'),
    ],
)
def test_the_same_arguments_in_another_form_are_the_same(one: Any, other: Any) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"page": 1}, {"page": 2}),
        ({"ids": [1, 2]}, {"ids": [2, 1]}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"expression": "2+3"}, {"expression": "2-3"}),
        ({"path": "."}, {"path": "./.env"}),
        ({"path": ".env"}, {"path": "env"}),
        ({"zip": "01234"}, {"zip": "1234"}),
        ({"n": -5}, {"n": 5}),
        ({"n": 1.5}, {"n": 15}),
        ({"version": "1.0.1"}, {"version": "1.1"}),
        ({"q": "red foxes"}, {"q": "foxes red"}),
        ({}, {"q": ""}),
    ],
)
def test_other_arguments_are_other(one: Any, other: Any) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize("value", [None, "", 7, 1.5, True, [], {}, "[", '"', "null", "{]", [None], {"a": None}, {1: 2}])
def test_arguments_of_any_shape_have_a_form(value: Any) -> None:
    assert json.loads(normal(value)) is not None


def test_a_tower_of_brackets_is_no_trouble() -> None:
    tower: Any = "x"
    for _ in range(500):
        tower = [tower]
    assert normal("[" * 100_000)
    assert normal(tower) == normal(json.dumps(tower))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("done at 2026-11-23T08:57:01.123Z", "done at 2026-11-24 17:02:44+01:00"),
        ("as of 08:57", "as of 17:02:11"),
        ("at 8:57 am", "at 5:02 pm"),
        ("ts 1764000000", "ts 1764000321.25"),
        ('{"at": 1764000000123}', '{"at": 1764000999456}'),
        ("took 0.123 s", "took 2.4 s"),
        ("took 12 ms", "took 9 ms"),
        ("rows: 3 (0.12s)", "rows: 3 (0.5s)"),
        ('{"elapsed_ms": 132}', '{"elapsed_ms": 7}'),
        ("id 550e8400-e29b-41d4-a716-446655440000", "id 9f3c0d52-1111-4222-8333-0123456789ab"),
        ("request_id=ab-12 ok", "request_id=zz-99 ok"),
        ("req_8fKd92 ok", "req_0aPQ11 ok"),
        ("sha 9f86d081884c7d65", "sha 60303ae22b998861"),
        ("two  spaces", "two spaces"),
    ],
)
def test_what_differs_by_itself_is_masked(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10 %", "20 %"),
        ("3 of 9", "4 of 9"),
        ("page 3", "page 4"),
        ("INV-20240017", "INV-20240018"),
        ("2026-11-23", "2026-11-24"),
        ("bake 30 minutes", "bake 40 minutes"),
        ("call 5551234", "call 5551235"),
        ("deadbeef", "feedface"),
        ("v1.2.3", "v1.2.4"),
    ],
)
def test_what_says_something_is_not_masked(one: str, other: str) -> None:
    assert masked(one) != masked(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red foxes", ["red", "foxes"]),
        ("東京都", ["東京", "京都"]),
        ("東 x", ["東", "x"]),
        ("서울은 수도", ["서울", "울은", "수도"]),
        ("snake_case 12", ["snake", "case", "12"]),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_only_the_beginning_of_a_huge_text_is_compared() -> None:
    assert words("a " * CUT) == words("a " * CUT + "b " * 1_000_000)


@pytest.mark.parametrize(
    ("one", "other", "least", "expected"),
    [
        ("a b c d", "a b c e", 0.75, True),
        ("a b c d", "a b c e", 0.76, False),
        ("a b c d", "d c b a", 1.0, True),
        ("a", "a b c d e f g h", 0.5, False),
        ("", "", 0.5, False),
        ("", "a", 0.5, False),
    ],
)
def test_alike_is_the_share_of_common_words(one: str, other: str, least: float, expected: bool) -> None:
    vocabulary = Vocabulary()
    first, second = vocabulary.bag(one.split()), vocabulary.bag(other.split())
    assert alike(first, second, least) is alike(second, first, least) is expected


def test_plain_never_makes_nothing_of_something() -> None:
    assert [plain(text) for text in ("...", "?", "。")] == ["...", "?", "。"]


def test_a_skeleton_forgets_which_numbers() -> None:
    assert skeleton("page 9") == skeleton("page 10") != skeleton("pages 10")
