"""The audit names the first broken event, whatever was done to the journal; erased content keeps the chain whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, update

from pilotage.record.audit import Audit, audit
from pilotage.record.journal import Journal, canonical, digest, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import events, open_store, payloads, runs
from pilotage.record.tally import Tally

RUN = "20260101-000000-abcdef"
LAST = 7


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    """A run of seven events beside another run."""
    engine = open_store(tmp_path / "journal.sqlite")
    write(engine, "20250101-000000-000000")
    write(engine, RUN)
    yield engine
    engine.dispose()


def write(engine: Engine, run: str) -> str:
    journal = Journal(engine, Redactor({}), run)
    journal.append("run_started", {"question": "Why?"}, model="reader")
    for n in range(2, LAST):
        journal.append("note", {"text": f"content {n} of {run}", "same": "shared"}, n=n)
    journal.append("run_ended", {"reason": "done"}, outcome="accepted", seconds=1.0, tokens=0, usd=0.0)
    return journal.seal


def seal(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(events.c.hash).where(at(LAST))).scalar_one())


def at(seq: int) -> Any:
    return (events.c.run == RUN) & (events.c.seq == seq)


def run_sql(engine: Engine, *statements: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def row(engine: Engine, seq: int) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(select(events).where(at(seq))).mappings().one())


def content_of(engine: Engine, seq: int, name: str = "text") -> Any:
    event = next(e for e in read_events(engine, RUN) if e.seq == seq)
    return payloads.c.digest == event.digests[name]


def swap(engine: Engine, one: int, two: int) -> None:
    run_sql(
        engine,
        update(events).where(at(one)).values(seq=99),
        update(events).where(at(two)).values(seq=one),
        update(events).where(at(99)).values(seq=two),
    )


def put_in(engine: Engine, seq: int) -> None:
    """A well-made event in between: everything after it moves up by one."""
    before = next(e for e in read_events(engine, RUN) if e.seq == seq - 1)
    for moved in range(LAST, seq - 1, -1):
        run_sql(engine, update(events).where(at(moved)).values(seq=moved + 1))
    forged = dataclasses.replace(before, seq=seq, facts={"n": 0}, previous=before.hash)
    forged = dataclasses.replace(forged, hash=forged.compute_hash())
    run_sql(engine, insert(events).values(**stored(forged)))


def stored(event: Any) -> dict[str, Any]:
    return {
        "run": event.run, "seq": event.seq, "at": event.at, "kind": event.kind, "facts": canonical(event.facts),
        "content": canonical(event.digests), "previous": event.previous, "hash": event.hash,
    }  # fmt: skip


def rehash(engine: Engine, seq: int, facts: dict[str, Any]) -> None:
    """Change an event's facts and make its own hash fit again."""
    event = next(e for e in read_events(engine, RUN) if e.seq == seq)
    event = dataclasses.replace(event, facts=facts)
    event = dataclasses.replace(event, hash=event.compute_hash())
    run_sql(engine, update(events).where(at(seq)).values(**stored(event)))


def drop_middle(engine: Engine, seq: int) -> None:
    run_sql(engine, delete(events).where(at(seq)))


def close_gap(engine: Engine, seq: int) -> None:
    drop_middle(engine, seq)
    for moved in range(seq + 1, LAST + 1):
        run_sql(engine, update(events).where(at(moved)).values(seq=moved - 1))


