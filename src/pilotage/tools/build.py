"""From names in agents.yaml to CrewAI tool objects, each behind its guard; and what is wrong with the names."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any

from pilotage import names
from pilotage.checks.data import load_schema
from pilotage.errors import ConfigError, nearest
from pilotage.settings import AGENTS, CONFIG, TASKS, Settings
from pilotage.tools import MARK
from pilotage.tools.beforehand import check_checks, check_names, check_places, check_types, line_of
from pilotage.tools.builtin import NAMES, BuiltIn
from pilotage.tools.database import Databases
from pilotage.tools.given import REFUSE, as_given, let_through
from pilotage.tools.guarded import Guard
from pilotage.tools.service import check_service
from pilotage.tools.websearch import KEYS, available
from pilotage.yamlfile import read_yaml

NEEDS = {  # check -> the tools of which one makes it possible
    "findings": ("search_knowledge", "read_page", "query_db"),
    "verdicts": ("read_source",),
}


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


def check_tools(settings: Settings, known: Mapping[str, Any]) -> None:
    """Raise ConfigError with file and line for whatever about the tools would fail when a run has begun."""
    services = settings.engine.services
    tools = [*NAMES, *services, *known]
    for agent, spec in settings.agents.items():
        for wanted in spec.tools:
            if wanted not in tools:
                at = read_yaml(settings.root / AGENTS, AGENTS)[1].at(AGENTS, agent, "tools")
                raise ConfigError(
                    f'{at}: agent "{agent}" names the tool "{wanted}", which does not exist',
                    hint=nearest(wanted, tools),
                )
    check_names(known, NAMES)
    check_types(known, dict.fromkeys(name for spec in settings.agents.values() for name in spec.tools))
    check_checks(settings)
    _check_needs(settings)
    _check_schemas(settings)
    _check_policy(settings, tools)
    _check_isolation(settings, known)
    check_places(settings.engine.policy, settings.root)
    for name, service in services.items():
        if name in NAMES or name in known:
            raise ConfigError(f"services.{name}: a tool of that name exists", hint=f"rename it in {CONFIG}")
        check_service(name, service, os.environ)
    if any("query_db" in spec.tools for spec in settings.agents.values()) and not settings.engine.databases:
        raise ConfigError(
            "An agent has query_db, but there is no database", hint=f"name one under databases in {CONFIG}"
        )
    Databases(settings.engine.databases, settings.root).check()
    if settings.engine.web.sites or settings.engine.web.extractor == "trafilatura":
        from pilotage.reading.page import check_sites

        check_sites(settings.engine.web)


def warnings(settings: Settings) -> list[str]:
    """Tools that are named but not there, and why."""
    named = any("search_web" in spec.tools for spec in settings.agents.values())
    return [f"search_web is off: set one of {', '.join(KEYS)}"] if named and not available(os.environ) else []


def build(names: list[str], agent: str, built_in: BuiltIn, known: Mapping[str, Any], guard: Guard) -> list[Any]:
    """CrewAI tool objects for one agent, each behind its guard."""
    from crewai.tools import tool as crewai_tool

    let_through()
    built = []
    for name in names:
        if name == "search_web" and not available(os.environ):
            continue
        candidate: Any = known[name] if name in known else built_in.get(name, agent)
        if hasattr(candidate, "args_schema"):
            built.append(guarded(candidate, candidate._run, agent, guard))
        else:
            built.append(guarded(crewai_tool(name)(_described(candidate)), candidate, agent, guard))
    return built


def _check_needs(settings: Settings) -> None:
    for name, task in settings.tasks.items():
        tools = settings.agents[task.agent].tools
        for check in task.checks:
            needed = NEEDS.get(check, ())
            if needed and not {*needed, *settings.engine.services}.intersection(tools):
                at = line_of(settings, name, "checks")
                problem = f'{at}: task "{name}" checks {check}, but its agent "{task.agent}" has no {needed[0]}'
                raise ConfigError(
                    problem, hint=f"give {task.agent} the tool {needed[0]} in {AGENTS}, or drop the check"
                )


def _check_schemas(settings: Settings) -> None:
    """A schema that is missing or broken would be found out when the model has been paid for."""
    for name, task in settings.tasks.items():
        if task.data:
            load_schema(task.data, settings.root, line_of(settings, name, "data"))
        elif "data" in task.checks:
            raise ConfigError(
                f'{line_of(settings, name, "checks")}: task "{name}" checks data, but names no schema',
                hint=f"add data: to {name} in {TASKS}",
            )
    with_schema = {task.agent for task in settings.tasks.values() if task.data}
    for name, agent in settings.agents.items():
        if "check_data" in agent.tools and name not in with_schema:
            at = read_yaml(settings.root / AGENTS, AGENTS)[1].at(AGENTS, name, "tools")
            raise ConfigError(
                f'{at}: agent "{name}" has check_data, but no task of it names a schema',
                hint=f"add data: to a task of {name} in {TASKS}",
            )


def _check_policy(settings: Settings, tools: list[str]) -> None:
    """A misspelt name in the policy is a rule that nobody keeps."""
    policy = settings.engine.policy
    tools = [*tools, *names.DELEGATION]
    for key, found, known in (
        *(("policy.agents", agent, list(settings.agents)) for agent in policy.agents),
        *((f"policy.agents.{agent}", name, tools) for agent, named in policy.agents.items() for name in named),
        *(("policy.tools", name, tools) for name in policy.tools),
    ):
        if found not in known:
            raise ConfigError(f'{key}: there is no "{found}"', hint=nearest(found, known))


def _check_isolation(settings: Settings, known: Mapping[str, Any]) -> None:
    """Only what stands in the user's module can be found there by another process."""
    for name, rule in settings.engine.policy.tools.items():
        if rule.isolate and name not in known:
            raise ConfigError(
                f"policy.tools.{name}.isolate: only tools of your own run in a process of their own",
                hint=f"remove isolate from policy.tools.{name} in {CONFIG}",
            )


