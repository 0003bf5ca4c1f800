"""`pilotage cost`: a table whose figures stand under their heads, or one JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pilotage.cli_cost import cost
from pilotage.errors import ConfigError
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store

app = typer.Typer()
app.command()(cost)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def spent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with one run of two calls, one of which nobody prices, and one that was served."""
    monkeypatch.chdir(project)
    engine = open_store(project / "runs" / "pilotage.sqlite")
    journal = Journal(engine, Redactor({}))
    journal.append("run_started", {"question": "q"}, model="m", tags=["docs"])
    facts: dict[str, Any] = {
        "agent": "ann", "task": "t", "attempt": 1, "prompt_tokens": 1000, "completion_tokens": 50,
        "seconds": 0.1,
    }  # fmt: skip
    journal.append("model_call", {}, **facts, model="a/x", usd=0.0125, cached_tokens=600, reasoning_tokens=30)
    journal.append("model_call", {}, **facts, model="b/y", usd="unpriced")
    journal.append("model_call", {}, **facts | {"prompt_tokens": 0, "completion_tokens": 0}, model="a/x", usd=0.0,
                   served="tape", saved_usd=0.0125)  # fmt: skip
    engine.dispose()


@pytest.mark.usefixtures("spent")
def test_the_table_has_a_row_for_each_name_and_a_total() -> None:
    lines = [line.split() for line in run().stdout.splitlines()]
    assert lines == [
        ["model", "calls", "served", "prompt", "cached", "completion", "reasoning", "usd", "unpriced", "saved"],
        ["a/x", "1", "1", "1,000", "600", "50", "30", "$0.01", "0", "$0.01"],
        ["b/y", "1", "0", "1,000", "0", "50", "0", "unpriced", "1", "$0.00"],
        ["total", "2", "1", "2,000", "600", "100", "30", "$0.01", "1", "$0.01"],
    ]
    assert len({len(line) for line in run().stdout.splitlines()}) == 1


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(("by", "name"), [("agent", "ann"), ("task", "t"), ("tag", "docs")])
def test_the_rows_are_what_was_asked_for(by: str, name: str) -> None:
    assert [line.split()[0] for line in run("--by", by).stdout.splitlines()] == [by, name, "total"]


@pytest.mark.usefixtures("spent")
def test_json_is_one_document() -> None:
    found = json.loads(run("--json", "--since", "1d").stdout)
    assert (found["by"], found["runs"], found["until"]) == ("model", 1, None)
    assert [row["name"] for row in found["rows"]] == ["a/x", "b/y"]
    assert found["total"] == {
        "calls": 2, "prompt": 2000, "completion": 100, "cached": 600, "usd": 0.0125, "unpriced": 1,
        "reasoning": 30, "written": 0, "served": 1, "saved_usd": 0.0125, "saved_unpriced": 0, "booked": 0,
    }  # fmt: skip


@pytest.mark.usefixtures("spent")
def test_a_time_without_runs_is_said_so() -> None:
    result = run("--until", "2020-01-01")
    assert (result.stdout, result.stderr) == ("", "no runs in that time\n")


def test_an_empty_store_is_said_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert (run().stdout, run().stderr) == ("", "no runs yet\n")
    assert json.loads(run("--json").stdout)["rows"] == []
    with pytest.raises(ConfigError, match='by "agents"'):
        run("--by", "agents")


@pytest.mark.usefixtures("spent")
def test_a_time_that_ends_before_it_begins_is_no_time() -> None:
    with pytest.raises(ConfigError, match="--since 2026-11-05 is not before --until 2026-11-01"):
        run("--since", "2026-11-05", "--until", "2026-11-01")
    assert run("--until", "9999-12-31").exit_code == 0
