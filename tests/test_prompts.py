"""The texts that a model gets besides agents and tasks: read from YAML, overridden key by key, strictly checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotage.errors import ConfigError
from pilotage.prompts import PROMPTS, defaults, fill, load


def write(root: Path, text: str) -> Path:
    (root / "config").mkdir(exist_ok=True)
    (root / PROMPTS).write_text(text, "utf-8")
    return root


def test_without_a_file_the_shipped_texts_are_in_force(tmp_path: Path) -> None:
    assert load(tmp_path) is defaults()
    assert load() is defaults()


def test_one_key_is_overridden_and_the_others_stay(tmp_path: Path) -> None:
    found = load(write(tmp_path, 'crew:\n  faults: "Mend this:"\nconfirm:\n  # nothing\n'))
    assert found.crew.faults == "Mend this:"
    assert found.crew.rule == defaults().crew.rule
    assert found.confirm == defaults().confirm


def test_a_file_of_comments_changes_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "# crew:\n")) == defaults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crew:\n  fault: x\n", "prompts.yaml:2"),
        ('crew:\n  expected: "Answer"\n', "expected the placeholder {expected}"),
        ('crew:\n  faults: "Mend {this}"\n', "unknown placeholder {this}"),
        ("crew: hello\n", 'expected a mapping under "crew"'),
        ("crews:\n  rule: x\n", "prompts.yaml:1"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert said in str(caught.value)
    assert PROMPTS in str(caught.value)


def test_braces_of_json_and_of_values_stay() -> None:
    assert fill('{"a": 1} {place} {other}', place="{question}") == '{"a": 1} {question} {other}'
