"""The family of a run: what it goes on from, what goes on from it, and the tape that all of them make.

A resume goes on from all of its parent, a fork from what stands before one event. A follow-up is a question of its own:
with it a new family begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import select

from pilotage.record.journal import Event, read_events, read_page
from pilotage.record.store import events, runs
from pilotage.tape.tape import Stretch, Tape

if TYPE_CHECKING:
    from sqlalchemy import Engine

RESUME, FORK, FOLLOW_UP = "resume", "fork", "follow-up"
ONE_FAMILY = (RESUME, FORK)


def first_event(engine: Engine, run: str) -> Event | None:
    """Its run_started; None when there is no such run."""
    return next(iter(read_page(engine, run, 0, 1)), None)


def tape_of(engine: Engine, told: list[Event], until: int | None = None) -> Tape:
    """The tape of a run with these events: for a resume, or `until` an event for a fork."""
    run = told[0].run
    line = [] if until is not None else list(_earlier(engine, told[0]))
    known = {run, *(stretch.events[0].run for stretch in line)}
    others = [one for one in family(engine, run) if one not in known and _has_effects(engine, one)]
    kin = [event for other in others for event in read_events(engine, other)]
    return Tape(told, until=until, earlier=line, kin=kin)


def root_of(engine: Engine, run: str) -> str:
    """The first run of its family."""
    seen = [run]
    while (started := first_event(engine, seen[-1])) and started.facts.get("how") in ONE_FAMILY:
        parent = str(started.facts.get("parent", ""))
        if parent in seen or first_event(engine, parent) is None:  # it was taken out of the journal
            break
        seen.append(parent)
    return seen[-1]


def family(engine: Engine, run: str) -> list[str]:
    """The runs that have the same root, the root first."""
    found = [root_of(engine, run)]
    for one in found:  # grows
        found += [child for child, how in children(engine, one) if how in ONE_FAMILY and child not in found]
    return found


def children(engine: Engine, run: str) -> list[tuple[str, str]]:
    """The runs that go on from this one and how, the oldest first."""
    wanted = select(runs.c.run).where(runs.c.parent == run).order_by(runs.c.started, runs.c.run)
    with engine.connect() as connection:
        found = [str(child) for child in connection.execute(wanted).scalars()]
    started = {child: first_event(engine, child) for child in found}
    return [(child, str(event.facts.get("how", ""))) for child, event in started.items() if event]


def _earlier(engine: Engine, started: Event) -> Iterator[Stretch]:
    """What a run had gone on from, as far as its tape reached."""
    seen = {started.run}
    while started.facts.get("how") in ONE_FAMILY and (parent := str(started.facts["parent"])) not in seen:
        told = list(read_events(engine, parent))
        if not told:
            return
        seen.add(parent)
        if started.facts["how"] == FORK:
            yield Stretch(told, started.facts["at_step"])
            return
        yield Stretch(told)
        started = told[0]


def _has_effects(engine: Engine, run: str) -> bool:
    wanted = select(events.c.seq).where(events.c.run == run, events.c.kind == "tool_started").limit(1)
    with engine.connect() as connection:
        return connection.execute(wanted).first() is not None
