"""`pilotage grade`: a line out for each line in, and what cannot be graded is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pilotage.cli_grade import grade
from pilotage.errors import ConfigError

app = typer.Typer()
app.command()(grade)
run = CliRunner().invoke

CLAIM = {"id": 7, "claim": "The hotel has 450 rooms.", "evidence": "The hotel, opened in 1998, has 300 rooms."}
ANSWER = {"question": "When did the bridge open?", "answer": "The bridge has two lanes."}


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_come_back_in_order_with_verdict_score_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{json.dumps(CLAIM)}\n\n{json.dumps(ANSWER)}\n", "utf-8")
    found = run(app, [str(file)])
    claim, answer = lines(found.stdout)
    assert found.exit_code == 0
    assert claim == CLAIM | {"verdict": "unsupported", "score": 0.05, "reason": "number 450 not in source: it has 300"}
    assert list(answer) == ["question", "answer", "verdict", "score", "reason"]
    assert answer["verdict"] == "unsupported"
    assert 0 <= answer["score"] <= 1


def test_rows_come_from_stdin_and_go_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "graded.jsonl"
    found = run(app, ["-", "--out", str(out)], input=json.dumps(CLAIM | {"note": "Zürich"}))
    assert (found.exit_code, found.stdout) == (0, "")
    assert "Zürich" in out.read_text("utf-8")
    assert lines(out.read_text("utf-8"))[0]["verdict"] == "unsupported"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "2 is not JSON"), ("[1]", "2 has neither"), ('{"claim": "x"}', "2 has neither"),
        ('{"claim": 1, "evidence": "x"}', "2 has neither"), ('{"claim": "\\ud800", "evidence": "x"}', "2 is not valid"),
        ('{"question": "x", "answer": "y", "context": 3}', "2: context is no text"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_the_others_are_graded(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{json.dumps(CLAIM)}\n{line}\n{json.dumps(ANSWER)}\n", "utf-8")
    found = run(app, [str(file)])
    assert found.exit_code == 2
    assert said in found.stderr
    assert len(lines(found.stdout)) == 2


def test_a_file_that_is_not_there_and_one_that_cannot_be_written(tmp_path: Path) -> None:
    absent = run(app, [str(tmp_path / "no.jsonl")])
    assert isinstance(absent.exception, ConfigError)
    assert "cannot be read" in str(absent.exception)
    unwritten = run(app, ["-", "--out", str(tmp_path / "no" / "x.jsonl")], input=json.dumps(CLAIM))
    assert isinstance(unwritten.exception, ConfigError)
    assert "cannot be written" in str(unwritten.exception)


def test_a_judge_that_is_no_model_is_refused_before_anything_is_graded(project: Path) -> None:
    found = run(app, ["-", "--judge", "nonsense"], input=json.dumps(CLAIM))
    assert isinstance(found.exception, ConfigError)
    assert not found.stdout


def test_crewai_is_not_loaded_without_a_judge() -> None:
    code = (
        "import sys, typer; from pilotage.cli_grade import grade; app = typer.Typer(); app.command()(grade)\n"
        "app(['-'], standalone_mode=False); sys.exit('crewai' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(CLAIM), text=True, capture_output=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[0]["verdict"] == "unsupported"
