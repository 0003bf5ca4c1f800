"""Asking the model whether two questions ask the same, before the answer to one is served for the other.

One call, through the door of the run: capped, priced and on record as the agent "cache". Whatever is no clear yes is a
no, and so is a provider that fails: the run then goes on as if nothing had been kept. It takes from the caps of the
run, so that it is not made when little is left under them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from pilotage.errors import ToolError, figure, shortened
from pilotage.guard.fence import fence
from pilotage.model import factory
from pilotage.prompts import Prompts, defaults, fill
from pilotage.quiet import lasting_context

if TYPE_CHECKING:
    from pilotage.crew import Kit
    from pilotage.guard.limits import Ended, Meter
    from pilotage.settings import Settings

AGENT = "cache"
TOKENS = 256  # a yes has one; models that think first need some more
SECONDS = 10.0  # most that it may take
SHARE = 10  # times what it may use must be left of the run's tokens and usd
CALLS = 2  # for each task, model calls and iterations that must be left


def confirming(settings: Settings) -> str | None:
    """The agent whose model is asked: the first one that has a model; None when all have the built-in reader."""
    models = {agent: factory.model_name(settings, agent) for agent in settings.agents}
    return next((agent for agent, name in models.items() if name != factory.READER), None)


def prompt(first: str, second: str, number: str, prompts: Prompts | None = None) -> str:
    texts = prompts or defaults()
    return fill(
        texts.confirm.ask, rule=texts.crew.rule,
        first=fence(first, "question 1", number), second=fence(second, "question 2", number),
    )  # fmt: skip


def is_yes(answer: Any) -> bool:
    """Whether it is a clear yes: that one word, whatever marks stand around it."""
    return isinstance(answer, str) and re.fullmatch(r"[\W_]*yes[\W_]*", answer, re.IGNORECASE) is not None


def confirm(kit: Kit, agent: str, first: str, second: str) -> str:
    """Why they do not ask the same, as far as the model of `agent` says; "" when it says that they do."""
    try:
        text = prompt(first, second, kit.guard.number, kit.settings.prompts)
        answer = lasting_context().copy().run(_ask, kit, agent, text)
    except Exception as error:  # the door has journalled it; whatever it is, the crew answers
        said = shortened(" ".join(str(error).split()), 300) or type(error).__name__
        return f"whether they ask the same could not be asked: {said}"
    return "" if is_yes(answer) else "the model does not say that they ask the same"


def _ask(kit: Kit, agent: str, text: str) -> Any:
    from pilotage.model.door import Door, open_door

    _be_silent()
    _check_calls(kit)
    name, spec = factory.model_name(kit.settings, agent), kit.settings.engine.model
    temperature = None if spec.temperature is None else 0.0
    brief = spec.model_copy(
        update={"max_tokens": min(spec.max_tokens, TOKENS), "temperature": temperature, "stream": False}
    )
    meter = cast("Meter", _Lenient(kit.meter))
    llm = factory.build(name, brief, meter.call_seconds(AGENT)[0], kit.settings)
    messages: list[Any] = [{"role": "user", "content": text}]
    _check_cost(kit, name, llm, messages)
    return open_door(llm, Door(AGENT, name, meter, kit.journal, prices=kit.prices)).call(messages)


def _be_silent() -> None:
    """crewai 1.15 prints its own unpaired events: this call belongs to no task."""
    from crewai.events.event_context import EventContextConfig, MismatchBehavior, _event_context_config

    silent = MismatchBehavior.SILENT
    _event_context_config.set(EventContextConfig(mismatch_behavior=silent, empty_pop_behavior=silent))


def _check_calls(kit: Kit) -> None:
    """ToolError when the crew might then lack a call."""
    limits, needed = kit.meter.limits, CALLS * len(kit.settings.tasks)
    for key in ("model_calls", "iterations"):
        cap = getattr(limits, key)
        if cap is not None and cap - kit.meter.model_calls < needed:
            raise ToolError(f"the {cap:,} of limits.{key} are left to the crew")


def _check_cost(kit: Kit, name: str, llm: Any, messages: list[Any]) -> None:
    """ToolError when the call could use a good part of what the run may."""
    from pilotage.model.answers import Call
    from pilotage.model.fallbacks import Candidate
    from pilotage.model.worst import worst_of

    worst, meter = worst_of(Candidate(name, llm), Call(messages), kit.prices), kit.meter
    if SHARE * worst.tokens > meter.limits.tokens - meter.tokens:
        raise ToolError(f"the {meter.limits.tokens:,} of limits.tokens are left to the crew")
    if SHARE * (worst.usd or 0.0) > meter.limits.usd - meter.usd:
        raise ToolError(f"the {figure(meter.limits.usd)} of limits.usd are left to the crew")


class _Lenient:
    """The meter of the run for a call that the run can do without: counted like all, but its failure ends nothing."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.limits = meter.limits.model_copy(update={"retries": 0})

    def call_seconds(self, agent: str) -> tuple[float, str]:
        """Short: the run that may follow needs its time. A quarter of limits.seconds at most."""
        return min(
            self._meter.call_seconds(agent), (SECONDS, "cache.confirm"), (self.limits.seconds / 4, "limits.seconds")
        )

    def end(self, ended: Ended, **_limit: Any) -> Ended:
        return ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)
