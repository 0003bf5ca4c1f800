"""The journal: one append-only, hash-chained list of events per run. Everything else is a view of it.

An event has facts (numbers, names: hashed as they stand) and content (texts: stored once by digest; the chain hashes
the digest, so that content can be erased and the chain still verifies). Secrets are taken out before either.

    hash = sha256(previous hash, run, seq, at, kind, facts, content digests)      before the first event: 64 zeros

A write that is refused (disk full, file locked or gone) is a StoreError; `on_failure` hears it first.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError

from pilotage.errors import ConfigError, StoreError
from pilotage.record.redact import Redactor
from pilotage.record.spending import Held, book
from pilotage.record.store import LOCKED, UNLOCK, WAITS, events, facets, identity, is_locked, payloads, runs, trying
from pilotage.record.tally import Tally, facets_of

GENESIS = "0" * 64
PAGE = 500  # events that are read at once
DIGEST = re.compile("[0-9a-f]{64}")
COUNTS = (  # of the tally, each a column
    "model_calls", "tool_calls", "errors", "loops", "alerts", "tokens", "served", "saved_usd",
)  # fmt: skip
# made once: SQLAlchemy takes longer to build a statement than SQLite to run it
ADD_EVENT, ADD_RUN = insert(events), insert(runs)
CHANGE_RUN = update(runs).where(runs.c.run == bindparam("of_run"))
KEEP_PAYLOAD, KEEP_FACET = (upsert(table).on_conflict_do_nothing() for table in (payloads, facets))
HASH_AT = select(events.c.hash).where(events.c.run == bindparam("run"), events.c.seq == bindparam("seq"))
Listener = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """One event as it was stored. `content` maps names to texts; a text that was erased is None."""

    run: str
    seq: int
    at: float
    kind: str
    facts: dict[str, Any]
    content: dict[str, str | None] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    previous: str = GENESIS
    hash: str = ""

    def compute_hash(self) -> str:
        body = canonical([self.previous, self.run, self.seq, self.at, self.kind, self.facts, self.digests])
        return hashlib.sha256(body.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Journal:
    """Writes the events of one run. Safe from several threads of one process; one process per run.

    `until(since)` is when a write gives up that has waited for a lock of another process since then.
    """

    def __init__(self, engine: Engine, redactor: Redactor, run: str | None = None) -> None:
        self.engine, self.redactor = engine, redactor
        self.run = run or new_run_id()
        self._lock = threading.Lock()
        self._seq, self._previous, self._sealed = 0, GENESIS, False
        self._tally, self._counted, self._facets = Tally(), Tally().as_text(), set[tuple[str, str]]()
        self._listeners: list[Listener] = []
        self._locked_since: float | None = None
        self.failure: StoreError | None = None  # the first write that was refused: an event is missing
        self.until: Callable[[float], float] = lambda since: since + WAITS
        self.on_failure: Callable[[StoreError], object] = lambda _error: None

    @property
    def seal(self) -> str:
        """The hash of the last event: whoever knows it can prove what the journal said."""
        return self._previous

    def listen(self, listener: Listener) -> None:
        """Call `listener(event)` after each append, in the writing thread."""
        self._listeners.append(listener)

    def append(self, kind: str, content: dict[str, Any] | None = None, **facts: Any) -> Event:
        """Redact, hash, store; returns the event. `content` values that are not text are stored as JSON."""
        return self._write(kind, content, facts, None)

    def append_call(self, content: dict[str, Any], freed: Held | None, **facts: Any) -> Event:
        """A call of a model. With what it has cost, what the budget of the day held for it is free again."""
        return self._write("model_call", content, facts, freed)

    def _write(self, kind: str, content: dict[str, Any] | None, facts: dict[str, Any], freed: Held | None) -> Event:
        cleaned = self.redactor.tree(content or {})  # before it is JSON, where a secret may stand escaped
        texts = {name: self.redactor.text(as_text(value)) for name, value in cleaned.items()}
        digests = {name: digest(text) for name, text in texts.items()}
        plain = _plain({name: self.redactor.tree(value) for name, value in facts.items()})
        try:
            with self._lock:
                event = self._append(kind, plain, texts, digests, freed)
        except StoreError as error:
            if not self._sealed:
                self.failure = self.failure or error
                self.on_failure(error)
            raise
        for listener in self._listeners:
            listener(event)
        return event

    def _append(
        self, kind: str, facts: dict[str, Any], texts: dict[str, str], digests: dict[str, str], freed: Held | None
    ) -> Event:  # fmt: skip
        if self._sealed:  # a call left behind comes back after the end: it may not touch the sealed chain
            raise StoreError(f"The journal of {self.run} is sealed")
        event = Event(
            self.run, self._seq + 1, round(time.time(), 6), kind, facts, dict(texts), digests, self._previous,
        )  # fmt: skip
        event = Event(**{**event.as_json(), "hash": event.compute_hash()})
        self._tally.add(event)
        try:
            self._store_while_locked(event, texts, freed)
        except BaseException:
            self._tally = Tally.from_text(self._counted)
            raise
        self._counted = self._tally.as_text()
        self._facets.update(facets_of(event))
        self._seq, self._previous, self._locked_since = event.seq, event.hash, None
        self._sealed = kind == "run_ended"
        return event

    def _store_while_locked(self, event: Event, texts: dict[str, str], freed: Held | None) -> None:
        try:
            trying(lambda: self._store(event, texts, freed), self._gives_up)
        except DBAPIError as error:
            if is_locked(error):
                raise StoreError(f"The journal {LOCKED}", hint=UNLOCK) from None
            raise StoreError(f"The journal cannot be written: {error.orig}", hint="check record.store") from None

    def _gives_up(self, since: float) -> float:
        """Several writes that wait for the same lock, one after the other, wait once."""
        self._locked_since = since if self._locked_since is None else self._locked_since
        return self.until(self._locked_since)

    def _store(self, event: Event, texts: dict[str, str], freed: Held | None) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            self._check_place(connection)
            for name, text in texts.items():
                row = {"digest": event.digests[name], "body": text.encode("utf-8", "surrogatepass")}
                connection.execute(KEEP_PAYLOAD, row)
            connection.execute(ADD_EVENT, as_row(event))
            self._list(connection, event)
            book(connection, event.run, event.kind, event.at, event.facts, freed)

    def _list(self, connection: Connection, event: Event) -> None:
        """Keep what is listed about the run in step with its events."""
        row = listed(event, self._tally)
        if event.kind == "run_started":
            connection.execute(ADD_RUN, {"run": event.run, **row})
        else:
            connection.execute(CHANGE_RUN, {"of_run": event.run, **row})
        for name, value in facets_of(event):
            if (name, value) not in self._facets:
                connection.execute(KEEP_FACET, {"run": event.run, "name": name, "value": value})

    def _check_place(self, connection: Connection) -> None:
        """StoreError when what was written so far is not there any more: the rest would go nowhere."""
        if connection.info["file"] != identity(str(self.engine.url.database)):
            raise StoreError("The journal was deleted or replaced while the run went on", hint="run again")
        if self._seq == 0:
            return
        last = connection.execute(HASH_AT, {"run": self.run, "seq": self._seq}).scalar()
        if last != self._previous:
            raise StoreError("The journal has lost what this run wrote", hint="run again")


def as_row(event: Event) -> dict[str, Any]:
    """The event as a row of the table `events`."""
    return {
        "run": event.run, "seq": event.seq, "at": event.at, "kind": event.kind, "facts": canonical(event.facts),
        "content": canonical(event.digests), "previous": event.previous, "hash": event.hash,
    }  # fmt: skip


def listed(event: Event, tally: Tally) -> dict[str, Any]:
    """What the list of runs says of a run after `event`, which `tally` has counted already."""
    facts = event.facts
    row: dict[str, Any] = {name: getattr(tally, name) for name in COUNTS}
    row |= {"usd": tally.cost, "updated": event.at, "tally": tally.as_text()}
    if event.kind == "run_started":
        row |= {"started": event.at, "question": event.content.get("question") or "", "model": facts.get("model", "")}
        row |= {name: facts[name] for name in ("host", "until", "origin", "parent") if name in facts}
    elif event.kind == "run_ended":
        row |= {name: facts.get(name) for name in ("outcome", "seconds", "tokens", "usd")} | {"seal": event.hash}
    elif event.kind == "session_ended":  # of another program: its title is known when its root span is over
        title = event.content.get("title")
        row |= {name: facts.get(name) for name in ("outcome", "seconds")} | ({"question": title} if title else {})
    return row


def read_events(engine: Engine, run: str) -> Iterator[Event]:
    """The events of a run in order, with their content."""
    after, more = 0, True
    while more:
        more = False
        for event in _events(engine, run, after, PAGE, content=True):
            yield event
            after, more = event.seq, True


def read_page(engine: Engine, run: str, after: int = 0, limit: int = PAGE, *, content: bool = True) -> list[Event]:
    """At most `limit` events of a run behind the event number `after`; without `content` the texts are left out."""
    return list(_events(engine, run, after, limit, content=content))


def _events(engine: Engine, run: str, after: int, limit: int, *, content: bool) -> Iterator[Event]:
    wanted = select(events).where(events.c.run == run, events.c.seq > after).order_by(events.c.seq).limit(limit)
    with engine.connect() as connection:
        rows = connection.execute(wanted).all()
        bodies = _payloads(connection, [row.content for row in rows]) if content else {}
    for row in rows:
        digests: dict[str, str] = json.loads(row.content)
        texts = {name: _text(bodies.get(value)) for name, value in digests.items()} if content else {}
        facts = json.loads(row.facts)
        yield Event(row.run, row.seq, row.at, row.kind, facts, texts, digests, row.previous, row.hash)


def list_runs(engine: Engine, limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs first."""
    with engine.connect() as connection:
        rows = connection.execute(select(runs).order_by(runs.c.started.desc(), runs.c.run.desc()).limit(limit))
        return [dict(row) for row in rows.mappings()]


