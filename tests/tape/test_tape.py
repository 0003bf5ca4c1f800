"""The tape by itself, and the keys by which a call is known again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotage.record.journal import Event
from pilotage.tape.keys import model_key, normalised, tool_key
from pilotage.tape.tape import Stretch, Tape

Facts = dict[str, Any]
Texts = dict[str, str | None]


def call(seq: int, key: str, *, task: str = "t", agent: str = "a", run: str = "r", **facts: Any) -> Event:
    content: Texts = {"request": "{}", "answer": f"answer {seq} of {run}"}
    return Event(run, seq, float(seq), "model_call", {"key": key, "task": task, "agent": agent} | facts, content)


def used(seq: int, key: str, *, run: str = "r", **facts: Any) -> Event:
    content: Texts = {"arguments": "{}", "result": f"result {seq} of {run}"}
    told = {"key": key, "task": "t", "agent": "a", "tool": "order"} | facts
    return Event(run, seq, float(seq), "tool_call", told, content)


def begun(seq: int, key: str, name: str, *, run: str = "r") -> Event:
    told = {"key": key, "idempotency": name, "tool": "order", "task": "t", "agent": "a"}
    return Event(run, seq, float(seq), "tool_started", told, {"arguments": "{}"})


def test_a_call_is_served_once_by_any_of_its_keys_at_its_place_alone() -> None:
    tape = Tape([call(2, "x"), call(3, "y"), call(4, "x")])
    assert tape.model("t", "b", ["x"]) is None
    assert tape.model("u", "a", ["x"]) is None
    assert [found.seq for _ in range(3) if (found := tape.model("t", "a", ["x", "z"]))] == [2, 4]
    assert [one.seq for one in tape.left()] == [3]
    assert tape.next_of("t", "a") == next(tape.left())


@pytest.mark.parametrize("facts", [{"failed": True}, {"redacted": True}, {"stopped": True}])
def test_what_is_no_answer_is_not_served(facts: Facts) -> None:
    assert Tape([call(2, "x", **facts)]).model("t", "a", ["x"]) is None


def test_a_result_that_failed_is_served_and_one_that_was_stopped_is_not() -> None:
    tape = Tape([used(2, "x", failed=True), used(3, "y", failed=True, stopped=True)])
    failed = tape.tool("t", "a", "x")
    assert failed is not None
    assert failed.failed
    assert tape.tool("t", "a", "y") is None


def test_in_order_until_the_event_of_a_fork() -> None:
    tape = Tape([call(2, "x"), call(3, "y"), call(4, "z")], until=4)
    assert tape.model_calls == 2
    assert [found and found.seq for found in (tape.model("t", "a", ["?"]) for _ in range(3))] == [2, 3, None]


def test_behind_an_answer_that_cannot_be_served_only_what_was_asked_is() -> None:
    tape = Tape([call(2, "x", redacted=True), call(3, "y"), call(4, "z")], until=9)
    assert tape.model("t", "a", ["x"]) is None
    assert tape.model("t", "a", ["other"]) is None
    found = tape.model("t", "a", ["z"])
    assert found is not None
    assert found.seq == 4


def test_what_a_later_run_was_served_of_an_earlier_one_counts_once() -> None:
    earlier = [call(2, "x"), call(3, "x"), call(4, "y"), used(5, "u")]
    later = [call(2, "x", run="s", served="tape"), used(3, "u", run="s", served="tape")]
    tape = Tape(later, earlier=[Stretch(earlier)])
    assert (tape.model_calls, tape.tool_calls) == (3, 1)
    served = [tape.model("t", "a", ["x"]) for _ in range(3)]
    assert [found and (found.run, found.seq) for found in served] == [("s", 2), ("r", 3), None]


def test_the_resume_of_a_fork_goes_on_where_the_fork_was_in_the_order() -> None:
    parent = [call(2, "x"), call(3, "y"), call(4, "z")]
    forked = [call(2, "new", run="f", served="tape")]
    tape = Tape(forked, earlier=[Stretch(parent, until=4)])
    assert [found and found.seq for found in (tape.model("t", "a", ["new"]), tape.model("t", "a", ["?"]))] == [2, 3]
    assert tape.model("t", "a", ["z"]) is None


def test_an_effect_is_found_anywhere_and_its_own_first() -> None:
    tape = Tape([used(5, "x", idempotency="one", task="elsewhere"), used(6, "x", idempotency="two")])
    found = tape.effect("x", "two")
    assert found is not None
    assert found.seq == 6
    assert tape.effect("x", "three", only=True) is None
    assert (tape.effect("x", "three"), tape.effect("x", "three"))[1] is None


def test_an_effect_that_redaction_has_changed_or_that_was_erased_is_served_all_the_same() -> None:
    erased = Event("r", 6, 6.0, "tool_call", used(6, "y", idempotency="two").facts, {"arguments": "{}", "result": None})
    tape = Tape([used(5, "x", idempotency="one", redacted=True), erased])
    changed, gone = tape.effect("x"), tape.effect("y")
    assert changed is not None
    assert gone is not None
    assert gone.answer == "order was done before; what it said is not known."


def test_under_way_is_what_was_begun_and_never_ended_in_any_run_of_the_family() -> None:
    told = [begun(2, "x", "one"), used(3, "x", idempotency="one"), begun(4, "y", "two"), begun(5, "z", "three")]
    kin = [used(9, "y", idempotency="two", run="s")]
    assert [one.idempotency for one in Tape(told, kin=kin).begun] == ["three"]
    stopped = [begun(2, "x", "one"), used(3, "x", idempotency="one", stopped=True, failed=True)]
    tape = Tape(stopped)
    assert [one.idempotency for one in tape.begun] == ["one"]
    tape.assume_done(["order"])
    assert tape.begun == []
    assert tape.effect("x", "one") is not None


def test_a_key_knows_nothing_of_fences_ids_and_what_only_one_provider_reads() -> None:
    def request(number: str, name: str, **more: Any) -> dict[str, Any]:
        asked = {"role": "assistant", "tool_calls": [{"id": name, "function": {"name": "f", "arguments": "{}"}}]} | more
        told = {"role": "tool", "tool_call_id": name, "content": f"<<<data {number} from f>>>"}
        return {"model": "m", "messages": [asked, told]}

    one, two = request("0a0a0a0a", "call_1"), request("0b0b0b0b", "call_2", raw_tool_call_parts=[object()])
    assert model_key(one, "0a0a0a0a") == model_key(two, "0b0b0b0b")
    assert model_key(one, "0a0a0a0a") != model_key(one | {"model": "n"}, "0a0a0a0a")
    assert json.loads(normalised(one, "0a0a0a0a"))["messages"][1]["id"] == "0"


def test_an_argument_that_is_called_id_is_part_of_a_tools_key() -> None:
    assert tool_key("f", {"id": "1"}, "") != tool_key("f", {"id": "2"}, "")
    assert tool_key("f", {"a": 1, "b": 2}, "") == tool_key("f", {"b": 2, "a": 1}, "")
