"""The crew at work: the pages that the user named are read, then CrewAI is kicked off in a thread of its own.

The run ends when it must, whatever hangs: after UNWINDS seconds the thread is left behind. Each task's beginning and
end goes to the journal through CrewAI's hooks. A new round (checks/rounds.py) kicks the same crew off again, but for
the tasks before the one that it begins with. What is not covered: the thread left behind, which Python cannot kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotage.errors import PilotageError, StoreError
from pilotage.guard.limits import UNWINDS, Ended
from pilotage.guard.policy import PAGES, USER
from pilotage.quiet import lasting_context

if TYPE_CHECKING:
    from crewai import Crew

    from pilotage.crew import Kit


def read_named(kit: Kit, urls: Sequence[str]) -> bool:
    """Read the pages that the user named; False when the run has ended meanwhile, before any model call."""
    for url in urls:
        try:
            said, is_read = kit.guard.call(PAGES, kit.desk.read_page, USER, {"url": url})
        except PilotageError:  # a cap, or Ctrl-C: the run has ended already
            return False
        if not is_read:
            kit.meter.end(Ended("failed", said, "check the address; policy and web in config/pilotage.yaml decide"))
            return False
    return kit.meter.ended is None


def kick_off(crew: Crew, kit: Kit) -> BaseException | None:
    """Run the crew in a thread of its own; returns what it raised. Back when the run has ended, whatever hangs."""
    finished, raised = threading.Event(), []

    def work() -> None:
        try:
            _in_rounds(crew, kit)
        except BaseException as error:
            raised.append(error)
        finally:
            finished.set()

    context = lasting_context().copy()
    threading.Thread(target=context.run, args=(work,), name="pilotage-crew", daemon=True).start()
    while not finished.wait(min(0.5, max(0.0, kit.meter.time_left("")[0]))):
        kit.meter.check_run()
        if kit.meter.ended is None:
            continue
        if not finished.wait(UNWINDS):
            with contextlib.suppress(StoreError):  # `outcome` says so
                kit.journal.append("abandoned", what="the crew", seconds=UNWINDS)
        break
    return raised[0] if raised else None


def _in_rounds(crew: Crew, kit: Kit) -> None:
    """Kick the crew off, and again for each new round."""
    tasks = crew.tasks
    try:
        while not _is_done(crew, kit):
            begins = kit.rounds.begin()
            crew.tasks = tasks[[task.name for task in tasks].index(begins) :]
    finally:
        crew.tasks = tasks
    if kit.meter.ended is None:
        kit.rounds.passed()


def _is_done(crew: Crew, kit: Kit) -> bool:
    """One round; False when another one is wanted. What ran beside the task that wants it is cancelled, and over."""
    at: dict[tuple[str, str], None] = {}  # agent and task
    try:
        asyncio.run(_kick_off(crew, kit, at))
    except BaseException:
        if not _goes_on(kit):
            raise
    finally:
        forget(crew)
    if not _goes_on(kit):
        return True
    for agent, task in at:
        kit.meter.end_turn(agent, task)
        kit.journal.append("task_ended", task=task, agent=agent, again=True)
    return False


def _goes_on(kit: Kit) -> bool:
    return kit.rounds.wanted is not None and kit.meter.ended is None


def forget(crew: Crew) -> None:
    """Let go of a crew that was stopped: CrewAI 1.15 keeps each task that has started until it hears of its end."""
    from crewai.events import crewai_event_bus
    from crewai.events.event_listener import event_listener

    crewai_event_bus.flush(timeout=UNWINDS / 2)  # the start of a task may still be on its way there
    for task in crew.tasks:
        event_listener.execution_spans.pop(task, None)


async def _kick_off(crew: Crew, kit: Kit, at: dict[tuple[str, str], None]) -> None:
    """`at` holds who is at which task."""
    from crewai.events.event_context import EventContextConfig, MismatchBehavior, _event_context_config
    from crewai.hooks import HookAborted, InterceptionPoint
    from crewai.hooks.dispatch import register_scoped, scoped_hooks

    def goes_on(_context: Any = None) -> None:
        if kit.meter.ended is not None:  # the second stop: the door is the first
            raise HookAborted(kit.meter.ended.reason, source="pilotage")

    def record(kind: str, content: dict[str, Any], **facts: Any) -> None:
        try:
            kit.journal.append(kind, content, **facts)
        except StoreError as error:  # of other errors in a hook CrewAI prints a line, and goes on
            raise HookAborted(str(error), source="pilotage") from None

    def before_step(context: Any) -> None:
        goes_on()
        if context.kind == "task" and context.step_name in kit.settings.tasks:
            agent, task = kit.delegation.name_of(context.agent), context.step_name
            spec = kit.settings.agents[agent]
            kit.meter.begin_turn(agent, task, spec.max_iter, spec.max_execution_time)
            at[agent, task] = None
            record("task_started", {"context": context.payload or ""}, task=task, agent=agent)

    def after_step(context: Any) -> None:
        if context.kind == "task" and context.step_name in kit.settings.tasks:
            agent, task = kit.delegation.name_of(context.agent), context.step_name
            context.payload.pydantic = kit.evidence.results.get(task)
            kit.meter.end_turn(agent, task)
            at.pop((agent, task), None)
            record("task_ended", {"output": context.payload.raw}, task=task, agent=agent)

    silent = MismatchBehavior.SILENT  # crewai 1.15 reports its own unpaired events on stdout when a crew is stopped
    _event_context_config.set(EventContextConfig(mismatch_behavior=silent, empty_pop_behavior=silent))
    with scoped_hooks():
        register_scoped(InterceptionPoint.PRE_STEP, before_step)
        register_scoped(InterceptionPoint.POST_STEP, after_step)
        register_scoped(InterceptionPoint.PRE_MODEL_CALL, goes_on)
        await crew.akickoff(inputs={"question": kit.question})
