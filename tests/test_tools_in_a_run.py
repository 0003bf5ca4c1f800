"""Every tool fires inside a run of the crew, and `pilotage show` shows it."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage import cli
from pilotage.guard.fence import unfence
from pilotage.record.journal import Event
from pilotage.run import Runner
from pilotage.settings import load as load_settings
from pilotage.web.fetch import Fetcher
from tests.support.project import change, events_of
from tests.support.scripted import Turn, calls, good
from tests.support.web import Reply, web

TOOLS = """
import os, time
from crewai.tools import BaseTool
from pilotage import tool

@tool
def shout(text: str) -> str:
    "Say it louder."
    return text.upper()

@tool(timeout=2, isolate=True)
def block(seconds: float) -> str:
    "Block for some seconds."
    time.sleep(seconds)
    return f"in process {os.getpid()}"

class Reverse(BaseTool):
    name: str = "reverse"
    description: str = "Turn a text round."

    def _run(self, text: str) -> str:
        return text[::-1]

reverse = Reverse()
"""
SCHEMA = {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}


@pytest.fixture
def equipped(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project with a database, tools of the user's own and a schema."""
    with sqlite3.connect(project / "shop.sqlite") as db:
        db.execute("create table item(name text, price real)")
        db.execute("insert into item values('tea', 3.5)")
    db.close()
    (tmp_path / "tools_of_mine.py").write_text(TOOLS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (project / "price.json").write_text(json.dumps(SCHEMA), "utf-8")
    yield project
    sys.modules.pop("tools_of_mine", None)


def run_with(
    project: Path, tool: str, arguments: dict[str, Any], scripted: Any, **engine: Any
) -> tuple[str, list[Event]]:
    """What the model got when the researcher called the tool, and the events of the run."""

    def equip(tree: dict[str, Any]) -> None:
        tree["tools"] = "tools_of_mine"
        tree["web"] |= {"delay": 0, "robots": False}
        for key, value in engine.items():
            tree[key] = value

    change(project / "config" / "pilotage.yaml", equip)
    agents = project / "config" / "agents.yaml"
    change(agents, lambda tree: tree["researcher"].update(tools=["search_knowledge", "read_page", tool]))
    if tool == "check_data":
        change(project / "config" / "tasks.yaml", lambda tree: tree["research"].update(data="price.json"))
    got: list[str] = []

    def play(turn: Turn) -> Any:
        seen = [str(m["content"]) for m in turn.messages if m["role"] == "tool"]
        if turn.task == "research" and not seen:
            return calls((tool, arguments))
        if turn.task == "research" and len(seen) == 1:
            got.append(seen[0])
            return calls(("search_knowledge", {"query": "who owns retries, nested retries multiply"}))
        if turn.task == "research":
            first = next(n for n, m in enumerate(turn.messages) if m["role"] == "tool")
            turn.messages = turn.messages[:first] + turn.messages[first + 1 :]
        return good(turn)

    scripted(play)
    settings = load_settings(project)
    runner = Runner(settings)
    try:
        result = runner.answer("How many requests can one fault make when retries are nested?")
    finally:
        runner.close()
    assert result.outcome == "accepted", result.reason
    return got[0], events_of(settings)


def shown(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(project)
    capsys.readouterr()
    assert cli.invoke(["show", "last"]) == 0
    return capsys.readouterr().out


LOCAL: dict[str, tuple[dict[str, Any], str]] = {
    "search_knowledge": ({"query": "deadlines"}, "300 seconds"),
    "read_source": ({"source": "nowhere.md#1"}, "there is no such source"),
    "query_db": ({"sql": "select name, price from item"}, "tea"),
    "run_python": ({"code": "def f(n): return n * 2", "tests": "assert f(2) == 4"}, "passed"),
    "check_data": ({"text": '{"price": "free"}'}, "expected number"),
    "shout": ({"text": "louder"}, "LOUDER"),
    "block": ({"seconds": 0}, "in process"),
    "reverse": ({"text": "abc"}, "cba"),
}


@pytest.mark.parametrize("tool", LOCAL)
def test_a_tool_fires_in_a_run_and_is_shown(
    tool: str, equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = LOCAL[tool]
    got, events = run_with(equipped, tool, arguments, scripted, databases={"shop": {"url": "sqlite:///shop.sqlite"}})
    (event,) = [e for e in events if e.kind == "tool_call" and e.facts["tool"] == tool][:1]
    assert expected in unfence(got)
    assert got.startswith("<<<data ")
    assert expected in str(event.content["result"])
    assert not event.facts.get("failed")
    text = shown(equipped, monkeypatch, capsys)
    assert re.search(rf"\btool={tool}\b", text)
    assert expected in text


def test_read_page_fires_in_a_run_and_its_passages_are_sources(
    equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    html = b"<html><head><title>Tea</title></head><body><main><p>The tea house opened in 1904.</p></main></body></html>"
    with web({"/tea": Reply(200, {"Content-Type": "text/html"}, html)}) as server:
        host = server.host
        policy = {"allow_private_hosts": [host]}
        got, events = run_with(equipped, "read_page", {"url": server.url("/tea")}, scripted, policy=policy)
    page = json.loads(unfence(got))
    assert page["title"] == "Tea"
    assert page["passages"][0]["text"] == "The tea house opened in 1904."
    assert page["passages"][0]["source"].startswith(server.url("/tea") + "#")
    assert not next(e for e in events if e.facts.get("tool") == "read_page").facts.get("failed")
    assert "tool=read_page" in shown(equipped, monkeypatch, capsys)


def test_a_service_fires_in_a_run_and_its_secret_stays_away(
    equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RATES_TOKEN", "hidden-value-1234")
    body = json.dumps({"rate": 1.17, "echo": "hidden-value-1234"}).encode()
    with web({"/rate/EUR": Reply(200, {"Content-Type": "application/json"}, body)}) as server:
        host = server.host
        rates = {
            "description": "The rate of a currency.", "url": server.url("/rate/{base}"), "arguments": {"base": "str"},
            "headers": {"Authorization": "Bearer ${RATES_TOKEN}"},
        }  # fmt: skip
        got, events = run_with(
            equipped, "rates", {"base": "EUR"}, scripted, services={"rates": rates},
            policy={"allow_private_hosts": [host]},
        )  # fmt: skip
        assert server.requests[0].headers["authorization"] == "Bearer hidden-value-1234"
    assert "1.17" in unfence(got)
    text = shown(equipped, monkeypatch, capsys)
    assert "tool=rates" in text
    assert "hidden-value" not in got + text + str([e.as_json() for e in events])


def test_search_web_fires_in_a_run_when_its_key_is_set(
    equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERPER_API_KEY", "k3y-of-the-engine")
    found = [{"title": "Tea", "link": "https://tea.example/1904", "snippet": "A tea house."}]
    answer = Reply(200, {"Content-Type": "application/json"}, json.dumps({"organic": found}).encode())
    with web({"/search": answer}) as server:
        fetch = Fetcher.fetch

        def diverted(self: Fetcher, url: str, **options: Any) -> Any:
            return fetch(self, url.replace("https://google.serper.dev", server.url("")), **options)

        monkeypatch.setattr(Fetcher, "fetch", diverted)
        policy = {"allow_private_hosts": [server.host]}
        got, events = run_with(equipped, "search_web", {"query": "tea house"}, scripted, policy=policy)
        assert server.requests[0].headers["x-api-key"] == "k3y-of-the-engine"
    assert json.loads(unfence(got)) == {"results": found}
    text = shown(equipped, monkeypatch, capsys)
    assert "tool=search_web" in text
    assert "k3y-of-the-engine" not in got + text + str([e.as_json() for e in events])


def test_a_denied_call_is_a_sentence_for_the_agent_and_an_event_with_its_rule(
    equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = {"agents": {"researcher": ["search_knowledge"]}}
    got, events = run_with(equipped, "shout", {"text": "louder"}, scripted, policy=policy)
    assert got == "shout was denied: researcher may not use shout (policy.agents.researcher)"
    (event,) = [e for e in events if e.facts.get("tool") == "shout"]
    assert event.facts["denied"] == "policy.agents.researcher"
    assert "denied=policy.agents.researcher" in shown(equipped, monkeypatch, capsys)


def test_a_tool_that_blocks_is_killed_at_its_own_time(equipped: Path, scripted: Any) -> None:
    got, events = run_with(equipped, "block", {"seconds": 30}, scripted)
    (event,) = [e for e in events if e.facts.get("tool") == "block"]
    assert got.startswith("block failed: killed after 2 s")
    assert 2 <= event.facts["seconds"] < 20  # with the import of CrewAI in its process
