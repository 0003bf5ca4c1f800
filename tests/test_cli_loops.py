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
from pilotage.record.store import open_store, payloads
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


@pytest.mark.parametrize(("text", "problem"), [("{", "stdin:1: not JSON"), (" \n", "stdin holds no rows")])
def test_stdin_is_called_by_its_name(shell: Run, monkeypatch: pytest.MonkeyPatch, text: str, problem: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(ConfigError, match=problem):
        shell("-")


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
    assert '(steps 2, 3, 4, 5, 6; query: "Foxes")' in stop


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


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name_is_no_run(shell: Run, journal: Journal, name: str) -> None:
    with pytest.raises(ConfigError, match="--run names no run"):
        shell("--run", name)


def test_after_the_stop_nothing_more_is_listed(shell: Run, journal: Journal) -> None:
    for _ in range(9):
        content = {"arguments": {"query": "Foxes"}, "result": "The same as ever, 897 of 1,922."}
        journal.append("tool_call", content, agent="researcher", tool="search_knowledge")
    assert len(shell("--run", "last")) == 2


def start(journal: Journal, settings: Any) -> Journal:
    """Another run in the same store, with its settings and four times the same call."""
    other = Journal(journal.engine, Redactor(), "20990101-000000-abcdef")
    content = {"question": "Why?", "settings": settings}
    other.append("run_started", content, model="scripted", crew="my_crew.crew:crew")
    for _ in range(4):
        content = {"arguments": {"query": "Foxes"}, "result": "The same as ever, 897 of 1,922."}
        other.append("tool_call", content, agent="researcher", tool="search_knowledge")
    return other


def test_a_run_is_judged_by_its_own_thresholds_unless_others_are_given(
    shell: Run, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    start(journal, {"engine": {"loops": {"enabled": False, "nudge": 2, "stop": 4, "of another version": 1}}})
    nudge, stop = shell("--run", "last")
    assert nudge.startswith("   3  nudge")
    assert stop.startswith("   5  stop")
    assert len(shell("--run", "last", "--set", "limits.seconds=9")) == 2
    app = typer.Typer()
    app.command()(loops)
    app(["--run", "last", "--set", "loops.stop=6"], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out.startswith("   4  nudge")
    assert "stop" not in said.out.replace("stopped", "")
    assert said.err == "judged by the settings of today, not by those of the run\n"


@pytest.mark.parametrize("settings", ["", "{", "[]", {"engine": {"loops": {"nudge": 9, "stop": 3}}}, {"engine": []}])
def test_settings_that_cannot_be_read_give_way_to_those_of_today(
    shell: Run, journal: Journal, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start(journal, settings)
    app = typer.Typer()
    app.command()(loops)
    app(["--run", "last"], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out.startswith("   4  nudge")
    assert "settings of today" in said.err


def test_an_erased_run_tells_what_was_recorded_of_it(
    shell: Run, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[str] = []
    for level, times in (("nudge", 3), ("stop", 5), ("stop", 6)):
        content = {"evidence": f"researcher has done it {times} times", "nudge": "Stop it."}
        facts = {"first_step": 2, "last_step": 1 + times, "times": times}
        event = journal.append("loop", content, rule="repeat", level=level, agent="researcher", **facts)
        kept.append(event.digests["evidence"])
    with journal.engine.begin() as connection:
        connection.execute(payloads.delete().where(payloads.c.digest != kept[0]))
    app = typer.Typer()
    app.command()(loops)
    app(["--run", "last"], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "   4  nudge repeat: researcher has done it 3 times",
        "   6  stop  repeat: researcher, from step 2 on",
    ]
    assert said.err == f"{journal.run}: contents were erased; listed is what was recorded while it ran\n"
    row = json.loads(shell("--run", "last", "--json")[0])
    assert list(row) == KEYS
    assert list(row.values())[1:] == [True, "repeat", 2, 6, "researcher, from step 2 on"]


def test_the_help_says_that_a_loop_is_no_failure(shell: Run, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command()(loops)
    with pytest.raises(SystemExit):
        app(["--help"])
    assert "Exits 0 whether or not there is a loop" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"loops__nudge": 5}, "config/pilotage.yaml:"),
        ({"loops__stop": 3}, "--set loops.stop"),
        ({"loops__nudge": 4, "loops__stop": 4}, "--set loops.stop"),
    ],
)
def test_a_nudge_that_does_not_come_before_the_stop_is_refused(
    load: Callable[..., Settings], given: dict[str, int], place: str
) -> None:
    nudge, stop = given.get("loops__nudge", 3), given.get("loops__stop", 5)
    with pytest.raises(ConfigError) as caught:
        load(**given)
    assert str(caught.value).startswith(place)
    assert str(caught.value).endswith(f'"loops.stop": expected more than loops.nudge, which is {nudge}, found {stop}')