Attack = Callable[[Engine], None]
ATTACKS: dict[str, tuple[Attack, int, str]] = {
    "facts changed": (
        lambda e: run_sql(e, update(events).where(at(3)).values(facts='{"n":4}')), 3, "facts do not match its hash",
    ),
    "facts emptied": (lambda e: run_sql(e, update(events).where(at(3)).values(facts="{}")), 3, "facts do not match"),
    "facts no longer JSON": (lambda e: run_sql(e, update(events).where(at(3)).values(facts="{")), 3, "cannot be read"),
    "facts a list": (lambda e: run_sql(e, update(events).where(at(3)).values(facts="[]")), 3, "do not match its hash"),
    "kind changed": (lambda e: run_sql(e, update(events).where(at(5)).values(kind="x")), 5, "do not match its hash"),
    "time changed": (lambda e: run_sql(e, update(events).where(at(2)).values(at=1.0)), 2, "do not match its hash"),
    "content pointed elsewhere": (
        lambda e: run_sql(e, update(events).where(at(4)).values(content=row(e, 3)["content"])), 4, "do not match",
    ),
    "content dropped from the event": (
        lambda e: run_sql(e, update(events).where(at(4)).values(content="{}")), 4, "do not match its hash",
    ),
    "payload changed": (
        lambda e: run_sql(e, update(payloads).where(content_of(e, 4)).values(body=b"content 9")), 4,
        'content "text" does not match its digest',
    ),
    "payload no longer text": (
        lambda e: run_sql(e, update(payloads).where(content_of(e, 4)).values(body=b"\xff\xfe")), 4, "cannot be read",
    ),
    "payload emptied": (
        lambda e: run_sql(e, update(payloads).where(content_of(e, 4)).values(body=b"")), 4, "does not match its digest",
    ),
    "hash changed": (
        lambda e: run_sql(e, update(events).where(at(6)).values(hash="0" * 64)), 6, "do not match its hash",
    ),
    "first event deleted": (lambda e: drop_middle(e, 1), 1, "event 1 is missing"),
    "event deleted": (lambda e: drop_middle(e, 4), 4, "event 4 is missing"),
    "event deleted and the gap closed": (lambda e: close_gap(e, 4), 4, "does not follow the event before it"),
    "two events swapped": (lambda e: swap(e, 3, 4), 3, "does not follow the event before it"),
    "event put in": (lambda e: put_in(e, 4), 5, "does not follow the event before it"),
    "event appended": (
        lambda e: run_sql(e, insert(events).values(**{**row(e, LAST), "seq": LAST + 1})), LAST + 1, "does not follow",
    ),
    "event rewritten with a fitting hash": (lambda e: rehash(e, 3, {"n": 99}), 4, "does not follow the event before"),
    "last event deleted": (lambda e: drop_middle(e, LAST), LAST - 1, "the end of the chain is missing"),
    "tail cut": (
        lambda e: run_sql(e, delete(events).where((events.c.run == RUN) & (events.c.seq > 4))), 4, "end of the chain",
    ),
    "all events deleted": (lambda e: run_sql(e, delete(events).where(events.c.run == RUN)), 0, "end of the chain"),
    "last event rewritten with a fitting hash": (
        lambda e: rehash(e, LAST, {"outcome": "rejected"}), LAST, "end of the chain is missing",
    ),
}  # fmt: skip


def test_a_chain_that_nobody_touched_is_whole(store: Engine) -> None:
    assert audit(store, RUN, seal(store)) == Audit(RUN, True, LAST, seal(store))


@pytest.mark.parametrize("name", ATTACKS)
def test_the_first_broken_event_is_named(store: Engine, name: str) -> None:
    attack, first, reason = ATTACKS[name]
    attack(store)
    report = audit(store, RUN)
    assert not report.ok
    assert report.broken == first, report
    assert reason in report.reason


@pytest.mark.parametrize("name", ATTACKS)
def test_the_other_run_stays_whole(store: Engine, name: str) -> None:
    ATTACKS[name][0](store)
    report = audit(store, "20250101-000000-000000")
    assert report.ok, report


def test_a_chain_rewritten_from_the_start_does_not_end_with_its_seal(store: Engine) -> None:
    """Whoever can write the store can make a new chain that fits; the seal outside of it tells."""
    true = seal(store)
    run_sql(store, delete(events).where(events.c.run == RUN), delete(runs).where(runs.c.run == RUN))
    forged = write(store, RUN)
    assert audit(store, RUN).ok
    report = audit(store, RUN, true)
    assert (report.ok, report.broken, report.seal) == (False, LAST, forged)
    assert "seal" in report.reason


