"""Delegation: what one agent asks of another is a guarded call, and the coworker works under its own caps.

    guard (caps, policy, journal) -> a turn of the coworker at the task of whoever asks -> the coworker's answer

CrewAI's two tools keep their names and arguments. A coworker with allow_delegation may ask further, but nobody who is
at work already. What is not covered: a check on the answer; the checks are made on what the task itself returns.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

from pilotage.errors import ToolError
from pilotage.guard.limits import Meter
from pilotage.names import DELEGATION
from pilotage.spec import AgentSpec
from pilotage.tools import tool as mark
from pilotage.tools.build import guarded as guarded_tool

if TYPE_CHECKING:
    from crewai.agents.agent_builder.base_agent import BaseAgent
    from crewai.tools.base_tool import BaseTool

    from pilotage.tools.guarded import Guard

EXPECTED = "Your best answer to the coworker who asks you this, given the context that was shared."


def tools_of(spec: AgentSpec) -> list[str]:
    """The names of all tools that an agent has, those of delegation included."""
    return [*spec.tools, *(DELEGATION if spec.allow_delegation else ())]


class Delegation:
    """Who may ask whom in one run. `agents` maps names to CrewAI's objects as they are made."""

    def __init__(self, specs: Mapping[str, AgentSpec], guard: Guard, meter: Meter) -> None:
        self.specs, self.guard, self.meter = specs, guard, meter
        self.agents: dict[str, BaseAgent] = {}
        self._at_work: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def name_of(self, agent: Any) -> str:
        """The name of an agent in agents.yaml; "" for one that was made elsewhere."""
        return next((name for name, known in self.agents.items() if known is agent), "")

    def guarded(self, asking: BaseAgent, tools: Sequence[BaseTool]) -> list[BaseTool]:
        """CrewAI's delegation tools, as `asking` may use them."""
        name = self.name_of(asking)
        return [guarded_tool(tool, self._asking(name, tool), name, self.guard) for tool in tools]

    def idle(self, agents: Sequence[BaseAgent]) -> list[BaseAgent]:
        """Those who are at no task: whoever is waits for an answer, and cannot work meanwhile."""
        return [agent for agent in agents if self.meter.task_of(self.name_of(agent)) is None]

    def _asking(self, delegator: str, tool: Any) -> Callable[..., str]:
        @mark(timeout=inf)  # the turns of both agents bound it
        def ask(coworker: str, context: str, task: str = "", question: str = "") -> str:
            """Let a coworker work."""
            agent = self._coworker(tool, coworker)
            name = self.name_of(agent)
            with self._turn(name, delegator):
                work = self._work(agent, task or question, context)
                return self.meter.within(name, inf, f"{name}.max_execution_time", work, what=f"delegation to {name}")

        return ask

    def _coworker(self, tool: Any, role: str) -> BaseAgent:
        wanted = tool.sanitize_agent_name(role)
        for agent in tool.agents:
            if wanted in (tool.sanitize_agent_name(agent.role), self.name_of(agent).casefold()):
                return agent  # type: ignore[no-any-return]
        raise ToolError(f'there is no coworker "{role[:80]}"; there are: {", ".join(a.role for a in tool.agents)}')

    @contextmanager
    def _turn(self, name: str, delegator: str) -> Iterator[None]:
        """The coworker at the delegator's task; nobody works for two at once."""
        lock, nested = self._at_work[name], self._at_work[delegator].locked()
        if not lock.acquire(blocking=not nested):  # two who wait for each other would wait for ever
            raise ToolError(f"{name} is at work for somebody else: ask again later")
        task, spec = self.meter.task_of(delegator) or "", self.specs[name]
        self.meter.begin_turn(name, task, spec.max_iter, spec.max_execution_time)
        try:
            yield
        finally:
            self.meter.end_turn(name, task)
            lock.release()

    @staticmethod
    def _work(agent: Any, request: str, context: str) -> Callable[[], str]:
        from crewai import Task

        return lambda: str(
            agent.execute_task(Task(description=request, agent=agent, expected_output=EXPECTED), context)
        )
