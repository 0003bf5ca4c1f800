"""A run goes another way from one of its steps: what stands before it costs nothing, what comes behind it is live."""

from __future__ import annotations

from typing import Any

import pytest

from pilotage.again import fork
from pilotage.record.store import open_store
from pilotage.tape.line import children, family, root_of
from tests.support.project import change
from tests.support.server import good_over_http
from tests.tape.lab import Lab, Told
from tests.tape.plays import searching


def answered_before(told: Told, step: int) -> int:
    return sum(event.seq < step for event in told.of("model_call"))


def test_a_fork_at_every_step_of_a_run_costs_nothing_for_the_steps_before_it(lab: Lab) -> None:
    """A run of more than twenty steps; the server counts."""
    lab.play(searching([("search_knowledge", {"query": "deadlines"})]))
    whole = lab.run()
    assert whole.outcome == "accepted"
    steps = [event.seq for event in whole.events]
    assert len(steps) >= 20
    with lab.opened() as (engine, go_on):
        for step in steps:
            forked, requests = go_on(fork(engine, whole.run, step))
            assert (forked.outcome, forked.answer) == ("accepted", whole.result["answer"]), (step, forked.reason)
            assert requests == len(whole.requests) - answered_before(whole, step), step
            assert forked.parent == whole.run


@pytest.mark.parametrize("changed", ["question", "model", "agents", "tasks", "limits"])
def test_whatever_is_changed_the_steps_before_are_served(lab: Lab, changed: str) -> None:
    whole = lab.run()
    step = whole.of("task_started", task="explain")[0].seq
    arguments: list[str] = []
    settings: dict[str, Any] = {}
    if changed == "question":
        arguments = ["--question", "Who owns retries?"]
    elif changed == "model":
        settings = {"model__name": "openai/gpt-4o"}
    elif changed == "limits":
        settings = {"limits__model_calls": 1, "limits__tokens": 400}
    else:
        file, name, key = {
            "agents": ("agents.yaml", "researcher", "goal"), "tasks": ("tasks.yaml", "research", "expected_output"),
        }[changed]  # fmt: skip
        change(lab.project / "config" / file, lambda tree: tree[name].update({key: tree[name][key] + " Be brief."}))
    forked = lab("fork", "last", "--at", str(step), *arguments, **settings)
    assert forked.outcome == "accepted", forked.err
    assert len(forked.requests) == 1
    assert len(forked.served) == 6
    if changed == "model":
        assert forked.requests[0]["model"] == "gpt-4o"
        assert "model.name" in forked.err
    if changed == "question":
        assert forked.result["question"] == "Who owns retries?"
        assert "Who owns retries?" in str(forked.requests[0]["messages"])


@pytest.mark.parametrize("step", [0, -1, 99])
def test_a_step_that_is_not_there_is_named(lab: Lab, step: int) -> None:
    whole = lab.run()
    told = lab("fork", "last", f"--at={step}")
    assert told.code == 2
    assert not told.run
    assert f"has no event {step}: they go from 1 to {whole.events[-1].seq}" in told.err


def test_an_answer_that_cannot_be_served_does_not_shift_those_behind_it(lab: Lab) -> None:
    """The first answer holds a secret: it is asked for again, and the second is not served in its place."""
    key = "sk-" + "a1" * 20
    first = {"calls": 0}

    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        if answer.get("tool_calls") and "Call search_knowledge" in str(request["messages"]):
            first["calls"] += 1
            answer["tool_calls"][0]["function"]["arguments"] = f'{{"query": "who owns retries {key}"}}'
        return answer

    lab.play(play)
    whole = lab.run()
    forked = lab("fork", "last", "--at", str(whole.events[-1].seq))
    assert forked.outcome == "accepted", forked.err
    assert first["calls"] == 2
    assert [e.facts.get("served") for e in forked.of("model_call")] == [None, "tape", "tape", "tape", "tape"]


def test_a_fork_of_a_fork_and_the_resume_of_one(lab: Lab) -> None:
    whole = lab.run()
    step = whole.of("task_started", task="verify")[0].seq
    forked = lab("fork", whole.run, "--at", str(step), "--question", "Who owns retries?", limits__model_calls=1)
    assert forked.outcome == "limited"
    resumed = lab("resume", forked.run)
    assert resumed.outcome == "accepted", resumed.err
    assert resumed.result["question"] == "Who owns retries?"
    assert len(resumed.requests) == 2
    again = lab("fork", resumed.run, "--at", str(resumed.events[-1].seq))
    assert again.outcome == "accepted"
    assert not again.requests
    engine = open_store(lab.project / "runs" / "pilotage.sqlite", create=False)
    assert root_of(engine, again.run) == whole.run
    assert set(family(engine, forked.run)) == {whole.run, forked.run, resumed.run, again.run}
    assert children(engine, forked.run) == [(resumed.run, "resume")]
    engine.dispose()


def test_the_resume_of_a_fork_that_was_killed_early_is_served_what_the_fork_was_to_be_served(lab: Lab) -> None:
    whole = lab.run()
    forked = lab("fork", whole.run, "--at", str(whole.events[-1].seq), "--question", "Who owns retries?")
    assert not forked.requests
    lab.crash(forked.run, forked.of("model_call")[1].seq)
    resumed = lab("resume", forked.run, "--force")
    assert resumed.outcome == "accepted", resumed.err
    assert not resumed.requests


def test_a_run_that_still_goes_on_may_be_forked(lab: Lab) -> None:
    whole = lab.run()
    lab.crash(whole.run, whole.of("task_started", task="verify")[0].seq)
    assert lab("fork", whole.run, "--at", "4").outcome == "accepted"
