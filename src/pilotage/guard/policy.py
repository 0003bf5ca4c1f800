"""The policy: which agent may call which tool, and which domains, folders and how many calls a tool has.

A call is judged by its arguments before it runs; a redirect of a page is judged like the page. Nothing that an agent
reads can change the policy: the only names that are added during a run are hosts that search_web returned.

Without a rule of its own, read_page reaches the hosts that you named: in the question, with --url, or under web.sites.
What is not covered: what a tool of yours does inside, beyond the URLs and paths in its arguments.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pilotage.settings import AGENTS, CONFIG, PolicySpec, ToolRule

USER = "user"  # who calls when the command line names a page
PAGES = "read_page"
ANY = "*"
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_ADDRESS_NAME = re.compile(r"(?:^|_)(?:url|uri|link|host|domain|website|endpoint|address)s?(?:_|$)", re.IGNORECASE)
_PATH_NAME = re.compile(r"(?:^|_)(?:path|file|filename|folder|dir|directory)s?(?:_|$)", re.IGNORECASE)
_PATH = re.compile(r"(?:[/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:)|(?:.*[/\\])?\.\.(?:[/\\]|$)", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?![\w-])", re.IGNORECASE)


@dataclass(frozen=True)
class Denial:
    """Why a call does not run: a sentence for the agent, and the rule that denied it."""

    reason: str
    rule: str


class Policy:
    """The rules of one run and how many calls each tool has had. Safe from several threads."""

    def __init__(
        self, spec: PolicySpec, root: Path, tools_of: Mapping[str, Sequence[str]], named: Iterable[str] = ()
    ) -> None:
        self.spec, self.root, self.tools_of = spec, root, tools_of
        self._named = {_bare(host) for host in (*named, *spec.allow_private_hosts)}
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def name_hosts(self, hosts: Iterable[str]) -> None:
        """Hosts that read_page may reach from now on."""
        self._named.update(_bare(host) for host in hosts)

    def denies(self, agent: str, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        """Why this call must not run, or None: then it is counted."""
        found = self._agent(agent, tool) or self._urls(tool, arguments) or self._paths(tool, arguments)
        return found or self._count(tool)

    def denies_url(self, tool: str, url: str) -> str:
        """Why the tool may not reach this address, or "": asked for each redirect too."""
        denial = self._host(tool, url)
        return f"{denial.reason} ({denial.rule})" if denial else ""

    def within(self, tool: str, path: Path) -> bool:
        """Whether the tool may touch this file."""
        return self._path(tool, path) is None

    def rule(self, tool: str) -> ToolRule:
        return self.spec.tools.get(tool, ToolRule())

    def _agent(self, agent: str, tool: str) -> Denial | None:
        if agent == USER:
            return None
        allowed = self.spec.agents.get(agent)
        if allowed is None and self.spec.strict:
            return Denial(f"{agent} is not named in the policy", "policy.strict")
        if allowed is not None and tool not in allowed:
            return Denial(f"{agent} may not use {tool}", f"policy.agents.{agent}")
        if tool not in self.tools_of.get(agent, ()):
            return Denial(f"{agent} does not have {tool}", f"{AGENTS}: {agent}.tools")
        return None

    def _count(self, tool: str) -> Denial | None:
        with self._lock:
            most = self.rule(tool).calls
            if most is not None and self._calls[tool] >= most:
                return Denial(f"{tool} has had {most} of {most} calls", f"policy.tools.{tool}.calls")
            self._calls[tool] += 1
        return None

    def _urls(self, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        if self._domains(tool) is None and tool != PAGES:
            return None
        for name, value in _strings(arguments):
            urls = [value] if _ADDRESS_NAME.search(name) else _URL.findall(value)
            for url in urls:
                if denial := self._host(tool, url):
                    return denial
        return None

    def _domains(self, tool: str) -> Sequence[str] | None:
        """The domains of a tool; None: as many as it likes, or for read_page those that were named."""
        domains = self.rule(tool).domains
        return () if domains is None and self.spec.strict else domains

    def _host(self, tool: str, url: str) -> Denial | None:
        host, port = _host_of(url)
        domains = self._domains(tool)
        if domains is None:
            if tool != PAGES or _covered(host, port, self._named):
                return None
            return Denial(
                f"{host or url} is no host that you named in the question, with --url or under web.sites",
                f"no policy.tools.{PAGES}.domains",
            )
        if ANY in domains or _covered(host, port, domains):
            return None
        return Denial(f"{host or url} is not among the domains of {tool}", f"policy.tools.{tool}.domains")

    def _paths(self, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        if self.rule(tool).folders is None and not self.spec.strict:
            return None
        for name, value in _strings(arguments):
            if (_PATH_NAME.search(name) or _PATH.match(value)) and not _URL.match(value):
                path = Path(value.removeprefix("file://").removeprefix("file:")).expanduser()
                if denial := self._path(tool, self.root / path):
                    return denial
        return None

    def _path(self, tool: str, path: Path) -> Denial | None:
        folders = self.rule(tool).folders
        if folders is None and (not self.spec.strict or tool in KNOWLEDGE_TOOLS):
            return None
        inside = path.resolve()
        if any(inside.is_relative_to((self.root / folder).resolve()) for folder in folders or ()):
            return None
        return Denial(f"{path.name} is in no folder of {tool}", f"policy.tools.{tool}.folders")


KNOWLEDGE_TOOLS = ("search_knowledge", "read_source")  # evidence.knowledge is their folder unless a rule narrows it


def hosts_in(text: str) -> list[str]:
    """The hosts that a text names: `https://docs.python.org/3/` and `docs.python.org` alike.

    >>> hosts_in("What does https://docs.python.org/3/ say, and example.org?")
    ['docs.python.org', 'example.org']
    """
    return list(dict.fromkeys([_host_of(url)[0] for url in _URL.findall(text)] + _HOST.findall(text)))


def lines(spec: PolicySpec) -> list[str]:
    """The rules as `pilotage doctor` shows them."""
    found = [f"strict: {'on' if spec.strict else 'off'}"]
    found += [f"{agent}: {', '.join(tools) or 'nothing'}" for agent, tools in spec.agents.items()]
    for tool, rule in spec.tools.items():
        values = {name: value for name, value in rule.model_dump().items() if value is not None}
        found.append(f"{tool}: " + (", ".join(f"{name} {value}" for name, value in values.items()) or "no limit"))
    if spec.allow_private_hosts:
        found.append(f"private hosts: {', '.join(spec.allow_private_hosts)}")
    return found + [f"see policy in {CONFIG}"]


def _covered(host: str, port: int | None, names: Iterable[str]) -> bool:
    """Whether a host is one of the names or below one; a name with a port covers that port alone."""
    for name in names:
        wanted, _, wanted_port = name.lower().removeprefix("*.").partition(":")
        wanted = _bare(wanted)
        if wanted_port and str(port) != wanted_port:
            continue
        if wanted and (host == wanted or host.endswith(f".{wanted}")):
            return True
    return False


def _bare(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("www.")


def _host_of(url: str) -> tuple[str, int | None]:
    """Host without www. and port; ("", None) when there is none."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return _bare(parts.hostname or ""), port
    except ValueError:
        return "", None


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every string in the arguments with the name that it stands under."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(item, str(key))
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _strings(item, name)
