"""Asking the model whether two questions ask the same, before the answer to one is served for the other.

One call, through the door of the run: capped, priced and on record as the agent "cache". Whatever is no clear yes is a
no, and so is a provider that fails: the run then goes on as if nothing had been kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from pilotage.guard.fence import RULE, fence
from pilotage.model import factory
from pilotage.quiet import lasting_context

if TYPE_CHECKING:
    from pilotage.crew import Kit
    from pilotage.guard.limits import Ended, Meter
    from pilotage.settings import Settings

AGENT = "cache"
TOKENS = 256  # a yes has one; models that think first need some more
PROMPT = """Two questions follow, each from a user of the same documents. {rule}

{first}

{second}

Would one and the same answer be fully right for both? They must agree in every number, name, date, unit, negation,
direction, comparison and condition, and in what is asked about them. If you are not certain, the answer is no.
Answer with one word: yes or no."""


def confirming(settings: Settings) -> str | None:
    """The agent whose model is asked: the first one that has a model; None when all have the built-in reader."""
    models = {agent: factory.model_name(settings, agent) for agent in settings.agents}
    return next((agent for agent, name in models.items() if name != factory.READER), None)


def prompt(first: str, second: str, number: str) -> str:
    return PROMPT.format(
        rule=RULE, first=fence(first, "question 1", number), second=fence(second, "question 2", number)
    )


def is_yes(answer: Any) -> bool:
    """Whether it is a clear yes: that one word, whatever marks stand around it."""
    return isinstance(answer, str) and re.fullmatch(r"[\W_]*yes[\W_]*", answer, re.IGNORECASE) is not None


def confirm(kit: Kit, agent: str, first: str, second: str) -> str:
    """Why they do not ask the same, as far as the model of `agent` says; "" when it says that they do."""
    try:
        answer = lasting_context().copy().run(_ask, kit, agent, prompt(first, second, kit.guard.number))
    except Exception as error:  # the door has journalled it; whatever it is, the crew answers
        return f"whether they ask the same could not be asked: {type(error).__name__}"
    return "" if is_yes(answer) else "the model does not say that they ask the same"


def _ask(kit: Kit, agent: str, text: str) -> Any:
    from pilotage.model.door import Door, open_door

    name, spec = factory.model_name(kit.settings, agent), kit.settings.engine.model
    temperature = None if spec.temperature is None else 0.0
    brief = spec.model_copy(
        update={"max_tokens": min(spec.max_tokens, TOKENS), "temperature": temperature, "stream": False}
    )
    meter = cast("Meter", _Lenient(kit.meter))
    llm = factory.build(name, brief, meter.call_seconds(AGENT)[0])
    return open_door(llm, Door(AGENT, name, meter, kit.journal, prices=kit.prices)).call(
        [{"role": "user", "content": text}]
    )


class _Lenient:
    """The meter of the run for a call that the run can do without: counted like all, but its failure ends nothing."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.limits = meter.limits.model_copy(update={"retries": 0})

    def end(self, ended: Ended, **_limit: Any) -> Ended:
        return ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)
