"""`pilotage cache list`, `clear` and `stats`: of the kept answers and of the exact cache."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pilotage.answers.nearest import padded
from pilotage.answers.store import NAME, Store
from pilotage.cli import invoke
from tests.answers.kept import entry, vector


@pytest.fixture
def store(project: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(project)
    made = Store(project / "runs" / NAME)
    for n, scope in enumerate("sst"):
        at = time.time() - n * 86_400 - 60
        made.put(entry(n, scope=scope * 64, at=at), f"form {n}", padded(vector(n)).tobytes())
    made.count_hit(made.listed()[0].id, "e.1.1")
    made.close()
    return made


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert invoke(["cache", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("store")
def test_the_list_names_question_run_sources_and_hits(capsys: pytest.CaptureFixture[str]) -> None:
    newest = lines(capsys, "list")[0]
    assert newest.split()[2:] == ["run-0", "1", "hit", "a.md#1", "Question", "0?"]
    rows = [json.loads(line) for line in lines(capsys, "list", "--json")]
    assert [row["run"] for row in rows] == ["run-0", "run-1", "run-2"]
    assert rows[0]["sources"] == ["a.md#1"]
    assert [json.loads(line)["run"] for line in lines(capsys, "list", "--scope", "tt", "--json")] == ["run-2"]
    assert len(lines(capsys, "list", "--limit", "1")) == 1


@pytest.mark.usefixtures("store")
def test_clear_forgets_what_is_older_or_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, "clear", "--answers", "--older-than", "36h") == ["forgotten: 1 answer"]
    assert lines(capsys, "clear", "--calls") == ["forgotten: 0 calls"]
    assert len(lines(capsys, "list")) == 2
    assert json.loads(lines(capsys, "clear", "--json")[0]) == {"answers": 2, "calls": 0, "pages": 0}
    assert lines(capsys, "list") == []


@pytest.mark.usefixtures("store")
def test_stats_say_what_was_saved(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(lines(capsys, "stats", "--json")[0])
    assert found["answers"]["entries"] == 3
    assert (found["answers"]["hits"], found["answers"]["saved_usd"], found["answers"]["saved_seconds"]) == (1, 0.5, 2.0)
    assert set(found) == {"answers", "calls", "pages"}
    assert "3 kept" in lines(capsys, "stats")[0]


def test_nothing_kept_is_no_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    assert lines(capsys, "list") == []
    assert lines(capsys, "clear") == ["forgotten: 0 answers, 0 calls, 0 pages"]
    assert "0 kept" in lines(capsys, "stats")[0]
    assert not (project / "runs" / NAME).exists()


@pytest.mark.parametrize("text", ["7", "week", "-1d", "1y", ""])
def test_a_time_that_is_none_is_a_usage_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.chdir(project)
    assert invoke(["cache", "clear", f"--older-than={text}"]) == 2
    assert "--older-than takes a time" in capsys.readouterr().err
