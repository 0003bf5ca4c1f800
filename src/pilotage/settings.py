"""Settings: config/*.yaml, .env, environment and --set, strictly checked.

One value, one winner: `--set` over environment over `.env` over YAML over default. Each value remembers where it
came from. An unknown key, a wrong type or an unknown name is a ConfigError with file, line and the nearest name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from pilotage.errors import ConfigError, nearest
from pilotage.prompts import Prompts, defaults
from pilotage.prompts import load as load_prompts
from pilotage.spec import AgentSpec, CapSpec, EngineSpec, PriceSpec, TaskSpec
from pilotage.yamlfile import Marks, describe, read_yaml

CONFIG = "config/pilotage.yaml"
AGENTS = "config/agents.yaml"
TASKS = "config/tasks.yaml"
PRICES = "config/prices.yaml"
PREFIX = "PILOTAGE_"
TEXT_KEYS = {
    "question", "crew", "tools", "model.name", "model.base_url", "model.api_key_env", "model.tool_calls",
    "evidence.knowledge", "record.store", "web.user_agent",
}  # fmt: skip
PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w-]*)\}")
ALIASES = {"MODEL": "model.name", "QUESTION": "question"}

Spec = TypeVar("Spec", bound=BaseModel)


@dataclass(frozen=True)
class Settings:
    """Everything a run needs to know, and where each value came from (`origins["limits.usd"]` -> "default")."""

    root: Path
    engine: EngineSpec
    agents: Mapping[str, AgentSpec]
    tasks: Mapping[str, TaskSpec]
    origins: Mapping[str, str]
    prices: Mapping[str, tuple[PriceSpec, ...]] = field(default_factory=dict)  # of one's own, by the model's name
    prompts: Prompts = field(default_factory=defaults)

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def knowledge(self) -> Path:
        return self.root / self.engine.evidence.knowledge

    @property
    def store(self) -> Path:
        return self.root / self.engine.record.store


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upward from `start` that holds config/pilotage.yaml."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise ConfigError(
        f"No {CONFIG} in {here} or any folder above it", hint="run this inside a Pilotage project, or copy the template"
    )


def load(root: Path | None = None, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings; `overrides` are the `--set KEY=VALUE` pairs of the command line."""
    root = root or find_root()
    in_file = dotenv_values(root / ".env")
    for name, value in in_file.items():
        if value:
            os.environ.setdefault(name, value)
    files = {file: read_yaml(root / file, file) for file in (CONFIG, AGENTS, TASKS)}
    origins = {key: f"{CONFIG}:{mark}" for key, mark in files[CONFIG][1].lines_of(known_keys()).items()}
    for key, value, origin in (*_from_environment(in_file), *_from_overrides(overrides or {})):
        _put(files, key, value, origin)
        origins[key] = origin
    engine = _check(EngineSpec, *files[CONFIG], CONFIG)
    agents = _check_entries(AgentSpec, *files[AGENTS], AGENTS)
    tasks = _check_entries(TaskSpec, *files[TASKS], TASKS)
    _check_texts(agents, files[AGENTS][1], AGENTS)
    _check_texts(tasks, files[TASKS][1], TASKS)
    _check_names(agents, tasks, files[TASKS][1])
    origins = {key: origins.get(key, "default") for key in known_keys()}
    return Settings(root, engine, agents, tasks, origins, read_prices(root), load_prompts(root))


def read_prices(root: Path) -> dict[str, tuple[PriceSpec, ...]]:
    """The prices in config/prices.yaml, those of each model by the day from which they hold; {} without the file."""
    if not os.path.lexists(root / PRICES):
        return {}
    tree, marks = read_yaml(root / PRICES, PRICES)
    seen: dict[str, str] = {}
    for name in tree:
        if (first := seen.setdefault(name.strip().lower(), name)) != name:
            raise ConfigError(f'{marks.at(PRICES, name)}: "{name}" stands there already, as "{first}"')
    return {name: _check_prices(name, entry, marks) for name, entry in tree.items()}


