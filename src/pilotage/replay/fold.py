"""A recorded session folded without its texts: its events, sums and waterfall. It grows as the run does.

Texts are read for what is looked at, by `with_texts`. A session of 20,000 events folds in well under a second and is
kept while it is looked at and the store still says what was read. An event that cannot be read ends what is shown.
What is not covered: several processes sharing what is folded; each has its own.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from pilotage.record.journal import Event
from pilotage.record.store import events, payloads, runs
from pilotage.record.tally import Tally
from pilotage.record.tree import Span, Tree
from pilotage.replay.waterfall import Row, arrange

CHUNK = 500  # digests in one question to the store
KEPT = 100_000  # events of sessions that are kept folded
ENDS = ("run_ended", "session_ended")
FIGURES = {  # facts that are counted with
    "seconds", "start", "prompt_tokens", "completion_tokens", "cached_tokens", "attempt", "tokens", "model_calls",
    "tool_calls", "first_step", "last_step", "times",
}  # fmt: skip
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)  # what a record raises that was tampered with


class Mark(NamedTuple):
    """What the run had used when an event was written."""

    model_calls: int
    tool_calls: int
    tokens: int
    usd: float


@dataclass(frozen=True)
class Ending:
    """The last word of a session so far: its end, when there is one."""

    outcome: str | None
    event: Event | None


class Folded:
    """One session as far as it was read. `rows` is its waterfall, outer spans before what lies in them."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.unreadable: int | None = None  # the number of the event at which reading stopped
        self.events: list[Event] = []
        self.marks: list[Mark] = []
        self.tally, self.tree = Tally(), Tree()
        self.rows: list[Row] = []
        self.row_of: dict[int, int] = {}
        self.call_before: dict[int, int] = {}  # model call -> the one before it of the same agent at the same task
        self._place: dict[int, int] = {}
        self._last_call: dict[tuple[str, str], int] = {}
        self._changed: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        return self.events[-1].seq if self.events else 0

    @property
    def started(self) -> float:
        """Seconds since 1970; spans of other programs begin before they arrive."""
        first = self.events[0].at if self.events else 0.0
        own = bool(self.events) and self.events[0].facts.get("origin") != "otlp"
        return first if own else min((row.span.start for row in self.rows), default=first)

    @property
    def until(self) -> float:
        """When the last of it was over, as far as is known."""
        latest = max((row.span.end or row.span.start for row in self.rows), default=self.started)
        is_own = not self.is_foreign
        return max(latest, self.events[-1].at) if is_own and self.events else latest

    @property
    def is_foreign(self) -> bool:
        return bool(self.events) and self.events[0].facts.get("origin") == "otlp"

    @property
    def ending(self) -> Ending:
        found = next((event for event in reversed(self.events) if event.kind in ENDS), None)
        return Ending(str(found.facts.get("outcome") or "ended") if found else None, found)

    def event(self, seq: int) -> Event | None:
        place = self._place.get(seq)
        return None if place is None else self.events[place]

    def mark(self, seq: int) -> Mark:
        return self.marks[self._place[seq]]

    def advance(self, engine: Engine) -> bool:
        """Read what was written since; whether there was anything."""
        if self.unreadable is not None:
            return False
        with self._lock:
            before = self.last
            try:
                for event in _facts_of(engine, self.run, before):
                    self._add(event)
            except UNREADABLE:
                self.unreadable = self.last + 1
            if self.last > before:
                self._arrange()
            return self.last > before

    def is_current(self, engine: Engine) -> bool:
        """Whether the store still holds as many events, the last of them the same: a run may have been written anew."""
        with self._lock:
            known = (len(self.events), self.events[-1].hash if self.events else None)
            here = (events.c.run == self.run) & (events.c.seq <= self.last)
            wanted = select(func.count(), func.max(events.c.hash).filter(events.c.seq == self.last)).where(here)
        with engine.connect() as connection:
            return tuple(connection.execute(wanted).one()) == known

    def changes(self, after: int) -> list[Row]:
        """The rows that were opened or closed by events behind number `after`."""
        return [row for row in self.rows if row.changed > after]

    def _add(self, event: Event) -> None:
        for name in FIGURES & event.facts.keys():
            if not isinstance(event.facts[name], int | float):
                raise TypeError(f"event {event.seq} has a figure that is none")
        self.tally.add(event)
        change = self.tree.add(event)
        self._place[event.seq] = len(self.events)
        for span in (*change.opened, *change.closed):
            self._changed[id(span)] = event.seq
        self.events.append(event)
        self.marks.append(Mark(self.tally.model_calls, self.tally.tool_calls, self.tally.tokens, self.tally.usd))
        if event.kind == "model_call":
            who = (str(event.facts.get("agent", "")), str(event.facts.get("task", "")))
            if who in self._last_call:
                self.call_before[event.seq] = self._last_call[who]
            self._last_call[who] = event.seq

    def _arrange(self) -> None:
        rows = arrange(self.tree.spans, self._changed)
        self.rows, self.row_of = rows, places(row.span for row in rows)


