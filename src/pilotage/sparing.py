"""A model call that a run can do without, outside of its crew: made when enough is left under the caps of the run.

It is counted against them like any other; its failure ends nothing. What is not covered: the caps of single agents and
tasks, which are the crew's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pilotage.errors import ToolError, figure

if TYPE_CHECKING:
    from crewai import BaseLLM

    from pilotage.checks.judge import Messages
    from pilotage.crew import Kit
    from pilotage.guard.limits import Ended, Meter
    from pilotage.model.door import Door
    from pilotage.spec import LimitSpec

CALLS = 2  # for each task, model calls and iterations that are left to the crew
SHARE = 5  # times what a call may use must be left of the run's tokens and usd, and a fifth of its seconds


class Spared:
    """The meter for calls that the run can do without: counted like all, but their failure ends nothing.

    What they use is the run's: `task` is where the journal has them.
    """

    def __init__(self, meter: Meter, task: str | None) -> None:
        self._meter, self._task = meter, task
        self.limits: LimitSpec = meter.limits.model_copy(update={"retries": min(1, meter.limits.retries)})

    def task_of(self, _agent: str) -> str | None:
        return self._task

    def call_seconds(self, agent: str) -> tuple[float, str]:
        return min(self._meter.call_seconds(agent), (self._meter.limits.seconds / SHARE, "limits.seconds"))

    def end(self, ended: Ended, **_limit: Any) -> Ended:
        return ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)


def ask(llm: BaseLLM, door: Door, messages: Messages) -> Any:
    """One call through the door, which belongs to no task of the crew. Raises Stopped when it fails."""
    from pilotage.model.door import open_door

    _be_silent()
    return open_door(llm, door).call(cast("Any", messages))


def _be_silent() -> None:
    """crewai 1.15 prints its own unpaired events: this call belongs to no task."""
    from crewai.events.event_context import EventContextConfig, MismatchBehavior, _event_context_config

    silent = MismatchBehavior.SILENT
    _event_context_config.set(EventContextConfig(mismatch_behavior=silent, empty_pop_behavior=silent))


def check_left(kit: Kit, agent: str) -> None:
    """ToolError when the crew might then lack a call, or the time for one."""
    limits, needed = kit.meter.limits, CALLS * len(kit.settings.tasks)
    for key in ("model_calls", "iterations"):
        cap = getattr(limits, key)
        if cap is not None and cap - kit.meter.model_calls < needed:
            raise ToolError(f"the {cap:,} of limits.{key} are left to the crew")
    if kit.meter.time_left(agent)[0] < limits.seconds / SHARE:
        raise ToolError(f"the {figure(limits.seconds)} of limits.seconds are left to the crew")


def check_cost(kit: Kit, name: str, llm: BaseLLM, messages: Messages, *, free: bool) -> None:
    """ToolError when the call could use a good part of what the run may."""
    from pilotage.model.answers import Call
    from pilotage.model.fallbacks import Candidate
    from pilotage.model.worst import worst_of

    worst, meter = worst_of(Candidate(name, llm, free), Call(messages), kit.prices), kit.meter
    if SHARE * worst.tokens > meter.limits.tokens - meter.tokens:
        raise ToolError(f"the {meter.limits.tokens:,} of limits.tokens are left to the crew")
    if SHARE * (worst.usd or 0.0) > meter.limits.usd - meter.usd:
        raise ToolError(f"the {figure(meter.limits.usd)} of limits.usd are left to the crew")
