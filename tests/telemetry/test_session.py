"""Whole runs over the real OpenAI path: what arrives at the cloud is what the journal has and what the model served."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pilotage.outcome import Result
from pilotage.record.journal import Event, read_events
from pilotage.record.store import open_store
from pilotage.record.tree import Span, fold
from pilotage.report import money
from pilotage.run import Runner, run_crew
from pilotage.settings import Settings
from tests.support import plays
from tests.support.chaos import Chaos, Exchange, serve
from tests.support.pages import serving
from tests.support.plays import then
from tests.support.scripted import calls
from tests.support.server import COMPLETION_TOKENS, PROMPT_TOKENS
from tests.telemetry.backend import TOKEN, Backend, Sent, backend

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"
MODEL = "openai/gpt-4o-mini"
PRICE = PROMPT_TOKENS * 0.15e-6 + COMPLETION_TOKENS * 0.6e-6
QUOTE = "With three owners of three attempts each,\none fault makes 27 requests."


@pytest.fixture(autouse=True, scope="module")
def _authorities(one_authority: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority))
        yield


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdefghij")


def with_a_tool_that_fails(exchange: Exchange) -> None:
    """The good model, whose first answer calls a second tool beside the search, with arguments that make it raise."""
    if exchange.task == "research" and not any(m["role"] == "tool" for m in exchange.messages):
        wanted = ("search_knowledge", {"query": "nested retries"}), ("days_between", {"first": "soon", "second": "x"})
        return exchange.say({"content": None, "tool_calls": calls(*wanted)})
    return plays.good(exchange)


def in_words() -> Callable[[Exchange], None]:
    """The good model as one without native tool calls: Action, Action Input, Final Answer."""
    turns = Counter[str]()

    def play(exchange: Exchange) -> None:
        task, said = exchange.task, "\n".join(str(m["content"]) for m in exchange.messages)
        turns[task] += 1
        if task == "research" and turns[task] == 1:
            return exchange.say({"content": _action("search_knowledge", {"query": "who owns retries, nested"})})
        found = re.search(r'"source": "(retries\.md#\w+)"(?:(?!"source").)*27 requests', said, re.DOTALL)
        source = found[1] if found else re.findall(r"retries\.md#\w+", said)[-1]
        if task == "verify" and turns[task] == 1:
            return exchange.say({"content": _action("read_source", {"source": source})})
        answer = json.dumps(_answer(task, source))
        typed = "response_format" in exchange.json  # an agent without tools
        return exchange.say({"content": answer if typed else f"Thought: I know.\nFinal Answer: {answer}"})

    return play


def _action(tool: str, arguments: dict[str, str]) -> str:
    return f"Thought: I look.\nAction: {tool}\nAction Input: {json.dumps(arguments)}"


def _answer(task: str, source: str) -> dict[str, Any]:
    finding = {"claim": "Nested retries multiply to 27.", "quote": QUOTE, "source": source}
    if task == "research":
        return {"findings": [finding]}
    if task == "verify":
        return {"verdicts": [{**finding, "verdict": "supported", "reason": "it says so"}]}
    statement = {"text": "One fault can become 27 requests when three owners retry.", "cites": [1]}
    return {"statements": [statement], "citations": [{"n": 1, "source": source, "quote": QUOTE}]}


def ask(load: Load, server: Chaos, **more: Any) -> tuple[Result, list[Event]]:
    settings = load(model__name=MODEL, model__base_url=server.url, **more)
    result = run_crew(QUESTION, settings=settings)
    return result, events_of(settings, result.run)


def events_of(settings: Settings, run: str) -> list[Event]:
    engine = open_store(settings.store, create=False)
    try:
        return list(read_events(engine, run))
    finally:
        engine.dispose()


def same_tree(sent: list[Sent], events: list[Event]) -> bool:
    """What was sent has the spans of the journal's own tree, each below the same one."""
    ids = {span.id: span for span in sent}
    tree = {id(span): span for span in fold(events)}

    def mine(span: Span) -> tuple[Any, ...]:
        around = next((s for s in tree.values() if s.id == span.parent and s.start <= span.start), None)
        return span.kind, span.name, span.failed, (around.kind, around.name) if around else None

    def theirs(span: Sent) -> tuple[Any, ...]:
        around = ids[span.parent] if span.parent else None
        name = span.attributes["operation.name"]
        return span.kind, name, span.is_error, (around.kind, around.attributes["operation.name"]) if around else None

    return Counter(map(mine, tree.values())) == Counter(map(theirs, sent))


