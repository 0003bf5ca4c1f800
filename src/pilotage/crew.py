"""From YAML to a CrewAI crew: agents behind the door, tools behind the guard, tasks behind their gates."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from crewai import Agent, BaseLLM, Crew, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.hooks import HookAborted
from crewai.tools.base_tool import BaseTool
from crewai.utilities import agent_utils
from pydantic import BaseModel, PrivateAttr

from pilotage import names
from pilotage.brief import Brief, for_explaining
from pilotage.checks.data import Schema, load_schema
from pilotage.checks.established import Evidence
from pilotage.checks.gate import Gate
from pilotage.checks.grading import Graders
from pilotage.checks.judge import Judge
from pilotage.checks.results import TYPES, Explanation
from pilotage.checks.rounds import NewRound, Rounds
from pilotage.conversation import Conversation
from pilotage.crewcheck import allow_rounds, check_caps, check_last
from pilotage.errors import ConfigError, nearest
from pilotage.guard.limits import Meter, RunEnded
from pilotage.guard.looping import Looping
from pilotage.guard.policy import PAGES
from pilotage.lessons import Lessons
from pilotage.model import factory, fallbacks
from pilotage.model.door import Door, open_door
from pilotage.model.earlier import complete
from pilotage.model.prices import Prices
from pilotage.model.reader import Reader
from pilotage.record.journal import Event, Journal
from pilotage.settings import CONFIG, TASKS, Settings
from pilotage.spec import TaskSpec
from pilotage.tools import build
from pilotage.tools.builtin import BuiltIn
from pilotage.tools.database import Databases
from pilotage.tools.delegation import Delegation, tools_of
from pilotage.tools.desk import Desk
from pilotage.tools.guarded import Guard
from pilotage.yamlfile import read_yaml

LATER = 1  # seconds after our own cap, which says its key, CrewAI's takes what hangs outside of any call


class Colleague(Agent):
    """An agent whose delegation tools go through the guard like all others, and whose conversations begin empty."""

    _delegation: Any = PrivateAttr(default=None)
    _forget: Any = PrivateAttr(default=None)

    def get_delegation_tools(self, agents: Sequence[BaseAgent]) -> list[BaseTool]:
        asking: Any = self
        if any(agent is self for agent in agents):  # a hierarchical crew asks the worker for its manager's tools
            asking = getattr(self.crew, "manager_agent", None) or self
        guarded: list[BaseTool] = self._delegation.guarded(asking, super().get_delegation_tools(agents))
        return guarded

    def execute_task(self, task: Task, context: str | None = None, tools: list[BaseTool] | None = None) -> Any:
        """Without `tools` a coworker asks: then CrewAI forgets that this agent may delegate too."""
        if tools is None and self.allow_delegation:
            others = self._delegation.idle(getattr(self.crew, "agents", None) or [])
            tools = [*(self.tools or []), *(self.get_delegation_tools(others) if others else [])]
        if self._forget:
            self._forget()
        return super().execute_task(task, context, tools)

    async def aexecute_task(self, task: Task, context: str | None = None, tools: list[BaseTool] | None = None) -> Any:
        if self._forget:
            self._forget()
        return await super().aexecute_task(task, context, tools)


@dataclass
class Kit:
    """What your crew function gets: it builds agents and tasks by their names in YAML."""

    settings: Settings
    question: str
    desk: Desk
    evidence: Evidence
    known_tools: dict[str, Any]
    databases: Databases
    guard: Guard
    meter: Meter
    journal: Journal

    def __post_init__(self) -> None:
        self.prices = Prices(self.settings.prices)
        self.parent: str | None = None  # the run that this one goes on from
        self.conversation: Conversation | None = None  # of a follow-up question
        self.stand_ins: Mapping[str, BaseLLM] = {}  # by agent, of a run that is played from a tape
        self.desk.quoted = self.evidence.quotes_of
        self.troubles: list[str] = []  # what tool calls that failed or were denied told the agent
        self.journal.listen(self._note_trouble)
        tools = {name: self._offered(tools_of(spec)) for name, spec in self.settings.agents.items()}
        self.looping = Looping(self.settings.engine.loops, self.meter, self.journal, tools)
        self.fallbacks = fallbacks.build(self.settings, self.question)
        self.delegation = Delegation(self.settings.agents, self.guard, self.meter)
        prompts, checks = self.settings.prompts.rounds, self.settings.engine.checks
        self.rounds = Rounds(checks.feedback_rounds, self.evidence, self.meter, self.journal, prompts)
        self.lessons = Lessons(self.journal, self.guard.number, prompts)
        self.graders = Graders(
            self.question, self.evidence, self.journal, self.meter, embedder=self.desk.knowledge.embedder,
            judge=self._judge,
        )  # fmt: skip
        self._agents: dict[str, Colleague] = {}
        self._tasks: dict[str, Task] = {}
        self._built_in = BuiltIn(self.settings, self.desk, self.databases, self._schema_of)

    def agents(self) -> list[BaseAgent]:
        """All agents of config/agents.yaml, in order."""
        return [self.agent(name) for name in self.settings.agents]

    def tasks(self) -> list[Task]:
        """All tasks of config/tasks.yaml, in order."""
        return [self.task(name) for name in self.settings.tasks]

    def agent(self, name: str, **more: Any) -> Agent:
        """The agent of that name; `more` goes to CrewAI's Agent. Asked for twice, the same object."""
        if name not in self._agents:
            spec = self.settings.agents[_known(name, self.settings.agents, "agent")]
            rule = self.settings.prompts.crew.rule
            agent = Colleague(
                role=spec.role, goal=spec.goal, backstory=f"{spec.backstory.rstrip()} {rule}",
                llm=self.model(name),
                tools=build.build(self._offered(spec.tools), name, self._built_in, self.known_tools, self.guard),
                max_iter=spec.max_iter, max_execution_time=spec.max_execution_time + LATER,
                allow_delegation=spec.allow_delegation,
                max_retry_limit=0, respect_context_window=False, use_better_compaction=False, verbose=False,
                **more,
            )  # fmt: skip
            agent._delegation, agent._forget = self.delegation, partial(self.desk.forget, name)
            self._agents[name] = self.delegation.agents[name] = agent
        return self._agents[name]

    def task(self, name: str, **more: Any) -> Task:
        """The task of that name; `more` goes to CrewAI's Task. Asked for twice, the same object.

        Its type is given as CrewAI's `response_model`: with `output_pydantic` CrewAI 1.15 parses the text of a retry
        before the gate sees it, and an answer that is not JSON then ends the crew (crewAI issue 4126).
        """
        if name not in self._tasks:
            spec = self.settings.tasks[_known(name, self.settings.tasks, "task")]
            kind = result_type(spec.output_pydantic, name, self.settings.root)
            checks = self.settings.engine.checks
            gate = Gate(
                name, spec.agent, kind, spec.checks, self.evidence, self.meter, self.journal,
                rounds=checks.feedback_rounds,
                schema=self._schema(name, spec), code=self.settings.engine.code, context=spec.context,
                recall=self.guard.recall, prompts=self.settings.prompts, graders=self.graders, of_run=self.rounds,
                on_unsupported=checks.on_unsupported,
            )  # fmt: skip
            task = self._tasks[name] = Brief(
                name=name, description=spec.description, expected_output=spec.expected_output,
                agent=self.agent(spec.agent), context=[self.task(earlier) for earlier in spec.context],
                response_model=kind, guardrail=as_guardrail(gate),
                guardrail_max_retries=checks.feedback_rounds,
                **more,
            )  # fmt: skip
            task._expected = self.settings.prompts.crew.expected
            task._before = partial(self._before, name)
            if issubclass(kind, Explanation):
                task._shorten = partial(self._for_explaining, spec.context)
        return self._tasks[name]

    def model(self, agent: str) -> BaseLLM:
        """A model object of this agent's own, behind the door."""
        name, spec = factory.model_name(self.settings, agent), self.settings.engine.model
        free = name == factory.READER
        seconds = self.meter.call_seconds(agent)[0]
        llm = self.stand_ins.get(agent)
        if llm is None:
            asked, settings = self.question, self.settings
            llm = Reader.for_question(asked) if free else factory.build(name, spec, seconds, settings, asked)
        door = Door(
            agent, name, self.meter, self.journal,
            free=free, text_tools=spec.tool_calls == "text" and not free,
            tools=self._offered(tools_of(self.settings.agents[agent])),
            nudges=partial(self.looping.nudges, agent), fallbacks=self.fallbacks, recall=self.guard.recall,
            prices=self.prices,
        )  # fmt: skip
        return open_door(llm, door)

    def follow_up(self, conversation: Conversation) -> None:
        """The question follows others up: prompts and graders know them."""
        self.conversation = conversation
        asked = [exchange.question for exchange in conversation.exchanges]
        self.graders.question = complete(self.question, asked)

    def _before(self, name: str) -> str:
        """What stands before a task's description: the conversation, lessons, what came of the round before."""
        is_first = not self.settings.tasks[name].context
        told = self.conversation.told(self.guard.number, with_findings=is_first) if self.conversation else ""
        parts = (told, self.lessons.block(name, is_first=is_first), self.rounds.told(name))
        return "\n\n".join(filter(None, parts))

    @cached_property
    def _the_judge(self) -> Judge | None:
        from pilotage.judging import for_kit

        return for_kit(self)

    def _judge(self) -> Judge | None:
        return self._the_judge if self.settings.engine.checks.judge else None

    def _offered(self, tools: Sequence[str]) -> list[str]:
        """Without read_page where nobody has named a host: its description would be paid for with each call."""
        searching = any("search_web" in spec.tools for spec in self.settings.agents.values())
        idle = not searching and self.guard.policy.reads_no_page()
        return [name for name in tools if not (idle and name == PAGES)]

    def _note_trouble(self, event: Event) -> None:
        if event.kind == "tool_call" and event.facts.get("failed"):
            self.troubles.append(str(event.content.get("result")))

    def _for_explaining(self, earlier: Sequence[str], context: str) -> str:
        return for_explaining(context, [self.evidence.results.get(name) for name in earlier])

    def _schema_of(self, agent: str) -> Schema | None:
        """The schema of the task that the agent is at."""
        task = self.meter.task_of(agent)
        return self._schema(task, self.settings.tasks[task]) if task else None

    def _schema(self, name: str, task: TaskSpec) -> Schema | None:
        if not task.data:
            return None
        line = read_yaml(self.settings.root / TASKS, TASKS)[1].at(TASKS, name, "data")
        return load_schema(task.data, self.settings.root, line)