def _described(function: Callable[..., Any]) -> Any:
    """With its docstring as people wrote it, without the spaces before its lines: the model reads it in every call."""

    @functools.wraps(function)
    def described(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    described.__doc__ = inspect.cleandoc(function.__doc__ or "")
    with contextlib.suppress(NameError):  # annotations that are texts mean what they mean in their own module
        described.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return described


def guarded(tool: Any, function: Callable[..., Any], agent: str, guard: Guard) -> Any:
    """A copy of a CrewAI tool object whose calls, each of them, go through the guard and come back as text."""
    from crewai.tools import BaseTool

    run = guard.around(tool.name, function, agent, tool.args_schema)

    def called(_self: Any, *args: Any, **kwargs: Any) -> str:
        return run(*args, **kwargs)

    async def waited_for(_self: Any, *args: Any, **kwargs: Any) -> str:
        return await asyncio.to_thread(run, *args, **kwargs)

    def refuse(arguments: Any) -> str:
        return guard.refuse(tool.name, agent, arguments)

    names = {
        "_run": called, "_arun": waited_for, "run": BaseTool.run, "arun": BaseTool.arun,
        "format_output_for_agent": BaseTool.format_output_for_agent, REFUSE: staticmethod(refuse),
        "__module__": type(tool).__module__,
    }  # fmt: skip
    changes = {"args_schema": as_given(tool.args_schema), "result_schema": None, "cache_function": _never}
    copy = tool.model_copy(update=changes)
    copy.__class__ = types.new_class(type(tool).__name__, (type(tool),), exec_body=lambda body: body.update(names))
    return copy


def _never(*_: Any) -> bool:
    """CrewAI answers no call from its cache: each is judged, counted and journalled."""
    return False
