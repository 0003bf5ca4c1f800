"""Tools: how a user writes one, the two built-in ones, and how each call is capped and journalled.

A tool is a plain function with type hints and a docstring (both are shown to the model):

    @tool
    def word_count(text: str) -> int:
        "Count the words of a text."
        return len(text.split())
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pilotage import names
from pilotage.errors import ConfigError, LimitExceeded, nearest
from pilotage.guard.limits import Meter, RunEnded
from pilotage.record.journal import Journal
from pilotage.settings import AGENTS, TASKS, Settings
from pilotage.yamlfile import read_yaml

if TYPE_CHECKING:
    from pilotage.evidence.knowledge import Knowledge

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__pilotage_tool__"
BUILT_IN = ("search_knowledge", "read_source")
NEEDS = {"findings": "search_knowledge", "verdicts": "read_source"}  # check -> the tool that makes it possible


@overload
def tool(function: Function) -> Function: ...
@overload
def tool(*, timeout: float) -> Callable[[Function], Function]: ...
def tool(function: Any = None, *, timeout: float | None = None) -> Any:
    """Mark a function as a tool that agents.yaml may name; `timeout` in seconds, else limits.tool_seconds."""

    def mark(function: Any) -> Any:
        if not function.__doc__:
            raise ConfigError(f"The tool {function.__name__} has no docstring", hint="say in one line what it does")
        setattr(function, MARK, {"timeout": timeout})
        return function

    return mark(function) if function is not None else mark


@dataclass
class Desk:
    """What the tools of one run share: the documents, and the passages that were read in this run."""

    knowledge: Knowledge
    passages: int
    sources: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    searches: int = 0

    def search_knowledge(self, query: str) -> str:
        """Search the documents. Returns passages: source id, best quote, score from 0 to 1, text."""
        found = self.knowledge.search(query, limit=self.passages)
        self.searches += 1
        passages = []
        for hit in found.hits:
            self._read(hit.passage)
            passages.append(
                {"source": hit.passage.source, "where": hit.passage.where, "score": round(hit.score, 3),
                 "quote": hit.quote, "text": hit.passage.text}
            )  # fmt: skip
        return json.dumps({"passages": passages} | ({"notes": found.notes} if found.notes else {}), ensure_ascii=False)

    def read_source(self, source: str) -> str:
        """Open one passage by its source id, such as caps.md#3f9a2c, and return its text as it stands there."""
        passage = self.knowledge.passage(source)
        if passage is None:
            return json.dumps({"source": source, "error": "there is no such source"})
        self._read(passage)
        return json.dumps(
            {"source": source, "where": passage.where, "title": passage.title, "text": passage.text}, ensure_ascii=False
        )

    def _read(self, passage: Any) -> None:
        self.sources[passage.source] = passage.text
        self.where[passage.source] = f"{passage.path}, {passage.where}" if passage.where else passage.path


def user_tools(settings: Settings) -> dict[str, Any]:
    """The tools of the user's module by name: functions marked with @tool, and CrewAI tool objects."""
    module_name = settings.engine.tools
    if not module_name:
        return {}
    module = names.find(module_name, "tools", settings.root)
    marked = {name: value for name, value in vars(module).items() if hasattr(value, MARK)}
    objects = {
        v.name: v
        for v in vars(module).values()
        if hasattr(v, "args_schema") and isinstance(getattr(v, "name", None), str)
    }
    return marked | objects


def check_names(settings: Settings, known: Mapping[str, Any]) -> None:
    """Raise ConfigError with file and line when an agent names a tool that nobody wrote, or lacks one it must have."""
    tools = [*BUILT_IN, *known]
    for agent, spec in settings.agents.items():
        for wanted in spec.tools:
            if wanted not in tools:
                at = read_yaml(settings.root / AGENTS, AGENTS)[1].at(AGENTS, agent, "tools")
                raise ConfigError(
                    f'{at}: agent "{agent}" names the tool "{wanted}", which does not exist',
                    hint=nearest(wanted, tools),
                )
    for name, task in settings.tasks.items():
        for check in task.checks:
            if (needed := NEEDS.get(check)) and needed not in settings.agents[task.agent].tools:
                at = read_yaml(settings.root / TASKS, TASKS)[1].at(TASKS, name, "checks")
                problem = f'{at}: task "{name}" checks {check}, but its agent "{task.agent}" has no {needed}'
                raise ConfigError(problem, hint=f"give {task.agent} the tool {needed} in {AGENTS}, or drop the check")


def guarded(name: str, function: Callable[..., Any], agent: str, meter: Meter, journal: Journal) -> Callable[..., str]:
    """`function` with its caps and its entry in the journal; what it raises reaches the agent as one sentence."""
    timeout = (getattr(function, MARK, None) or {}).get("timeout") or meter.limits.tool_seconds

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> str:
        meter.before_tool_call(agent)
        started = time.monotonic()
        failure: Exception | None = None
        try:
            value = meter.within(agent, timeout, "limits.tool_seconds", lambda: function(*args, **kwargs))
            result = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        except (RunEnded, LimitExceeded) as error:
            result, failure = f"{name} was stopped: {error}", error
        except Exception as error:
            result, failure = f"{name} failed: {' '.join(str(error).split())[:300] or type(error).__name__}", error
        journal.append(
            "tool_call",
            {"arguments": kwargs or list(args), "result": result} | ({"error": repr(failure)} if failure else {}),
            agent=agent, task=meter.task_of(agent), tool=name, seconds=round(time.monotonic() - started, 4),
            failed=failure is not None or None,
        )  # fmt: skip
        return result

    return call


def build(
    names: list[str], agent: str, desk: Desk, known: Mapping[str, Any], meter: Meter, journal: Journal
) -> list[Any]:
    """CrewAI tool objects for one agent, each behind its guard."""
    from crewai.tools import tool as crewai_tool

    built = []
    for name in names:
        candidate = getattr(desk, name) if name in BUILT_IN else known[name]
        if hasattr(candidate, "args_schema"):
            built.append(_guard_object(candidate, agent, meter, journal))
        else:
            built.append(crewai_tool(name)(guarded(name, candidate, agent, meter, journal)))
    return built


def _guard_object(candidate: Any, agent: str, meter: Meter, journal: Journal) -> Any:
    """A copy of a CrewAI tool object whose `_run` goes through the guard."""
    copy = candidate.model_copy()
    run = guarded(candidate.name, candidate._run, agent, meter, journal)
    copy.__class__ = type(type(candidate).__name__, (type(candidate),), {"_run": lambda _self, *a, **k: run(*a, **k)})
    return copy