def build_crew(kit: Kit) -> Crew:
    """Call the user's crew function, which `crew` in pilotage.yaml names."""
    path = kit.settings.engine.crew
    root = kit.settings.root
    function = names.find(path, "crew", root)
    crew = names.calling(lambda: function(kit), path, root)
    if not isinstance(crew, Crew):
        raise ConfigError(f"{path} returned {type(crew).__name__}, not a crewai.Crew", hint=f"see crew in {CONFIG}")
    check_last(crew, kit)
    check_caps(crew, kit)
    allow_rounds(crew, kit)
    crew._task_output_handler = NoCopies()  # type: ignore[assignment]
    agent_utils.MAX_REPEATED_TOOL_CALLS = sys.maxsize  # crewai 1.15 fails the crew at the fifth: `loops` decides here
    return crew


class NoCopies:
    """In place of CrewAI's own store, which keeps every output unredacted for `crewai replay`."""

    def reset(self) -> None: ...
    def update(self, *_: Any, **__: Any) -> None: ...
    def load(self) -> None: ...


def result_type(name: str, task: str, root: Path) -> type[BaseModel]:
    """Findings, Verdicts, Explanation, Solution, Data, or the class that module:Class names."""
    if name in TYPES:
        return TYPES[name]
    line = read_yaml(root / TASKS, TASKS)[1].at(TASKS, task, "output_pydantic")
    at = f'{line}: task "{task}": output_pydantic "{name}"'
    try:
        found = names.find(name, "output_pydantic", root) if ":" in name else None
    except ConfigError as error:
        raise ConfigError(f"{at}: {error}", hint=error.hint) from None
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise ConfigError(f"{at} is no pydantic model", hint=nearest(name, TYPES))
    return found


def as_guardrail(gate: Gate) -> Any:
    """The gate as CrewAI calls it: with a TaskOutput. The end of the run, or of a round, becomes CrewAI's own abort."""

    def guardrail(output: Any) -> tuple[bool, Any]:
        try:
            return gate(output.raw)
        except (RunEnded, NewRound) as error:
            raise HookAborted(str(error), source="pilotage") from None

    return lambda output: guardrail(output)  # CrewAI refuses annotations that are strings


def _known(name: str, known: Any, what: str) -> str:
    if name not in known:
        raise ConfigError(f'There is no {what} "{name}"', hint=nearest(name, known))
    return name
