"""The panel of a run, looked at through a terminal emulator; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from pilotage.board import Board
from pilotage.record.journal import Event
from pilotage.report import progress_lines

QUESTION = "How many requests can one fault make when retries are nested?"
LIMITS = {"seconds": 300, "usd": 1.0, "tokens": 200_000, "model_calls": 30, "tool_calls": 60}
TASKS = {"research": {"agent": "researcher"}, "verify": {"agent": "verifier"}, "explain": {"agent": "explainer"}}
SETTINGS = json.dumps({"engine": {"limits": LIMITS}, "tasks": TASKS})
PLAY = f"""
import json, sys, threading, time
from types import SimpleNamespace as Event  # the journal brings SQLAlchemy, which takes longer than a test
from pilotage.live import progress
show, number = progress(), iter(range(1, 10_000))

def tell(kind, content=None, **facts):
    show(Event(run="run", seq=next(number), at=time.time(), kind=kind, facts=facts, content=content or {{}}))

def start(warnings=()):
    content = {{"question": {QUESTION!r}, "settings": {SETTINGS!r}, "warnings": json.dumps(list(warnings))}}
    tell("run_started", content, model="m", crew="c")
    tell("task_started", task="research", agent="researcher")

def call(usd=0.01, answer="", **more):
    tell("model_call", {{"answer": answer}}, agent="researcher", task="research", model="gpt", attempt=1,
         prompt_tokens=300, completion_tokens=66, usd=usd, seconds=1.0, **more)

def end():
    tell("run_ended", outcome="accepted", seconds=1.0, tokens=366, model_calls=1, tool_calls=0)
"""
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A process on a terminal of its own; `lines` is what stands on it, `raw` all that was written."""

    def __init__(self, command: list[str], columns: int, lines: int, piped: bool, cwd: Path, **more: str) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._main, side = pty.openpty()
        self.resize(columns, lines)
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")}
        out = subprocess.PIPE if piped else side
        self.process = subprocess.Popen(
            command, stdin=side, stdout=out, stderr=side, cwd=cwd, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
            env=environment | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | more,
        )  # fmt: skip
        os.close(side)
        self.raw = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, keys: bytes) -> None:
        """What a person types; the terminal shows it, as `^C` for Ctrl-C."""
        os.write(self._main, keys)

    def wait_for(self, words: str, seconds: float = 20.0) -> list[str]:
        """The lines once `words` stand there."""
        until = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < until, f"{words!r} never stood there:\n{self.text}"
            time.sleep(0.02)
        return self.lines

    def finish(self, seconds: float = 20.0) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.finish()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self._main)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self._main, 65536):
                self.raw += data
                self._stream.feed(data)