def check_figures(sent: list[Sent], requests: int) -> None:
    """Calls, tokens and cost are the model server's own, and stand on model calls alone."""
    models = [span for span in sent if span.kind == "llm" and not span.is_error]
    assert len(models) == requests
    for name, each in (("prompt", PROMPT_TOKENS), ("completion", COMPLETION_TOKENS)):
        assert sum(span.attributes[f"gen_ai.usage.{name}_tokens"] for span in models) == requests * each
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in models) == requests * PROMPT_TOKENS
    assert sum(span.attributes["gen_ai.usage.output_tokens"] for span in models) == requests * COMPLETION_TOKENS
    cost = sum(span.attributes["gen_ai.usage.total_cost"] for span in models)
    assert cost == pytest.approx(requests * PRICE, abs=1e-9)
    others = [span for span in sent if span.kind != "llm"]
    assert not [span for span in others if any(name.startswith("gen_ai.usage") for name in span.attributes)]


def check_page(settings: Settings, result: Result, sent: list[Sent]) -> None:
    """The page has the spans that were sent, and the sums of the run."""
    with serving(settings) as url:
        rows = requests.get(f"{url}/sessions/{result.run}/rows.json", params={"from": 0}, timeout=10).json()
        page = requests.get(f"{url}/sessions/{result.run}", timeout=10).text
    assert Counter((row["kind"], row["whole"]) for row in rows) == Counter(
        (span.kind, MODEL if span.kind == "llm" else span.attributes["operation.name"]) for span in sent
    )
    assert sum(float(row["exact"].lstrip("$")) for row in rows if row["kind"] == "llm") == pytest.approx(result.usd)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert f"Tokens {result.tokens:,}" in words
    assert f"Cost {money(result.usd)}" in words


def test_three_agents_with_a_good_and_a_failing_tool(load: Load, cloud: Backend) -> None:
    with serve(with_a_tool_that_fails) as server:
        result, events = ask(load, server, agents__researcher__tools="[search_knowledge, days_between]")
    assert result.outcome == "accepted", result.reason
    assert len({span.trace for span in cloud.spans}) == 1
    assert Counter(span.kind for span in cloud.spans) == {
        "session": 1, "workflow": 1, "task": 3, "agent": 3, "llm": 5, "tool": 3, "check": 7, "decision": 3,
    }  # fmt: skip
    assert same_tree(cloud.spans, events)
    check_figures(cloud.spans, len(server.requests))
    assert len(server.requests) == 5
    assert result.tokens == 5 * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert result.usd == pytest.approx(5 * PRICE)
    failed = {span.attributes["tool.name"]: span.is_error for span in cloud.of("tool")}
    assert failed == {"search_knowledge": False, "days_between": True, "read_source": False}
    broken = next(span for span in cloud.of("tool") if span.is_error)
    assert broken.attributes["tool.status"] == "failed"
    assert broken.attributes["error.type"] == "ValueError"
    assert json.loads(broken.attributes["tool.parameters"]) == {"first": "soon", "second": "x"}
    assert {span.name for span in cloud.spans if span.is_error} == {"days_between.tool"}
    check_page(load(), result, cloud.spans)


def test_what_the_session_says_of_itself(load: Load, cloud: Backend) -> None:
    with serve(plays.good) as server:
        result, events = ask(load, server, record__tags="[nightly, team-a]")
    root = cloud.root.attributes
    assert root["agentops.span.kind"] == "session"
    assert root["agentops.session.end_state"] == "Success"
    assert (root["pilotage.run"], root["pilotage.outcome"], root["pilotage.seal"]) == (
        result.run, "accepted", result.seal,
    )  # fmt: skip
    assert {"nightly", "team-a", "outcome:accepted", "crew:my_crew.crew:crew"} <= set(root["agentops.tags"])
    assert any(re.fullmatch(r"question:[0-9a-f]{12}", tag) for tag in root["agentops.tags"])
    assert root["agentops.entity.input"] == QUESTION
    assert root["agentops.entity.output"] == result.answer
    assert cloud.root.start == int(events[0].at * 1_000_000_000)
    assert cloud.root.end == int(events[-1].at * 1_000_000_000)
    assert {span.scope for span in cloud.spans} == {"pilotage"}
    assert {headers["authorization"] for headers in cloud.headers} == {f"Bearer {TOKEN}"}
    assert result.link == f"http://app.test/sessions?trace_id={cloud.root.trace}"


