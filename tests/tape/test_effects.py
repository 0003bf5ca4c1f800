"""Tools that change something in the world: what they have done is never done twice by accident."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.support.loopback import listening, send
from tests.support.project import change
from tests.tape.lab import Lab, Told, with_tools
from tests.tape.plays import searching

TOOLS = '''
from pathlib import Path

from pilotage import tool
from pilotage.tools import idempotency_key

BOOK = Path(__file__).with_name("book.txt")


@tool(side_effects=True)
def order(item: str) -> str:
    """Order an item."""
    with BOOK.open("a") as book:
        book.write(f"{item} {idempotency_key()}\\n")
    return f"ordered {item}, confirmation sk-" + "b2" * 20 if item == "secret" else f"ordered {item}"


@tool
def look(item: str) -> str:
    """Look at an item."""
    with BOOK.open("a") as book:
        book.write(f"looked at {item}\\n")
    return f"{item} is there"
'''
BOLT = ("order", {"item": "bolt"})


def book(lab: Lab) -> list[str]:
    file = lab.project / "book.txt"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def items(lab: Lab) -> list[str]:
    return [line.split()[0] for line in book(lab)]


@pytest.fixture
def ordering(lab: Lab) -> Lab:
    with_tools(lab, TOOLS, "order", "look")
    lab.play(searching([BOLT]))
    return lab


def seq_of(told: Told, kind: str, **facts: Any) -> int:
    return told.of(kind, **facts)[0].seq


def test_what_was_done_is_served_and_not_done_again(ordering: Lab) -> None:
    stopped = ordering.run(limits__model_calls=3)
    assert stopped.run, stopped.err
    assert items(ordering) == ["bolt"]
    started = stopped.of("tool_started")[0]
    assert started.facts["idempotency"] == book(ordering)[0].split()[1]
    assert json.loads(str(started.content["arguments"])) == {"item": "bolt"}
    resumed = ordering("resume", "last")
    assert resumed.outcome == "accepted", resumed.err
    assert items(ordering) == ["bolt"]
    served = resumed.of("tool_call", tool="order")[0]
    assert served.facts["served"] == "tape"
    assert served.facts["idempotency"] == started.facts["idempotency"]
    assert not resumed.of("tool_started")


def test_twice_the_same_order_is_two_orders_and_stays_two(ordering: Lab) -> None:
    ordering.play(searching([BOLT], [BOLT]))
    whole = ordering.run()
    assert whole.outcome == "accepted", whole.err
    assert items(ordering) == ["bolt", "bolt"]
    assert len(set(book(ordering))) == 2, "each has a key of its own"
    first = seq_of(whole, "tool_call", tool="order")
    ordering.crash(whole.run, first)
    before = book(ordering)
    assert ordering("resume", whole.run, "--force").outcome == "accepted"
    assert len(items(ordering)) == 3, "the second was taken out of the record, so it is made again"
    assert book(ordering)[2] == before[1], "by the key that it had"


def test_nobody_knows_whether_a_call_under_way_was_done(ordering: Lab) -> None:
    whole = ordering.run()
    ordering.crash(whole.run, seq_of(whole, "tool_started"))
    key = book(ordering)[0].split()[1]
    told = ordering("resume", whole.run, "--force")
    assert (told.code, told.run) == (2, "")
    assert "order was under way" in told.err
    assert key in told.err
    assert "--done order" in told.err
    assert "--repeat order" in told.err
    assert items(ordering) == ["bolt"]


@pytest.mark.parametrize(("option", "orders", "served"), [("--done", 1, "tape"), ("--repeat", 2, None)])
def test_the_user_says_whether_it_was_done(ordering: Lab, option: str, orders: int, served: str | None) -> None:
    whole = ordering.run()
    ordering.crash(whole.run, seq_of(whole, "tool_started"))
    resumed = ordering("resume", whole.run, "--force", option, "order")
    assert resumed.outcome == "accepted", resumed.err
    assert len(book(ordering)) == orders
    assert len(set(book(ordering))) == 1, "a repetition goes by the same key"
    assert resumed.of("tool_call", tool="order")[0].facts.get("served") == served


def test_repeat_repeats_what_was_under_way_and_nothing_else(ordering: Lab) -> None:
    ordering.play(searching([BOLT], [("order", {"item": "nut"})]))
    whole = ordering.run()
    second = whole.of("tool_started")[1]
    ordering.crash(whole.run, second.seq)
    resumed = ordering("resume", whole.run, "--force", "--repeat", "order")
    assert resumed.outcome == "accepted", resumed.err
    assert items(ordering) == ["bolt", "nut", "nut"]


def test_a_call_that_was_left_behind_by_the_end_of_its_run_was_under_way(ordering: Lab) -> None:
    source = TOOLS.replace("    with BOOK.open", "    import time\n    time.sleep(3)\n    with BOOK.open", 1)
    with_tools(ordering, source, "order")
    stopped = ordering.run(limits__seconds=1.5)
    assert stopped.outcome == "limited"
    assert stopped.of("tool_started")
    told = ordering("resume", "last")
    assert told.code == 2
    assert "order was under way" in told.err


def test_an_answer_of_the_user_holds_for_the_resumes_that_follow(ordering: Lab) -> None:
    whole = ordering.run()
    ordering.crash(whole.run, seq_of(whole, "tool_started"))
    second = ordering("resume", whole.run, "--force", "--done", "order", limits__model_calls=1)
    assert second.outcome == "limited"
    third = ordering("resume", "last")
    assert third.outcome == "accepted", third.err
    assert items(ordering) == ["bolt"]


def test_a_resume_killed_before_it_came_to_the_call_still_knows_of_it(ordering: Lab) -> None:
    first = ordering.run(limits__model_calls=3)
    second = ordering("resume", first.run, limits__model_calls=1)
    ordering.crash(second.run, 3)
    third = ordering("resume", second.run, "--force")
    assert third.outcome == "accepted", third.err
    assert items(ordering) == ["bolt"]


@pytest.mark.parametrize("option", ["--done", "--repeat"])
def test_a_tool_that_was_not_under_way_is_a_mistake(ordering: Lab, option: str) -> None:
    ordering.run(limits__model_calls=3)
    told = ordering("resume", "last", option, "ordre")
    assert told.code == 2
    assert "No call of ordre was under way" in told.err


def test_a_secret_in_the_result_does_not_order_again(ordering: Lab) -> None:
    ordering.play(searching([("order", {"item": "secret"})]))
    stopped = ordering.run(limits__model_calls=3)
    assert stopped.of("tool_call", tool="order")[0].facts["redacted"] is True
    resumed = ordering("resume", "last")
    assert resumed.outcome == "accepted", resumed.err
    assert items(ordering) == ["secret"]


def test_a_tool_without_effects_is_served_too_and_made_again_when_it_was_under_way(ordering: Lab) -> None:
    ordering.play(searching([("look", {"item": "bolt"})]))
    whole = ordering.run()
    ordering.crash(whole.run, seq_of(whole, "tool_call", tool="look") - 1)
    assert ordering("resume", whole.run, "--force").outcome == "accepted"
    assert len(book(ordering)) == 2
    ordering.crash(whole.run, seq_of(whole, "tool_call", tool="look"))


def test_the_policy_can_say_that_a_tool_has_effects(ordering: Lab) -> None:
    rule = {"tools": {"look": {"side_effects": True}}}
    change(ordering.project / "config" / "pilotage.yaml", lambda tree: tree["policy"].update(rule))
    ordering.play(searching([("look", {"item": "bolt"})]))
    assert ordering.run().of("tool_started")[0].facts["tool"] == "look"


# --- forks


def test_a_fork_does_not_order_again_what_its_parent_has_ordered_behind_the_step(ordering: Lab) -> None:
    whole = ordering.run()
    at = seq_of(whole, "model_call")
    forked = ordering("fork", whole.run, "--at", str(at))
    assert forked.outcome == "accepted", forked.err
    assert len(forked.live) == len(whole.requests)
    assert items(ordering) == ["bolt"]


def test_a_fork_may_be_told_to_order_again_and_its_resume_does_not(ordering: Lab) -> None:
    whole = ordering.run()
    forked = ordering("fork", whole.run, "--at", "1", "--repeat", "order", limits__model_calls=3)
    assert forked.outcome == "limited"
    assert items(ordering) == ["bolt", "bolt"]
    assert len(set(book(ordering))) == 2, "no service may take it for a repetition"
    resumed = ordering("resume", forked.run)
    assert resumed.outcome == "accepted", resumed.err
    assert len(items(ordering)) == 2


def test_what_one_fork_has_done_another_does_not_do_again(ordering: Lab) -> None:
    whole = ordering.run()
    ordering.play(searching([("order", {"item": "nut"})]))
    for _ in range(2):
        assert ordering("fork", whole.run, "--at", "4").outcome == "accepted"
    assert items(ordering) == ["bolt", "nut"]


def test_done_and_repeat_of_one_tool_is_a_contradiction(ordering: Lab) -> None:
    ordering.run(limits__model_calls=3)
    told = ordering("resume", "last", "--done", "order", "--repeat", "order")
    assert told.code == 2
    assert "named by --done and by --repeat" in told.err


# --- services


@contextmanager
def shop() -> Iterator[tuple[str, list[str]]]:
    """A service that books an order for each POST, and the keys by which it was asked."""
    asked: list[str] = []

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        asked.append(handler.headers["Idempotency-Key"])
        send(handler, 200, {"item": request["item"], "booked": True})

    with listening(post) as address:
        yield address, asked


def test_a_service_is_posted_to_once_and_a_repetition_has_the_same_key(lab: Lab) -> None:
    with shop() as (address, asked):
        service = {
            "description": "Book an item.", "url": f"{address}/orders", "method": "POST",
            "arguments": {"item": "str"}, "body": {"item": "{item}"},
        }  # fmt: skip
        tree = {"services": {"book": service}, "policy": {"allow_private_hosts": ["127.0.0.1"]}}
        change(lab.project / "config" / "pilotage.yaml", lambda old: old.update(tree))
        tools = {"tools": ["search_knowledge", "book"]}
        change(lab.project / "config" / "agents.yaml", lambda old: old["researcher"].update(tools))
        lab.play(searching([("book", {"item": "bolt"})]))
        stopped = lab.run(limits__model_calls=3)
        assert len(asked) == 1, stopped.err
        assert lab("resume", "last").outcome == "accepted"
        assert len(asked) == 1
        whole = lab.run()
        lab.crash(whole.run, seq_of(whole, "tool_started"))
        assert lab("resume", whole.run, "--force", "--repeat", "book").outcome == "accepted"
        assert len(asked) == 3
        assert asked[1] == asked[2] != asked[0]
