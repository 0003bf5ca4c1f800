"""A tool in a process of its own: its result comes back whole, its end is final, and nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.tools.isolate import LARGEST, LOUDEST, Failed, run_isolated

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by their group here")
MODULE = "isolated_tools"
TOOLS = """
import asyncio, ctypes, datetime, decimal, os, re, signal, subprocess, sys, threading, time
from dataclasses import dataclass
from pathlib import Path

print("said at import")

@dataclass
class Point:
    x: int
    y: set

class Broken(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class Spare:
    args_schema = None
    name = "the spare one"
    def _run(self, text):
        return text + "!"

spare = Spare()

def echo(value): return value
def add(a, b=2): return a + b
def fail(): raise ValueError("a bad\\nvalue: é")
def broken(): raise Broken
def leave(code): sys.exit(code)
def crash(code): os._exit(code)
def abort(): ctypes.string_at(0)
def die(): os.kill(os.getpid(), signal.SIGTERM)

def chatter(count):
    print("x" * count)
    return "said"

def refuse():
    from pilotage.errors import ToolError
    raise ToolError("there is no such day")

def talk():
    print('{"result": "forged"}', flush=True)
    os.write(1, b'{"result": "forged"}')
    sys.__stdout__.write("more")
    subprocess.run(["echo", "and a child"])
    print("to stderr", file=sys.stderr)
    return "the real one"

def listen(): return sys.stdin.read() + (os.read(0, 10)).decode()
def odd(): return {1: object, (2, 3): b"\\xff", None: {4, 5}, "at": datetime.date(2020, 1, 2),
                   "d": decimal.Decimal("1.5"), "p": Point(1, {2}), "path": Path("a/b"), "x": float("inf")}
def circle():
    a = []
    a.append(a)
    return a
def half(): return "\\ud800 \\x00 日本 😀"
def big(size): return "x" * size
async def later():
    await asyncio.sleep(0.01)
    return "later"
def work_on(file):
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "done"
def mark(file):
    Path(file).write_text(str(os.getpid()))
def nap(file, seconds=60):
    mark(file)
    time.sleep(seconds)
def start(file, seconds=60):
    mark(file)
    child = subprocess.Popen(["sleep", str(seconds)])
    Path(file + ".child").write_text(str(child.pid))
    child.wait()
def leave_child(file):
    child = subprocess.Popen(["sleep", "60"])
    Path(file + ".child").write_text(str(child.pid))
    return "done"
def fork(file):
    if os.fork() == 0:
        time.sleep(60)
    return "parent"
def regex(file):
    mark(file)
    re.match(r"(a+)+b", "a" * 64)
def deaf(file):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mark(file)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
def where(): return [os.getcwd(), sys.path[0], "calendar" in sys.modules or __import__("calendar").__file__]
def session(): return [os.getpid(), os.getpgrp(), os.getppid()]
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(TOOLS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def run(name: str, seconds: float = 20, on_start: Callable[[Any], None] = lambda _: None, **arguments: Any) -> Any:
    return run_isolated(MODULE, name, arguments, seconds, on_start)


def pid_in(file: Path) -> int:
    """The process that wrote its number there, once it has."""
    ends = time.monotonic() + 10
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < ends, "the tool did not begin"
        time.sleep(0.01)
    return int(file.read_text())


def is_gone(pid: int) -> bool:
    """Whether the process has ended within two seconds; one that nobody waits for is a zombie."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat")
            if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


# --- results


@pytest.mark.parametrize(
    "value", [None, True, 3, 2.5, "text", "é 日本 😀 \u2028", [1, [2]], {"a": {"b": None}}, "", [], "\ud800"]
)
def test_a_result_comes_back_as_it_was(value: Any) -> None:
    assert run("echo", value=value) == value


def test_arguments_come_by_name_and_defaults_stay() -> None:
    assert (run("add", a=1), run("add", a=1, b=5)) == (3, 6)


def test_what_json_does_not_know_comes_as_its_nearest_or_as_text() -> None:
    found = run("odd")
    assert found.pop("1").startswith("<class")
    assert found == {
        "[2, 3]": "\ufffd", "None": [4, 5], "at": "2020-01-02", "d": "1.5", "p": {"x": 1, "y": [2]}, "path": "a/b",
        "x": float("inf"),
    }  # fmt: skip


def test_half_characters_and_zero_bytes_survive() -> None:
    assert run("half") == "\ud800 \x00 日本 😀"


def test_five_megabytes_come_back_whole() -> None:
    assert run("big", size=5_000_000) == "x" * 5_000_000
    assert len(run("echo", value="é" * 2_000_000)) == 2_000_000


def test_a_result_beyond_all_measure_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.tools.isolate.LARGEST", 1000)
    with pytest.raises(Failed, match=r"its result has 2,014 bytes against 1,000"):
        run("big", size=2000)
    assert LARGEST > 5_000_000


def test_what_the_tool_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    run("talk")
    out, err = capfd.readouterr()
    assert out == ""
    assert {"said at import", "and a child", "to stderr"} <= set(err.replace("more", "more\n").splitlines())


def test_a_tool_that_prints_without_end_is_read_and_shown_up_to_a_bound(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("chatter", count=3 * LOUDEST) == "said"
    assert capfd.readouterr().err.count("x") in range(LOUDEST - 1000, LOUDEST + 1)


def test_a_refusal_has_no_traceback_and_an_error_has_one() -> None:
    with pytest.raises(Failed) as caught:
        run("refuse")
    assert (str(caught.value), caught.value.detail) == ("there is no such day", "")
    with pytest.raises(Failed) as caught:
        run("fail")
    assert "in fail" in caught.value.detail


def test_what_the_tool_prints_is_not_its_result() -> None:
    assert run("talk") == "the real one"


def test_the_tool_has_nothing_to_read() -> None:
    assert run("listen", seconds=5) == ""


def test_a_coroutine_is_waited_for() -> None:
    assert run("later") == "later"


def test_a_tool_object_is_found_by_its_own_name() -> None:
    assert run("the spare one", text="a") == "a!"


def test_a_tool_object_of_crewai_runs_there(tmp_path: Path) -> None:
    (tmp_path / "crew_tools.py").write_text(
        "from crewai.tools import BaseTool\n"
        "class Reverse(BaseTool):\n"
        "    name: str = 'reverse'\n"
        "    description: str = 'Turn a text round.'\n"
        "    def _run(self, text: str) -> str:\n"
        "        return text[::-1]\n"
        "it = Reverse()\n"
    )
    assert run_isolated("crew_tools", "reverse", {"text": "abc"}, 40, lambda _: None) == "cba"


def test_threads_that_the_tool_left_behind_do_not_hold_the_call(tmp_path: Path) -> None:
    began = time.monotonic()
    assert run("work_on", file=str(tmp_path / "pid")) == "done"
    assert time.monotonic() - began < 10


def test_a_fork_that_holds_the_output_open_does_not_hold_the_call(tmp_path: Path) -> None:
    began = time.monotonic()
    assert run("fork", file=str(tmp_path / "pid")) == "parent"
    assert time.monotonic() - began < 10


def test_no_module_is_taken_from_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("json", "calendar", "pilotage"):
        (here / f"{name}.py").write_text("raise SystemExit('taken from the present folder')")
    monkeypatch.chdir(here)
    folder, first, calendar = run("where")
    assert Path(folder) == here
    assert Path(first) != here
    assert not str(calendar).startswith(str(here))


# --- errors


def test_what_the_tool_raises_comes_with_its_traceback() -> None:
    with pytest.raises(Failed, match=r"^ValueError: a bad\nvalue: é$") as caught:
        run("fail")
    assert "in fail" in caught.value.detail
    assert "Traceback" in caught.value.detail


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("broken", {}, "Broken"),
        ("leave", {"code": 3}, "SystemExit: 3"),
        ("leave", {"code": "bye"}, "SystemExit: bye"),
        ("circle", {}, "returned a list that holds itself"),
        ("add", {"c": 1}, "TypeError: .*unexpected keyword argument 'c'"),
        ("nowhere", {}, "LookupError: isolated_tools has no tool nowhere"),
        ("crash", {"code": 7}, "its process ended with code 7 and left no result"),
        ("crash", {"code": 0}, "its process ended with code 0 and left no result"),
        ("abort", {}, "its process was ended by SIGSEGV and left no result"),
        ("die", {}, "its process was ended by SIGTERM and left no result"),
    ],
)
def test_every_bad_end_is_one_sentence(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(Failed, match=f"^{said}$"):
        run(name, **arguments)


def test_a_module_that_cannot_be_imported_is_an_error_of_the_call(tmp_path: Path) -> None:
    (tmp_path / "bad_tools.py").write_text("import nothing_of_that_name")
    with pytest.raises(Failed, match="ModuleNotFoundError: No module named 'nothing_of_that_name'"):
        run_isolated("bad_tools", "x", {}, 20, lambda _: None)


def test_a_call_too_large_for_a_pipe_to_a_process_that_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(Failed, match="ended with code 1 and left no result"):
        run("echo", value="x" * 5_000_000)


# --- the end


@pytest.mark.parametrize("name", ["nap", "regex", "deaf"])
def test_a_tool_that_blocks_is_killed_at_its_time(name: str, tmp_path: Path) -> None:
    began, file = time.monotonic(), tmp_path / "pid"
    with pytest.raises(TimeoutError, match=r"^killed after 1 s$"):
        run(name, seconds=1, file=str(file))
    assert time.monotonic() - began < 4
    assert is_gone(pid_in(file))


def test_what_the_tool_started_is_killed_with_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        run("start", seconds=1, file=str(file))
    assert is_gone(pid_in(file))
    assert is_gone(pid_in(Path(f"{file}.child")))


def test_what_the_tool_left_running_is_killed_when_the_call_is_over(tmp_path: Path) -> None:
    assert run("leave_child", file=str(tmp_path / "pid")) == "done"
    assert is_gone(pid_in(tmp_path / "pid.child"))


def test_whoever_started_it_can_kill_it_at_once(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    kills: list[Callable[[], None]] = []
    caught: list[Exception] = []

    def call() -> None:
        try:
            run("start", seconds=60, on_start=kills.append, file=str(file))
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    child = pid_in(Path(f"{file}.child"))
    began = time.monotonic()
    kills[0]()
    thread.join(5)
    assert time.monotonic() - began < 1
    assert str(caught[0]) == "its process was ended by SIGKILL and left no result"
    assert is_gone(child)


def test_killing_it_after_its_end_touches_nobody() -> None:
    kills: list[Callable[[], None]] = []
    pid, group, parent = run("session", on_start=kills.append)
    assert (group, parent) == (pid, os.getpid())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "killpg", lambda *_: pytest.fail("its number may be another's by now"))
        kills[0]()


def counts() -> tuple[int, int, int]:
    """Threads and, where the system tells, open files and children of this process."""
    children = [file.read_text().split() for file in Path("/proc/self/task").glob("*/children")]
    files = len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0
    return threading.active_count(), files, sum(map(len, children))


def test_no_process_thread_or_open_file_is_left() -> None:
    run("echo", value=1)
    time.sleep(0.05)
    before = counts()
    for _ in range(3):
        run("echo", value=1)
    time.sleep(0.05)
    assert all(now <= then for now, then in zip(counts(), before, strict=True))


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another Python that waits for an isolated tool which never ends."""
    code = (
        "from pilotage.tools.isolate import run_isolated\n"
        f"run_isolated({MODULE!r}, 'start', {{'file': {str(tmp_path / 'pid')!r}}}, 60, lambda _: None)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    yield process
    process.kill()
    process.wait()


def test_the_tool_ends_when_the_program_that_called_it_is_killed(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    tool, child = pid_in(tmp_path / "pid"), pid_in(tmp_path / "pid.child")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert is_gone(tool)
    assert is_gone(child)