def test_a_model_call_speaks_both_dialects(load: Load, cloud: Backend) -> None:
    with serve(plays.good) as server:
        ask(load, server)
    first = min(cloud.of("llm"), key=lambda span: span.start).attributes
    assert first["gen_ai.operation.name"] == "chat"
    assert (first["gen_ai.provider.name"], first["gen_ai.request.model"]) == ("openai", "gpt-4o-mini")
    given = server.requests[0].messages
    assert [first[f"gen_ai.prompt.{i}.role"] for i in range(len(given))] == [m["role"] for m in given]
    assert first["gen_ai.prompt.1.content"] == given[1]["content"]
    parts = json.loads(first["gen_ai.input.messages"])
    assert [m["parts"][0]["content"] for m in parts] == [m["content"] for m in given]
    (answer,) = json.loads(first["gen_ai.output.messages"])
    assert answer["parts"][0]["type"] == "tool_call"
    assert answer["parts"][0]["name"] == first["gen_ai.completion.0.tool_calls.0.name"] == "search_knowledge"
    assert (first["agent.name"], first["gen_ai.agent.name"]) == ("researcher", "researcher")
    agent = next(span for span in cloud.of("agent") if span.attributes["agent.id"] == "researcher").attributes
    assert agent["gen_ai.operation.name"] == "invoke_agent"
    assert agent["crewai.agent.role"] == "Researcher"
    assert QUESTION in agent["agentops.entity.input"]


def test_checks_and_decisions_are_events_on_the_agent_and_spans_below_it(load: Load, cloud: Backend) -> None:
    with serve(plays.good) as server:
        ask(load, server)
    ids = {span.id: span for span in cloud.spans}
    check = next(span for span in cloud.of("check") if span.attributes["operation.name"] == "findings")
    around = ids[check.parent]
    assert around.kind == "agent"
    assert [name for name, _ in around.events] == [
        "pilotage.check", "pilotage.grade", "pilotage.check", "pilotage.decision",
    ]  # fmt: skip
    assert json.loads(check.attributes["pilotage.facts"])["passed"] is True
    assert check.attributes["agentops.span.kind"] == "guardrail"


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_streamed_answer_counts_the_same(load: Load, cloud: Backend, stream: str) -> None:
    with serve(plays.good) as server:
        result, events = ask(load, server, model__stream=stream)
    assert result.outcome == "accepted", result.reason
    assert {exchange.stream for exchange in server.requests} == {stream == "true"}
    assert same_tree(cloud.spans, events)
    check_figures(cloud.spans, len(server.requests))


def test_tools_in_words_have_spans_too(load: Load, cloud: Backend) -> None:
    with serve(in_words()) as server:
        result, events = ask(load, server, model__tool_calls="text")
    assert result.outcome == "accepted", result.reason
    assert sorted(span.attributes["tool.name"] for span in cloud.of("tool")) == ["read_source", "search_knowledge"]
    assert same_tree(cloud.spans, events)
    check_figures(cloud.spans, len(server.requests))


def test_attempts_that_fail_are_spans_of_their_own(load: Load, cloud: Backend) -> None:
    with serve(then(plays.status(503), plays.status(429, retry_after=0.05), plays.good)) as server:
        result, events = ask(load, server)
    assert result.outcome == "accepted", result.reason
    failed = [span for span in cloud.of("llm") if span.is_error]
    assert [span.attributes["pilotage.attempt"] for span in failed] == [1, 2]
    assert all(span.attributes["error.type"] for span in failed)
    assert all("gen_ai.response.model" not in span.attributes for span in failed)
    assert same_tree(cloud.spans, events)
    check_figures(cloud.spans, len(server.requests) - 2)


