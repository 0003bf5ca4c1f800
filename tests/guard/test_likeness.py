"""What stays the same in another form, and what does not: near misses stand next to what they miss."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pilotage.guard.likeness import (
    CUT,
    LONGEST,
    Vocabulary,
    alike,
    masked,
    normal,
    plain,
    skeleton,
    without_counters,
    words,
)


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


@pytest.mark.parametrize("depth", [30, 900, 940, 960, 975, 1_000, 5_000])
def test_a_tower_of_any_height_has_a_form(depth: int) -> None:
    tower: Any = "x"
    for _ in range(depth):
        tower = {"a": tower}
    assert normal(tower)
    assert normal({"q": tower, "r": 1}) != normal({"q": tower, "r": 2})


def test_numbers_that_python_does_not_print_have_a_form() -> None:
    assert normal({"q": 10**6000}) != normal({"q": 5})
    assert normal({10**6000: float("nan"), "r": float("inf")})
    assert normal('{"q": ' + "9" * 6000 + "}") != normal('{"q": ' + "8" * 6000 + "}")


@pytest.mark.parametrize("form", [plain, masked])
def test_the_end_of_a_huge_text_counts_as_it_stands(form: Callable[[str], str]) -> None:
    start = "word 12:30 " * LONGEST
    assert form(start + "one") == form(start + "one") != form(start + "two")
    assert len(form(start)) < 2 * LONGEST


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
        ("\x1b[31mred\x1b[0m 3", "red \x1b[1;33m3"),
        ("<Node at 0x7f3a91c0>", "<Node at 0x55e1b2d4f8>"),
        ('{"nonce": 123456789}', '{"nonce": 987654321}'),
        ("Seed: -2107", "Seed: 99"),
        ("Ray ID: 7a1", "Ray ID: 9c22"),
        ("Reference ESC-12345", "Reference ESC-99"),
        ('{"next_cursor": "c_1a"}', '{"next_cursor": "c_2b"}'),
        ("etag: W1", "etag: W22"),
        ("loaded at 1.5 MB/s", "loaded at 900 kB/s"),
        ("x.org/?utm=1a2b3c", "x.org/?utm=9f8e7d"),
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
        ("loaded 10 kB of 90 kB", "loaded 20 kB of 90 kB"),
        ("12 tokens left", "11 tokens left"),
        ("reference is missing in chapter 3", "reference is missing in chapter 4"),
        ("x.org/?page=100000", "x.org/?page=100001"),
        ("x.org/?q=facade", "x.org/?q=decade"),
        ("a seed of doubt", "a token of thanks"),
        ("exit code 0x1", "exit code 0x2"),
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


def test_only_small_counts_that_stand_alone_are_forgotten() -> None:
    assert without_counters('{"page": 9}') == without_counters('{"page": 10}')
    assert without_counters("draft v2, no #3") == without_counters("draft v3, no #4")
    for one, other in (("page 100", "page 101"), ("web01", "web02"), ("A-7", "A-8"), ("2-1", "2-3"), ("1.5", "1.6")):
        assert without_counters(one) != without_counters(other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("order 1007 late", "order 1008 late", True),
        ("host web01", "host web02", True),
        ("order 1007", "order a7", True),
        ("order 1007 late", "order 1008 early", False),
        ("order 7", "order 8", False),
        ("draft v2", "draft v3", False),
        ("order 1007", "order 1007", False),
        ("red", "blue", False),
    ],
)
def test_bags_differ_by_name_when_they_differ_in_nothing_else(one: str, other: str, expected: bool) -> None:
    vocabulary = Vocabulary()
    assert vocabulary.differ_by_name(vocabulary.bag(one.split()), vocabulary.bag(other.split())) is expected


def test_a_skeleton_forgets_which_numbers() -> None:
    assert skeleton("page 9") == skeleton("page 10") != skeleton("pages 10")
