"""Going on from a recorded run: what it asked, its tape, and whether it may be gone on from.

resume   the same question, from where it stopped: what was committed comes from the tape
fork     everything before one event comes from the tape, from there on it is live under today's settings
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pilotage.errors import ConfigError
from pilotage.record.journal import Event, find_run, read_events
from pilotage.record.store import runs
from pilotage.tape.tape import Tape

if TYPE_CHECKING:
    from sqlalchemy import Engine

RESUME, FORK, FOLLOW_UP = "resume", "fork", "follow-up"
OVER = ("accepted", "unanswered", "rejected")  # outcomes that a resumed run would only repeat


@dataclass(frozen=True)
class Again:
    """From where a run goes on. `origin` is the first run of its line; `step` is the event of a fork.

    `repeat` are tools that may do again what they have done, `done` those whose last call the user says was done.
    """

    parent: str
    how: str
    origin: str
    question: str
    urls: tuple[str, ...] = ()
    knowledge: Path | None = None
    tape: Tape | None = field(default=None, repr=False)
    step: int | None = None
    repeat: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    only: bool = False  # a call that is not on the tape ends the run

    @property
    def facts(self) -> dict[str, Any]:
        """What the journal says of it."""
        return {"parent": self.parent, "how": self.how, "origin_run": self.origin, "at_step": self.step}


def resume(
    engine: Engine, name: str, *, repeat: Collection[str] = (), done: Collection[str] = (), force: bool = False
) -> Again:
    """The run of that name, to be gone on with where it stopped. ConfigError when it cannot be, or still goes on."""
    events = _events(engine, name)
    run, started, row = events[0].run, events[0], _row(engine, events[0].run)
    if row["outcome"] in OVER:
        raise ConfigError(
            f"Run {run} has ended as {row['outcome']}: there is nothing to resume",
            hint=f"pilotage fork {run} --at STEP goes another way from one of its steps",
        )
    if row["outcome"] is None and not force and (pid := _alive(started)):
        raise ConfigError(
            f"Run {run} is still going on in process {pid}", hint="wait for its end; --force if that process is another"
        )
    tape = Tape(events)
    _check_keys(run, events, tape)
    _check_effects(run, tape, [*repeat, *done])
    return _again(engine, started, RESUME, tape, repeat=repeat, done=done)


def fork(
    engine: Engine, name: str, at: int, *, question: str | None = None, repeat: Collection[str] = (),
    done: Collection[str] = (),
) -> Again:  # fmt: skip
    """The run of that name, to be gone on with from its event number `at`. ConfigError when it has no such event."""
    events = _events(engine, name)
    started = events[0]
    if not 1 <= at <= events[-1].seq:
        raise ConfigError(
            f"Run {started.run} has no event {at}: they go from 1 to {events[-1].seq}",
            hint=f"pilotage show {started.run} numbers them",
        )
    tape = Tape(events, until=at)
    _check_keys(started.run, [event for event in events if event.seq < at], tape)
    _check_effects(started.run, tape, [*repeat, *done])
    again = _again(engine, started, FORK, tape, repeat=repeat, done=done, step=at)
    return again if question is None else Again(**{**vars(again), "question": question})


def line_of(engine: Engine, run: str) -> list[str]:
    """The run and those that it goes on from, the first of the line last."""
    line = [run]
    with engine.connect() as connection:
        while True:
            parent = connection.execute(select(runs.c.parent).where(runs.c.run == line[-1])).scalar()
            if not parent or parent in line:
                return line
            line.append(str(parent))


def _again(engine: Engine, started: Event, how: str, tape: Tape, **more: Any) -> Again:
    question = started.content.get("question")
    if question is None:
        raise ConfigError(f"The question of run {started.run} was erased", hint="ask it anew with pilotage run")
    folder = started.content.get("knowledge")
    more |= {name: frozenset(more.get(name, ())) for name in ("repeat", "done")}
    return Again(
        started.run, how, line_of(engine, started.run)[-1], question,
        urls=tuple(json.loads(started.content.get("urls") or "[]")), knowledge=Path(folder) if folder else None,
        tape=tape, **more,
    )  # fmt: skip


def _events(engine: Engine, name: str) -> list[Event]:
    run = find_run(engine, name)
    events = list(read_events(engine, run))
    if not events or events[0].kind != "run_started" or events[0].facts.get("origin"):
        raise ConfigError(f"{run} is a session of another program", hint="only runs of this project have a tape")
    return events


def _row(engine: Engine, run: str) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(select(runs).where(runs.c.run == run)).mappings().one())


def _alive(started: Event) -> int | None:
    """The process that still makes the run, on this machine; None when there is none, or it cannot be told."""
    import platform

    import psutil

    pid = started.facts.get("pid")
    if not isinstance(pid, int) or started.facts.get("host") != (platform.node() or None):
        return None
    try:
        process = psutil.Process(pid)
        is_it = process.create_time() <= started.at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return pid if is_it else None


def _check_keys(run: str, events: Sequence[Event], tape: Tape) -> None:
    """ConfigError for a run that an older version has recorded, or whose content was erased."""
    calls = [event for event in events if event.kind == "model_call" and not event.facts.get("failed")]
    if any("key" not in event.facts for event in calls):
        raise ConfigError(f"Run {run} was recorded by a version without a tape", hint="ask anew with pilotage run")
    if any(event.content.get("answer") is None for event in calls):
        raise ConfigError(f"What the models said in run {run} was erased", hint="ask anew with pilotage run")


def _check_effects(run: str, tape: Tape, named: Collection[str]) -> None:
    for begun in tape.begun:
        if begun.tool not in named:
            raise ConfigError(
                f"{begun.tool} was under way when run {run} stopped, and may have done its work"
                f" (event {begun.seq}, idempotency key {begun.idempotency})",
                hint=f"look whether it did: --done {begun.tool} goes on, --repeat {begun.tool} makes it again",
            )