def test_a_wrong_seal_is_named(store: Engine) -> None:
    report = audit(store, RUN, "0" * 64)
    assert not report.ok
    assert "does not end with the seal" in report.reason


def test_a_tail_cut_together_with_the_list_of_runs_shows_by_its_seal(store: Engine) -> None:
    true = seal(store)
    run_sql(
        store,
        delete(events).where(at(LAST)),
        update(runs).where(runs.c.run == RUN).values(outcome=None, seal=None),
    )
    assert not audit(store, RUN, true).ok


def test_a_run_that_was_killed_is_whole_as_far_as_it_goes(store: Engine) -> None:
    journal = Journal(store, Redactor({}), "20260102-000000-killed")
    journal.append("run_started", {"question": "Why?"}, model="reader")
    journal.append("note")
    report = audit(store, journal.run)
    assert (report.ok, report.events) == (True, 2)


def test_erased_content_keeps_the_chain_whole_and_is_counted(store: Engine) -> None:
    true = seal(store)
    run_sql(store, delete(payloads).where(content_of(store, 3)), delete(payloads).where(content_of(store, 4)))
    report = audit(store, RUN, true)
    assert (report.ok, report.erased, report.events) == (True, 2, LAST)
    assert [e.content["text"] for e in read_events(store, RUN) if e.seq in (3, 4)] == [None, None]


def test_content_erased_once_is_gone_for_every_run_that_shares_it(store: Engine) -> None:
    run_sql(store, delete(payloads).where(payloads.c.digest == digest("shared")))
    assert [audit(store, run).erased for run in (RUN, "20250101-000000-000000")] == [LAST - 2, LAST - 2]


def test_erased_content_cannot_come_back_changed(store: Engine) -> None:
    wanted = content_of(store, 3)
    with store.connect() as connection:
        name = connection.execute(select(payloads.c.digest).where(wanted)).scalar_one()
    run_sql(store, delete(payloads).where(wanted), insert(payloads).values(digest=name, body=b"other"))
    assert audit(store, RUN).broken == 3


def test_a_run_that_is_not_there_is_not_whole(store: Engine) -> None:
    assert not audit(store, "20990101-000000-ffffff").ok


@pytest.mark.parametrize("column", ["outcome", "question", "usd"])
def test_a_changed_row_in_the_list_of_runs_is_named(store: Engine, column: str) -> None:
    value: Any = 0.5 if column == "usd" else "rejected"
    run_sql(store, update(runs).where(runs.c.run == RUN).values({column: value}))
    assert not audit(store, RUN).ok


def test_a_tally_of_a_version_that_counted_less_is_no_breach(store: Engine) -> None:
    journal = Journal(store, Redactor({}), "20260202-000000-abcdef")
    journal.append("run_started", {"question": "Why?"}, model="m")
    journal.append("model_call", {}, agent="ann", task="t", model="m", prompt_tokens=7, completion_tokens=2, usd=0.1)
    journal.append("run_ended", {"reason": "done"}, outcome="accepted", seconds=1.0, tokens=9, usd=0.1)
    new = ("reasoning", "written", "served", "saved_usd", "saved_unpriced", "booked")
    tally = json.loads(Tally.from_text(stored_tally(store, journal.run)).as_text())
    for part in (tally, *(use for group in ("agents", "models", "tasks") for use in tally[group].values())):
        for name in new:
            part.pop(name, None)
    for text, is_ok in ((tally, True), (tally | {"tokens": 8}, False), ("no tally", False)):
        run_sql(store, update(runs).where(runs.c.run == journal.run).values(tally=json.dumps(text)))
        assert audit(store, journal.run).ok is is_ok


def stored_tally(engine: Engine, run: str) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(runs.c.tally).where(runs.c.run == run)).scalar_one())
