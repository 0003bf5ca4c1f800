"""The ways in which a crew works, each stopped at every call of a model and resumed: nothing is asked twice."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pilotage.again import resume
from tests.support import chaos, plays
from tests.support.project import change
from tests.support.scripted import calls
from tests.support.server import good_over_http
from tests.support.web import Reply, web
from tests.tape.lab import Lab, Told, with_tools
from tests.tape.plays import Play, searching

TOOLS = '''
import time

from pilotage import tool


@tool
def look(item: str) -> str:
    """Look at an item."""
    time.sleep(0.002 * len(item))
    return f"{item} is there"
'''


def holds_at_every_call(lab: Lab, whole: Told, **settings: Any) -> None:
    """Crash the run behind each of its model calls; the resume asks for the rest, and comes to the same answer."""
    assert whole.outcome == "accepted", (whole.result, whole.err)
    answered = [e for e in whole.of("model_call") if not e.facts.get("failed")]
    with lab.opened(**settings) as (engine, go_on):
        for number, event in reversed(list(enumerate(answered, 1))):
            lab.crash(whole.run, event.seq)
            result, requests = go_on(resume(engine, whole.run, force=True))
            assert (result.outcome, result.answer) == ("accepted", whole.result["answer"]), (event.seq, result.reason)
            assert requests == len(answered) - number, event.seq


def test_several_tools_at_once(lab: Lab) -> None:
    with_tools(lab, TOOLS, "look")
    lab.play(searching([("look", {"item": "a" * n}) for n in (9, 1, 5)], [("look", {"item": "a"})] * 2))
    whole = lab.run()
    assert len(whole.of("tool_call", tool="look")) == 5
    holds_at_every_call(lab, whole)


def test_tasks_at_the_same_time(lab: Lab) -> None:
    change(lab.project / "config" / "agents.yaml", lambda tree: tree.update(second=dict(tree["researcher"])))

    def add(tree: dict[str, Any]) -> None:
        verify, explain = tree.pop("verify"), tree.pop("explain")
        second = tree["research"] | {"agent": "second", "description": "Be second. " + tree["research"]["description"]}
        tree.update(second=second, verify=verify | {"context": ["research", "second"]}, explain=explain)

    change(lab.project / "config" / "tasks.yaml", add)
    (lab.project / "lab_crew.py").write_text(
        "from crewai import Crew, Process\n\n\ndef crew(kit):\n"
        "    for name in ('research', 'second'):\n        kit.task(name, async_execution=True)\n"
        "    return Crew(agents=kit.agents(), tasks=kit.tasks(), process=Process.sequential)\n", "utf-8",
    )  # fmt: skip
    change(lab.project / "config" / "pilotage.yaml", lambda tree: tree.update(crew="lab_crew:crew"))
    holds_at_every_call(lab, lab.run())


def test_work_that_is_delegated(lab: Lab) -> None:
    change(lab.project / "config" / "agents.yaml", lambda tree: tree["researcher"].update(allow_delegation=True))
    asked = {"question": "What is a retry?", "context": "none", "coworker": "Explainer"}

    def play(request: dict[str, Any]) -> Any:
        said = str(request["messages"])
        if "What is a retry?" in said and "Call search_knowledge" not in said:
            return {"content": "Trying again."}
        return searching([("ask_question_to_coworker", asked)])(request)

    lab.play(play)
    whole = lab.run()
    assert [e.facts["agent"] for e in whole.of("model_call", task="research")].count("explainer") == 1
    holds_at_every_call(lab, whole)


def test_a_model_that_failed_and_its_fallback(lab: Lab) -> None:
    fallback = {"model__fallbacks": ["openai/gpt-4o"], "limits__retries": 0}

    def play(request: dict[str, Any]) -> Any:
        fails = request["model"] == "gpt-4o-mini" and "Give one verdict" in str(request["messages"])
        return 500 if fails else good_over_http(request)

    lab.play(play)
    whole = lab.run(**fallback)
    assert whole.of("fallback")
    lab.play(good_over_http)
    last = [e for e in whole.of("model_call", agent="verifier") if not e.facts.get("failed")][-1]
    lab.crash(whole.run, last.seq)
    resumed = lab("resume", whole.run, "--force", **fallback)
    assert resumed.outcome == "accepted", resumed.err
    assert len(resumed.requests) == 1
    served = [e.facts["model"] for e in resumed.of("model_call", served="tape")]
    assert served == ["openai/gpt-4o-mini"] * 2 + ["openai/gpt-4o"] * 2


def in_words(request: dict[str, Any]) -> Any:
    """The good model for a model that calls tools by writing so."""
    text = json.dumps(request["messages"])
    if "Action Input" not in text:
        return good_over_http(request)
    source = re.search(r"retries\.md#\w+", text)
    if any(message["role"] == "assistant" for message in request["messages"]):
        return {"content": f"Thought: I know.\nFinal Answer: {_result(request, str(source and source[0]))}"}
    wanted = _wanted(request, str(source and source[0]))
    return {"content": f"Thought: I look.\nAction: {wanted[0]}\nAction Input: {json.dumps(wanted[1])}"}


def _wanted(request: dict[str, Any], source: str) -> tuple[str, dict[str, Any]]:
    if "Call search_knowledge" in str(request["messages"]):
        return "search_knowledge", {"query": "who owns retries, nested retries multiply"}
    return "read_source", {"source": source}


def _result(request: dict[str, Any], source: str) -> str:
    quote = "With three owners of three attempts each,\none fault makes 27 requests."
    finding = {"claim": "Nested retries multiply to 27.", "quote": quote, "source": source}
    if "Call search_knowledge" in str(request["messages"]):
        return json.dumps({"findings": [finding]})
    return json.dumps({"verdicts": [finding | {"verdict": "supported", "reason": "it says so"}]})


def test_tools_that_are_called_in_words(lab: Lab) -> None:
    lab.play(in_words)
    words = {"model__tool_calls": "text"}
    whole = lab.run(**words)
    assert len(whole.of("tool_call")) == 2
    holds_at_every_call(lab, whole, **words)


def test_answers_that_are_streamed(lab: Lab) -> None:
    with chaos.serve(plays.good) as server:
        streamed = {"model__stream": True, "model__base_url": server.url}
        whole = lab.run(**streamed)
        assert whole.outcome == "accepted", whole.err
        asked = len(server.requests)
        for event in reversed(whole.of("model_call")):
            lab.crash(whole.run, event.seq)
            resumed = lab("resume", whole.run, "--force", **streamed)
            assert resumed.outcome == "accepted", resumed.err
            committed = len([e for e in whole.of("model_call") if e.seq <= event.seq])
            assert len(server.requests) - asked == 5 - committed
            asked = len(server.requests)


def test_answers_of_every_form_are_in_one_run(lab: Lab) -> None:
    assert {e.facts["form"] for e in lab.run().of("model_call")} == {"calls", "text", "typed"}


@pytest.mark.parametrize("play", [good_over_http, searching([("search_knowledge", {"query": "deadlines"})])])
def test_the_built_in_way(lab: Lab, play: Play) -> None:
    lab.play(play)
    holds_at_every_call(lab, lab.run())


def test_a_rejected_round_and_the_answer_that_follows(lab: Lab) -> None:
    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        again = "These points do not hold" in str(request["messages"])
        if again or not answer.get("content"):
            return answer
        return answer | {"content": answer["content"].replace("supported", "surely")}

    lab.play(play)
    whole = lab.run()
    assert whole.of("check", passed=False)
    holds_at_every_call(lab, whole)


def test_a_follow_up_that_was_stopped(lab: Lab) -> None:
    first = lab.run()
    assert first.outcome == "accepted"
    stopped = lab("run", "And who owns them?", "--continue", "last", limits__model_calls=2)
    assert stopped.outcome == "limited", stopped.err
    resumed = lab("resume", "last")
    assert resumed.outcome == "accepted", resumed.err
    assert len(resumed.of("model_call", served="tape")) == 2
    asked = str(resumed.requests[-1]["messages"])
    assert "How many requests can one fault make" in asked, "the conversation goes on"
    assert len(stopped.requests) + len(resumed.requests) == 5


def test_a_page_that_was_read_is_a_source_again_without_being_fetched(lab: Lab) -> None:
    text = "<html><body><h1>Lamps</h1><p>Early keepers burned whale oil in every lamp of the tower.</p></body></html>"

    def play(request: dict[str, Any]) -> Any:
        said = str(request["messages"])
        if "Call search_knowledge" not in said:
            return good_over_http(request)
        if not any(message["role"] == "tool" for message in request["messages"]):
            return {"content": None, "tool_calls": calls(("read_page", {"url": page}))}
        found = re.search(r'"source": "(http[^"]+)"', str(request["messages"][-1]["content"]))
        quote = "Early keepers burned whale oil in every lamp of the tower."
        finding = {"claim": "Whale oil was burned.", "quote": quote, "source": found and found[1]}
        return {"content": json.dumps({"findings": [finding]})}

    allow = {"allow_private_hosts": ["127.0.0.1"]}
    change(lab.project / "config" / "pilotage.yaml", lambda tree: tree["policy"].update(allow))
    lab.play(play)
    with web({"/lamps": Reply(200, {"Content-Type": "text/html"}, text.encode())}) as site:
        page = site.url("/lamps")
        stopped = lab("run", "What burned in the lamps?", "--url", page, limits__model_calls=2)
        assert stopped.outcome == "limited", stopped.err
        assert len(stopped.of("tool_call", tool="read_page")) == 2
    resumed = lab("resume", "last")  # nobody listens there any more
    assert [e.facts.get("served") for e in resumed.of("tool_call", tool="read_page")] == ["tape", "tape"]
    assert resumed.of("check", check="findings")[0].facts["passed"], resumed.err
    assert len(resumed.of("model_call", served="tape")) == 2