def test_a_model_without_a_price_has_no_cost(load: Load, cloud: Backend) -> None:
    with serve(plays.good) as server:
        result = run_crew(QUESTION, settings=load(model__name="openai/local-model", model__base_url=server.url))
    assert result.usd is None
    for span in cloud.of("llm"):
        assert span.attributes["pilotage.price"] == "unknown"
        assert "gen_ai.usage.total_cost" not in span.attributes


def test_a_run_that_is_stopped_ends_its_session_with_the_reason(load: Load, cloud: Backend) -> None:
    with serve(plays.endless(plays.constant(("search_knowledge", {"query": "retries"})))) as server:
        result, events = ask(load, server)
    assert result.outcome == "limited"
    assert cloud.root.is_error
    assert result.reason in cloud.root.status
    assert cloud.root.attributes["agentops.session.end_state"] == "Fail"
    assert same_tree(cloud.spans, events)
    loop = cloud.of("loop")[0]
    event = next(event for event in events if event.kind == "loop")
    assert loop.attributes["loop.kind"] == event.facts["rule"]
    assert loop.attributes["loop.level"] == "nudge"
    assert loop.attributes["loop.times"] == event.facts["times"]
    assert loop.attributes["loop.steps"] == f"{event.facts['first_step']}..{event.facts['last_step']}"
    assert loop.attributes["loop.evidence"] == event.content["evidence"]
    around = next(span for span in cloud.spans if span.id == loop.parent)
    assert "pilotage.loop" in [name for name, _ in around.events]
    assert [span for span in cloud.of("loop") if span.is_error]


SIDE_BY_SIDE = """
from crewai import Crew

def crew(kit):
    kit.task("research", async_execution=True)
    return Crew(agents=kit.agents(), tasks=kit.tasks())
"""


def test_a_task_that_runs_asynchronously_keeps_its_place(
    load: Load, cloud: Backend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "crew_side_by_side.py").write_text(SIDE_BY_SIDE, "utf-8")
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "crew_side_by_side", raising=False)
    with serve(plays.good) as server:
        result, events = ask(load, server, crew="crew_side_by_side:crew")
    assert result.outcome == "accepted", result.reason
    assert Counter(span.kind for span in cloud.spans)["task"] == 3
    assert same_tree(cloud.spans, events)
    check_figures(cloud.spans, len(server.requests))


def test_two_crews_at_once_have_two_sessions(load: Load, cloud: Backend) -> None:
    with serve(plays.slow(0.05, plays.good)) as server:
        runner = Runner(load(model__name=MODEL, model__base_url=server.url))
        results: list[Result] = []
        threads = [threading.Thread(target=lambda: results.append(runner.answer(QUESTION))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runner.close()
    assert [result.outcome for result in results] == ["accepted"] * 2
    traces = {span.attributes["pilotage.run"]: span.trace for span in cloud.spans}
    assert set(traces) == {result.run for result in results}
    assert len(set(traces.values())) == 2
    for run, trace in traces.items():
        mine = [span for span in cloud.spans if span.trace == trace]
        assert {span.attributes["pilotage.run"] for span in mine} == {run}
        assert same_tree(mine, events_of(runner.settings, run))
    check_figures(cloud.spans, len(server.requests))


def test_another_backend_gets_the_same_spans(load: Load, cloud: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    with backend() as other, serve(plays.good) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue,authorization=Bearer of-the-other")
        ask(load, server)
        assert sorted(span.id for span in other.spans) == sorted(span.id for span in cloud.spans)
        assert {headers["authorization"] for headers in other.headers} == {"Bearer of-the-other"}
        assert {headers["x-team"] for headers in other.headers} == {"blue"}
    assert {headers["authorization"] for headers in cloud.headers} == {f"Bearer {TOKEN}"}
    assert not [headers for headers in cloud.headers if "x-team" in headers], "the key of one backend for the other"


def test_a_secret_of_the_run_does_not_leave(load: Load, cloud: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_API_KEY", "s3cret-of-the-user-1")
    with serve(plays.good) as server:
        settings = load(model__name=MODEL, model__base_url=server.url)
        run_crew(f"{QUESTION} My key is s3cret-of-the-user-1.", settings=settings)
    assert cloud.spans
    assert "s3cret-of-the-user-1" not in str(cloud.spans)
    assert "[redacted]" in cloud.root.attributes["agentops.entity.input"]
