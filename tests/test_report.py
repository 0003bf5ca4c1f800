"""Lines for people: what cannot move a cursor, and what happens when nobody reads them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TextIO

import pytest

from pilotage.outcome import Result
from pilotage.record.journal import Event
from pilotage.report import harmless, print_result, printable, progress_lines, say, step_lines, warn
from pilotage.views import audit_line, event_lines, page_lines, session_line

NASTY = "red \x1b[31m \x9b2J \x07 \u202e \r gone\nforged"
RESULT = Result(
    "20261123-084501-3f9a2c", f"Q {NASTY}", "accepted", "", "", f"A {NASTY}",
    [{"n": 1, "where": NASTY, "source": NASTY}], [{"reason": NASTY, "sentence": NASTY}], 1.0, 10, 0.0, "0" * 64, 0,
    link=NASTY,
)  # fmt: skip


@contextlib.contextmanager
def unread() -> Iterator[TextIO]:
    """A stream whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w", encoding="utf-8")
    yield stream
    with contextlib.suppress(OSError):
        stream.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 왜? \N{MAN}\u200d\N{COOKING}", "plain, 왜? \N{MAN}\u200d\N{COOKING}"), ("a\nb\tc\xa0d", "a b c d"),
        ("\x1b[2J\x9b1m\x7f\x00", "·[2J·1m··"), ("\u202egnp.exe", "·gnp.exe"), ("\udce9", "·"),
    ],
)  # fmt: skip
def test_what_moves_a_cursor_is_taken_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_line_ends_stay_where_they_are_wanted() -> None:
    assert printable("a\n\tb\x1b", "\n\t") == "a\n\tb·"


def harmless_on_a_terminal(lines: list[str]) -> bool:
    return all(line.isprintable() for line in lines)


def test_no_view_lets_the_texts_of_others_move_the_cursor() -> None:
    row = {"run": "r", "started": 1.0, "seconds": 1.0, "usd": 0.0, "outcome": "x", "state": NASTY, "model": NASTY,
           "origin": "", "question": NASTY}  # fmt: skip
    event = Event("r", 1, 1.0, "tool_call", {"tool": NASTY}, {"result": NASTY, NASTY: "x"})
    page: dict[str, Any] = dict.fromkeys(("title", "author", "published", "url", "canonical", "sha256", "text"), NASTY)
    page |= {
        "fields": {NASTY: NASTY},
        "links": [{"text": NASTY, "url": NASTY}],
        "suspicious": [NASTY],
        "notes": [NASTY],
    }
    report: Any = type("Audit", (), {"ok": False, "run": "r", "broken": 1, "reason": NASTY})
    assert harmless_on_a_terminal([session_line(row), audit_line(report)])
    assert harmless_on_a_terminal(event_lines(event).split("\n"))
    assert len(event_lines(event).split("\n")) == 3
    assert harmless_on_a_terminal("\n".join(page_lines(page)).split("\n"))


@pytest.mark.parametrize(
    ("kind", "facts", "content"),
    [
        ("run_started", {}, {"warnings": json.dumps([NASTY])}),
        ("task_started", {"task": NASTY, "agent": NASTY}, {}),
        ("tool_call", {"tool": NASTY, "failed": True, "seconds": 1}, {"arguments": NASTY, "result": NASTY}),
        ("suspicious", {"source": NASTY}, {}),
    ],
)
def test_no_line_of_a_step_moves_the_cursor(kind: str, facts: dict[str, Any], content: dict[str, Any]) -> None:
    lines = step_lines()(Event("r", 1, 1.0, kind, facts, content))
    assert lines
    assert harmless_on_a_terminal(lines)


def test_the_answer_keeps_its_lines_and_loses_its_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(replace(RESULT, hint=NASTY, exit_code=1))
    out, err = capsys.readouterr()
    assert harmless_on_a_terminal((out + err).split("\n"))
    assert out.startswith("A red ·[31m ·2J · ·")
    assert "\nforged\n" in out
    assert out.count("\nforged") == 1  # the answer has lines of its own, a source has not


# --- nobody reads


def test_a_line_that_nobody_reads_is_no_fault_and_the_next_goes_nowhere() -> None:
    with unread() as stream:
        say("one", stream)
        say("two", stream)
    warn(["three"], stream)  # it is closed now


def test_without_a_stderr_nothing_stands_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("a word")
    warn(["a warning"])
    monkeypatch.undo()
    assert capsys.readouterr().out == ""


def test_an_encoding_that_does_not_know_a_letter_does_not_silence_the_stream() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    with pytest.raises(UnicodeEncodeError):
        say("왜", stream)
    say("why", stream)
    assert stream.buffer.getvalue() == b"why\n"


def test_who_watches_a_run_does_not_end_it_when_nobody_reads_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []

    def broken(event: Event) -> None:
        heard.append(event)
        raise RuntimeError("no")

    listener, event = harmless(broken), Event("r", 1, 1.0, "task_started", {"task": "t", "agent": "a"})
    with unread() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        listener(event)
        listener(event)
        progress_lines(stream)(event)
        monkeypatch.undo()
    assert heard == [event]


def test_the_result_is_printed_to_nobody_without_a_fault() -> None:
    with unread() as out, unread() as err:
        print_result(RESULT, out, err)
