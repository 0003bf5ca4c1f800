"""`pilotage compare`: where two runs part, and in what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotage.compare import changed, compare, differs
from pilotage.difference import LINES, diff
from pilotage.record.journal import Event
from pilotage.record.store import open_store
from pilotage.views_compare import lines, print_table
from tests.support.project import change
from tests.support.server import good_over_http
from tests.tape.lab import Lab, Told
from tests.tape.plays import searching


def compared(lab: Lab, a: Told, b: Told) -> Any:
    engine = open_store(lab.project / "runs" / "pilotage.sqlite", create=False)
    try:
        return compare(engine, a.run, b.run)
    finally:
        engine.dispose()


def test_two_runs_that_did_the_same_are_the_same(lab: Lab) -> None:
    first, second = lab.run(), lab.run()
    told = lab("compare", first.run, "last", "--check")
    assert told.code == 0, told.out
    assert "the runs are the same" in told.out
    found = compared(lab, first, second)
    assert found.same
    assert found.first is None
    assert found.settings == []
    assert not [pair for pair in found.pairs if pair.what]


def test_the_first_difference_is_named_with_its_step_and_shown(lab: Lab) -> None:
    first = lab.run()
    lab.play(searching([("search_knowledge", {"query": "deadlines"})]))
    second = lab.run()
    found = compared(lab, first, second)
    assert (found.first.what, found.first.kind, found.first.agent, found.first.task) == (
        "answer", "model_call", "researcher", "research",
    )  # fmt: skip
    assert any(line.startswith("+") and "deadlines" in line for line in found.first.diff)
    assert {pair.what for pair in found.pairs if pair.task == "explain"} == {""}


def test_a_changed_prompt_is_a_difference_of_the_request(lab: Lab) -> None:
    first = lab.run()
    change(lab.project / "config" / "agents.yaml", lambda tree: tree["verifier"].update(goal="Doubt everything."))
    second = lab.run()
    found = compared(lab, first, second)
    assert (found.first.what, found.first.task) == ("request", "verify")
    assert "Doubt everything." in "\n".join(found.first.diff)
    assert [key for key, _, _ in found.settings] == ["agents.verifier.goal"]
    assert found.same


@pytest.mark.parametrize("what", ["result", "check", "outcome"])
def test_every_kind_of_difference(lab: Lab, what: str) -> None:
    first = lab.run()
    if what == "result":
        file = lab.project / "knowledge" / "retries.md"
        file.write_text(file.read_text("utf-8").replace("in this project is the door", "is always the door"), "utf-8")
        second = lab.run()
    elif what == "check":
        lab.play(lambda request: _spoilt(good_over_http(request)))
        second = lab.run(checks__feedback_rounds=0)
    else:
        second = lab.run(limits__model_calls=4)
    found = compared(lab, first, second)
    if what == "outcome":
        assert found.first.what == "only in a"
        assert (found.a.outcome, found.b.outcome) == ("accepted", "limited")
    elif what == "result":
        assert found.first.what == "result"
    else:
        assert "check" in {pair.what for pair in found.pairs}
    assert lab("compare", first.run, second.run, "--check").code == (0 if found.same else 1)
    assert lab("compare", first.run, second.run).code == 0


def _spoilt(answer: dict[str, Any]) -> dict[str, Any]:
    text = answer.get("content")
    return answer | {"content": text.replace("99", "98").replace("27 requests.", "28 requests.")} if text else answer


def test_a_resume_and_its_parent(lab: Lab) -> None:
    stopped = lab.run(limits__model_calls=3)
    resumed = lab("resume", "last")
    told = lab("compare", stopped.run, resumed.run, "--json")
    document = json.loads(told.out)
    assert document["b"]["parent"] == stopped.run
    assert document["b"]["how"] == "resume"
    assert document["b"]["served"] == 5
    assert document["b"]["saved_usd"] > 0
    assert document["first"]["what"] == "only in b"
    assert document["settings"] == [{"key": "limits.model_calls", "a": "3", "b": "30"}]
    assert [step["differs"] for step in document["steps"][:4]] == [""] * 4
    assert document["answer_diff"]
    plain = lab("compare", stopped.run, resumed.run).out
    assert f"goes on from   -{' ' * 3}" in plain
    assert f"{stopped.run} (resume)" in plain


def test_a_run_that_is_not_there_is_named(lab: Lab) -> None:
    lab.run()
    told = lab("compare", "last", "nothing")
    assert told.code == 2
    assert 'No run begins with "nothing"' in told.err


def test_what_differs_in_each_run_is_no_difference() -> None:
    def call(number: str, name: str) -> Event:
        messages = [
            {"role": "tool", "tool_call_id": name, "content": f"<<<data {number} from look>>>\nx\n<<<end {number}>>>"}
        ]
        answer = json.dumps([{"id": name, "function": {"name": "look", "arguments": "{}"}}])
        content: dict[str, str | None] = {"request": json.dumps({"messages": messages}), "answer": answer}
        return Event("r", 3, 0.0, "model_call", {"agent": "a"}, content)

    assert differs(call("0a", "x1"), call("0b", "y2"), "0a", "0b") == ""
    assert differs(call("0a", "x1"), call("0b", "y2")) == "request"


def test_a_long_difference_is_clipped_and_a_long_line_wrapped() -> None:
    found = diff("\n".join(map(str, range(500))), "x" * 250)
    assert len(found) == LINES + 1
    assert found[-1].endswith("more lines")
    assert max(map(len, diff("x" * 250, "y"))) <= 101


def test_settings_are_named_as_set_takes_them() -> None:
    one = {"engine": {"limits": {"usd": 1.0}, "tags": []}, "agents": {"a": {"goal": "x"}}}
    two = {"engine": {"limits": {"usd": 2.0}, "tags": []}, "agents": {}}
    assert changed(one, two) == [("limits.usd", "1.0", "2.0"), ("agents.a.goal", "x", "null"), ("agents", "null", "{}")]


def test_nothing_of_others_moves_the_cursor(lab: Lab) -> None:
    first = lab.run()
    second = lab("run", "What \x1b[2J is a retry?")
    found = compared(lab, first, second)
    assert not any("\x1b" in line for line in lines(found))


def test_on_a_terminal_it_is_a_table_in_colour(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = lab.run(limits__model_calls=3)
    found = compared(lab, stopped, lab("resume", "last"))
    capsys.readouterr()
    print_table(found)
    shown = capsys.readouterr().out
    assert "limits.model_calls" in shown
    assert "first difference: only in b: model_call, verifier at verify" in shown
