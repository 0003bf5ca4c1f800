"""query_db: one SELECT on a database that config/pilotage.yaml names; rows come back, nothing is ever written.

The statement is parsed and refused unless it only reads; then the database itself enforces it: see sqlitefile and
server. What is not covered: what the database's owner lets a reader do, such as a view that calls a function of his.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from pilotage.errors import ConfigError, ToolError, nearest
from pilotage.guard.fence import clean
from pilotage.spec import DatabaseSpec
from pilotage.tools.deadline import within
from pilotage.tools.environment import REFERENCE, check_references, fill, hiding, references
from pilotage.tools.rows import Rows

if TYPE_CHECKING:
    from sqlalchemy import URL

GRACE = 0.5  # seconds for the database to end a query by itself before nobody waits any longer
SCHEMA_CHARS = 4_000
TABLE_CHARS = 600
SUPPORTED = "sqlite:///file, postgresql+psycopg://…, mysql+pymysql://… and mariadb+pymysql://…"
UNKNOWN_COLUMN = re.compile(r"no such column|column .* does not exist|unknown column", re.IGNORECASE)
UNKNOWN_TABLE = re.compile(r"no such table|relation .* does not exist|table .* doesn't exist", re.IGNORECASE)


class Source(Protocol):
    """What SQLite files and servers have in common."""

    label: str

    def tables(self) -> dict[str, list[tuple[str, str]]]: ...
    def read(self, sql: str) -> tuple[list[str], list[Any], bool]: ...
    def close(self) -> None: ...


class Databases:
    """The databases of one project, by name. Nothing is opened before it is asked."""

    def __init__(
        self, specs: Mapping[str, DatabaseSpec], root: Path, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._specs, self._root, self._environment = specs, root, environment
        self._sources: dict[str, Source] = {}
        self._tables: dict[str, dict[str, list[tuple[str, str]]]] = {}

    def check(self) -> None:
        """ConfigError for a URL that cannot be used: unread, unset ${NAME}, no driver, no file, no such table."""
        for name, spec in self._specs.items():
            if self._source(name).label == "SQLite" and spec.tables:  # a file is there already, a server is not asked
                self._check_tables(name, spec.tables)

    def _check_tables(self, name: str, wanted: list[str]) -> None:
        try:
            known = {table.lower() for table in self._source(name).tables()}
        except ToolError as error:
            raise ConfigError(f"databases.{name}.url: {error}", hint=_hint(name, "url")) from None
        for table in wanted:
            if table.lower().removeprefix("main.") not in known:
                raise ConfigError(f"databases.{name}.tables: there is no table {table}", hint=_hint(name, "tables"))

    def schema(self) -> str:
        """What the agent is shown: each database with its tables, columns and types, at most 4,000 characters."""
        share = SCHEMA_CHARS // max(1, len(self._specs))
        return "\n".join(self._described(name, share) for name in self._specs)[:SCHEMA_CHARS]

    def query(self, sql: str, database: str = "") -> Rows:
        """Run one SELECT; ToolError with one sentence when it is refused or fails."""
        name, started = self._choose(database), time.monotonic()
        source = self._source(name)
        try:
            columns, rows, more = self._within(name, lambda: source.read(sql))
        except ToolError as error:
            raise ToolError(self._hidden(name)(str(error)) + self._help(name, str(error), sql)) from None
        return Rows(name, columns, rows, more, round(time.monotonic() - started, 4))

    def close(self) -> None:
        for source in self._sources.values():
            source.close()
        self._sources.clear()

    def _choose(self, database: str) -> str:
        if database in self._specs:
            return database
        names = ", ".join(self._specs)
        if not names:
            raise ToolError("no database is configured (databases)")
        if not database.strip() and len(self._specs) == 1:
            return names
        problem = (
            f'there is no database "{clean(database)[:60]}"' if database.strip() else "say which database is meant"
        )
        raise ToolError(f"{problem}: {names}")

    def _source(self, name: str) -> Source:
        if name not in self._sources:
            self._sources[name] = _open(name, self._specs[name], self._root, self._environment)
        return self._sources[name]

    def _within(self, name: str, call: Callable[[], Any]) -> Any:
        seconds = self._specs[name].seconds
        try:
            return within(seconds + GRACE, call)
        except TimeoutError:
            raise ToolError(f"the query took longer than {seconds:g} seconds (databases.{name}.seconds)") from None

    def _known(self, name: str) -> dict[str, list[tuple[str, str]]]:
        if name not in self._tables:
            self._tables[name] = self._within(name, self._source(name).tables)
        return self._tables[name]

    def _described(self, name: str, share: int) -> str:
        """`shop (SQLite):` and a line for each table, as far as they fit."""
        lines = [f"{name} ({self._source(name).label}):"]
        try:
            tables = self._known(name)
        except Exception as error:  # a server that is down must not keep the others from being used
            return f"{lines[0]} {self._hidden(name)(str(error))}"[: share - 1]
        for number, (table, columns) in enumerate(tables.items()):
            line = clean(f"  {table}({', '.join(f'{column} {kind}'.strip() for column, kind in columns)})")
            line = " " * 2 + " ".join(line.split()) if len(line) <= TABLE_CHARS else line[: TABLE_CHARS - 2] + "…)"
            if sum(map(len, lines)) + len(lines) + len(line) > share - 40:
                lines.append(f"  … and {len(tables) - number} more tables")
                break
            lines.append(line)
        return "\n".join(lines)

    def _help(self, name: str, problem: str, sql: str) -> str:
        """What there is, after a name that is not there: `; items has: id, name, price`."""
        column, table = UNKNOWN_COLUMN.search(problem), UNKNOWN_TABLE.search(problem)
        if not (column or table):
            return ""
        try:
            tables = self._known(name)
        except Exception:  # the first sentence is what matters
            return ""
        if table:
            return f"; {name} has: {', '.join(tables) or 'no tables'}"[:400]
        meant = [t for t in tables if re.search(rf"\b{re.escape(t.rpartition('.')[2])}\b", sql, re.IGNORECASE)]
        return "".join(f"; {t} has: {', '.join(c for c, _kind in tables[t])}" for t in meant)[:400]

    def _hidden(self, name: str) -> Callable[[str], str]:
        """Takes the password out of a sentence, and what the environment put into the URL."""
        url = self._specs[name].url
        password = re.search(r"://[^:/@]*:(.+)@", fill(url, self._environment))
        values = [self._environment.get(found, "") for found in references(url)]
        return hiding([*values, *(password.groups() if password else ())])


def _open(name: str, spec: DatabaseSpec, root: Path, environment: Mapping[str, str]) -> Source:
    """The source behind a URL; ConfigError when it cannot be used."""
    check_references(spec.url, environment, f"databases.{name}.url")
    if fill(spec.url, environment).lower().startswith("sqlite"):
        return _sqlite(name, spec, root, fill(spec.url, environment))
    from pilotage.tools.server import Server

    return Server(name, spec, _server_url(name, _filled(spec.url, environment)))


def _sqlite(name: str, spec: DatabaseSpec, root: Path, url: str) -> Source:
    """All behind `sqlite:///` is the path as it is, with its spaces, ? and #; a relative one starts at the project."""
    from pilotage.tools.sqlitefile import SQLiteFile, check_file

    head, slashes, place = url.partition(":///")
    if head.lower() not in ("sqlite", "sqlite+pysqlite") or not slashes or not place.strip():
        raise ConfigError(f"databases.{name}.url: expected sqlite:///path/to/file", hint=_hint(name, "url"))
    path = (root / place).resolve()
    if problem := check_file(path):
        raise ConfigError(f"databases.{name}.url: {path} {problem}", hint=_hint(name, "url"))
    return SQLiteFile(name, spec, path)


