"""What a crew of the user's must be like: its last answer is checked, and caps hold for all its agents and models.

And where it may begin again, in another round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crewai import Crew, Process

from pilotage.checks.results import Explanation, Findings
from pilotage.errors import ConfigError
from pilotage.model import factory
from pilotage.settings import AGENTS, TASKS

if TYPE_CHECKING:
    from pilotage.crew import Kit


def check_last(crew: Crew, kit: Kit) -> None:
    last = crew.tasks[-1]
    spec = kit.settings.tasks.get(last.name or "")
    kind = last.response_model
    if kind is None or not issubclass(kind, Explanation) or spec is None or "citations" not in spec.checks:
        raise ConfigError(
            f'The last task "{last.name}" must return an Explanation that is checked',
            hint=f"{TASKS}: output_pydantic: Explanation (or Solution) and checks: [citations]",
        )


def check_caps(crew: Crew, kit: Kit) -> None:
    """ConfigError for an agent or a model of the crew that no cap would hold for."""
    path = kit.settings.engine.crew
    if crew.process == Process.hierarchical and crew.manager_agent is None:
        raise ConfigError(
            f"{path}: manager_llm makes a manager that no cap holds for",
            hint="add a manager to agents.yaml and give manager_agent=kit.agent(...)",
        )
    for agent in (*crew.agents, *(task.agent for task in crew.tasks), crew.manager_agent):
        if agent is not None and not kit.delegation.name_of(agent):
            raise ConfigError(
                f'{path}: no cap holds for the agent "{" ".join(agent.role.split())}", which the kit did not make',
                hint=f"make it with kit.agent(name), of an entry in {AGENTS}",
            )
    _check_side_by_side(crew, kit)
    fields = vars(crew)  # to ask for a deprecated one by its name warns
    for key, used in (("planning_llm", crew.planning), ("function_calling_llm", fields["function_calling_llm"])):
        if used and getattr(fields[key], "_door", None) is None:
            raise ConfigError(f"{path}: no cap holds for {key}", hint=f"give {key}=kit.model(name of an agent)")


def _check_side_by_side(crew: Crew, kit: Kit) -> None:
    """ConfigError for an agent in two tasks that run at the same time: CrewAI 1.15 has one executor for each agent."""
    busy: dict[int, str] = {}  # by agent, the task that it is at while others start
    for task in crew.tasks:
        agent = crew.manager_agent if crew.process == Process.hierarchical else task.agent
        if not task.async_execution:  # waits for all before it
            busy = {}
        elif id(agent) in busy:
            tasks = f'"{busy[id(agent)]}" and "{task.name}"'
            raise ConfigError(
                f'{kit.settings.engine.crew}: the agent "{kit.delegation.name_of(agent)}" stands in two tasks that may'
                f" run at the same time, {tasks} (async_execution)",
                hint=f"give one of them another agent of {AGENTS}, or drop its async_execution",
            )
        else:
            busy[id(agent)] = task.name or ""


def allow_rounds(crew: Crew, kit: Kit) -> None:
    """A new round begins with the first task that searches, when a model is asked there: the reader finds the same."""
    names = [task.name or "" for task in crew.tasks]
    for name, task in zip(names, crew.tasks, strict=True):
        spec = kit.settings.tasks.get(name)
        is_search = task.response_model is not None and issubclass(task.response_model, Findings)
        if spec and is_search and factory.model_name(kit.settings, spec.agent) != factory.READER:
            kit.rounds.may_begin_at(name, spec.agent, kit.settings.agents[spec.agent].max_iter, names)
            return
