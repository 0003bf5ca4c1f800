"""The policy: which agent may call which tool, and which domains, folders and how many calls a tool has.

A call is judged by its arguments before it runs; a redirect of a page is judged like the page. Nothing that an agent
reads can change the policy: the only names that are added during a run are hosts that search_web returned.

Without a rule of its own, read_page reaches the hosts that you named: in the question, with --url, or under web.sites.
What is not covered: what a tool of yours does inside, beyond the URLs and paths in its arguments; a link that is made
between the judgement and the call.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotage.guard.arguments import is_file, paths_in, texts_in, urls_in
from pilotage.guard.hosts import ANY, covered, hosts_in, read_host
from pilotage.settings import AGENTS, CONFIG
from pilotage.spec import PolicySpec, ToolRule

__all__ = ["KNOWLEDGE_TOOLS", "PAGES", "USER", "Denial", "Policy", "Reason", "hosts_in", "lines"]

USER = "user"  # who calls when the command line names a page
PAGES = "read_page"
KNOWLEDGE_TOOLS = ("search_knowledge", "read_source")  # evidence.knowledge is their folder unless a rule narrows it
CLOSED_TOOLS = (*KNOWLEDGE_TOOLS, "query_db", "search_web", "run_python", "check_data")  # no address or path leads out
SHOWN = 80  # characters of an address or a name in a sentence


@dataclass(frozen=True)
class Denial:
    """Why a call does not run: a sentence for the agent, the rule that denied it, and what a person may change."""

    reason: str
    rule: str
    hint: str = ""


class Reason(str):
    """Why an address may not be reached, a sentence or "", and the hint that belongs to it."""

    hint: str

    def __new__(cls, text: str = "", hint: str = "") -> Reason:
        reason = super().__new__(cls, text)
        reason.hint = hint
        return reason


class Policy:
    """The rules of one run and how many calls each tool has had. Safe from several threads."""

    def __init__(
        self, spec: PolicySpec, root: Path, tools_of: Mapping[str, Sequence[str]], named: Iterable[str] = ()
    ) -> None:
        self.spec, self.root, self.tools_of = spec, root, tools_of
        self._named = frozenset((*named, *spec.allow_private_hosts))
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def name_hosts(self, hosts: Iterable[str]) -> None:
        """Hosts that read_page may reach from now on."""
        with self._lock:
            self._named = self._named.union(hosts)

    def denies(self, agent: str, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        """Why this call must not run, or None: then it is counted."""
        found = self._agent(agent, tool) or self._urls(tool, arguments) or self._paths(tool, arguments)
        return found or self._count(tool)

    def reads_no_page(self) -> bool:
        """Whether read_page may reach no host at all, unless one is named later."""
        domains = self._domains(PAGES)
        return not (self._named if domains is None else domains)

    def denies_url(self, tool: str, url: str) -> Reason:
        """Why the tool may not reach this address, or "": asked for each redirect too."""
        denial = self._host(tool, url)
        return Reason(f"{denial.reason} ({denial.rule})", denial.hint) if denial else Reason()

    def within(self, tool: str, path: Path) -> bool:
        """Whether the tool may touch this file."""
        return self._path(tool, path) is None

    def rule(self, tool: str) -> ToolRule:
        return self.spec.tools.get(tool, ToolRule())

    def _agent(self, agent: str, tool: str) -> Denial | None:
        if agent == USER and USER not in self.tools_of:  # an agent of that name is an agent
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
                return Denial(f"{tool} has had its {most} calls", f"policy.tools.{tool}.calls")
            self._calls[tool] += 1
        return None

    def _urls(self, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        if self._domains(tool) is None and tool != PAGES:
            return None
        in_folders = self.rule(tool).folders is not None  # then a file: address is judged as a path
        urls = (url for name, text in texts_in(arguments) for url in urls_in(name, text))
        denials = (self._host(tool, url) for url in urls if not (in_folders and is_file(url)))
        return next(filter(None, denials), None)

    def _domains(self, tool: str) -> Sequence[str] | None:
        """The domains of a tool; None: as many as it likes, or for read_page those that were named."""
        domains = self.rule(tool).domains
        return () if domains is None and self.spec.strict and tool not in CLOSED_TOOLS else domains

    def _host(self, tool: str, url: str) -> Denial | None:
        host, domains = read_host(url), self._domains(tool)
        named = domains is None and tool == PAGES
        if domains is None and not named:
            return None
        if host and (ANY in (domains or ()) or covered(host, self._named if domains is None else domains)):
            return None
        key = f"policy.tools.{tool}.domains"
        rule = f"{key} names no other" if named else key
        if host is None:
            return Denial(f"{_shown(url)} {_unclear(url)}", rule)
        hint = f'add "{host.name}" to {key} in {CONFIG}'
        if named:
            reason = f"{host.name} is no host that you named in the question, with --url or under web.sites"
            return Denial(reason, rule, f"name it in the question or with --url, or {hint}")
        return Denial(f"{host.name} is not among the domains of {tool}", rule, hint)

    def _paths(self, tool: str, arguments: Mapping[str, Any]) -> Denial | None:
        """KNOWLEDGE_TOOLS take no paths: they ask `within` for each document."""
        if tool in KNOWLEDGE_TOOLS or self._folders(tool) is None:
            return None
        for name, text in texts_in(arguments):
            for path, is_path in paths_in(name, text):
                for place in self._places(path):
                    if (is_path or _may_be(path, place)) and (denial := self._path(tool, place)):
                        return denial
        return None

    def _folders(self, tool: str) -> Sequence[str] | None:
        """The folders of a tool; None: it is not judged by paths."""
        folders = self.rule(tool).folders
        return () if folders is None and self.spec.strict and tool not in CLOSED_TOOLS else folders

    def _places(self, path: str) -> Iterator[Path]:
        """Where a path may lead: from the project's folder, and from the present one where its parent is there."""
        here = Path.cwd()
        for form in dict.fromkeys((path, path.replace("\\", "/"))):
            place = os.path.expanduser(form)
            yield self.root / place
            if here != self.root and not os.path.isabs(place) and os.path.isdir((here / place).parent):
                yield here / place

    def _path(self, tool: str, path: Path) -> Denial | None:
        folders = self._folders(tool)
        if folders is None:
            return None
        try:
            inside = path.resolve()
            if any(inside.is_relative_to((self.root / folder).resolve()) for folder in folders):
                return None
        except (OSError, RuntimeError, ValueError):  # a loop of links, a zero byte: no place at all
            pass
        return Denial(f"{_shown(path.name or str(path))} is in no folder of {tool}", f"policy.tools.{tool}.folders")


