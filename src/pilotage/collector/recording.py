"""Drafts of many sessions become events in their chains, in one transaction of the store.

The head of a chain is read within the transaction, so that several collectors may write to one store. What has grown
out of a chain (its tally, its family of spans) is kept between transactions for as long as nobody else has written.
What is not covered: chains of our own runs, which have one writer, their journal; their spans are acknowledged only.
"""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from pilotage.collector.chains import Chain, Result, Rows, extend
from pilotage.collector.drafts import Draft
from pilotage.errors import StoreError
from pilotage.record.journal import GENESIS, Event, listed
from pilotage.record.store import identity
from pilotage.record.tally import Tally

KEPT, KEPT_SPANS = 1_000, 500_000  # sessions whose tally and family are kept, and the spans in them
OWN = "run"  # the origin of our own runs

HEAD = "SELECT seq, hash FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1"
ROW = "SELECT origin, tally, until, host FROM runs WHERE run = ?"
FACTS = "SELECT kind, facts FROM events WHERE run = ? AND seq <= ? ORDER BY seq"
ADD_EVENTS = "INSERT INTO events (run, seq, at, kind, facts, content, previous, hash)"
ADD_PAYLOADS = "INSERT OR IGNORE INTO payloads (digest, body)"
ADD_SPANS = "INSERT INTO spans (run, span)"
ADD_FACETS = "INSERT OR IGNORE INTO facets (run, name, value)"
AT_ONCE = (128, 16, 1)  # rows of one statement: the driver waits for Python's lock after each statement
CACHE, CHECKPOINT = 64 * 1024 * 1024, 8_000  # bytes of pages in memory; pages of the WAL before they are moved
CHUNK = 500  # parameters of one question