Start = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Start]:
    """`terminal("start(); call()", 100, 30)` plays events in a process of its own."""
    opened: list[Terminal] = []

    def start(body: str, columns: int = 100, lines: int = 30, *, piped: bool = False, cwd: Path | None = None,
              play: str = PLAY, **environment: str) -> Terminal:  # fmt: skip
        command = [sys.executable, "-c", f"{play}\n{body}"]
        opened.append(Terminal(command, columns, lines, piped, cwd or tmp_path, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


WAIT = "\ntime.sleep(30)"


def test_the_panel_says_who_is_at_what_and_how_much_of_each_cap_is_used(terminal: Start) -> None:
    answer = json.dumps([{"function": {"name": "search_knowledge", "arguments": "{}"}}])
    lines = terminal(f"start(); call(answer={answer!r})" + WAIT).wait_for("uses search_knowledge")
    assert re.fullmatch(r"\[  \d\.\d s\] research: researcher", lines[0])
    assert lines[1].endswith("gpt 366 tokens 1.0 s")
    panel = [line.strip("│ ") for line in lines[3:-1]]
    assert panel[0] == f"“{QUESTION}”"
    assert re.fullmatch(r"now    research  researcher  \d\.\d s", panel[1])
    assert panel[2:4] == ["waits  verify    verifier", "waits  explain   explainer"]
    assert re.fullmatch(r"researcher uses search_knowledge, \d\.\d s", panel[4])
    assert re.fullmatch(r"time   [█░]{24} \d\.\d s of 300\.0 s|time   [█░]{24} \d\.\d s of 300 s", panel[5])
    assert [row.split("░ ")[-1] for row in panel[6:10]] == [
        "$0.01 of $1.00", "366 of 200,000", "1 of 30 calls", "0 of 60 calls",
    ]  # fmt: skip
    assert (lines[2][0], lines[-1][0]) == ("╭", "╰")


def test_it_ticks_while_nothing_happens(terminal: Start) -> None:
    screen = terminal("start()" + WAIT)
    screen.wait_for("asks the model, 0.")
    screen.wait_for("asks the model, 1.")


def test_warnings_loops_alerts_and_limits_stay_in_sight(terminal: Start) -> None:
    body = """
start(["one.pdf is empty", "no vectors yet"])
tell("loop", {"evidence": "e"}, rule="repeat", level="nudge", agent="researcher", first_step=1)
tell("loop", {"evidence": "e"}, rule="cycle", level="stop", agent="researcher", first_step=1)
tell("alert", {"text": "cost: run x has cost $2.00, above $1.00"}, rule="cost", metric="usd", value=2, above=1)
tell("limit", limit="usd", value=1.01, cap=1, key="limits.usd")
"""
    text = "\n".join(terminal(body + WAIT).wait_for("limit: limits.usd reached"))
    assert "2 warnings, last: no vectors yet" in text
    assert "2 loops, last: cycle of researcher, stopped" in text
    assert "alert: cost: run x has cost $2.00, above $1.00" in text
    assert text.startswith("warning: one.pdf is empty\nwarning: no vectors yet\n")


def test_when_it_is_done_the_plain_lines_stay_and_the_cursor_is_back(terminal: Start) -> None:
    screen = terminal('start(["w"]); call(); time.sleep(0.5); end(); show.close(); print("the answer")')
    assert screen.finish() == 0
    assert [re.sub(r"\[.*\]", "[]", line) for line in screen.lines] == [
        "warning: w", "[] research: researcher", "[]   gpt 366 tokens 1.0 s", "the answer",
    ]  # fmt: skip
    assert screen.raw.count(HIDE) == screen.raw.count(SHOW) == 1
    assert not screen.screen.cursor.hidden


@pytest.mark.parametrize("body", ["raise RuntimeError('boom')", "sys.exit(3)"])
def test_an_exception_leaves_a_usable_terminal(terminal: Start, body: str) -> None:
    screen = terminal(f"start(); time.sleep(0.4)\n{body}")
    assert screen.finish() in (1, 3)
    assert screen.raw.rfind(SHOW) > screen.raw.rfind(HIDE) >= 0
    assert "╭" not in screen.text
    if "boom" in body:
        assert screen.lines[-1] == "RuntimeError: boom"


PRINTS = """
start()
def work():
    for n in range(30):
        print(f"line {n} of a tool, [bold]as it is[/nothing]", flush=True)
        print(f"talk {n}", file=sys.stderr)
        time.sleep(0.01)
    print("no end of line", end="")
    sys.stdout.buffer.flush()
thread = threading.Thread(target=work)
thread.start()
thread.join()
time.sleep(0.4)
end()
"""


def test_what_tools_print_stands_whole_above_the_panel(terminal: Start) -> None:
    screen = terminal(PRINTS, 100, 80)
    assert screen.finish() == 0
    expected = [f"line {n} of a tool, [bold]as it is[/nothing]" for n in range(30)]
    assert [line for line in screen.lines if line.startswith("line")] == expected
    assert [line for line in screen.lines if line.startswith("talk")] == [f"talk {n}" for n in range(30)]
    assert screen.lines[-1] == "no end of line"
    assert "╭" not in screen.text


def test_stdout_that_leads_elsewhere_gets_every_byte_and_the_terminal_none(terminal: Start) -> None:
    screen = terminal(PRINTS, 100, 80, piped=True)
    assert screen.process.stdout is not None
    out = screen.process.stdout.read().decode()
    assert screen.finish() == 0
    lines = [f"line {n} of a tool, [bold]as it is[/nothing]" for n in range(30)]
    assert out == "\n".join([*lines, "no end of line"])
    assert "line 3" not in screen.text
    assert "talk 3" in screen.text
    assert HIDE in screen.raw


@pytest.mark.parametrize(("columns", "lines"), [(40, 12), (24, 6), (12, 3), (300, 60)])
def test_the_panel_fits_its_terminal(terminal: Start, columns: int, lines: int) -> None:
    screen = terminal('start(); tell("task_started", task="verify", agent="verifier"); call()' + WAIT, columns, lines)
    said = "researcher has an"[: columns - 4]
    screen.wait_for(said)
    time.sleep(0.6)
    assert sum(line.strip("│ ").startswith(said) for line in screen.lines) == 1, screen.text
    if columns == 40:
        assert screen.lines[-8][:36] == f"“{QUESTION}"[:36]
        assert "$0.01 of $1.00" in screen.text
    if columns == 300:
        assert max(len(line) for line in screen.lines) == 100


@pytest.mark.parametrize(("columns", "lines"), [(100, 30), (80, 24), (40, 12)])
def test_the_echo_of_ctrl_c_leaves_nothing_of_the_panel_behind(terminal: Start, columns: int, lines: int) -> None:
    screen = terminal("start(); call()\ntry:\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    end()", columns, lines)
    screen.wait_for("has answered")
    screen.type(b"\x03")
    assert screen.finish() == 0
    assert "has answered" not in screen.text
    assert not [line for line in screen.lines if set("╭╰│░") & set(line)], screen.text


def test_another_size_while_it_runs_is_followed(terminal: Start) -> None:
    screen = terminal("start()" + WAIT, 100, 30)
    screen.wait_for("╭")
    screen.resize(50, 15)
    time.sleep(0.8)
    bottom = screen.lines[-1]
    assert len(bottom) <= 50
    assert not bottom.startswith("╰")


def test_without_colour_nothing_is_coloured(terminal: Start) -> None:
    body = "start(); call(usd=0.9); time.sleep(0.5); end()"
    colours = re.compile(rb"\x1b\[[0-9;]*3[1-8]")
    plain = terminal(body, NO_COLOR="1")
    coloured = terminal(body)
    assert plain.finish() == coloured.finish() == 0
    assert colours.search(coloured.raw)
    assert not colours.search(plain.raw)
    assert "$0.90 of $1.00" in plain.raw.decode()


def test_a_terminal_without_unicode_gets_ascii(terminal: Start) -> None:
    body = 'start(["na\\u00efve \\u2013 \\uc65c"]); call(); time.sleep(0.4); end()'
    screen = terminal(body, LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="utf-8")
    assert screen.finish() == 0
    assert screen.raw.isascii()
    assert b"+---" in screen.raw
    assert b"#" not in screen.raw.split(b"time")[0]
    assert "warning: na?ve ? ?" in screen.text


def test_a_dumb_terminal_gets_the_plain_lines(terminal: Start) -> None:
    screen = terminal('start(["w"]); call(); end()', TERM="dumb")
    assert screen.finish() == 0
    assert b"\x1b" not in screen.raw
    assert len(screen.lines) == 3


def test_off_a_terminal_there_are_the_plain_lines_and_rich_is_not_imported(tmp_path: Path) -> None:
    body = 'start(["w"]); call(); end(); show.close(); print("rich" in sys.modules)'
    done = subprocess.run([sys.executable, "-c", f"{PLAY}\n{body}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert re.sub(r"\[ +\d\.\d s\]", "[]", done.stderr) == (
        "warning: w\n[] research: researcher\n[]   gpt 366 tokens 1.0 s\n"
    )


def test_an_event_costs_little(terminal: Start) -> None:
    body = """
start()
began = time.perf_counter()
for _ in range(100):
    call()
spent = time.perf_counter() - began
end()
print(f"each {spent / 100 * 1000:.2f} ms")
"""
    screen = terminal(body)
    assert screen.finish() == 0
    found = re.search(r"each ([\d.]+) ms", screen.text)
    assert found, screen.text
    assert float(found[1]) < 20


# --- whole runs

RUN = """
import time
import pilotage.crew
from pilotage.cli import main
from tests.support.scripted import Scripted, good

def slow(turn):
    time.sleep(0.3)
    print("a tool talks")
    return good(turn)

pilotage.crew.Reader.for_question = lambda _question: Scripted(slow).build()
main({arguments!r})
"""


def running(terminal: Start, project: Path, *arguments: str, piped: bool = False) -> Terminal:
    root = str(Path(__file__).parent.parent)
    play = RUN.format(arguments=["run", QUESTION, *arguments])
    return terminal("", piped=piped, cwd=project, play=play, PYTHONPATH=root)


def test_json_has_its_panel_on_stderr_and_one_document_on_stdout(terminal: Start, project: Path) -> None:
    screen = running(terminal, project, "--json", piped=True)
    screen.wait_for("now    research", 60)
    assert screen.process.stdout is not None
    *talk, document = screen.process.stdout.read().decode().splitlines()
    assert screen.finish(60) == 0
    assert json.loads(document)["outcome"] == "accepted"
    assert set(talk) == {"a tool talks"}
    assert "╭" not in screen.text


def test_a_signal_takes_the_panel_away_and_gives_the_cursor_back(terminal: Start, project: Path) -> None:
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143}
    screens = {number: running(terminal, project) for number in codes}  # at the same time: half of it is loading
    for number, screen in screens.items():
        screen.wait_for("now    research", 60)
        screen.process.send_signal(number)
    for number, screen in screens.items():
        assert screen.finish(30) == codes[number]
        assert "╭" not in screen.text
        assert not screen.screen.cursor.hidden
        assert any(f"stopped by {number.name}" in line for line in screen.lines)


# --- the rows


def board(*events: tuple[str, dict[str, Any], dict[str, Any]], at: float = 10.0) -> Board:
    made = Board(clock=lambda: at)
    for number, (kind, facts, content) in enumerate(events, 1):
        made.add(Event("run", number, float(number), kind, facts, content))
    return made


STARTED: tuple[str, dict[str, Any], dict[str, Any]] = (
    "run_started",
    {},
    {"question": QUESTION, "settings": SETTINGS, "warnings": "[]"},
)


def texts(made: Board, width: int = 80, height: int = 30, **more: Any) -> list[str]:
    return [row.text for row in made.rows(width, height, **more)]


def test_the_most_important_rows_stay_when_there_is_no_room() -> None:
    made = board(STARTED, ("task_started", {"task": "verify", "agent": "verifier"}, {}))
    assert texts(made, 80, 1) == ["verifier asks the model, 8.0 s"]
    assert [row.split()[0] for row in texts(made, 80, 3)] == ["now", "verifier", "time"]
    assert len(texts(made, 80, 5)) == 5


@pytest.mark.parametrize("width", [1, 5, 12, 20, 40])
@pytest.mark.parametrize("plain", [True, False])
def test_no_row_is_wider_than_it_may_be_whatever_its_letters(width: int, plain: bool) -> None:
    from rich.cells import cell_len

    wide = json.dumps(
        {"engine": {"limits": LIMITS}, "tasks": {"조사": {"agent": "研究者研究者研究者"}, "x": {"agent": "y"}}}
    )
    made = board(
        (
            "run_started",
            {},
            {"question": "재시도는 몇 번이나 겹칠 수 있습니까?" * 5, "settings": wide, "warnings": "[]"},
        )
    )
    assert max(map(cell_len, texts(made, width, plain=plain))) <= width


def test_texts_cannot_move_the_cursor_or_break_a_row() -> None:
    question = "one\ntwo \x1b[2J\x07\r three \u202e"
    made = board(("run_started", {}, {"question": question, "settings": "{}", "warnings": '["a\\n\\u001b[1mb"]'}))
    assert all(row.isprintable() for row in texts(made))


@pytest.mark.parametrize(
    ("kind", "facts", "content", "said"),
    [
        ("tool_call", {"tool": "read_source", "agent": "a"}, {}, "a asks the model (after read_source)"),
        ("model_call", {"agent": "a", "failed": True, "model": "m"}, {}, "a asks the model again"),
        ("model_call", {"agent": "a", "model": "m"}, {"answer": None}, "a has answered"),
        ("model_call", {"agent": "a", "model": "m"}, {"answer": "[1, 2]"}, "a has answered"),
        ("check", {"agent": "a", "passed": False, "check": "citations"}, {}, "a is corrected (citations)"),
        ("check", {"agent": "a", "passed": True, "check": "citations"}, {}, "begins"),
    ],
)
def test_what_goes_on_is_what_the_last_event_leads_to(kind: str, facts: Any, content: Any, said: str) -> None:
    assert f"{said}, " in texts(board(STARTED, (kind, facts, content)))[4]


def test_calls_without_a_price_are_said() -> None:
    made = board(STARTED, ("model_call", {"agent": "a", "model": "m", "usd": "unpriced"}, {}))
    assert any(row.endswith("$0.00 of $1.00, 1 call unpriced") for row in texts(made))


def test_a_run_whose_settings_nobody_knows_has_figures_without_caps() -> None:
    made = board(("run_started", {}, {"question": None, "settings": None, "warnings": None}))
    assert [row.split()[0] for row in texts(made)[2:]] == ["time", "cost", "tokens", "model", "tools"]


def test_the_lines_above_are_those_that_a_pipe_gets(capsys: pytest.CaptureFixture[str]) -> None:
    from pilotage.report import step_lines

    events = [Event("run", 1, 5.0, "run_started", {}, {"warnings": '["w"]'}),
              Event("run", 2, 6.5, "task_started", {"task": "t", "agent": "a"}),
              Event("run", 3, 6.6, "decision", {"who": "a"})]  # fmt: skip
    show, lines = progress_lines(), step_lines()
    said = [line for event in events for line in lines(event)]
    for event in events:
        show(event)
    assert said == ["warning: w", "[  1.5 s] t: a"]
    assert capsys.readouterr().err == "".join(f"{line}\n" for line in said)
