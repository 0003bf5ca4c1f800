"""What CrewAI writes around the texts of config/*.yaml, cut to what an agent needs.

    the task       its description and what is expected, without CrewAI's two sentences of exhortation
    its context    for an explanation the supported verdicts alone, without their reasons

Everything goes through methods that CrewAI's Task has for it. What is not covered: the prompts of the text mode
(model.tool_calls: text), which CrewAI needs as they are to find calls in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crewai import Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.tasks.task_output import TaskOutput
from crewai.tools.base_tool import BaseTool
from crewai.utilities.i18n import I18N_DEFAULT
from pydantic import BaseModel, PrivateAttr

from pilotage.checks.results import Verdicts, supported
from pilotage.prompts import defaults, fill


class Brief(Task):
    """A task whose prompt is short. `_shorten` takes its context as CrewAI made it and returns what the agent gets.

    `_before` says what comes before it: the conversation of a follow-up question, what another round is told, lessons.
    """

    _shorten: Callable[[str], str] | None = PrivateAttr(default=None)
    _before: Callable[[], str] | None = PrivateAttr(default=None)
    _expected: str = PrivateAttr(default_factory=lambda: defaults().crew.expected)

    def prompt(self) -> str:
        asked = fill(self._expected, expected=self.expected_output.strip())
        made = super().prompt().replace(expected(self.expected_output), f"\n{asked}")
        before = self._before() if self._before else ""
        return f"{before}\n\n{made}" if before else made

    async def aexecute_sync(
        self, agent: BaseAgent | None = None, context: str | None = None, tools: list[BaseTool] | None = None
    ) -> TaskOutput:
        shorten = self._shorten
        return await super().aexecute_sync(agent, shorten(context) if shorten and context else context, tools)


def expected(text: str) -> str:
    """What CrewAI makes of `expected_output`."""
    return I18N_DEFAULT.slice("expected_output").format(expected_output=text)


def for_explaining(context: str, results: Iterable[BaseModel | None]) -> str:
    """A context in which verdicts stand that are supported, and nothing of why: whoever explains may use no others."""
    for result in results:
        if isinstance(result, Verdicts):
            context = context.replace(result.model_dump_json(), supported(result).model_dump_json())
    return context
