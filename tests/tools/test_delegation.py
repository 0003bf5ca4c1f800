"""Delegation in a run: guarded like every tool, and the coworker works under its own caps at the delegator's task."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError
from pilotage.names import DELEGATION
from pilotage.record.journal import Event
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.project import change, events_of
from tests.support.scripted import Turn, calls, good

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"
DELEGATE, ASK = "delegate_work_to_coworker", "ask_question_to_coworker"
TO_VERIFIER = (DELEGATE, {"coworker": "Verifier", "task": "Count them.", "context": "nested retries"})
TO_EXPLAINER = (ASK, {"coworker": "Explainer", "question": "How many?", "context": "nested retries"})


@pytest.fixture
def delegating(project: Path) -> None:
    change(project / "config/agents.yaml", lambda tree: tree["researcher"].update(allow_delegation=True))


def answers(turn: Turn) -> int:
    """How many tool results stand in this conversation."""
    return sum(message["role"] == "tool" for message in turn.messages)


def who(turn: Turn) -> str:
    return str(turn.messages[0]["content"]).removeprefix("You are ").split(".")[0]


def play(
    *first: tuple[str, dict[str, Any]], coworker: Callable[[Turn], Any] = lambda _turn: "27."
) -> Callable[[Turn], Any]:
    """The researcher delegates what `first` says one after another, then does its own work."""

    def answer(turn: Turn) -> Any:
        if not turn.task:
            return coworker(turn)
        if turn.task != "research":
            return good(turn)
        if answers(turn) < len(first):
            return calls(first[answers(turn)])
        own = [m for m in turn.messages if "passages" in str(m["content"]) or m["role"] != "tool"]
        return good(replace(turn, messages=own))

    return answer


def tool_calls(settings: Settings, name: str) -> list[Event]:
    return [e for e in events_of(settings) if e.kind == "tool_call" and e.facts["tool"] == name]


@pytest.mark.usefixtures("delegating")
@pytest.mark.parametrize(
    ("name", "call", "asked"), [(DELEGATION[0], TO_VERIFIER, "task"), (DELEGATION[1], TO_EXPLAINER, "question")]
)
def test_a_delegation_is_a_tool_call_with_request_and_answer(
    load: Load, scripted: Any, name: str, call: tuple[str, dict[str, Any]], asked: str
) -> None:
    model, settings = scripted(play(call)), load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    event = tool_calls(settings, name)[0]
    assert (event.facts["agent"], event.facts["task"], event.content["result"]) == ("researcher", "research", "27.")
    assert json.loads(str(event.content["arguments"])) == call[1]
    heard = next(turn for turn in model.turns if not turn.task)
    assert call[1][asked] in str(heard.messages)
    assert call[1]["context"] in str(heard.messages)
    assert any(m["role"] == "tool" and "27." in m["content"] for m in model.turns[2].messages)


@pytest.mark.usefixtures("delegating")
def test_the_coworker_is_at_the_task_of_who_delegates_and_its_calls_count_once(load: Load, scripted: Any) -> None:
    model, settings = scripted(play(TO_VERIFIER)), load()
    result = run_crew(QUESTION, settings=settings)
    events = events_of(settings)
    of_coworker = [e for e in events if e.kind == "model_call" and e.facts["agent"] == "verifier"]
    assert of_coworker[0].facts["task"] == "research"
    assert {e.facts["task"] for e in of_coworker[1:]} == {"verify"}
    assert events[-1].facts["model_calls"] == len(model.turns)
    assert result.tokens == 120 * len(model.turns)
    assert events[-1].facts["tool_calls"] == 3


@pytest.mark.usefixtures("delegating")
@pytest.mark.parametrize(
    ("caps", "key"),
    [
        ({"limits__tool_calls": 1}, "limits.tool_calls"),
        ({"agents__researcher__limits": "{tool_calls: 1}"}, "agents.researcher.limits.tool_calls"),
        ({"tasks__research__limits": "{model_calls: 3}"}, "tasks.research.limits.model_calls"),
        ({"agents__verifier__limits": "{model_calls: 1}"}, "agents.verifier.limits.model_calls"),
    ],
)
def test_caps_of_every_level_hold_in_a_delegation(load: Load, scripted: Any, caps: dict[str, Any], key: str) -> None:
    scripted(play(TO_VERIFIER, TO_VERIFIER))
    result = run_crew(QUESTION, settings=load(**caps))
    assert result.outcome == "limited"
    assert f"({key})" in result.reason


@pytest.mark.usefixtures("delegating")
def test_a_second_delegation_in_a_task_goes_on_with_the_same_turn(load: Load, scripted: Any) -> None:
    model = scripted(play(TO_EXPLAINER, TO_EXPLAINER, TO_EXPLAINER))
    result = run_crew(QUESTION, settings=load(agents__explainer__max_iter=2))
    assert result.outcome == "limited"
    assert "(agents.explainer.max_iter)" in result.reason
    assert len([turn for turn in model.turns if who(turn) == "Explainer"]) == 2


@pytest.mark.usefixtures("delegating")
def test_what_the_coworker_used_at_one_task_is_not_missing_at_its_own(load: Load, scripted: Any) -> None:
    scripted(play(TO_EXPLAINER, TO_EXPLAINER))
    result = run_crew(QUESTION, settings=load(agents__explainer__max_iter=2))
    assert result.outcome == "accepted", result.reason


@pytest.mark.usefixtures("delegating")
def test_a_coworker_that_takes_too_long_is_stopped_by_its_own_cap(load: Load, scripted: Any) -> None:
    def slow(_turn: Turn) -> str:
        time.sleep(3)
        return "27."

    scripted(play(TO_VERIFIER, coworker=slow))
    settings = load(agents__verifier__max_execution_time=1)
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "limited"
    assert "agents.verifier.max_execution_time" in result.reason
    assert result.seconds < 2.7
    left = {e.facts["what"] for e in events_of(settings) if e.kind == "abandoned"}
    assert "model call" in left


@pytest.mark.usefixtures("delegating")
def test_an_endless_coworker_is_stopped_and_cannot_hide_it(load: Load, scripted: Any) -> None:
    def endless(turn: Turn) -> Any:
        return calls(("read_source", {"source": f"retries.md#{turn.number}"}))

    model = scripted(play(TO_VERIFIER, coworker=endless))
    result = run_crew(QUESTION, settings=load(agents__verifier__max_iter=3, loops__enabled="false"))
    assert result.outcome == "limited"
    assert "(agents.verifier.max_iter)" in result.reason
    assert len(model.turns) == 4


@pytest.mark.usefixtures("delegating")
@pytest.mark.parametrize("role", ["Nobody", "", "Researcher"])
def test_who_is_no_coworker_is_named_with_those_who_are(load: Load, scripted: Any, role: str) -> None:
    scripted(play((DELEGATE, {**TO_VERIFIER[1], "coworker": role})))
    settings = load()
    assert run_crew(QUESTION, settings=settings).outcome == "accepted"
    event = tool_calls(settings, DELEGATION[0])[0]
    assert event.facts["failed"]
    assert f'there is no coworker "{role}"; there are: Verifier, Explainer' in str(event.content["result"])


@pytest.mark.usefixtures("delegating")
@pytest.mark.parametrize("role", ["verifier", " Verifier\n", '"VERIFIER"'])
def test_a_coworker_is_found_whatever_the_case_and_the_spaces(load: Load, scripted: Any, role: str) -> None:
    scripted(play((DELEGATE, {**TO_VERIFIER[1], "coworker": role})))
    settings = load()
    run_crew(QUESTION, settings=settings)
    assert tool_calls(settings, DELEGATION[0])[0].content["result"] == "27."


@pytest.mark.usefixtures("delegating")
def test_two_requests_to_one_coworker_at_once_are_answered_one_after_the_other(load: Load, scripted: Any) -> None:
    def once(turn: Turn) -> Any:
        if turn.task == "research" and not answers(turn):
            return calls(TO_VERIFIER, TO_VERIFIER, TO_EXPLAINER)
        return play()(turn)

    scripted(once)
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    made = tool_calls(settings, DELEGATION[0]) + tool_calls(settings, DELEGATION[1])
    assert [event.content["result"] for event in made] == ["27."] * 3


@pytest.mark.usefixtures("delegating")
def test_a_coworker_who_may_delegate_asks_further_but_nobody_who_waits(
    load: Load, scripted: Any, project: Path
) -> None:
    change(project / "config/agents.yaml", lambda tree: tree["verifier"].update(allow_delegation=True))

    def asks(turn: Turn) -> Any:
        if who(turn) == "Verifier" and not answers(turn):
            return calls((ASK, {**TO_EXPLAINER[1], "coworker": "Researcher"}), TO_EXPLAINER)
        return "27."

    scripted(play(TO_VERIFIER, coworker=asks))
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    results = [str(event.content["result"]) for event in tool_calls(settings, DELEGATION[1])]
    assert sorted(results) == ["27.", results[1] if results[0] == "27." else results[0]]
    assert any('there is no coworker "Researcher"; there are: Explainer' in text for text in results)
    assert {e.facts["agent"] for e in tool_calls(settings, DELEGATION[1])} == {"verifier"}


@pytest.mark.usefixtures("delegating")
def test_the_policy_decides_about_delegation_too(load: Load, scripted: Any, project: Path) -> None:
    change(
        project / "config/pilotage.yaml",
        lambda tree: tree["policy"].update(agents={"researcher": ["search_knowledge", "read_page"]}),
    )
    model, settings = scripted(play(TO_VERIFIER)), load()
    assert run_crew(QUESTION, settings=settings).outcome == "accepted"
    assert tool_calls(settings, DELEGATION[0])[0].facts["denied"] == "policy.agents.researcher"
    assert all(turn.task for turn in model.turns)


def test_without_allow_delegation_nobody_has_the_tools(load: Load, scripted: Any) -> None:
    model = scripted(good)
    assert run_crew(QUESTION, settings=load()).outcome == "accepted"
    assert not {DELEGATE, ASK} & {name for turn in model.turns for name in turn.tools}


# --- crews that a user writes in Python

HIERARCHICAL = """
from crewai import Agent, Crew, Process, Task
WORKERS = ("researcher", "verifier", "explainer")

