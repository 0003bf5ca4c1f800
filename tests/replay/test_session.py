"""What the page of a session shows, from real runs and from journals written by hand: figures, rows, steps, sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from pilotage.record.journal import Event, read_events
from pilotage.record.store import events, open_store, payloads
from pilotage.record.store import runs as listed
from pilotage.replay.answer import ABSENT, ELSEWHERE, Source, place, stretches
from pilotage.replay.fold import Folded, Sessions, fold
from pilotage.replay.formats import seconds
from pilotage.replay.overview import figures_of
from pilotage.replay.prompts import answer_items, message_item, read_prompt
from pilotage.replay.step import KINDS, step_json
from pilotage.replay.thought import marked, repetitions
from pilotage.replay.view import PIECE, for_script, one_step, page_context, page_data, rows_json, steps_json, total_of
from pilotage.replay.waterfall import bar
from tests.support.sessions import TRACE, Recorded, collected, hostile, journal, long_run


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(tmp_path / "runs" / "pilotage.sqlite")
    yield made
    made.dispose()


def kinds(folded: Folded) -> list[tuple[int, str, str]]:
    return [(row.depth, row.span.kind, row.span.name) for row in folded.rows]


# --- a real run


def test_every_call_of_a_run_is_one_row_within_its_agent_and_its_task(runs: Recorded) -> None:
    folded = runs.folded
    rows = kinds(folded)
    assert [row[2] for row in rows if row[1] == "task"] == ["research", "verify", "explain"]
    assert [row[2] for row in rows if row[1] == "agent"] == ["researcher", "verifier", "explainer"]
    assert [row[0] for row in rows if row[1] in ("llm", "tool")] == [4] * 7
    assert sum(row[1] == "llm" for row in rows) == 5
    recorded = [event.seq for event in folded.events if event.kind in ("model_call", "tool_call")]
    assert sorted(row.step for row in folded.rows if row.span.kind in ("llm", "tool")) == recorded


def test_the_figures_are_those_of_the_journal(runs: Recorded) -> None:
    folded, result = runs.folded, runs.accepted
    shown = {figure.name: figure.text for figure in figures_of(folded)}
    assert shown["tokens"] == f"{result.tokens:,}" == "600"
    assert shown["model_calls"] == "5"
    assert shown["tool_calls"] == "2"
    assert shown["errors"] == shown["loops"] == "0"
    assert shown["cost"] == "$0.00"


def test_what_a_row_has_used_is_the_sum_of_the_calls_within_it(runs: Recorded) -> None:
    folded = runs.folded
    used = {row.span.name: row.tokens for row in folded.rows if row.span.kind == "agent"}
    assert used == {name: use.tokens for name, use in folded.tally.agents.items()}
    assert folded.rows[0].tokens == folded.tally.tokens == 600


def test_tables_say_who_did_what_and_their_shares_are_one_in_all(runs: Recorded) -> None:
    store, folded = runs.engine, runs.folded
    tables = {table["name"]: table for table in page_context(store, folded)["tables"]}
    assert [(line.name, line.calls, line.tool_calls) for line in tables["agents"]["lines"]] == [
        ("researcher", 2, 1), ("verifier", 2, 1), ("explainer", 1, 0),
    ]  # fmt: skip
    assert sum(line.share for line in tables["agents"]["lines"]) == pytest.approx(1)
    assert tables["tasks"]["lines"][0].who == "researcher"
    assert [(line.name, line.calls) for line in tables["tools"]["lines"]] == [
        ("search_knowledge", 1),
        ("read_source", 1),
    ]


def test_a_prompt_shows_first_what_is_new_since_the_last_call_of_the_agent(runs: Recorded) -> None:
    store, folded = runs.engine, runs.folded
    first, second = [event.seq for event in folded.events if event.kind == "model_call"][:2]
    blocks = (one_step(store, folded, second) or {})["blocks"]
    assert [block["label"] for block in blocks] == [
        "New in the prompt", "Answer", "Earlier in the prompt (2)", "Tools offered (2)",
    ]  # fmt: skip
    assert [item["head"] for item in blocks[0]["items"]] == ["assistant", "tool"]
    assert "27 requests" in blocks[0]["items"][1]["text"]
    assert blocks[0]["items"][1]["note"] == "search_knowledge · fenced as data"
    assert not blocks[2]["open"]
    opening = (one_step(store, folded, first) or {})["blocks"]
    assert opening[0]["label"] == "Prompt"
    assert opening[1]["items"][0]["head"] == "calls search_knowledge"


def test_the_meters_of_a_step_say_where_the_limits_stood(runs: Recorded) -> None:
    store, folded = runs.engine, runs.folded
    tool = next(event.seq for event in folded.events if event.kind == "tool_call")
    caps = [cap["name"] for cap in page_data(store, folded, page_context(store, folded))["caps"]]
    assert caps == ["Time", "Model calls", "Tool calls", "Tokens", "Cost"]
    meters = dict(zip(caps, (one_step(store, folded, tool) or {})["meters"], strict=True))
    assert meters["Tool calls"] == [0.125, "1 of 8"]
    assert meters["Model calls"] == [round(1 / 30, 4), "1 of 30"]
    assert meters["Time"][1].endswith(" of 5 min")
    assert meters["Tokens"] == [round(120 / 200_000, 4), "120 of 200,000"]


def test_a_citation_leads_to_its_quote_within_its_source(runs: Recorded) -> None:
    store, folded = runs.engine, runs.folded
    context = page_context(store, folded)
    (cited,) = context["citations"]
    assert cited.found == runs.accepted.citations[0]["quote"]
    assert cited.after.strip().startswith("The owner of retries")
    assert folded.event(cited.step).kind == "tool_call"  # type: ignore[union-attr]
    assert context["answer"] == [("One fault can become 27 requests when three owners retry ", 0), ("1", 1), (".", 0)]


def test_decisions_come_with_reason_and_evidence(runs: Recorded) -> None:
    store, folded = runs.engine, runs.folded
    decisions = page_context(store, folded)["decisions"]
    assert [decision["what"] for decision in decisions] == ["found", "supported", "said"]
    assert decisions[1]["reason"] == "it says so"
    assert "27 requests" in decisions[0]["because"][0]["quote"]


def test_what_was_erased_is_said_to_be(runs: Recorded, tmp_path: Path) -> None:
    store, folded = runs.copy(tmp_path / "copy.sqlite"), runs.folded
    with store.begin() as connection:
        connection.execute(delete(payloads))
    context = page_context(store, fold(store, folded.run))
    assert context["head"].question is None
    assert context["answer"] is None
    assert context["decisions"][0]["is_erased"]
    texts = [item["text"] for step in context["steps"] for block in step["blocks"] for item in block["items"]]
    assert texts
    assert set(texts) == {None}


def test_what_goes_on_is_folded_further_not_again(engine: Engine) -> None:
    book = long_run(engine, 3)
    sessions = Sessions(engine)
    folded = sessions.get(book.run)
    assert folded is not None
    before = (folded.last, list(folded.events))
    book.append("tool_call", {"arguments": {}, "result": "x"}, agent="a", task="t", tool="count")
    again = sessions.get(book.run)
    assert again is folded
    assert folded.last == before[0] + 1
    assert all(one is other for one, other in zip(before[1], folded.events, strict=False))
    assert [row.step for row in folded.changes(before[0])] == [folded.last]
    assert sessions.get("nobody") is None


# --- recursive thought


def test_repeated_steps_stand_side_by_side_with_what_is_the_same_marked(runs: Recorded) -> None:
    store, folded = runs.engine, runs.in_circles
    assert runs.circling.outcome == "limited"
    nudge, stop = repetitions(store, folded)
    assert (nudge.level, stop.level) == ("nudge", "stop")
    assert nudge.nudge
    assert not stop.nudge
    recorded = [event for event in folded.events if event.kind == "loop"]
    assert [one.event for one in (nudge, stop)] == [event.seq for event in recorded]
    assert stop.columns[-1].seq == recorded[1].facts["last_step"]
    assert len(stop.columns) == stop.times == 5
    assert all(folded.event(column.seq).kind == "tool_call" for column in stop.columns)  # type: ignore[union-attr]
    same = [text for text, is_common in stop.columns[0].said if is_common]
    assert any("who owns retries when nested retries multiply" in text for text in same)
    assert not any(word in text for text in same for word in ("please", "now"))


def test_what_was_the_same_word_for_word_is_said(engine: Engine) -> None:
    book = journal(engine)
    book.append("run_started", {"question": "q", "settings": {}, "warnings": []}, model="m", crew="c")
    for _ in range(5):
        content = {"arguments": {"query": "who owns retries"}, "result": "nobody knows, as far as these books say"}
        seq = book.append("tool_call", content, agent="a", tool="ask").seq
    loop = {"rule": "repeat", "level": "stop", "agent": "a", "first_step": 2, "last_step": seq, "times": 5}
    book.append("loop", {"evidence": "a has called ask 5 times (steps 2, 3, 4, 5, 6)"}, **loop)
    (stop,) = repetitions(engine, fold(engine, book.run))
    assert [column.seq for column in stop.columns] == [2, 3, 4, 5, 6]
    assert stop.same == ["the same arguments", "the same result"]
    assert all(same for column in stop.columns for text, same in column.said if any(map(str.isalnum, text)))


def test_marking_a_text_loses_nothing_of_it() -> None:
    text = "  Söme, words — again! and (again) <b> "
    for common in (set[str](), {"again"}, {"söme", "words", "again", "and", "b"}):
        assert "".join(part for part, _ in marked(text, common)) == text
    assert marked("a b c", {"a", "b"}) == [("a b", True), (" c", False)]


def test_a_session_that_nobody_watched_is_watched_on_the_page(engine: Engine) -> None:
    collected(engine, times=6)
    found = repetitions(engine, fold(engine, TRACE))
    assert [one.level for one in found][-1] == "stop"
    assert found[-1].event is None
    assert "lookup" in {column.name for column in found[-1].columns}
    collected(engine, run="f" * 32, times=1)
    assert repetitions(engine, fold(engine, "f" * 32)) == []


def test_a_repetition_whose_texts_were_erased_still_names_its_steps(runs: Recorded, tmp_path: Path) -> None:
    store, folded = runs.copy(tmp_path / "copy.sqlite"), runs.in_circles
    results = {e.digests["result"] for e in folded.events if e.kind == "tool_call"}
    with store.begin() as connection:
        connection.execute(delete(payloads).where(payloads.c.digest.in_(results)))
    stop = repetitions(store, folded)[-1]
    assert len(stop.columns) == 5
    assert all(column.is_erased for column in stop.columns)


# --- sessions of other programs


def test_a_span_that_arrives_before_the_one_around_it_stands_within_it(engine: Engine) -> None:
    collected(engine)
    folded = fold(engine, TRACE)
    assert kinds(folded) == [
        (0, "span", "POST /ask"), (1, "agent", "clerk"),
        (2, "llm", "m"), (2, "tool", "lookup"), (2, "llm", "m"), (2, "tool", "lookup"),
    ]  # fmt: skip
    assert folded.rows[0].tokens == folded.tally.tokens == 30
    rows = rows_json(engine, folded, 0, PIECE)
    assert rows[0]["spent"] == "30 · unpriced"
    assert (rows[0]["s"], rows[0]["e"]) == ("0", str(round(folded.until - folded.started, 4)))


def test_spans_that_name_each_other_as_parents_are_seen_at_the_top(engine: Engine) -> None:
    book = collected(engine)
    ring = {"span_kind": "span", "start": 1.0, "seconds": 1.0}
    book.append("span", {}, name="one", span="1" * 16, parent="2" * 16, **ring)
    book.append("span", {}, name="two", span="2" * 16, parent="1" * 16, **ring)
    book.append("span", {}, name="own", span="3" * 16, parent="3" * 16, **ring)
    folded = fold(engine, TRACE)
    assert sorted(row.span.name for row in folded.rows if row.depth == 0) == ["POST /ask", "one", "own", "two"]
    assert len(folded.rows) == len(folded.tree.spans)


def test_a_collected_session_has_a_head_and_steps_like_any_other(engine: Engine) -> None:
    collected(engine)
    folded = fold(engine, TRACE)
    context = page_context(engine, folded)
    assert context["head"].question == "Where is order 7?"
    assert context["head"].origin == "otlp"
    assert context["head"].host == "box"
    labels = [block["label"] for block in context["steps"][1]["blocks"]]
    assert labels == ["Prompt", "Answer", "Attributes"]


# --- sessions that ended badly


def test_a_lost_session_ends_with_its_last_event(engine: Engine) -> None:
    book = long_run(engine, 3)
    folded = fold(engine, book.run)
    context = page_context(engine, folded, folded.until + 5000)
    assert context["head"].state == "lost"
    assert context["rows"][0]["took"] == "no end"
    assert context["ticks"][-1] == (100.0, seconds(folded.until - folded.started))
    assert page_data(engine, folded, context, folded.until + 5000)["total"] == pytest.approx(total_of(folded), abs=1e-3)


@pytest.mark.parametrize(("outcome", "tone"), [("limited", "warn"), ("rejected", "warn"), ("failed", "bad")])
def test_rows_carry_the_word_of_the_outcome(engine: Engine, outcome: str, tone: str) -> None:
    book = long_run(engine, 1)
    book.append("loop", {"evidence": "x"}, rule="repeat", level="nudge", agent="a", first_step=3, last_step=3, times=1)
    book.append("loop", {"evidence": "x"}, rule="repeat", level="stop", agent="a", first_step=3, last_step=3, times=1)
    book.append("run_ended", {"reason": "so"}, outcome=outcome, seconds=1.0, tokens=0, usd=0.0)
    rows = rows_json(engine, fold(engine, book.run), 0, PIECE)
    chips = [(row["kind"], row["chip"]) for row in rows]
    assert chips == [
        ("session", outcome), ("workflow", outcome), ("task", outcome), ("agent", outcome), ("tool", ""),
        ("loop", "nudged"), ("loop", "stopped"),
    ]  # fmt: skip
    assert rows[0]["tone"] == tone
    assert rows[-1]["tone"] == "bad"


@pytest.mark.parametrize("facts", ["{not", "[]", '"a"', '{"seconds": "soon"}', "{}, {}", '{"a": 1}], ['])
def test_what_cannot_be_read_ends_the_session_there(engine: Engine, facts: str) -> None:
    book = long_run(engine, 5)
    with engine.begin() as connection:
        connection.execute(update(events).where(events.c.run == book.run, events.c.seq == 4).values(facts=facts))
    folded = fold(engine, book.run)
    assert (folded.last, folded.unreadable) == (3, 4)
    context = page_context(engine, folded)
    assert context["unreadable"] == 4
    assert context["broken"].startswith(("event 4", "event 1"))


def test_a_run_that_was_written_anew_is_folded_anew(engine: Engine) -> None:
    book, sessions = long_run(engine, 5), Sessions(engine)
    before = sessions.get(book.run)
    assert sessions.get(book.run) is before
    with engine.begin() as connection:
        for table in (events, listed):
            connection.execute(delete(table).where(table.c.run == book.run))
    long_run(engine, 5, book.run)
    after = sessions.get(book.run)
    assert after is not None
    assert after is not before
    assert after.events[-1].hash == fold(engine, book.run).events[-1].hash


# --- any journal


@pytest.mark.parametrize("kind", [*KINDS, "something_else"])
def test_an_event_with_nothing_in_it_is_shown_all_the_same(kind: str) -> None:
    step = step_json(Event("r", 1, 5.0, kind, {}), started=0.0)
    assert step["label"]
    assert step["blocks"] == []
    assert json.dumps(step)


def test_pieces_of_the_waterfall_and_of_the_steps_leave_nothing_out(engine: Engine) -> None:
    book = long_run(engine, 450)
    folded = fold(engine, book.run)
    rows = [row for start in range(0, len(folded.rows), PIECE) for row in rows_json(engine, folded, start, PIECE)]
    assert [row["i"] for row in rows] == list(range(len(folded.rows)))
    steps = [step for start in range(0, 600, PIECE) for step in steps_json(engine, folded, start, PIECE)]
    assert [step["seq"] for step in steps] == [event.seq for event in read_events(engine, book.run)]
    assert [step["meters"][0][1] for step in steps][-1] == "450 of 450"
    assert rows[steps[-1]["row"]]["step"] == steps[-1]["seq"]


def test_half_a_character_in_a_name_does_not_break_the_page(engine: Engine) -> None:
    book = long_run(engine, 0)
    book.append("check", {"faults": "\ud800"}, agent="a", task="t", check="\ud83d", passed=False)
    folded = fold(engine, book.run)
    context = page_context(engine, folded)
    assert context["rows"][-1]["name"].encode()
    assert context["steps"][-1]["blocks"][0]["items"][0]["text"].encode()


def test_data_in_a_script_element_cannot_end_it(engine: Engine) -> None:
    book = hostile(engine)
    folded = fold(engine, book.run)
    context = page_context(engine, folded)
    text = for_script({"steps": context["steps"], "odd": "\u2028</script><!--"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text)["odd"] == "\u2028</script><!--"


@pytest.mark.parametrize(
    ("text", "found", "problem"),
    [
        ("Before. One  fault\nmakes 27. After.", "One  fault\nmakes 27.", ""),
        ("Something else.", "", ELSEWHERE),
        ("", "", ABSENT),
    ],
)
def test_a_quote_is_found_whatever_white_space_it_has(text: str, found: str, problem: str) -> None:
    cited = place(Source(1, "a.md#1", "a.md", "One fault makes 27."), text, 3)
    assert (cited.found, cited.problem) == (found, problem)
    assert not problem or cited.quote == "One fault makes 27."


def test_only_numbers_of_citations_become_links() -> None:
    assert stretches("a [1] b [2][9] c", {1, 9}) == [("a ", 0), ("1", 1), (" b [2]", 0), ("9", 9), (" c", 0)]


def test_a_prompt_in_another_shape_is_shown_as_it_is() -> None:
    assert read_prompt("plain text") is None
    assert read_prompt('{"messages": []}') is None
    assert (read_prompt('{"messages": "hello"}') or None).items[0]["text"] == "hello"  # type: ignore[union-attr]
    parts = message_item({"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image", "url": "u"}]})
    assert parts["text"].startswith("look\n\n{")
    call = {"function": {"name": "f", "arguments": '{"a": 1}'}}
    assert answer_items(json.dumps([call]))[0] == {
        "head": "calls f", "text": '{\n  "a": 1\n}', "note": "", "form": "code",
    }  # fmt: skip
    assert answer_items("[1, 2]")[0]["form"] == "code"


def test_the_shortest_bar_can_be_seen_and_none_leaves_the_picture() -> None:
    assert bar(0, 0, 100) == (0, 0.6)
    assert bar(100, 100, 100) == (99.4, 0.6)
    assert bar(0, 100, 100) == (0, 100)
    assert bar(5, 1, 0) == (99.4, 0.6)


def test_an_event_that_is_missing_is_no_step(engine: Engine) -> None:
    book = long_run(engine, 1)
    assert one_step(engine, fold(engine, book.run), 99) is None
