"""The short prompt of a task, and the context of an explanation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Task

from pilotage.brief import Brief, expected, for_explaining
from pilotage.checks.results import Finding, Findings, Verdict, Verdicts
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.scripted import Turn, calls, good

GOOD = Verdict(claim="One owner.", quote="Retries have one owner.", source="a.md#1", verdict="supported", reason="so")
BAD = GOOD.model_copy(update={"claim": "Two owners.", "verdict": "unsupported", "reason": "it says one"})


def test_crewai_writes_what_is_cut_and_the_rest_of_its_prompt_stays() -> None:
    plain = Task(description="Count the owners.", expected_output="A number {n}.", markdown=True)
    brief = Brief(description="Count the owners.", expected_output="A number {n}.", markdown=True)
    assert expected("A number {n}.") in plain.prompt()
    assert brief.prompt() == plain.prompt().replace(expected("A number {n}."), "\nAnswer with: A number {n}.")
    assert "Markdown" in brief.prompt()
    assert len(brief.prompt()) < len(plain.prompt()) - 100


def test_an_explanation_is_told_what_is_supported_without_reasons() -> None:
    verdicts = Verdicts(verdicts=[GOOD, BAD])
    given = for_explaining(f"before\n{verdicts.model_dump_json()}\nafter", [verdicts, None, Findings(findings=[])])
    kept = Verdicts.model_validate_json(given.removeprefix("before\n").removesuffix("\nafter"))
    assert [(v.claim, v.quote, v.source, v.reason) for v in kept.verdicts] == [
        (GOOD.claim, GOOD.quote, GOOD.source, "")
    ]


def test_a_context_without_verdicts_stays_as_it_is() -> None:
    assert for_explaining("some text", [Verdicts(verdicts=[GOOD]), None]) == "some text"


@pytest.mark.parametrize(("context", "seen"), [("a long story", "A LONG STORY"), ("", ""), (None, None)])
def test_the_context_is_shortened_before_anybody_sees_it(
    context: str | None, seen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Any] = []

    async def core(_task: Any, _agent: Any, context: Any, _tools: Any) -> None:
        got.append(context)

    monkeypatch.setattr(Task, "_aexecute_core", core)
    task = Brief(description="Tell.", expected_output="A story.")
    task._shorten = str.upper
    asyncio.run(task.aexecute_sync(None, context))
    assert got == [seen]


def test_what_a_search_has_shown_is_shown_again_when_a_feedback_round_begins_anew(
    load: Callable[..., Settings], scripted: Callable[..., Any]
) -> None:
    said: list[str] = []

    def play(turn: Turn) -> Any:
        if turn.task != "research":
            return good(turn)
        if len(turn.results) < 2:
            query = ("who owns retries, nested retries multiply", "nested retries, their owner")[len(turn.results)]
            return calls(("search_knowledge", {"query": query}))
        said.append(" ".join(str(result) for result in turn.results))
        source = turn.passage("27 requests")["source"]
        return Findings(findings=[Finding(claim="It is 28.", quote="one fault makes 28 requests", source=source)])

    scripted(play)
    result = run_crew("How many requests can one fault make?", settings=load())
    assert result.outcome == "rejected"
    first, again = said
    assert first == again
    assert first.count("one fault makes 27 requests.") == 1
    assert "shown_before" in first
