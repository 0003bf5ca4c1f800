"""Going on from a recorded run: what it asked, its tape, and whether it may be gone on from.

resume      the same question, from where it stopped: what was committed comes from the tape
fork        everything before one event comes from the tape, from there on it is live under today's settings
follow-up   another question, which knows the earlier ones and what of their answers still stands: no tape
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pilotage import conversation
from pilotage.conversation import Exchange
from pilotage.errors import ConfigError
from pilotage.record.journal import Event, find_run, read_events
from pilotage.record.store import runs
from pilotage.tape.line import FOLLOW_UP, FORK, RESUME, children, first_event, root_of, tape_of
from pilotage.tape.tape import Tape

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["FOLLOW_UP", "FORK", "RESUME", "Again", "follow_up", "fork", "resume"]
OVER = ("accepted", "unanswered", "rejected")  # outcomes that a resumed run would only repeat


@dataclass(frozen=True)
class Again:
    """From where a run goes on. `origin` is the first run of its family, "" when it is this one; `step` is a fork's.

    `repeat` are tools that may do again what they had done before the run `repeat_in`, "" for this one; `done` those of
    which the user says that what was under way was done.
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
    repeat_in: str = ""
    done: frozenset[str] = frozenset()
    only: bool = False  # a call that is not on the tape ends the run
    models: Mapping[str, Any] = field(default_factory=dict, repr=False)  # by agent: what stands in for its model
    earlier: tuple[Exchange, ...] = ()  # of a follow-up: what was asked before, oldest first

    @property
    def facts(self) -> dict[str, Any]:
        """What the journal says of it."""
        parent, origin = self.parent or None, self.origin or None
        repeat = sorted(self.repeat) if self.repeat and not self.repeat_in else None
        return {"parent": parent, "how": self.how, "origin_run": origin, "at_step": self.step, "repeat": repeat}


def resume(
    engine: Engine, name: str, *, repeat: Collection[str] = (), done: Collection[str] = (), force: bool = False
) -> Again:
    """The run of that name, to be gone on with where it stopped. ConfigError when it cannot be, or still goes on.

    Of the calls that were under way, those of the tools in `repeat` are made again, by the same idempotency key.
    """
    events = _events(engine, name)
    started, run = events[0], events[0].run
    _check_over(engine, started, force)
    tape = tape_of(engine, events)
    _check_keys(run, events)
    _check_effects(run, tape, repeat, done)
    _check_named(run, tape, [*repeat, *done])
    repeats, repeats_in = _repeats(engine, started)
    return _again(engine, started, RESUME, tape, repeat=repeats, repeat_in=repeats_in, done=frozenset(done))


def fork(
    engine: Engine, name: str, at: int, *, question: str | None = None, repeat: Collection[str] = (),
    done: Collection[str] = (),
) -> Again:  # fmt: skip
    """The run of that name, to be gone on with from its event number `at`. ConfigError when it has no such event.

    The tools in `repeat` may do again what they have done in the run, or in others that went on from it.
    """
    events = _events(engine, name)
    started = events[0]
    if not 1 <= at <= events[-1].seq:
        raise ConfigError(
            f"Run {started.run} has no event {at}: they go from 1 to {events[-1].seq}",
            hint=f"pilotage show {started.run} numbers them",
        )
    tape = tape_of(engine, events, at)
    _check_keys(started.run, [event for event in events if event.seq < at])
    _check_effects(started.run, tape, repeat, done)
    again = _again(engine, started, FORK, tape, repeat=frozenset(repeat), done=frozenset(done), step=at)
    return again if question is None else replace(again, question=question)


def follow_up(engine: Engine, name: str, question: str) -> Again:
    """Another question, asked after the run of that name. Its family is its own: nothing comes from the tape."""
    started = _events(engine, name)[0]
    earlier = conversation.exchanges(engine, started.run)
    if started.content.get("question") is None:
        raise ConfigError(f"The question of run {started.run} was erased", hint="ask anew with pilotage run")
    folder = started.content.get("knowledge")
    return Again(
        started.run, FOLLOW_UP, "", question, knowledge=Path(folder) if folder else None, earlier=earlier,
    )  # fmt: skip


