"""Tools that hang, block or loop, and a server of pages that does: the same deadlines as for a model."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.scenario import LATE, Scenario, left
from tests.support.chaos import Play
from tests.support.plays import good, use
from tests.support.project import change

STARTS = 6.0  # seconds that a process of its own may take to start on a busy machine
TOOLS = '''
"""Tools that never come back."""

import ctypes, os, time
from pathlib import Path

from pilotage import tool

HERE = Path(__file__).parent


@tool
def sleep(seconds: float) -> str:
    "Sleep."
    time.sleep(seconds)
    (HERE / "woke").touch()
    return "woke up"


@tool
def block(seconds: float) -> str:
    "Block in C with the interpreter let go."
    ctypes.CDLL(None).usleep(int(seconds * 1_000_000))
    return "was blocked"


@tool
def spin(seconds: float) -> str:
    "Keep the processor busy."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "spun"


@tool(isolate=True)
def hold(seconds: float) -> str:
    "Block with the interpreter held: only a process of its own can be killed then."
    (HERE / "started").write_text(str(os.getpid()))
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return "held"
'''


@pytest.fixture
def tools(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, its researcher equipped with the tools above; returns the folder of their module."""
    (tmp_path / "tools_that_hang.py").write_text(TOOLS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    config = scenario.project / "config"
    change(config / "pilotage.yaml", lambda tree: tree.update(tools="tools_that_hang"))
    names = ["search_knowledge", "read_page", "sleep", "block", "spin", "hold"]
    change(config / "agents.yaml", lambda tree: tree["researcher"].update(tools=names))
    yield tmp_path
    sys.modules.pop("tools_that_hang", None)


def once(name: str, **arguments: Any) -> Play:
    """One call of the tool, then the good model, which searches and answers."""

    def play(exchange: Any) -> None:
        heard = [m for m in exchange.messages if m["role"] == "tool"]
        if exchange.task != "research":
            return good(exchange)
        if not heard:
            return use((name, arguments))(exchange)
        if len(heard) == 1:
            return use(("search_knowledge", {"query": "who owns retries, nested retries multiply"}))(exchange)
        return good(exchange)

    return play


@pytest.mark.parametrize("name", ["sleep", "block"])
def test_a_stuck_tool_is_left_at_its_cap_and_the_run_goes_on(scenario: Scenario, tools: Path, name: str) -> None:
    ended = scenario(once(name, seconds=1.2), "accepted", requests=6, by=5, limits__tool_seconds=0.5)
    call = ended.of("tool_call", tool=name)[0]
    assert call.facts["failed"]
    assert "limits.tool_seconds" in str(call.content["result"])
    assert call.facts["seconds"] < 0.5 + LATE
    assert ended.of("abandoned"), "who was left behind is not on record"


@pytest.mark.parametrize("name", ["block", "spin"])
def test_a_stuck_tool_ends_with_the_run(scenario: Scenario, tools: Path, name: str) -> None:
    ended = scenario(once(name, seconds=1.5), "limited", requests=1, by=1 + LATE, limits__seconds=1)
    assert "limits.seconds" in ended.reason
    assert len(ended.of("tool_call")) <= 1


def test_a_stuck_tool_ends_with_its_task(scenario: Scenario, tools: Path) -> None:
    caps = {"seconds": 0.7}
    ended = scenario(once("sleep", seconds=3), "limited", requests=1, by=0.7 + LATE, tasks__research__limits=caps)
    assert "tasks.research.limits.seconds" in ended.reason


def test_a_task_may_have_shorter_tool_calls(scenario: Scenario, tools: Path) -> None:
    caps = {"tool_seconds": 0.5}
    ended = scenario(once("sleep", seconds=1.5), "accepted", requests=6, by=4, tasks__research__limits=caps)
    assert "tasks.research.limits.tool_seconds" in str(ended.of("tool_call", tool="sleep")[0].content["result"])


def test_a_tool_that_holds_the_interpreter_is_killed_in_its_process(scenario: Scenario, tools: Path) -> None:
    caps = {"limits__tool_seconds": 0.5, "limits__seconds": 20}
    ended = scenario(once("hold", seconds=60), "accepted", requests=6, by=STARTS + 2, **caps)
    assert "killed after 0.5 s" in str(ended.of("tool_call", tool="hold")[0].content["result"])
    assert is_gone(int((tools / "started").read_text()))


def test_a_process_of_a_tool_is_killed_when_the_run_ends(scenario: Scenario, tools: Path) -> None:
    ended = scenario(once("hold", seconds=60), "limited", requests=1, by=3 + LATE, limits__seconds=3)
    assert "limits.seconds" in ended.reason
    assert is_gone(int((tools / "started").read_text()))


def is_gone(pid: int) -> bool:
    """Whether there is no such process any more, a moment from now at the latest."""
    end = time.monotonic() + LATE
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_tool_that_comes_back_after_the_end_writes_nothing(scenario: Scenario, tools: Path) -> None:
    ended = scenario(once("sleep", seconds=1.4), "limited", requests=1, by=1 + LATE, limits__seconds=1)
    while not (tools / "woke").exists():
        time.sleep(0.05)
    time.sleep(0.2)
    assert len(left(scenario.project)[1]) == len(ended.events)


def test_a_page_that_never_comes_is_left_like_a_tool(scenario: Scenario) -> None:
    with socket.create_server(("127.0.0.1", 0)) as site:  # takes connections and never says a word
        host = f"127.0.0.1:{site.getsockname()[1]}"
        play = once("read_page", url=f"http://{host}/page")
        settings: dict[str, Any] = {"policy__allow_private_hosts": [host], "web__robots": False, "web__seconds": 0.5}
        ended = scenario(play, "accepted", requests=6, by=3 + LATE, **settings)
    (call,) = ended.of("tool_call", tool="read_page")
    assert call.facts["failed"]
    assert call.facts["seconds"] >= 0.4