@contextmanager
def located(settings: Settings) -> Iterator[None]:
    """A ConfigError that names a key of pilotage.yaml is raised again with the file and the line of that key."""
    try:
        yield
    except ConfigError as error:
        place = "" if re.match(r"\S+:\d+: ", str(error)) else _place(settings, f"{error} {error.hint}")
        if not place:
            raise
        said = str(error).removeprefix(f"{place.removeprefix('--set ')}: ")  # the key is not said twice
        raise ConfigError(f"{place}: {said}", hint=error.hint) from None


def _place(settings: Settings, text: str) -> str:
    """Where the longest key that `text` names was set; "" when it names none."""
    marks = read_yaml(settings.root / CONFIG, CONFIG)[1]
    known = [tuple(key.split(".")) for key in known_keys()]
    paths = [path for path in (*marks.lines, *known) if re.search(rf"\b{re.escape('.'.join(path))}(?![\w-])", text)]
    if not paths:
        return ""
    path = max(paths, key=len)
    key = next((key for key in known_keys() if ".".join(path).startswith(key)), "")
    origin = settings.origins.get(key, "")
    if origin and not origin.startswith(CONFIG):
        return origin if origin != "default" else ""
    quoted = next((name for name in re.findall(r'"([^"]+)"', text) if (*path, name) in marks.lines), None)
    return marks.at(CONFIG, *path, *([quoted] if quoted else []))


def known_keys() -> list[str]:
    """All keys of pilotage.yaml, dotted: `limits.seconds`."""
    keys = []
    for name, known in EngineSpec.model_fields.items():
        part = known.annotation
        inner = part.model_fields if isinstance(part, type) and issubclass(part, BaseModel) else None
        keys += [f"{name}.{sub}" for sub in inner] if inner else [name]
    return keys


def _from_environment(in_file: Mapping[str, str | None]) -> list[tuple[str, Any, str]]:
    names = ALIASES | {PREFIX + key.upper().replace(".", "_"): key for key in known_keys()}
    found = []
    for name in sorted(os.environ, key=lambda name: (in_file.get(name) != os.environ[name], name)):  # .env first
        if name in names and os.environ[name].strip():
            raw = os.environ[name]
            origin = f".env ({name})" if in_file.get(name) == raw else f"environment ({name})"
            found.append((names[name], _scalar(names[name], raw), origin))
        elif name.startswith((f"{PREFIX}AGENTS_", f"{PREFIX}TASKS_")):
            problem = f"{name} in the environment: keys of agents and tasks are not set there"
            raise ConfigError(problem, hint=f"set it in {AGENTS} or {TASKS}, or with --set agents.NAME.KEY=VALUE")
        elif name.startswith(PREFIX) and name not in names:
            raise ConfigError(f"Unknown setting {name} in the environment", hint=nearest(name, names))
    return found