def managed(kit):
    agents = [kit.agent(name) for name in WORKERS]
    return Crew(agents=agents, tasks=kit.tasks(), process=Process.hierarchical, manager_agent=kit.agent("manager"))

def manager_llm(kit):
    return Crew(agents=kit.agents(), tasks=kit.tasks(), process=Process.hierarchical, manager_llm=kit.model("manager"))

def stranger(kit):
    other = Agent(role="Stranger", goal="g", backstory="b", llm=kit.model("researcher"))
    return Crew(agents=[*kit.agents(), other], tasks=kit.tasks())

def side_by_side(kit):
    kit.task("research", async_execution=True), kit.task("verify", async_execution=True)
    return Crew(agents=kit.agents(), tasks=kit.tasks())

def planned(kit):
    return Crew(agents=kit.agents(), tasks=kit.tasks(), planning=True)
"""


@pytest.fixture
def crews(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (project / "crews_of_mine.py").write_text(HIERARCHICAL, "utf-8")
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "crews_of_mine", raising=False)
    entry = {"role": "Manager", "goal": "g", "backstory": "b", "max_iter": 5, "max_execution_time": 30}
    change(project / "config/agents.yaml", lambda tree: tree.update(manager={**entry, "allow_delegation": True}))
    return project


@pytest.mark.usefixtures("crews")
def test_the_manager_of_a_hierarchical_crew_works_under_its_own_caps(load: Load, scripted: Any) -> None:
    def manage(turn: Turn) -> Any:
        if turn.task == "research" and not answers(turn):
            return calls((DELEGATE, {**TO_VERIFIER[1], "coworker": "Researcher"}))
        return "27." if not turn.task else calls((DELEGATE, {**TO_VERIFIER[1], "coworker": "Researcher"}))

    model = scripted(manage)
    settings = load(crew="crews_of_mine:managed", agents__manager__max_iter=3, loops__enabled="false")
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "limited"
    assert "(agents.manager.max_iter)" in result.reason
    assert [who(turn) for turn in model.turns] == ["Manager", "Researcher"] * 3
    made = tool_calls(settings, DELEGATION[0])
    assert {(e.facts["agent"], e.facts["task"]) for e in made} == {("manager", "research")}
    started = next(e for e in events_of(settings) if e.kind == "task_started")
    assert started.facts["agent"] == "manager"


@pytest.mark.usefixtures("crews")
@pytest.mark.parametrize(
    ("crew", "said"),
    [
        ("manager_llm", "manager_llm makes a manager that no cap holds for"),
        ("stranger", 'no cap holds for the agent "Stranger", which the kit did not make'),
        ("planned", "no cap holds for planning_llm"),
    ],
)
def test_a_crew_with_something_that_no_cap_holds_for_is_refused(
    load: Load, scripted: Any, crew: str, said: str
) -> None:
    model = scripted(good)
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")) as caught:
        run_crew(QUESTION, settings=load(crew=f"crews_of_mine:{crew}"))
    assert "kit." in caught.value.hint
    assert not model.turns


@pytest.mark.usefixtures("crews")
def test_an_agent_in_two_tasks_at_once_is_refused_before_the_run(load: Load, scripted: Any) -> None:
    model = scripted(good)
    same = {"tasks__verify__agent": "researcher", "agents__researcher__tools": "[search_knowledge, read_source]"}
    settings = load(crew="crews_of_mine:side_by_side", tasks__verify__context="[]", **same)
    with pytest.raises(ConfigError) as caught:
        run_crew(QUESTION, settings=settings)
    assert str(caught.value) == (
        'crews_of_mine:side_by_side: the agent "researcher" stands in two tasks that may run at the same time,'
        ' "research" and "verify" (async_execution)'
    )
    assert "another agent" in caught.value.hint
    assert not model.turns


@pytest.mark.usefixtures("crews")
def test_two_agents_may_work_side_by_side(load: Load, scripted: Any) -> None:
    model = scripted(lambda turn: good(turn) if turn.task == "research" else "nothing")
    result = run_crew(QUESTION, settings=load(crew="crews_of_mine:side_by_side", tasks__verify__context="[]"))
    assert result.outcome == "rejected", result.reason
    assert {"research", "verify"} <= {turn.task for turn in model.turns}