class Recorder:
    """Writes drafts into the store. Not safe from several threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    def record(self, requests: Sequence[Sequence[Draft]]) -> tuple[list[Result], list[Event]]:
        """One transaction for all of these requests; what became of each, and the events. Raises DBAPIError."""
        try:
            with self.engine.begin() as connection:
                _prepare(connection)
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                _check_file(connection)
                results, made = self._record(connection, requests)
        except BaseException:
            self._chains.clear()  # they may be ahead of the store
            raise
        self._forget()
        return results, made

    def _forget(self) -> None:
        """Keep what was written last, within bounds."""
        spans = sum(len(chain.family.parents) for chain in self._chains.values())
        while len(self._chains) > KEPT or (spans > KEPT_SPANS and len(self._chains) > 1):
            _, chain = self._chains.popitem(last=False)
            spans -= len(chain.family.parents)

    def _record(
        self, connection: Connection, requests: Sequence[Sequence[Draft]]
    ) -> tuple[list[Result], list[Event]]:  # fmt: skip
        by_run = [_by_run(drafts) for drafts in requests]
        chains = {run: self._chain(connection, run) for drafts in by_run for run in drafts}
        known, own = _known(connection, chains, by_run), _own_runs(connection, requests)
        rows, results = Rows(), []
        for of_request in by_run:
            result = Result()
            for run, drafts in of_request.items():
                new = [draft for draft in drafts if draft.own not in own and _is_new(draft, known)]
                if new and chains[run].origin != OWN:
                    extend(chains[run], new, rows, result)
            results.append(result)
        _write(connection, rows, chains)
        return results, rows.made

    def _chain(self, connection: Connection, run: str) -> Chain:
        """The chain as the store has it now: the one that was kept when nobody has written since."""
        seq, last = connection.exec_driver_sql(HEAD, (run,)).one_or_none() or (0, GENESIS)
        kept = self._chains.get(run)
        if kept is None or kept.hash != last:
            kept = self._chains[run] = _load(connection, run, seq, last)
        self._chains.move_to_end(run)
        kept.row = {}
        return kept


def _prepare(connection: Connection) -> None:
    """Room for the pages of many sessions, once for each connection: they are written in no order."""
    if not connection.info.get("collects"):
        connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE // 1024}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        connection.info["collects"] = True


def _load(connection: Connection, run: str, seq: int, last: str) -> Chain:
    chain = Chain(run, seq, last)
    row = connection.exec_driver_sql(ROW, (run,)).one_or_none()
    if row is None:
        return chain
    chain.origin, chain.until, chain.host = row.origin, row.until or 0.0, row.host
    if chain.origin != OWN:
        chain.tally = Tally.from_text(row.tally)
        for kind, facts in connection.exec_driver_sql(FACTS, (run, seq)):
            chain.family.remember(kind, json.loads(facts))
    return chain


def _by_run(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    found: dict[str, list[Draft]] = {}
    for draft in drafts:
        found.setdefault(draft.run, []).append(draft)
    return found


def _known(
    connection: Connection, chains: dict[str, Chain], by_run: Sequence[dict[str, list[Draft]]]
) -> set[tuple[str, str]]:  # fmt: skip
    """Those of the spans that are recorded already."""
    found: set[tuple[str, str]] = set()
    for run, chain in chains.items():
        spans = [draft.span for of_request in by_run for draft in of_request.get(run, ())] if chain.seq else []
        for at in range(0, len(spans), CHUNK):
            some = spans[at : at + CHUNK]
            marks = ",".join("?" * len(some))
            rows = connection.exec_driver_sql(
                f"SELECT span FROM spans WHERE run = ? AND span IN ({marks})", (run, *some)
            )
            found |= {(run, span) for (span,) in rows}
    return found


def _own_runs(connection: Connection, requests: Sequence[Sequence[Draft]]) -> set[str]:
    """Those of the runs which the spans are copies of whose own journal is in this store."""
    named = {draft.own for drafts in requests for draft in drafts if draft.own}
    rows = ((name, connection.exec_driver_sql(ROW, (name,)).one_or_none()) for name in named)
    return {name for name, row in rows if row is not None and row.origin == OWN}


def _is_new(draft: Draft, known: set[tuple[str, str]]) -> bool:
    if not draft.span:
        return True
    place = draft.run, draft.span
    is_new = place not in known
    known.add(place)
    return is_new


def _write(connection: Connection, rows: Rows, chains: dict[str, Chain]) -> None:
    if not rows.events:
        return
    _insert(connection, ADD_EVENTS, rows.events)
    payloads = [(name, text.encode("utf-8", "surrogatepass")) for name, text in rows.payloads.items()]
    _insert(connection, ADD_PAYLOADS, payloads)
    _insert(connection, ADD_SPANS, rows.spans)
    _insert(connection, ADD_FACETS, rows.facets)
    last = {event.run: event for event in rows.made}
    for run, event in last.items():
        chain = chains[run]
        row = {**chain.row, **listed(event, chain.tally), "seal": chain.hash, "until": chain.until}
        row["host"] = chain.host
        _list(connection, run, row)


def _insert(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    at = 0
    for size in AT_ONCE:
        if len(rows) - at >= size:
            marks = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * size)
            while len(rows) - at >= size:
                values = tuple(itertools.chain.from_iterable(rows[at : at + size]))
                connection.exec_driver_sql(f"{statement} VALUES {marks}", values)
                at += size


def _list(connection: Connection, run: str, row: dict[str, Any]) -> None:
    """Insert or change the session's row in the list of runs."""
    if "started" in row:
        names = ["run", *row]
        marks = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})", (run, *row.values()))
    else:
        sets = ", ".join(f"{name} = ?" for name in row)
        connection.exec_driver_sql(f"UPDATE runs SET {sets} WHERE run = ?", (*row.values(), run))


def _check_file(connection: Connection) -> None:
    path = str(connection.engine.url.database)
    if connection.info["file"] != identity(path):
        raise StoreError("The store was deleted or replaced while the server ran", hint="start it again")
