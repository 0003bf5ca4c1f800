"""What about the user's tools, the policy and the checks of tasks could never work: said before a run is paid for.

What is not covered: whether a host exists, and what the types of a CrewAI tool object hold, which CrewAI reads itself.
"""

from __future__ import annotations

import inspect
import re
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model

from pilotage import names
from pilotage.checks.results import TYPES, Data, Explanation, Findings, Solution, Verdicts
from pilotage.errors import ConfigError
from pilotage.guard.hosts import ANY, read_host
from pilotage.guard.policy import KNOWLEDGE_TOOLS
from pilotage.settings import CONFIG, TASKS, Settings
from pilotage.spec import PolicySpec, TaskSpec
from pilotage.tools import where
from pilotage.web.address import PrivateHosts
from pilotage.yamlfile import read_yaml

FITS: dict[str, tuple[type[BaseModel], ...]] = {  # check -> what it can judge
    "findings": (Findings,), "verdicts": (Verdicts,), "citations": (Explanation,), "code": (Solution,),
    "data": (Data,), "grounding": (Findings, Verdicts, Explanation), "answer": (Explanation,),
}  # fmt: skip
FREE = ("code", "data")  # a class of the user's own may have these too


def check_names(known: Mapping[str, Any], built_in: Iterable[str]) -> None:
    """ConfigError for a tool of the user's own that hides a built-in one."""
    taken = {names.tool_name(name): name for name in built_in}
    for name, tool in known.items():
        if (found := taken.get(names.tool_name(name))) is not None:
            problem = f"{where(_function(tool))}: the tool {name} is named like the built-in tool {found}"
            raise ConfigError(problem, hint="rename it")


def check_types(known: Mapping[str, Any], wanted: Iterable[str]) -> None:
    """ConfigError for an argument of a function whose type no schema can be made of."""
    for name in wanted:
        function = known.get(name)
        if function is None or hasattr(function, "args_schema"):
            continue
        for parameter in inspect.signature(function).parameters.values():
            if not _is_read(parameter, function):
                what = "the name" if parameter.name.startswith("_") else "the type"
                problem = f'{what} of "{parameter.name}" of the tool {name} cannot be read'
                raise ConfigError(
                    f"{where(function)}: {problem}",
                    hint="an argument has a plain name and a type such as str, int or list[str]",
                )


def check_places(policy: PolicySpec, root: Path) -> None:
    """ConfigError for a host or a folder of the policy that is none."""
    PrivateHosts.read(policy.allow_private_hosts)
    for tool, rule in policy.tools.items():
        for entry in rule.domains or ():
            _check_host(entry, f"policy.tools.{tool}.domains")
        for folder in (rule.folders or ()) if tool in KNOWLEDGE_TOOLS else ():
            if not (root / folder).exists():
                raise ConfigError(
                    f'"{folder}" does not exist (policy.tools.{tool}.folders)',
                    hint=f"make it, or change it in {CONFIG}: it is read from the project's folder",
                )


def check_checks(settings: Settings) -> None:
    """ConfigError for a check of a task that does not fit what the task returns, and for a schema that none reads."""
    for name, task in settings.tasks.items():
        for check in task.checks:
            if not _fits(check, task, settings):
                fitting = " or ".join(kind.__name__ for kind in _kinds(check))
                raise ConfigError(
                    f'{line_of(settings, name, "checks")}: task "{name}" checks {check}, which {task.output_pydantic} '
                    "cannot have",
                    hint=f"write output_pydantic: {fitting} in {TASKS}, or drop the check",
                )
        if task.data and "data" not in task.checks and "check_data" not in settings.agents[task.agent].tools:
            raise ConfigError(
                f'{line_of(settings, name, "data")}: task "{name}" names a schema, but nothing reads it',
                hint=f"add data to the checks of {name} in {TASKS}, or drop data:",
            )


def _fits(check: str, task: TaskSpec, settings: Settings) -> bool:
    if ":" not in task.output_pydantic:
        kind = TYPES.get(task.output_pydantic)
        return kind is None or issubclass(kind, FITS[check])  # an unknown type is said where it is looked up
    if check in FREE:
        return True
    try:
        found = names.find(task.output_pydantic, "output_pydantic", settings.root)
    except ConfigError:
        return True
    is_model = isinstance(found, type) and issubclass(found, BaseModel)
    return not is_model or issubclass(found, FITS[check])


def _kinds(check: str) -> list[type[BaseModel]]:
    return [kind for kind in TYPES.values() if issubclass(kind, FITS[check])]


def line_of(settings: Settings, task: str, key: str) -> str:
    """`config/tasks.yaml:12`; the file is read again only for a fault."""
    return read_yaml(settings.root / TASKS, TASKS)[1].at(TASKS, task, key)


def _check_host(entry: str, key: str) -> None:
    text = entry.strip()
    bare = text.removeprefix("*.")
    if text == ANY or (_is_host(bare) and not bare.startswith("*")):
        return
    found = read_host(_bracketed(re.split(r"[/?#]", bare.rpartition("://")[2])[0]))
    hint = f'write "{found.name}"; paths are not judged' if found else 'write "example.org" or "example.org:8000"'
    raise ConfigError(f'"{entry}" is no host ({key})', hint=hint)


def _is_host(text: str) -> bool:
    """A name or an IP address, with a port or without, and nothing else."""
    text = _bracketed(text)
    host = None if re.search(r"[/?#@\s*]|:\Z", text) else read_host(text)
    return host is not None and host.port != 0


def _bracketed(text: str) -> str:
    return f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text


def _is_read(parameter: inspect.Parameter, function: Callable[..., Any]) -> bool:
    """Whether a schema can be made of the parameter's type, as CrewAI makes one."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):  # the model is shown none of these
        return True
    given = parameter.annotation
    holder = type("Holder", (), {"__annotations__": {"value": Any if given is parameter.empty else given}})
    known = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hint = typing.get_type_hints(holder, globalns=known, localns={}, include_extras=True)["value"]
            fields: dict[str, Any] = {parameter.name: (hint, ...)}
            made = create_model("Arguments", **fields)
            made.model_json_schema()
    except Exception:  # pydantic has many kinds for it
        return False
    return parameter.name in made.model_fields  # a name with "_" in front is no field


def _function(tool: Any) -> Any:
    """What of a tool has lines in a file."""
    return getattr(tool, "func", None) or getattr(tool, "_run", None) or tool
