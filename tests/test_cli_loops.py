"""`pilotage loops`: a line for each trace, nudges and stops of a recorded run, one clear line for what is no trace."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pilotage.cli_loops import loops
from pilotage.errors import ConfigError
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.settings import Settings

CALL = {
    "agent": "a",
    "kind": "tool",
    "name": "search",
    "arguments": {"q": "x"},
    "result": "The same as ever, 897 of 1,922.",
}
KEYS = ["id", "loop", "kind", "first_step", "stopped_at", "evidence"]

Run = Callable[..., list[str]]


@pytest.fixture
def shell(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`shell("--run", "last")` gives the lines on stdout."""
    monkeypatch.chdir(project)
    app = typer.Typer()
    app.command()(loops)

    def run(*arguments: str) -> list[str]:
        app(list(arguments), standalone_mode=False)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def traces(project: Path) -> Callable[..., str]:
    def write(*rows: Any) -> str:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (project / "traces.jsonl").write_text("\n".join(lines), "utf-8")
        return "traces.jsonl"

    return write


@pytest.fixture
def journal(load: Callable[..., Settings]) -> Iterator[Journal]:
    """A recorded run: something else, five times the same call, an answer."""
    engine = open_store(load().store)
    journal = Journal(engine, Redactor())
    journal.append("run_started", {"question": "Why?"}, model="scripted", crew="my_crew.crew:crew")
    for _ in range(5):
        content = {"arguments": {"query": "Foxes"}, "result": "The same as ever, 897 of 1,922."}
        journal.append("tool_call", content, agent="researcher", tool="search_knowledge")
    journal.append("model_call", {"request": {}, "answer": "That is all."}, agent="researcher")
    yield journal
    engine.dispose()


def test_a_line_for_each_row_with_null_where_there_is_no_loop(shell: Run, traces: Callable[..., str]) -> None:
    name = traces({"id": "one", "events": [CALL] * 6}, "", {"id": 2, "events": [CALL] * 3, "label": "honest"})
    one, two = map(json.loads, shell(name))
    assert list(one) == list(two) == KEYS
    assert (one["id"], one["loop"], one["kind"], one["first_step"], one["stopped_at"]) == ("one", True, "repeat", 0, 4)
    assert "a has called search 5 times" in one["evidence"]
    assert list(two.values()) == [2, False, None, None, None, None]


def test_rows_come_from_stdin_too(shell: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"id": "ä", "events": [CALL] * 6}, ensure_ascii=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    (line,) = shell("-")
    assert '"ä"' in line
    assert json.loads(line)["loop"]


def test_a_threshold_can_be_set(shell: Run, traces: Callable[..., str]) -> None:
    name = traces({"id": 1, "events": [CALL] * 4})
    assert not json.loads(shell(name)[0])["loop"]
    assert json.loads(shell(name, "--set", "loops.stop=4")[0])["stopped_at"] == 3


def test_it_looks_even_where_runs_do_not_watch(shell: Run, traces: Callable[..., str]) -> None:
    assert json.loads(shell(traces({"events": [CALL] * 5}), "--set", "loops.enabled=false")[0])["loop"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "traces.jsonl:2: not JSON"),
        ("[" * 100_000, "traces.jsonl:2: not JSON"),
        ("7", 'traces.jsonl:2: expected an object with "events"'),
        ("[]", 'traces.jsonl:2: expected an object with "events"'),
        ({"id": 1}, 'traces.jsonl:2: expected an object with "events"'),
        ({"events": {"text": "x"}}, 'traces.jsonl:2: expected an object with "events"'),
        ({"events": [CALL, "x"]}, "traces.jsonl:2: event 1 is neither"),
        ({"events": [{"agent": "a"}]}, "traces.jsonl:2: event 0 is neither"),
    ],
)
def test_what_is_no_trace_is_named_by_file_and_line(
    shell: Run, traces: Callable[..., str], row: Any, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = traces({"id": 1, "events": []}, row)
    with pytest.raises(ConfigError, match=problem) as caught:
        shell(name)
    assert caught.value.hint
    assert capsys.readouterr().out == ""


def test_a_file_without_rows_and_no_file_are_said(shell: Run, traces: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="holds no rows"):
        shell(traces("", " "))
    with pytest.raises(ConfigError, match="cannot be read"):
        shell("nowhere.jsonl")


@pytest.mark.parametrize("arguments", [[], ["traces.jsonl", "--run", "last"]])
def test_it_takes_a_file_or_a_run(shell: Run, arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="either a file or --run"):
        shell(*arguments)


def test_a_recorded_run_is_judged_as_it_was_live(shell: Run, journal: Journal) -> None:
    nudge, stop = shell("--run", "last")
    assert nudge.startswith("   4  nudge repeat: researcher has called search_knowledge 3 times")
    assert stop.startswith("   6  stop  repeat: researcher has called search_knowledge 5 times")
    assert "(steps 2, 3, 4, 5, 6)" in stop


def test_a_recorded_run_as_json_is_one_line_of_the_same_form(shell: Run, journal: Journal) -> None:
    (line,) = map(json.loads, shell("--run", journal.run[:15], "--json"))
    assert list(line) == KEYS
    assert (line["id"], line["kind"], line["first_step"], line["stopped_at"]) == (journal.run, "repeat", 2, 6)


def test_a_run_without_a_loop_is_said_to_have_none(shell: Run, journal: Journal) -> None:
    other = Journal(journal.engine, Redactor(), "20990101-000000-abcdef")
    other.append("run_started", {"question": "Why?"}, model="scripted", crew="my_crew.crew:crew")
    assert shell("--run", other.run) == [f"{other.run}: no loop"]
    assert json.loads(shell("--run", other.run, "--json")[0])["loop"] is False


def test_an_unknown_run_is_an_error(shell: Run, journal: Journal) -> None:
    with pytest.raises(ConfigError, match='No run begins with "1999"'):
        shell("--run", "1999")