def _from_overrides(overrides: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    return [(key, _scalar(key, raw), f"--set {key}") for key, raw in overrides.items()]


def _scalar(key: str, raw: str) -> Any:
    """`raw` as YAML would read it; a setting that holds text takes it as it stands."""
    if key in TEXT_KEYS:
        return raw
    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        return raw


def _put(files: Mapping[str, tuple[dict[str, Any], Marks]], key: str, value: Any, origin: str) -> None:
    """Set a dotted key in the tree it belongs to: agents.NAME.KEY, tasks.NAME.KEY or a key of pilotage.yaml."""
    head, *rest = key.split(".")
    file = {"agents": AGENTS, "tasks": TASKS}.get(head, CONFIG)
    tree, marks = files[file]
    path = rest if file != CONFIG else [head, *rest]
    if file == CONFIG and key not in known_keys():
        raise ConfigError(f'Unknown setting "{key}" ({origin})', hint=nearest(key, known_keys()))
    depth = 3 if path[1:2] == ["limits"] else 2
    if file != CONFIG and (not 2 <= len(path) <= depth or path[0] not in tree):
        raise ConfigError(f'Unknown setting "{key}" ({origin})', hint=_nearest_of_entry(head, path, tree))
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[path[-1]] = value
    marks.forget(tuple(path), origin)


def _nearest_of_entry(head: str, path: Sequence[str], tree: Mapping[str, Any]) -> str:
    """What `agents.X…` may have meant: another entry, or one of the keys that an entry has."""
    if not path or path[0] not in tree:
        return nearest(path[0] if path else "", tree)
    spec = AgentSpec if head == "agents" else TaskSpec
    keys = [key for key in spec.model_fields if key != "limits"] + [f"limits.{cap}" for cap in CapSpec.model_fields]
    return nearest(".".join(path), [f"{head}.{path[0]}.{key}" for key in keys])


def _check(spec: type[Spec], tree: dict[str, Any], marks: Marks, file: str) -> Spec:
    try:
        return spec.model_validate(tree)
    except ValidationError as error:
        fault = describe(error, spec, marks, file)
        said = re.sub(r'("alerts(?:\.webhook)?": [^\n]*?), found .*', r"\1", str(fault), flags=re.DOTALL)  # a secret
        raise ConfigError(said, hint=fault.hint) from None


def _check_entries(spec: type[Spec], tree: dict[str, Any], marks: Marks, file: str) -> dict[str, Spec]:
    if not tree:
        raise ConfigError(f"{file}: expected at least one entry, found none", hint=f"copy {file} from the template")
    entries = {}
    for name, entry in tree.items():
        try:
            entries[name] = spec.model_validate(entry)
        except ValidationError as error:
            raise describe(error, spec, marks, file, prefix=(name,)) from None
    return entries


def _check_prices(name: str, entry: Any, marks: Marks) -> tuple[PriceSpec, ...]:
    where, found = marks.at(PRICES, name), []
    if "*" in name[:-1]:
        raise ConfigError(f'{where}: "{name}": a * stands at the end of a name only', hint="such as ollama/*")
    entries = entry if isinstance(entry, list) else [entry]
    for number, values in enumerate(entries):
        prefix = (name, f"[{number}]") if isinstance(entry, list) else (name,)
        try:
            found.append(PriceSpec.model_validate(values))
        except ValidationError as error:
            raise describe(error, PriceSpec, marks, PRICES, prefix=prefix) from None
    days = [price.since for price in found]
    if not days or len(set(days)) < len(days):
        problem = "no price is listed" if not days else f"two prices hold since {days[0] or 'ever'}"
        raise ConfigError(f'{where}: "{name}": {problem}', hint="each price in a list has a `since` of its own")
    return tuple(sorted(found, key=lambda price: price.since or date.min))


def _check_texts(entries: Mapping[str, AgentSpec] | Mapping[str, TaskSpec], marks: Marks, file: str) -> None:
    """CrewAI fills {question} in; any other {name} would end the run when it has begun."""
    for name, entry in entries.items():
        for key, value in entry.model_dump().items():
            for found in PLACEHOLDER.findall(value) if isinstance(value, str) else ():
                if found != "question":
                    problem = f"{marks.at(file, name, key)}: unknown placeholder {{{found}}} in {name}.{key}"
                    raise ConfigError(problem, hint="the only one is {question}")


def _check_names(agents: Mapping[str, AgentSpec], tasks: Mapping[str, TaskSpec], marks: Marks) -> None:
    earlier: list[str] = []
    for name, task in tasks.items():
        if task.agent not in agents:
            raise ConfigError(
                f'{marks.at(TASKS, name, "agent")}: task "{name}" names the agent "{task.agent}", not in {AGENTS}',
                hint=nearest(task.agent, agents),
            )
        for wanted in task.context:
            if wanted not in earlier:
                raise ConfigError(
                    f'{marks.at(TASKS, name, "context")}: task "{name}" needs "{wanted}", which is no earlier task',
                    hint=nearest(wanted, earlier or ["(none: this is the first task)"]),
                )
        earlier.append(name)
