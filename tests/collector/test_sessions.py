"""What many requests make of one session: its row, its title, its end; nothing twice; every chain verifies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from pilotage.collector import chains, cleaning
from pilotage.collector.drafts import draft, log
from pilotage.collector.writer import Writer
from pilotage.record.audit import audit
from pilotage.record.journal import Event, Journal, read_events
from pilotage.record.redact import MARK, Redactor
from pilotage.record.store import facets, open_store
from pilotage.record.tally import Tally
from pilotage.record.tree import Tree
from tests.collector.spans import NOW, TRACE, new_id, span

Record = Callable[..., list[Event]]
Row = Callable[..., dict[str, Any]]
CALL = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Who owns retries?"}  # fmt: skip
KEY = "sk-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0xL"


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_session_begins_with_its_first_span_and_ends_with_its_root(record: Record, row: Row) -> None:
    root = span({"agentops.span.kind": "session", "operation.name": "quotes", "agentops.tags": ["a"]}, parent="")
    assert kinds(record(span(CALL, parent=root.id))) == ["run_started", "model_call"]
    assert (row()["outcome"], row()["question"], row()["origin"]) == (None, "Who owns retries?", "otlp")
    assert kinds(record(root)) == ["run_started", "model_call", "span", "session_ended"]
    listed = row()
    assert (listed["outcome"], listed["question"], listed["host"]) == ("ended", "quotes", "till-1")
    assert (listed["model_calls"], listed["tokens"], listed["usd"]) == (1, 110, pytest.approx(0.000021))
    assert listed["seconds"] == pytest.approx(1, abs=0.01)


def test_a_session_may_grow_after_its_end(record: Record, row: Row) -> None:
    record(span({}, parent="", name="main"))
    late = record(span(CALL))
    assert kinds(late)[-1] == "model_call"
    assert (row()["outcome"], row()["tokens"], row()["seal"]) == ("ended", 110, late[-1].hash)


def test_a_session_that_no_root_ends_stays_open_until_ten_minutes_after_its_last_span(record: Record, row: Row) -> None:
    record(span(CALL, end=1_760_000_000.0))
    record(span(CALL, end=1_760_000_300.0), span(CALL, end=1_760_000_100.0))
    assert (row()["outcome"], row()["until"]) == (None, 1_760_000_900.0)


def test_a_span_whose_parent_lies_in_another_process_is_a_root_of_its_own(record: Record, row: Row) -> None:
    assert kinds(record(span({}, name="worker", is_remote=True)))[-1] == "session_ended"
    assert row()["question"] == "worker"


def test_a_span_below_another_process_does_not_end_the_session_of_a_root(record: Record, row: Row) -> None:
    root = span({}, parent="", name="main", failed=True, start=NOW - 9)
    record(root)
    assert kinds(record(span({}, parent=root.id, is_remote=True)))[-1] == "span"
    assert kinds(record(span({}, is_remote=True)))[-1] == "span"
    assert (row()["outcome"], row()["question"], row()["seconds"]) == ("failed", "main", pytest.approx(9))


def test_a_span_below_one_that_has_arrived_ends_nothing(record: Record, row: Row) -> None:
    above = span({})
    assert "session_ended" not in kinds(record(above, span({}, parent=above.id, is_remote=True)))
    assert row()["outcome"] is None


def test_a_root_that_arrives_later_has_the_last_word(record: Record, row: Row, store: Path) -> None:
    root = span({}, parent="", name="main", start=NOW - 9)
    record(span({}, parent=root.id, name="worker", is_remote=True, failed=True))
    assert (row()["outcome"], row()["question"]) == ("failed", "worker")
    record(root)
    with Writer(open_store(store), Redactor({})) as other:  # which knows the session from the store alone
        other.submit(draft([span({}, name="late", is_remote=True)], other.redactor)).result(10)
        other.engine.dispose()
    record()
    assert (row()["outcome"], row()["question"], row()["seconds"]) == ("ended", "main", pytest.approx(9))


def test_a_clock_that_is_ahead_does_not_keep_a_session_alive(record: Record, row: Row) -> None:
    record(span({}, start=NOW + 9e8, end=NOW + 9e8 + 1))
    assert row()["until"] <= time.time() + chains.GRACE
    assert row()["started"] <= time.time()


@pytest.mark.parametrize(
    ("attributes", "failed", "outcome"),
    [
        ({}, False, "ended"), ({}, True, "failed"), ({"agentops.session.end_state": "Success"}, False, "ended"),
        ({"agentops.session.end_state": "Fail"}, False, "failed"), ({"pilotage.outcome": "rejected"}, True, "rejected"),
        ({"pilotage.outcome": "made up"}, False, "ended"),
    ],
)  # fmt: skip
def test_how_a_session_ended(record: Record, row: Row, attributes: dict[str, Any], failed: bool, outcome: str) -> None:
    record(span(attributes, parent="", failed=failed))
    assert row()["outcome"] == outcome


@pytest.mark.parametrize(
    ("attributes", "name", "title"),
    [
        ({"agentops.span.kind": "session", "operation.name": "nightly"}, "nightly.session", "nightly"),
        ({"agentops.span.kind": "session", "operation.name": "session"}, "session.session", "session"),
        ({"agentops.span.kind": "session", "operation.name": "session", "agentops.entity.input": "Why?"}, "x", "Why?"),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.name": "joke"}, "joke.workflow", "joke"),
        (CALL, "chat gpt-4o-mini", "Who owns retries?"), ({}, "GET /", "GET /"),
    ],
)  # fmt: skip
def test_the_title_of_a_session(record: Record, row: Row, attributes: dict[str, Any], name: str, title: str) -> None:
    record(span(attributes, parent="", name=name))
    assert row()["question"] == title


def test_a_session_without_a_name_of_its_own_is_called_by_what_was_asked_first(record: Record, row: Row) -> None:
    root = span({"agentops.span.kind": "session", "operation.name": "session"}, parent="", name="session.session")
    later = span(CALL | {"gen_ai.prompt.0.content": "And then?"}, parent=root.id, start=NOW - 0.5)
    record(later, span(CALL, parent=root.id))
    assert kinds(record(root))[-1] == "session_ended"
    assert row()["question"] == "Who owns retries?"


def test_a_span_that_is_sent_again_is_recorded_once(record: Record) -> None:
    sent = [span(CALL), span({}, parent="")]
    once = record(*sent)
    assert record(*sent) == once == record(sent[0], sent[0])


def test_a_span_that_stands_twice_in_one_request_is_recorded_once(record: Record) -> None:
    sent = span(CALL)
    assert kinds(record(sent, sent)) == ["run_started", "model_call"]


def test_another_collector_goes_on_with_the_chain(record: Record, store: Path, row: Row) -> None:
    outer, first, second = new_id(), span(CALL), span(CALL)
    record(span(CALL, id=outer), first)
    with Writer(open_store(store), Redactor({})) as other:
        other.submit(draft([span(CALL, parent=outer), second], other.redactor)).result(10)
        other.engine.dispose()
    found = record(span(CALL), first, second)
    assert [event.seq for event in found] == list(range(1, 7))
    assert kinds(found).count("model_call") == 4  # the one within `outer` is the same call told twice
    tally = Tally()
    for event in found:
        tally.add(event)
    assert row()["tally"] == tally.as_text()


def test_model_calls_within_each_other_count_once(record: Record, row: Row) -> None:
    outer = span(CALL, parent="")
    between = span({}, parent=outer.id, name="http")
    inner = span(CALL, parent=between.id)
    found = record(inner, between, outer)
    assert kinds(found) == ["run_started", "model_call", "span", "span", "session_ended"]
    assert found[3].facts["span_kind"] == "llm"
    assert "prompt_tokens" not in found[3].facts
    assert (row()["model_calls"], row()["tokens"]) == (1, 110)


@pytest.mark.parametrize("inner_first", [True, False])
def test_model_calls_within_each_other_count_once_in_requests_of_any_order(
    record: Record, row: Row, inner_first: bool
) -> None:
    outer = span(CALL)
    inner = span(CALL, parent=outer.id)
    for sent in (inner, outer) if inner_first else (outer, inner):
        record(sent)
    assert (row()["model_calls"], row()["tokens"]) == (1, 110)


def test_a_model_span_without_tokens_in_one_with_tokens_is_no_second_call(record: Record, row: Row) -> None:
    bare = {name: value for name, value in CALL.items() if "usage" not in name}
    outer = span(CALL)
    record(span(bare, parent=outer.id), outer)
    assert (row()["model_calls"], row()["tokens"], row()["usd"]) == (1, 110, pytest.approx(0.000021))


def test_totals_on_spans_that_are_no_model_calls_are_not_counted(record: Record, row: Row) -> None:
    totals = {"gen_ai.usage.input_tokens": 5_000, "gen_ai.request.model": "gpt-4o-mini"}
    agent = span({"agentops.span.kind": "agent", "agent.name": "clerk", **totals})
    record(span(CALL, parent=agent.id), agent, span({"traceloop.span.kind": "workflow", **totals}, parent=""))
    assert (row()["model_calls"], row()["tokens"]) == (1, 110)


def test_a_call_is_of_the_agent_and_task_around_it(record: Record, engine: Engine) -> None:
    task = span({"agentops.span.kind": "task", "operation.name": "sell"}, name="sell.task")
    agent = span({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}, parent=task.id)
    tool = span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up"}, parent=agent.id)
    found = record(span(CALL, parent=tool.id), tool, agent, task)
    assert [(event.facts["agent"], event.facts["task"]) for event in found[1:4]] == [("clerk", "sell")] * 3
    with engine.connect() as connection:
        names = {tuple(item) for item in connection.execute(select(facets.c.name, facets.c.value))}
    assert names == {("agent", "clerk"), ("tool", "look_up"), ("model", "gpt-4o-mini")}


def test_the_tree_of_a_session_has_every_span_under_its_parent(record: Record) -> None:
    root = span({"agentops.span.kind": "session"}, parent="", name="shop.session")
    call, tool = span(CALL, parent=root.id), span({"agentops.span.kind": "tool", "tool.name": "t"}, parent=root.id)
    tree = Tree()
    for event in record(call, tool, root):
        tree.add(event)
    found = {got.id: (got.parent, got.kind) for got in tree.spans}
    assert found == {call.id: (root.id, "llm"), tool.id: (root.id, "tool"), root.id: (None, "session")}


def test_secrets_are_taken_out_before_anything_is_stored(record: Record, store: Path) -> None:
    escaped = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"line\n{KEY}"}]}])
    nested = json.dumps({"arguments": json.dumps({"body": f"line\n{KEY}"})})
    sent = span(
        CALL | {"gen_ai.input.messages": escaped, "a": nested, KEY: "x", "list": ["s3cr3t-value"], "agent.name": KEY},
        name=f"call {KEY}", failed=True, message=f"401 for {KEY}", resource={"service.name": KEY, "v": "s3cr3t-value"},
        events=[{"name": "exception", "at": 1.0, "attributes": {"exception.message": f"bad {KEY}"}}],
    )  # fmt: skip
    found = record(sent, span({"agentops.tags": [KEY]}, parent="", name=f"main {KEY}"))
    assert MARK in str(found)
    raw = b"".join(path.read_bytes() for path in store.parent.iterdir())
    assert KEY.encode() not in raw
    assert b"s3cr3t-value" not in raw


NAMED = {
    "password": "hunter2hunter2", "http.request.header.x-api-key": ["qwertyuiop"], "db.accessToken": "zxcvbnmasd",
    "http.request.header.authorization": "Digest plainwords", "outer": {"client_secret": "poiuytrewq"},
}  # fmt: skip


def test_values_whose_names_say_that_they_are_secret_are_replaced(record: Record, store: Path) -> None:
    kept = {"llm.token_count.prompt": 7, "cache.key": "users-by-id", "gen_ai.request.max_tokens": 12, "token": 5}
    events = [{"name": "e", "at": 1.0, "attributes": dict(NAMED)}]
    found = record(span(CALL | NAMED | kept, resource=dict(NAMED) | {"host.name": "h"}, events=events))
    raw = b"".join(path.read_bytes() for path in store.parent.iterdir())
    for secret in ("hunter2", "qwertyuiop", "zxcvbnmasd", "plainwords", "poiuytrewq"):
        assert secret.encode() not in raw, secret
    said = json.loads(str(found[-1].content["attributes"]))
    assert said["outer"] == {"client_secret": MARK}
    assert {name: said[name] for name in kept} == kept


def test_a_resource_is_kept_once_and_within_bounds(record: Record, writer: Writer) -> None:
    resource = {"service.name": "shop"} | {f"a{number}": "x" * 30_000 for number in range(10)}
    found = record(*(span({}, resource=resource) for _ in range(50)))
    assert len(str(found[0].content["resource"])) <= cleaning.LARGEST_RESOURCE + 100
    assert json.loads(str(found[0].content["resource"]))["pilotage.attributes_dropped"] == 8
    assert len({id(made.resource) for made in draft([span({}, resource=resource)] * 9, writer.redactor)}) == 1


@pytest.mark.parametrize("facts", [
    {"rule": "exact"}, {"rule": ["exact"], "level": "stop", "agent": "a", "first_step": 1, "last_step": 2, "times": 3},
    {"rule": "exact", "level": "stop", "agent": "a", "first_step": "1", "last_step": 2, "times": 3}, [1], "x", None,
])  # fmt: skip
def test_a_span_that_only_looks_like_ours_is_a_span(record: Record, row: Row, facts: Any) -> None:
    found = record(span({"pilotage.kind": "loop", "pilotage.facts": json.dumps(facts)}))
    assert kinds(found) == ["run_started", "span"]
    assert row()["loops"] == 0


def test_facts_that_no_event_of_the_kind_has_are_left_out(record: Record) -> None:
    facts = {"limit": "usd", "key": "limits.usd", "value": float("inf"), "cap": True, "agent": {}, "tool": "rm", "n": 1}
    (_, event) = record(span({"pilotage.kind": "limit", "pilotage.facts": json.dumps(facts)}))
    assert event.kind == "limit"
    assert event.facts.keys() == {"limit", "key", "span", "parent", "start", "seconds"}


def test_a_log_without_a_span_has_a_title(writer: Writer, row: Row) -> None:
    writer.submit([log(TRACE, "three lamps", time.time(), "log-1")]).result(10)
    assert row()["question"] == f"log of {TRACE}"


def test_what_a_program_printed_belongs_to_its_session(record: Record, writer: Writer, row: Row) -> None:
    for _ in range(2):
        writer.submit([log(TRACE, "three lamps", time.time(), "log-1")]).result(10)
    found = record(span(CALL, parent="", name="shop"))
    assert kinds(found) == ["run_started", "log", "model_call", "session_ended"]
    assert found[1].content["text"] == "three lamps"
    assert (row()["question"], row()["host"]) == ("Who owns retries?", "till-1")


def test_a_session_of_too_many_events_takes_no_more_and_says_so(
    record: Record, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST_EVENTS", 3)
    result = writer.submit(draft([span(CALL), span(CALL), span(CALL), span(CALL)], writer.redactor)).result(10)
    assert (result.recorded, result.refused) == (2, 2)
    assert "has 3 events" in result.reason
    assert len(record()) == 3


def test_spans_of_a_run_whose_journal_is_in_this_store_are_acknowledged_only(
    record: Record, writer: Writer, engine: Engine
) -> None:
    journal = Journal(engine, Redactor({}))
    journal.append("run_started", {"question": "Who?"}, model="reader", crew="c")
    ours, foreign = CALL | {"pilotage.run": journal.run}, CALL | {"pilotage.run": "20260101-000000-abcdef"}
    other = "00" * 15 + "01"
    result = writer.submit(draft([span(ours, trace=other)], writer.redactor)).result(10)
    assert (result.recorded, result.refused) == (0, 0)
    assert not list(read_events(engine, other))
    assert kinds(record(span(foreign))) == ["run_started", "model_call"]
    assert audit(engine, journal.run).ok


def test_our_own_checks_and_loops_come_back_as_they_were(record: Record, row: Row) -> None:
    facts = {"rule": "same call", "level": "stop", "agent": "clerk", "first_step": 3, "last_step": 9, "times": 3}
    loop = span({"pilotage.kind": "loop", "agentops.span.kind": "operation", "pilotage.facts": json.dumps(facts),
                 "pilotage.content.evidence": "look_up(lamps) three times"})  # fmt: skip
    check = span({"pilotage.kind": "check", "pilotage.facts": json.dumps({"check": "citations", "passed": False}),
                  "pilotage.content.faults": "[]"})  # fmt: skip
    found = {event.kind: event for event in record(loop, check)}
    assert facts.items() <= found["loop"].facts.items()
    assert found["loop"].content["evidence"] == "look_up(lamps) three times"
    assert found["check"].facts["check"] == "citations"
    assert row()["loops"] == 1