def _again(engine: Engine, started: Event, how: str, tape: Tape, **more: Any) -> Again:
    question = started.content.get("question")
    if question is None:
        raise ConfigError(f"The question of run {started.run} was erased", hint="ask it anew with pilotage run")
    folder = started.content.get("knowledge")
    return Again(
        started.run, how, root_of(engine, started.run), question,
        urls=tuple(json.loads(started.content.get("urls") or "[]")), knowledge=Path(folder) if folder else None,
        tape=tape, earlier=conversation.before(engine, started), **more,
    )  # fmt: skip


def _repeats(engine: Engine, started: Event | None) -> tuple[frozenset[str], str]:
    """Which tools were to do again what they had done, and since which run: a fork that was itself resumed."""
    while started and started.facts.get("how") == RESUME:
        started = first_event(engine, started.facts["parent"])
    names = started.facts.get("repeat", []) if started and started.facts.get("how") == FORK else []
    return frozenset(names), started.run if started and names else ""


def _events(engine: Engine, name: str) -> list[Event]:
    run = find_run(engine, name)
    events = list(read_events(engine, run))
    if not events or events[0].kind != "run_started" or events[0].facts.get("origin"):
        raise ConfigError(f"{run} is a session of another program", hint="only runs of this project have a tape")
    return events


def _check_over(engine: Engine, started: Event, force: bool) -> None:
    """ConfigError for a run that still goes on, that has its answer, or that another one goes on from."""
    run, outcome = started.run, _outcome(engine, started.run)
    if outcome in OVER:
        raise ConfigError(
            f"Run {run} has ended as {outcome}: there is nothing to resume",
            hint=f"pilotage fork {run} --at STEP goes another way from one of its steps",
        )
    if force:
        return
    if outcome is None and (pid := _alive(started)):
        raise ConfigError(
            f"Run {run} is still going on in process {pid}", hint="wait for its end; --force if that process is another"
        )
    if later := [child for child, how in children(engine, run) if how == RESUME]:
        raise ConfigError(
            f"Run {run} was resumed already, as {later[-1]}, which knows what was done since",
            hint=f"pilotage resume {later[-1]}; --force goes on from the older one",
        )


def _outcome(engine: Engine, run: str) -> str | None:
    with engine.connect() as connection:
        outcome: str | None = connection.execute(select(runs.c.outcome).where(runs.c.run == run)).scalar_one()
    return outcome


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


def _check_keys(run: str, events: Sequence[Event]) -> None:
    """ConfigError for a run that an older version has recorded, or whose content was erased."""
    calls = [event for event in events if event.kind == "model_call" and not event.facts.get("failed")]
    if any("key" not in event.facts for event in calls):
        raise ConfigError(f"Run {run} was recorded by a version without a tape", hint="ask anew with pilotage run")
    if any(event.content.get("answer") is None for event in calls):
        raise ConfigError(f"What the models said in run {run} was erased", hint="ask anew with pilotage run")


def _check_effects(run: str, tape: Tape, repeat: Collection[str], done: Collection[str]) -> None:
    """ConfigError for a call that may have changed something, until the user says whether it has."""
    if both := sorted(set(repeat) & set(done)):
        raise ConfigError(f"{both[0]} is named by --done and by --repeat", hint="it was done, or it is made again")
    for begun in tape.begun:
        if begun.tool not in repeat and begun.tool not in done:
            raise ConfigError(
                f"{begun.tool} was under way when run {begun.run or run} stopped, and may have done its work"
                f" (event {begun.seq}, idempotency key {begun.idempotency})",
                hint=f"look whether it did: --done {begun.tool} goes on as if so, --repeat {begun.tool} makes it again",
            )


def _check_named(run: str, tape: Tape, tools: Collection[str]) -> None:
    """ConfigError for a tool that was not under way: what it has done is on the tape."""
    under_way = {begun.tool for begun in tape.begun}
    for name in tools:
        if name not in under_way:
            known = ", ".join(sorted(under_way)) or "none"
            raise ConfigError(
                f"No call of {name} was under way when run {run} stopped", hint=f"tools that were: {known}"
            )
