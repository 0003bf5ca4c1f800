"""What the terminal, the list and other programs are told of calls that were not made again."""

from __future__ import annotations

import json

from pilotage.board import Board
from pilotage.collector.drafts import _served
from pilotage.record.journal import Event
from pilotage.report import memory, step_line
from pilotage.telemetry.attributes import _llm, _tool
from tests.tape.lab import Lab


def test_a_resume_says_what_is_served_and_from_where_it_is_live(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=3)
    resumed = lab("resume", "last")
    last = stopped.events[-1].seq
    said = f"3 model calls and 2 tool calls from the tape of {stopped.run}; from event {last + 1} live"
    assert said in resumed.err
    assert "set otherwise than then: limits.model_calls" in resumed.err
    assert resumed.err.count("from tape") == 5
    assert "366 tokens and $0.00007515 saved" in resumed.err
    assert f"goes on from {stopped.run}" in resumed.out.strip().splitlines()[-1]


def test_a_fork_says_the_event(lab: Lab) -> None:
    whole = lab.run()
    forked = lab("fork", "last", "--at", "12", "--json")
    assert f"from the tape of {whole.run}; from event 12 live" in forked.err
    assert "set otherwise" not in forked.err
    assert json.loads(forked.out)["parent"] == whole.run


def test_show_and_sessions_mark_them(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=3)
    resumed = lab("resume", "last")
    shown = lab("show", "last").out
    assert f"parent={stopped.run}" in shown
    assert "how=resume" in shown
    assert shown.count(" from tape") == 5
    listed = {line.split()[0]: line for line in lab("sessions").out.splitlines()}
    assert f"← {stopped.run}" in listed[resumed.run]
    assert "←" not in listed[stopped.run]
    rows = [json.loads(line) for line in lab("sessions", "--json").out.splitlines()]
    assert [(row["parent"], row["served"]) for row in rows] == [(stopped.run, 5), (None, 0)]
    assert rows[0]["saved_usd"] > 0


def test_the_panel_counts_them_apart(lab: Lab) -> None:
    lab.run(limits__model_calls=3)
    board = Board()
    for event in lab("resume", "last").events:
        board.add(event)
    rows = [row.text for row in board.rows(100, 40)]
    assert any("2 of 30 calls, 5 calls from memory" in row for row in rows), rows


def test_nothing_is_said_of_a_call_that_was_made() -> None:
    assert memory({"usd": 0.1}) == ""
    assert memory({"served": "cache"}) == " from cache"
    event = Event("r", 3, 0.0, "tool_call", {"tool": "look", "agent": "a", "served": "tape", "seconds": 0.0})
    assert step_line(event) == "  look  from tape"


def test_spans_say_where_an_answer_came_from(lab: Lab) -> None:
    lab.run(limits__model_calls=3)
    resumed = lab("resume", "last")
    first, tool = resumed.of("model_call")[0], resumed.of("tool_call")[0]
    said = _llm(first)
    assert (said["pilotage.served"], said["pilotage.saved_tokens"]) == ("tape", 366)
    assert said["gen_ai.usage.total_tokens"] == 0
    assert said["gen_ai.usage.total_cost"] == 0
    assert _tool(tool)["pilotage.served"] == "tape"
    assert _llm(resumed.live[0])["pilotage.served"] is None


def test_the_collector_takes_it_from_spans_of_ours_and_no_figure_that_is_none() -> None:
    told = {"pilotage.served": "tape", "pilotage.saved_tokens": 366, "pilotage.saved_usd": 0.5}
    assert _served(told) == {"served": "tape", "saved_tokens": 366, "saved_usd": 0.5}
    assert _served(told | {"pilotage.saved_tokens": -1, "pilotage.saved_usd": float("nan")}) == {"served": "tape"}
    assert _served(told | {"pilotage.served": "<script>"}) == {}
