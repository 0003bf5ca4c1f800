"""Verifies the chain of a run: nothing changed, nothing missing, nothing put in, content as its digest says."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Engine, select

from pilotage.record.journal import COUNTS, GENESIS, digest, listed, read_events
from pilotage.record.store import runs
from pilotage.record.tally import Tally


@dataclass(frozen=True)
class Audit:
    """`ok`, or the first broken event and why. `erased` counts contents that were removed on purpose."""

    run: str
    ok: bool
    events: int
    seal: str
    broken: int | None = None
    reason: str = ""
    erased: int = 0


def audit(engine: Engine, run: str, seal: str | None = None) -> Audit:
    """Walk the chain of `run`; with `seal` (from result.json) also prove that its end is the one that was sealed."""
    previous, count, erased, last_kind = GENESIS, 0, 0, ""
    says: dict[str, object] = {}
    tally = Tally()

    def broken(seq: int, reason: str) -> Audit:
        return Audit(run, False, count, previous, seq, reason, erased)

    try:
        for event in read_events(engine, run):
            count += 1
            if event.seq != count:
                return broken(count, f"event {count} is missing")
            if event.previous != previous:
                return broken(event.seq, "it does not follow the event before it")
            if event.compute_hash() != event.hash:
                return broken(event.seq, "its facts do not match its hash")
            for name, text in event.content.items():
                if text is None:
                    erased += 1
                elif digest(text) != event.digests[name]:
                    return broken(event.seq, f'its content "{name}" does not match its digest')
            previous, last_kind = event.hash, event.kind
            tally.add(event)
            says |= listed(event, tally)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        return broken(count + 1, f"it cannot be read ({error})")
    with engine.connect() as connection:
        row = connection.execute(select(runs).where(runs.c.run == run)).mappings().first()
    if not count and row is None:
        return broken(1, "it is not there")
    if seal and seal != previous:
        return broken(count, "the chain does not end with the seal in result.json")
    is_own = row is not None and row["origin"] == "run"
    if row and row["seal"] and (row["seal"] != previous or (is_own and last_kind != "run_ended")):
        return broken(count, "the end of the chain is missing")
    if row and row["tally"] is None:  # listed by a version that did not count
        says = {name: value for name, value in says.items() if row[name] is not None and name not in COUNTS}
    said = {name: value for name, value in says.items() if value is not None}
    if row and (wrong := [name for name, value in said.items() if not _is_same(name, row[name], value)]):
        return broken(count, f"the list of runs says something else ({', '.join(wrong)})")
    return Audit(run, True, count, previous, erased=erased)


def _is_same(name: str, listed_as: object, value: object) -> bool:
    """Whether the list says so; a tally of a version that counted less lacks fields, which are their defaults."""
    if name != "tally" or listed_as == value:
        return listed_as == value
    try:
        return Tally.from_text(str(listed_as)) == Tally.from_text(str(value))
    except (ValueError, TypeError, AttributeError):
        return False
