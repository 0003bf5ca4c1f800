"""robots.txt as RFC 9309 has it: 4xx allows everything, 5xx or no answer nothing; the rules are read once an origin."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pilotage.web.address import Refused, Target

if TYPE_CHECKING:
    from protego import Protego

CAP = 500_000  # bytes; what comes after them is not read

AGENT_LINE = re.compile(r"\s*user[\s-]*agent[\s:]+([^#]*)", re.IGNORECASE)
OWN = 20  # names of ours that one file may address

Get = Callable[[Target], tuple[int, bytes]]
"""GETs a URL, through redirects: status and the first CAP bytes of the body."""


class Robots:
    """The rules that were read, by origin. No answer is not kept: the next fetch asks again."""

    def __init__(self, user_agent: str) -> None:
        self._agent = user_agent
        self._rules: dict[str, Protego] = {}

    def check(self, target: Target, get: Get) -> float:
        """The crawl delay in seconds, 0 when none is asked for; Refused when robots.txt does not allow the URL."""
        rules = self._rules.get(target.origin)
        if rules is None:
            rules = self._rules.setdefault(target.origin, self._read(target, get))
        if not rules.can_fetch(target.url, self._agent):
            raise Refused(f"is not fetched, because robots.txt of {target.netloc} does not allow it for {self._agent}")
        return rules.crawl_delay(self._agent) or 0.0

    def _read(self, target: Target, get: Get) -> Protego:
        from protego import Protego

        place = replace(target, path="/robots.txt")
        try:
            status, body = get(place)
        except Refused as error:
            raise Refused(f"is not fetched, because {place.url} {error}") from None
        if status >= 500:
            raise Refused(f"is not fetched, because {place.url} answered {status}")
        text = body.decode("utf-8", "replace").removeprefix("\ufeff") if 200 <= status < 300 else ""
        rules: Protego = Protego.parse(fold_agents(text, self._agent))
        return rules


def fold_agents(text: str, own: str) -> str:
    """The rules with all agents but `own` under one name.

    Protego 0.7 gives each rule to each agent of its group: 18,000 agents with 18,000 rules would fill the memory.
    """
    kept: set[str] = set()
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if not (match := AGENT_LINE.match(line)):
            continue
        name = match[1].strip().lower()
        if name == "*" or (name.replace("*", "") in own.lower() and len(kept | {name}) <= OWN):
            kept.add(name)
        else:
            lines[index] = "User-agent: (another)"
    return "\n".join(lines)