def _facts_of(engine: Engine, run: str, after: int) -> Iterator[Event]:
    """The events of a run behind number `after` without their texts; many at once are read as one JSON document."""
    names = ("seq", "at", "kind", "facts", "content", "previous", "hash")
    wanted = (
        select(*(events.c[name] for name in names))
        .where(events.c.run == run, events.c.seq > after)
        .order_by(events.c.seq)
    )
    with engine.connect() as connection:
        rows = connection.execute(wanted).all()
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        for (seq, at, kind, text, _, previous, hash_), (facts, digests) in zip(chunk, _read(chunk), strict=False):
            if not (isinstance(facts, dict) and isinstance(digests, dict) and isinstance(at, int | float)):
                raise TypeError(f"event {seq} is no event")
            event = Event(run, seq, at, kind, facts, {}, digests, previous, hash_)
            yield event if text.isascii() and "\\u" not in text else showable(event)


def _read(chunk: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    """Facts and digests of each row; one after the other when they cannot be read together."""
    try:
        read = json.loads(f"[{','.join(f'{row.facts},{row.content}' for row in chunk)}]")
        if len(read) == 2 * len(chunk):
            return zip(read[::2], read[1::2], strict=True)
    except ValueError:
        pass
    return ((json.loads(row.facts), json.loads(row.content)) for row in chunk)


def showable(event: Event) -> Event:
    """The event with facts that a page can hold: half a character, which a model may have written, is replaced."""
    facts = {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in event.facts.items()
    }
    return replace(event, facts=facts)


def places(spans: Iterable[Span]) -> dict[int, int]:
    """The row that each event belongs to: the span it made, else the one it ended, else the one it lies on."""
    made: dict[int, int] = {}
    ended: dict[int, int] = {}
    on: dict[int, int] = {}
    for number, span in enumerate(spans):
        if span.event is not None:
            made.setdefault(span.event.seq, number)
        if span.ended_by is not None:
            ended.setdefault(span.ended_by.seq, number)
        for note in span.notes:
            on.setdefault(note.seq, number)
    return {**on, **ended, **made}


class Sessions:
    """The sessions that were looked at lately, folded. The oldest go when there are more than KEPT events in all."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._kept: OrderedDict[str, Folded] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run: str) -> Folded | None:
        """The session as it stands now; None when there is no such run."""
        with self._lock:
            kept = self._kept.get(run)
        is_kept = kept is not None and kept.unreadable is None and kept.is_current(self.engine)
        with self._lock:
            folded = kept if is_kept and kept else Folded(run)
            self._kept[run] = folded
            self._kept.move_to_end(run)
        folded.advance(self.engine)
        with self._lock:
            while len(self._kept) > 1 and sum(len(kept.events) for kept in self._kept.values()) > KEPT:
                self._kept.popitem(last=False)
            if not folded.events:
                self._kept.pop(run, None)
        return folded if folded.events or folded.unreadable else None


def fold(engine: Engine, run: str) -> Folded:
    """A session folded once."""
    folded = Folded(run)
    folded.advance(engine)
    return folded


def with_texts(engine: Engine, events: Sequence[Event], names: Sequence[str] | None = None) -> list[Event]:
    """The events with their texts, or only those called `names`; a text that was erased is None."""
    wanted = {digest for event in events for name, digest in event.digests.items() if names is None or name in names}
    bodies = _bodies(engine, sorted(wanted))
    return [
        replace(
            event,
            content={name: bodies.get(d) for name, d in event.digests.items() if names is None or name in names},
        )
        for event in events
    ]


def _bodies(engine: Engine, digests: Sequence[str]) -> dict[str, str]:
    """What a page cannot show, half a character, is replaced."""
    found: dict[str, str] = {}
    with engine.connect() as connection:
        for start in range(0, len(digests), CHUNK):
            chunk = select(payloads).where(payloads.c.digest.in_(digests[start : start + CHUNK]))
            found |= {row.digest: bytes(row.body).decode("utf-8", "replace") for row in connection.execute(chunk)}
    return found


def listed_row(engine: Engine, run: str) -> dict[str, Any]:
    """What the list of runs says of one run."""
    with engine.connect() as connection:
        row = connection.execute(select(runs).where(runs.c.run == run)).mappings().first()
    return dict(row) if row else {}