def find_run(engine: Engine, name: str) -> str:
    """The id of the one run that begins with `name`, or of the newest for "last"; else ConfigError."""
    with engine.connect() as connection:
        if name == "last":
            found = connection.execute(select(runs.c.run).order_by(runs.c.started.desc()).limit(1)).scalars().all()
        else:
            matches = select(runs.c.run).where(func.substr(runs.c.run, 1, len(name)) == name).limit(2)
            found = connection.execute(matches).scalars().all()
    if len(found) != 1:
        problem = "Several runs begin" if found else "No run begins"
        raise ConfigError(f'{problem} with "{name}"', hint="`pilotage sessions` lists them; `last` is the newest")
    return str(found[0])


def new_run_id() -> str:
    """Sortable by time and unique: 20261123-084501-3f9a2c."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as JSON gives them back, so that a stored event hashes the same."""
    plain: dict[str, Any] = json.loads(json.dumps({k: v for k, v in facts.items() if v is not None}, default=str))
    return plain


def _payloads(connection: Connection, contents: Sequence[str]) -> dict[str, bytes]:
    """The texts that are still there, by digest; `contents` are the events' own columns."""
    wanted = {digest for content in contents for digest in DIGEST.findall(content)}
    rows = connection.execute(select(payloads).where(payloads.c.digest.in_(wanted)))
    return {row.digest: bytes(row.body) for row in rows}


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "surrogatepass")
