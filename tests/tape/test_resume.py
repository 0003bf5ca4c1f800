"""A run that was stopped is gone on with: what was committed is not paid for again, and the answer is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotage.again import resume
from pilotage.model.door import Door
from pilotage.record.journal import read_events
from pilotage.record.store import open_store
from tests.support.project import change
from tests.support.server import good_over_http
from tests.tape.lab import Lab, Told, number_of, same_request
from tests.tape.plays import searching

ANSWER = "One fault can become 27 requests when three owners retry [1]."


def keys(told: Told, *, live: bool = False) -> list[str]:
    calls = told.live if live else told.of("model_call")
    return [event.facts["key"] for event in calls if not event.facts.get("failed")]


def finishes(lab: Lab, stopped: Told, *arguments: str, requests: int, **settings: Any) -> Told:
    """Resume the last run: it is accepted, and `requests` are made for both runs together."""
    resumed = lab("resume", "last", *arguments, **settings)
    assert (resumed.code, resumed.outcome) == (0, "accepted"), (resumed.out, resumed.err)
    assert resumed.result["answer"] == ANSWER
    assert len(stopped.requests) + len(resumed.requests) == requests
    assert resumed.result["parent"] == stopped.run
    assert not set(keys(stopped)) & set(keys(resumed, live=True)), "a committed call was made again"
    return resumed


@pytest.mark.parametrize(("key", "value"), [("limits__model_calls", 3), ("limits__tokens", 800), ("limits__usd", 2e-4)])
def test_a_run_that_reached_a_limit_is_finished_by_a_resume(lab: Lab, key: str, value: float) -> None:
    stopped = lab.run(**{key: value})
    assert stopped.outcome == "limited", stopped.err
    assert f"pilotage resume {stopped.run}" in stopped.err
    resumed = finishes(lab, stopped, requests=5)
    assert resumed.result["tokens"] == 366 * len(resumed.live)


def test_a_run_out_of_time_is_finished_by_a_resume(lab: Lab) -> None:
    lab.play(lambda request: 5.0 if "Give one verdict" in str(request["messages"]) else good_over_http(request))
    stopped = lab.run(limits__seconds=1)
    assert stopped.outcome == "limited"
    assert "limits.seconds" in stopped.result["reason"]
    lab.play(good_over_http)
    finishes(lab, stopped, requests=6)  # one was never answered


def test_a_provider_that_failed_is_asked_again_by_a_resume(lab: Lab) -> None:
    lab.play(lambda request: 500 if "Give one verdict" in str(request["messages"]) else good_over_http(request))
    stopped = lab.run(limits__retries=0)
    assert stopped.outcome == "failed"
    lab.play(good_over_http)
    finishes(lab, stopped, requests=6)  # one had failed


def test_a_crash_behind_any_event_costs_no_committed_call(lab: Lab) -> None:
    whole = lab.run()
    events = {event.seq: event for event in whole.events}
    ends = ("run_started", "model_call", "tool_call", "check", "decision")
    tools = [seq for seq, event in events.items() if event.kind == "tool_call"]
    models = [seq for seq, event in events.items() if event.kind == "model_call"]
    with lab.opened() as (engine, go_on):
        for last in [seq for seq in sorted(events, reverse=True) if events[seq].kind in ends]:
            lab.crash(whole.run, last)
            resumed, requests = go_on(resume(engine, whole.run, force=True))
            assert (resumed.outcome, resumed.answer) == ("accepted", ANSWER), (last, resumed.reason)
            assert requests == sum(seq > last for seq in models), last
            made = [e for e in read_events(engine, resumed.run) if e.kind == "tool_call" and not e.facts.get("served")]
            assert len(made) == sum(seq > last for seq in tools), last


def test_what_is_served_asks_for_what_was_asked_before(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=4)
    resumed = finishes(lab, stopped, requests=5)
    pairs = list(zip(stopped.of("model_call"), resumed.of("model_call"), strict=False))
    assert len(pairs) == 4
    for before, after in pairs:
        numbers = number_of(stopped.events), number_of(resumed.events)
        assert same_request(str(before.content["request"]), str(after.content["request"]), *numbers)
        assert before.facts["key"] == after.facts["key"]
        assert before.content["answer"] == after.content["answer"]
    first = resumed.of("model_call")[0].facts
    assert (first["served"], first["usd"], first["prompt_tokens"], first["saved_tokens"]) == ("tape", 0.0, 0, 366)
    assert first["saved_usd"] == stopped.of("model_call")[0].facts["usd"]


def test_a_feedback_round_is_not_paid_for_again(lab: Lab) -> None:
    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        is_first = "These points do not hold" not in str(request["messages"])
        if is_first and answer.get("content") and '"findings"' in answer["content"]:
            return {"content": answer["content"].replace("27 requests", "99 requests")}
        return answer

    lab.play(play)
    whole = lab.run()
    assert whole.outcome == "accepted"
    assert [e.facts["passed"] for e in whole.of("check", check="findings")] == [False, True]
    calls = len(whole.requests)
    lab.crash(whole.run, whole.of("check", check="findings", passed=True)[0].seq)
    committed = len([e for e in lab.events(whole.run) if e.kind == "model_call"])
    resumed = lab("resume", whole.run, "--force")
    assert resumed.outcome == "accepted"
    assert len(resumed.requests) == calls - committed


def test_a_nudge_is_given_again_at_the_same_place(lab: Lab) -> None:
    change(lab.project / "config" / "agents.yaml", lambda tree: tree["researcher"].update(max_iter=9))
    same = [("search_knowledge", {"query": "who owns retries"})]
    lab.play(searching(same, same, same))
    whole = lab.run()
    assert whole.of("loop", level="nudge"), "no nudge: nothing is tested here"
    asked = len(whole.requests)
    lab.crash(whole.run, whole.of("task_ended", task="research")[0].seq)
    resumed = lab("resume", whole.run, "--force")
    assert resumed.outcome == "accepted", resumed.err
    assert len(resumed.requests) == asked - len([e for e in lab.events(whole.run) if e.kind == "model_call"])
    assert len(resumed.of("loop", level="nudge")) == len(whole.of("loop", level="nudge"))


def test_a_resume_that_was_stopped_is_resumed(lab: Lab) -> None:
    first = lab.run(limits__model_calls=2)
    second = lab("resume", "last", limits__model_calls=1)
    assert second.outcome == "limited"
    third = lab("resume", "last")
    assert third.outcome == "accepted"
    assert third.result["parent"] == second.run
    assert [len(told.requests) for told in (first, second, third)] == [2, 1, 2]


def test_a_resume_that_was_killed_while_it_was_served_loses_nothing_of_its_parent(lab: Lab) -> None:
    first = lab.run(limits__model_calls=4)
    second = lab("resume", "last")
    lab.crash(second.run, 4)  # one call of four was served by then
    third = lab("resume", second.run, "--force")
    assert third.outcome == "accepted"
    assert [len(told.requests) for told in (first, second, third)] == [4, 1, 1]


def test_a_changed_setting_makes_those_calls_again_whose_requests_it_changes(lab: Lab) -> None:
    lab.run(limits__model_calls=4)
    resumed = lab("resume", "last", agents__verifier__goal="Decide with great care.")
    assert resumed.outcome == "accepted"
    assert "agents.verifier.goal" in resumed.err
    assert [e.facts["agent"] for e in resumed.live] == ["verifier", "verifier", "explainer"]


def test_a_changed_document_is_read_as_it_is_now(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=2)
    file = lab.project / "knowledge" / "retries.md"
    file.write_text(file.read_text("utf-8").replace("27 requests", "64 requests"), "utf-8")
    resumed = lab("resume", "last")
    assert stopped.outcome == "limited"
    assert [e.facts.get("served") for e in resumed.of("tool_call", tool="search_knowledge")] == [None]
    assert resumed.outcome != "accepted", "the quote stands nowhere any more"


def test_an_answer_with_a_secret_in_it_is_asked_for_again(lab: Lab) -> None:
    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        if answer.get("tool_calls") and "Call search_knowledge" in str(request["messages"]):
            return answer | {"content": None, "tool_calls": [searched("who owns retries sk-" + "a1" * 20)]}
        return answer

    def searched(query: str) -> dict[str, Any]:
        function = {"name": "search_knowledge", "arguments": json.dumps({"query": query})}
        return {"id": "c0", "type": "function", "function": function}

    lab.play(play)
    stopped = lab.run(limits__model_calls=3)
    assert stopped.of("model_call")[0].facts["redacted"] is True
    assert "sk-a1" not in str(stopped.events)
    resumed = lab("resume", "last")
    assert resumed.outcome == "accepted", resumed.err
    assert [e.facts.get("served") for e in resumed.of("model_call")] == [None, "tape", "tape", None, None]


def test_the_caches_may_be_on_and_pay_nothing_twice_either(lab: Lab) -> None:
    on = {"cache__calls": True, "cache__answers": True}
    stopped = lab.run(limits__model_calls=3, **on)
    finishes(lab, stopped, requests=5, **on)


def test_a_limit_of_iterations_can_be_raised(lab: Lab) -> None:
    stopped = lab.run(agents__verifier__max_iter=1)
    assert stopped.outcome == "limited"
    finishes(lab, stopped, requests=5)


# --- what is refused


def refused(told: Told, said: str) -> None:
    assert told.code == 2, (told.out, told.err)
    assert said in told.err, told.err
    assert "hint:" in told.err
    assert not told.run, "nothing may have been started"


@pytest.mark.parametrize("outcome", ["accepted", "unanswered", "rejected"])
def test_a_run_that_has_its_outcome_is_not_resumed(lab: Lab, outcome: str) -> None:
    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        if outcome == "accepted" or answer.get("tool_calls") or "Call search_knowledge" not in str(request["messages"]):
            return answer
        return {"content": '{"findings": []}' if outcome == "unanswered" else '{"findings": "none"}'}

    lab.play(play)
    assert lab.run().outcome == outcome
    refused(lab("resume", "last"), f"has ended as {outcome}")


def test_a_run_that_still_goes_on_is_not_resumed(lab: Lab) -> None:
    """Its process is this one, which is alive and older than the run."""
    whole = lab.run()
    lab.crash(whole.run, 4)
    refused(lab("resume", whole.run), "still going on in process")
    assert lab("resume", whole.run, "--force").outcome == "accepted"


@pytest.mark.parametrize(("status", "older"), [("zombie", True), ("running", False)])
def test_a_dead_process_and_one_that_has_its_number_now_do_not_count(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, status: str, older: bool
) -> None:
    whole = lab.run()
    lab.crash(whole.run, 4)

    class Process:
        def __init__(self, _pid: int) -> None: ...

        def create_time(self) -> float:
            return whole.events[0].at + (-5 if older else 5)

        def status(self) -> str:
            return status

    monkeypatch.setattr("psutil.Process", Process)
    assert lab("resume", whole.run).outcome == "accepted"


def test_a_run_that_was_resumed_is_gone_on_with_from_there(lab: Lab) -> None:
    first = lab.run(limits__model_calls=2)
    second = lab("resume", first.run, limits__model_calls=1)
    refused(lab("resume", first.run), f"was resumed already, as {second.run}")
    assert lab("resume", second.run).outcome == "accepted"


def test_a_run_of_an_older_version_has_no_tape(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Door._record

    def without_key(self: Door, asked: Any, attempt: Any, bill: Any, facts: dict[str, Any], **more: Any) -> None:
        record(self, asked, attempt, bill, {k: v for k, v in facts.items() if k != "key"}, **more)

    monkeypatch.setattr(Door, "_record", without_key)
    lab.run(limits__model_calls=2)
    monkeypatch.undo()
    monkeypatch.chdir(lab.project)
    refused(lab("resume", "last"), "recorded by a version without a tape")


def test_a_run_whose_content_was_erased_has_no_tape(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=2)
    digest = stopped.of("model_call")[0].digests["answer"]
    engine = open_store(lab.project / "runs" / "pilotage.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM payloads WHERE digest = ?", (digest,))
    engine.dispose()
    refused(lab("resume", "last"), "was erased")


def test_a_run_that_is_not_there_is_named(lab: Lab) -> None:
    lab.run(limits__model_calls=1)
    refused(lab("resume", "nothing"), 'No run begins with "nothing"')
