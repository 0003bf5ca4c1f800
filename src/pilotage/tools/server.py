"""A database on a server, read in a READ ONLY transaction with time limits that is rolled back always.

The server enforces it; the account in the URL should have the right to read and no other. What is not covered: one
value is fetched whole before it is shortened.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pilotage.errors import ToolError
from pilotage.spec import DatabaseSpec
from pilotage.tools.rows import headings, take
from pilotage.tools.statement import check_tables, read_statement, rewritten

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
LABELS = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
READ_ONLY = ("SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY")  # the first outlasts a hidden commit
BUFFER = 100  # rows that are fetched at once
TOO_LONG = {"57014", "55P03", 3024, 1969, 1205}  # PostgreSQL's states, MySQL's and MariaDB's numbers
LOST = {1045, 2003, 2006, 2013}  # MySQL's: no connection


class Server:
    """One database of a server under one name of `databases`. Each query has a connection of its own."""

    def __init__(self, name: str, spec: DatabaseSpec, url: URL) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        self.name, self.spec = name, spec
        self.kind = url.get_backend_name()
        self.label, self.dialect = LABELS[self.kind], DIALECTS[self.kind]
        wait = {"connect_timeout": max(2, math.ceil(spec.seconds))}
        self._home = "public" if self.kind == "postgresql" else url.database or ""
        self._engine = create_engine(url, poolclass=NullPool, connect_args=wait)

    def close(self) -> None:
        self._engine.dispose()

    def tables(self) -> dict[str, list[tuple[str, str]]]:
        """Columns and their types, by table and view, of the default schema or of `tables`."""
        from sqlalchemy import inspect
        from sqlalchemy.engine.reflection import ObjectKind
        from sqlalchemy.exc import SQLAlchemyError

        found: dict[str, list[tuple[str, str]]] = {}
        try:
            with self._connected() as connection, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a type that SQLAlchemy does not know
                look = inspect(connection)
                for schema, names in self._wanted():
                    columns = look.get_multi_columns(schema=schema, filter_names=names, kind=ObjectKind.ANY)
                    for (where, table), listed in sorted(columns.items(), key=lambda item: item[0][1]):
                        full = f"{where}.{table}" if where else table
                        found[full] = [(column["name"], self._type(column["type"])) for column in listed]
        except SQLAlchemyError as error:
            raise self._explained(error) from None
        return found

    def _wanted(self) -> list[tuple[str | None, list[str] | None]]:
        """Schemas, None for the default one, and in each the names that are wanted, None for all."""
        wanted: dict[str | None, list[str]] = {}
        for full in self.spec.tables:
            schema, _, table = full.rpartition(".")
            wanted.setdefault(schema or None, []).append(table)
        return list(wanted.items()) or [(None, None)]

    def read(self, sql: str) -> tuple[list[str], list[Any], bool]:
        """Columns, rows and whether there are more; ToolError for what is refused or fails."""
        from sqlalchemy.exc import SQLAlchemyError

        tree = read_statement(sql, self.dialect)
        if self.spec.tables:
            key = f"databases.{self.name}.tables"
            check_tables(tree, self.dialect, self.spec.tables, key, home=self._home)
        text = rewritten(tree, self.dialect, self.spec.rows + 1)
        until = time.monotonic() + self.spec.seconds
        try:
            with self._connected() as connection:
                options = {"no_parameters": True, "stream_results": True, "max_row_buffer": BUFFER}
                result = connection.execution_options(**options).exec_driver_sql(text)
                try:
                    columns = headings(result.keys() if result.returns_rows else ())
                    return columns, *take(columns, result, self.spec.rows, until)
                finally:
                    with contextlib.suppress(SQLAlchemyError):  # what is left of it is not wanted
                        result.close()
        except SQLAlchemyError as error:
            raise self._explained(error) from None
        except TimeoutError:
            raise self._too_long() from None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        from sqlalchemy.exc import SQLAlchemyError

        with self._engine.connect() as connection:
            try:
                for statement in self._guards(connection):
                    connection.exec_driver_sql(statement)
                yield connection
            finally:
                with contextlib.suppress(SQLAlchemyError):  # the connection is lost
                    connection.rollback()

    def _guards(self, connection: Connection) -> list[str]:
        milliseconds, seconds = max(1, int(self.spec.seconds * 1000)), max(1, math.ceil(self.spec.seconds))
        if self.kind == "postgresql":
            limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            quoting = "SET LOCAL standard_conforming_strings = on"  # as the statement is written
            return ["SET TRANSACTION READ ONLY", quoting, *(f"SET LOCAL {limit} = {milliseconds}" for limit in limits)]
        maria = getattr(connection.dialect, "is_mariadb", False)
        limit = f"max_statement_time = {self.spec.seconds:f}" if maria else f"max_execution_time = {milliseconds}"
        waits = [f"{name} = {seconds}" for name in ("lock_wait_timeout", "innodb_lock_wait_timeout")]
        return [*(f"SET SESSION {setting}" for setting in (limit, *waits)), *READ_ONLY]

    def _type(self, kind: Any) -> str:
        from sqlalchemy.exc import CompileError

        try:
            return str(kind.compile(dialect=self._engine.dialect))
        except CompileError:  # a type that SQLAlchemy does not know
            return ""

    def _explained(self, error: Exception) -> ToolError:
        """What the server said, its first line, without the statement and the address."""
        cause = getattr(error, "orig", None) or error
        number, text = cause.args if len(cause.args) == 2 else (None, cause)
        codes = {code for code in (getattr(cause, "sqlstate", None), number) if code}
        if codes & TOO_LONG:
            return self._too_long()
        line = next(iter(str(text).strip().splitlines()), type(cause).__name__)[:300]
        return ToolError(line if codes and not codes & LOST else f"{self.name} cannot be read now: {line}")

    def _too_long(self) -> ToolError:
        return ToolError(f"the query took longer than {self.spec.seconds:g} seconds (databases.{self.name}.seconds)")