def lines(spec: PolicySpec) -> list[str]:
    """The rules as `pilotage doctor` shows them."""
    found = [f"strict: {'on' if spec.strict else 'off'}"]
    found += [f"{agent}: {', '.join(tools) or 'nothing'}" for agent, tools in spec.agents.items()]
    for tool, rule in spec.tools.items():
        values = {name: value for name, value in rule.model_dump().items() if value is not None}
        found.append(f"{tool}: " + (", ".join(f"{name} {value}" for name, value in values.items()) or "no limit"))
    if spec.allow_private_hosts:
        found.append(f"private hosts: {', '.join(spec.allow_private_hosts)}")
    return [*found, f"see policy in {CONFIG}"]


def _may_be(text: str, place: Path) -> bool:
    """Whether a text that could be words ("TCP/IP") is a path: its first folder, or the file itself, is there."""
    try:
        if os.path.isabs(text):
            return os.path.lexists(Path(*Path(text).parts[:2]))
        parts = Path(text.replace("\\", "/")).parts
        return place.is_file() if len(parts) < 2 else os.path.lexists(_first(place, len(parts)))
    except (OSError, ValueError):
        return "\0" in text


def _first(place: Path, count: int) -> Path:
    """`root/a` of `root/a/b/c` with three parts of its own."""
    return Path(*place.parts[: len(place.parts) - count + 1])


def _unclear(url: str) -> str:
    """What is wrong with an address that has no host."""
    authority = re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]
    return "carries a user name or a password" if "@" in authority else "is an address without a clear host"


def _shown(text: str) -> str:
    """A stretch of an agent's or a page's text for a sentence: printable, short, without a password."""
    scheme, mark, rest = text.partition("://")
    text = f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else text.rpartition("@")[2]
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
