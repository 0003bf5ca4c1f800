"""Cards side by side, paired by question: what changed, whether it is chance, and baselines that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotage.errors import ConfigError
from pilotage.evals.comparing import check_writable, compare, read_baseline, save
from pilotage.evals.score import Scorecard, Tally, count
from tests.evals.made import attempt

NAMES = ("before", "after")


def card(**answers: str) -> Scorecard:
    """`card(a="rw")`: question a was answered right, then wrong; u is an honest `unanswered`."""
    tries = [attempt(id, sign == "r", "unanswered" if sign == "u" else "accepted", cited=True)
             for id, signs in answers.items() for sign in signs]  # fmt: skip
    return count(tries, "m", times=max(map(len, answers.values())))


def of(right: str, start: int = 0) -> dict[str, str]:
    return {f"q{number}": sign for number, sign in enumerate(right, start)}


def test_six_worse_and_none_better_are_more_than_chance() -> None:
    found = compare(card(**of("rrrrrrrr")).tallies, card(**of("uuuuuurr")).tallies, NAMES)
    assert (found.paired, found.right.down, found.right.p) == (8, [f"q{n}" for n in range(6)], 0.03125)
    assert found.is_worse
    assert found.turned["q0"] == ("accepted", "unanswered")
    assert "q6" not in found.turned
    assert found.wrong_accepted.up == []


def test_five_worse_or_six_better_are_no_drop() -> None:
    assert not compare(card(**of("rrrrr")).tallies, card(**of("uuuuu")).tallies, NAMES).is_worse
    better = compare(card(**of("uuuuuu")).tallies, card(**of("rrrrrr")).tallies, NAMES)
    assert better.right.is_significant
    assert not better.is_worse


def test_more_wrong_answers_are_worse_even_when_no_fewer_are_right() -> None:
    found = compare(card(**of("uuuuuur")).tallies, card(**of("wwwwwwr")).tallies, NAMES)
    assert (found.right.up, found.right.down) == ([], [])
    assert found.wrong_accepted.up == [f"q{n}" for n in range(6)]
    assert found.is_worse


def test_shares_are_compared_when_questions_were_asked_different_numbers_of_times() -> None:
    found = compare(card(a="rw", b="rr", c="rw").tallies, card(a="rwrw", b="rrrw", c="rrrw").tallies, NAMES)
    assert (found.right.up, found.right.down) == (["c"], ["b"])


def test_what_stands_on_one_side_only_or_was_reworded_is_left_out() -> None:
    before, after = card(a="r", b="r").tallies, card(a="u", c="u").tallies
    reworded = Tally("b", None, "another b?", 1, 0, 0, {"unanswered": 1})
    found = compare(before, [*after, reworded], NAMES)
    assert (found.paired, found.left_out, found.right.down) == (1, ["b", "c"], ["a"])


def test_a_saved_card_is_read_as_it_was_and_replaces_the_one_before_whole(tmp_path: Path) -> None:
    path, made = tmp_path / "base.json", card(a="rw", b="ru")
    path.write_text("old", "utf-8")
    save(made, path)
    assert read_baseline(path) == ("m", made.tallies)
    assert json.loads(path.read_text("utf-8")) == json.loads(json.dumps(made.as_json()))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "m", "rows": [{}]}', '{"models": []}', "\xff", "[" * 9999])
def test_what_is_no_saved_card_is_refused_with_a_hint(tmp_path: Path, text: str) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="is no saved scorecard: ") as caught:
        read_baseline(path)
    assert "--save" in caught.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_baseline(tmp_path / "none.json")


@pytest.mark.parametrize("name", [".", "none/x.json"])
def test_a_place_that_cannot_be_written_is_refused_beforehand(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        check_writable(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be written"):
        save(card(a="r"), tmp_path / name)
    check_writable(tmp_path / "x.json")


def test_a_comparison_is_json() -> None:
    told = compare(card(a="r").tallies, card(a="u").tallies, NAMES).as_json()
    assert json.loads(json.dumps(told))["right"] == {"up": [], "down": ["a"], "p": 1.0}
    assert told["is_worse"] is False