def _server_url(name: str, text: str) -> URL:
    """The URL with the driver that is used here. Its text may hold a password and is in no error."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from pilotage.tools.server import DRIVERS

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"databases.{name}.url: no URL that can be read", hint=f"supported: {SUPPORTED}") from None
    backend, _, driver = url.drivername.partition("+")
    if (driver and driver != DRIVERS.get(backend)) or backend not in DRIVERS:
        problem = f"databases.{name}.url: {url.drivername} is not supported"
        near = nearest(backend, ["sqlite", *DRIVERS])
        raise ConfigError(problem, hint=near if near.startswith("did") else f"supported: {SUPPORTED}")
    url = url.set(drivername=f"{backend}+{DRIVERS[backend]}")
    try:
        url.get_dialect().import_dbapi()
    except ImportError:
        package = {"psycopg": '"psycopg[binary]"'}.get(DRIVERS[backend], DRIVERS[backend])
        problem = f"databases.{name}.url: the driver {DRIVERS[backend]} is not installed"
        raise ConfigError(
            problem, hint=f"uv add {package}, or change databases.{name}.url in config/pilotage.yaml"
        ) from None
    return url


def _filled(url: str, environment: Mapping[str, str]) -> str:
    """`url` with its ${NAME}; what stands before the @ is quoted, so that a password may hold any character."""
    end = url.rfind("@")

    def value(match: re.Match[str]) -> str:
        text = environment.get(match[1], "")
        return quote(text, safe="") if 0 < match.start() < end else text

    return REFERENCE.sub(value, url)


def _hint(name: str, key: str) -> str:
    return f"change databases.{name}.{key} in config/pilotage.yaml"
