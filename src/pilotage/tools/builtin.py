"""The built-in tools beyond reading: databases, services, the web search, the code runner and the data check."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pilotage.checks.data import Schema, check_text
from pilotage.errors import ToolError
from pilotage.guard.hosts import hosts_in, read_host
from pilotage.guard.policy import PAGES
from pilotage.sandbox import CodeRun, run_code
from pilotage.settings import Settings
from pilotage.tools.database import Databases
from pilotage.tools.desk import Desk
from pilotage.tools.environment import fill
from pilotage.tools.service import service_tool
from pilotage.tools.websearch import web_search

Tool = Callable[..., Any]
NAMES = ("search_knowledge", "read_source", PAGES, "query_db", "search_web", "run_python", "check_data")


@dataclass(frozen=True)
class BuiltIn:
    """The built-in tools of one run by name. `schema_of` tells the schema of an agent's present task."""

    settings: Settings
    desk: Desk
    databases: Databases
    schema_of: Callable[[str], Schema | None]

    def get(self, name: str, agent: str) -> Tool:
        """The tool of that name for that agent; a service of pilotage.yaml is one too."""
        if name in self.settings.engine.services:
            return self._service(name)
        made: dict[str, Callable[[], Tool]] = {
            "search_knowledge": lambda: self._search_knowledge(agent),
            "read_source": lambda: self.desk.read_source,
            PAGES: lambda: self.desk.read_page,
            "query_db": self._query_db,
            "search_web": self._search_web,
            "run_python": self._run_python,
            "check_data": lambda: self._check_data(agent),
        }
        return made[name]()

    def _search_knowledge(self, agent: str) -> Tool:
        """Shortened for an agent that may open the rest."""
        allowed = self.settings.engine.policy.agents.get(agent)
        opens = "read_source" in self.settings.agents[agent].tools and (allowed is None or "read_source" in allowed)
        return self.desk.search_as(agent) if opens else self.desk.search_knowledge

    def _query_db(self) -> Tool:
        def query_db(sql: str, database: str = "") -> dict[str, Any]:
            rows = self.databases.query(sql, database)
            if not rows.rows:
                return {"rows": 0, "text": "the query returned no rows"}
            text, where = rows.text(), f"{rows.database}: {' '.join(sql.split())[:200]}"
            more = {"more": f"only the first {len(rows.rows)} rows are shown"} if rows.more else {}
            return {"source": self.desk.add(rows.database, text, where), "rows": len(rows.rows), "text": text} | more

        query_db.__doc__ = (
            f"Read a database with one SELECT statement. Its rows can be cited.\n\n{self.databases.schema()}"
        )
        return query_db

    def _service(self, name: str) -> Tool:
        spec = self.settings.engine.services[name]
        own, policy = read_host(fill(spec.url, os.environ)), self.desk.policy

        def allow(url: str) -> str:
            """Its own host stands in the settings; where else a redirect may lead, a rule must say."""
            if own is not None and read_host(url) == own:
                return ""
            if policy.rule(name).domains is None:
                return f"it is another host than that of {name} (policy.tools.{name}.domains names no other)"
            return policy.denies_url(name, url)

        ask = service_tool(name, spec, self.desk.fetcher, allow, os.environ)

        @functools.wraps(ask)
        def service(*args: Any, **kwargs: Any) -> dict[str, Any]:
            text = "\n".join(f"{key}: {_shown(value)}" for key, value in ask(*args, **kwargs).items())
            given = ", ".join([*map(str, args), *(f"{key}={value}" for key, value in kwargs.items())])
            return {"source": self.desk.add(name, text, f"{name}({given})"), "text": text}

        return service

    def _search_web(self) -> Tool:
        search = web_search(os.environ, fetcher=self.desk.fetcher)

        def search_web(query: str) -> dict[str, Any]:
            """Search the web. Returns titles, links and snippets: read a page before you quote it."""
            found = search(query)
            self.desk.policy.name_hosts(host for result in found["results"] for host in hosts_in(result["link"])[:1])
            return found

        return search_web

    def _run_python(self) -> Tool:
        def run_python(code: str, tests: str = "") -> dict[str, Any]:
            """Run Python code in a sandbox, with tests if there are any. No files, no network, standard library only.

            Tests are assert statements or functions named test_…; they see the names of the code.
            """
            return shown_run(run_code(code, tests, spec=self.settings.engine.code))

        return run_python

    def _check_data(self, agent: str) -> Tool:
        def check_data(text: str, format: str = "json") -> dict[str, Any]:
            """Check JSON, CSV or YAML text against the schema of your task. Returns what is wrong, path by path."""
            schema = self.schema_of(agent)
            if schema is None:
                raise ToolError("this task names no schema (data in config/tasks.yaml)")
            faults = check_text(text, format, schema)
            return {"valid": not faults, "faults": [str(fault) for fault in faults]}

        return check_data


def shown_run(run: CodeRun) -> dict[str, Any]:
    """A run of code as agents, the journal and `pilotage check-code --json` see it."""
    return {"outcome": run.outcome, "reason": run.reason, "output": run.output, "sandbox": run.mode, "tests": run.tests}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
