"""query_db on PostgreSQL: a server of its own on loopback, with a role that could write if it were let."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from pilotage.errors import ToolError
from pilotage.spec import DatabaseSpec
from pilotage.tools.database import Databases
from pilotage.tools.rows import cell

BINARIES = Path(shutil.which("postgres") or "/nowhere").resolve().parent
PASSWORD = "p@ss/word: 1"
SECONDS = 1.0
TABLES = """
CREATE TABLE items (id integer PRIMARY KEY, name text, price numeric(8, 2), day date, tags text[], more jsonb);
INSERT INTO items VALUES (1, 'Tea', 3.50, '2024-02-03', '{hot,green}', '{"a": [1]}');
INSERT INTO items VALUES (2, 'Coffee', 4.25, NULL, NULL, NULL);
CREATE TABLE secrets (owner text, word text);
INSERT INTO secrets VALUES ('Tea', 'open sesame');
CREATE SEQUENCE counter;
CREATE FUNCTION grow() RETURNS integer LANGUAGE sql AS 'INSERT INTO items VALUES (9) RETURNING id';
CREATE SCHEMA inner_room; CREATE TABLE inner_room.items (id integer); INSERT INTO inner_room.items VALUES (7);
"""

needs_postgres = pytest.mark.skipif(
    not (BINARIES / "initdb").exists() or importlib.util.find_spec("psycopg") is None,
    reason="needs PostgreSQL's server programs and the package psycopg",
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A PostgreSQL server in a folder of its own; it refuses to run as root, so another account starts it then."""
    account = "postgres" if hasattr(os, "getuid") and os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if account:
        shutil.chown(folder, account)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [str(BINARIES / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, user=account, cwd=folder, timeout=50, stdout=subprocess.DEVNULL)

    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    run("initdb", "-U", "owner", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N")
    options = f"-c listen_addresses=127.0.0.1 -p {number} -k {folder} -c fsync=off"
    run("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "log"))
    try:
        execute(number, TABLES)
        yield number
    finally:
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder)


def execute(port: int, sql: str) -> list[Any]:
    url = f"postgresql+psycopg://owner:{PASSWORD.replace('@', '%40').replace('/', '%2F')}@127.0.0.1:{port}/postgres"
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execution_options(no_parameters=True).exec_driver_sql(sql)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def shop(port: int, **spec: Any) -> Databases:
    url = f"postgresql://owner:${{SHOP_PASSWORD}}@127.0.0.1:{port}/postgres"
    made: dict[str, Any] = {"url": url, "seconds": SECONDS} | spec
    return Databases({"shop": DatabaseSpec(**made)}, Path("/"), {"SHOP_PASSWORD": PASSWORD})


def refused(databases: Databases, sql: str) -> str:
    with pytest.raises(ToolError) as error:
        databases.query(sql)
    assert "\n" not in str(error.value)
    assert PASSWORD not in str(error.value)
    return str(error.value)


@needs_postgres
def test_rows_come_back_safe_in_json(port: int) -> None:
    result = shop(port).query(
        "SELECT *, 'x'::bytea AS raw, 'nan'::float8 AS nan, 5 % 3 AS rest FROM items WHERE id = 1"
    )
    assert result.columns == ["id", "name", "price", "day", "tags", "more", "raw", "nan", "rest"]
    assert result.rows == [[1, "Tea", "3.50", "2024-02-03", '["hot", "green"]', '{"a": [1]}', "<1 bytes>", "nan", 2]]
    assert result.text().startswith("id: 1 | name: Tea | price: 3.50 | day: 2024-02-03")


@needs_postgres
def test_ordinary_queries_are_understood(port: int) -> None:
    for sql, rows in (
        ("WITH x AS (SELECT name FROM items ORDER BY id) SELECT * FROM x", [["Tea"], ["Coffee"]]),
        ("SELECT count(*), sum(price), round(avg(price), 1) FROM items", [[2, "7.75", "3.9"]]),
        ("SELECT to_char(day, 'YYYY-MM') FROM items WHERE name ILIKE 't%'", [["2024-02"]]),
        ("SELECT name, row_number() OVER (ORDER BY price DESC) FROM items", [["Coffee", 1], ["Tea", 2]]),
        ("SELECT unnest(tags) FROM items WHERE id = 1", [["hot"], ["green"]]),
        ("SELECT more->'a'->>0 FROM items WHERE id = 1", [["1"]]),
        ("SELECT date_trunc('month', day)::date FROM items WHERE id = 1", [["2024-02-01"]]),
        ("SELECT 'a;b -- c' AS text", [["a;b -- c"]]),
        ("SELECT id FROM inner_room.items", [[7]]),
    ):
        assert shop(port).query(sql).rows == rows, sql


@needs_postgres
def test_rows_beyond_the_limit_are_not_fetched(port: int) -> None:
    started = time.monotonic()
    result = shop(port, rows=3).query("SELECT generate_series(1, 100000000) AS n")
    assert (result.rows, result.more) == ([[1], [2], [3]], True)
    assert time.monotonic() - started < SECONDS + 1


@needs_postgres
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the driver's, when its session is killed
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO items VALUES (9)",
        "UPDATE items SET price = 0",
        "DELETE FROM items",
        "TRUNCATE items",
        "DROP TABLE items",
        "WITH gone AS (DELETE FROM items RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copy FROM items",
        "CREATE TABLE copy AS SELECT * FROM items",
        "COPY items TO PROGRAM 'cat'",
        "SELECT * FROM items FOR UPDATE",
        "SELECT nextval('counter')",
        "SELECT setval('counter', 9)",
        "SELECT grow()",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_catalog.pg_read_file('/etc/hostname')",
        "SELECT \"pg_read_file\"('/etc/hostname')",
        "SELECT * FROM pg_ls_dir('.')",
        "SELECT * FROM ROWS FROM (pg_ls_dir('.')) AS x",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT query_to_xml('DELETE FROM items RETURNING 1', true, true, '')",
        "SELECT pg_sleep(30)",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT 1; DROP TABLE items",
        "DO $$ BEGIN DELETE FROM items; END $$",
        "CALL x()",
        "SET statement_timeout = 0",
        "EXPLAIN ANALYZE DELETE FROM items",
        "LISTEN x",
        "PREPARE p AS DELETE FROM items",
        "SELECT 1 /* ' */; DELETE FROM items --'",
        "SELECT $$a$$; DELETE FROM items",
        "SELECT E'\\'; DELETE FROM items --'",
    ],
)
def test_a_statement_that_does_more_than_read_changes_nothing(
    port: int, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "SELECT array_agg(i::text), (SELECT count(*) FROM pg_class), (SELECT last_value FROM counter) FROM items i"
    before = execute(port, look)
    if sql != "SELECT E'\\'; DELETE FROM items --'":  # which is one string to PostgreSQL, and harmless
        refused(shop(port), sql)
    monkeypatch.setattr("pilotage.tools.server.rewritten", lambda *_: sql)  # the server's own gate, alone
    monkeypatch.setattr("pilotage.tools.server.read_statement", lambda *_: None)
    started = time.monotonic()
    with contextlib.suppress(ToolError):
        shop(port).query(sql)
    assert time.monotonic() - started < SECONDS + 1
    assert execute(port, look) == before


@needs_postgres
def test_a_long_query_ends_in_time_and_leaves_nothing_running(port: int) -> None:
    started = time.monotonic()
    sentence = refused(shop(port), "SELECT count(*) FROM generate_series(1, 1000000000) a")
    assert sentence == "the query took longer than 1 seconds (databases.shop.seconds)"
    assert time.monotonic() - started < SECONDS + 1
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    assert execute(port, busy) == [(0,)]


@needs_postgres
def test_only_the_tables_that_are_named_can_be_read(port: int) -> None:
    some = shop(port, tables=["items"])
    assert some.query("SELECT name FROM public.items WHERE id = 1").rows == [["Tea"]]
    for sql in ("SELECT * FROM secrets", "SELECT * FROM inner_room.items", "SELECT relname FROM pg_class",
                "SELECT * FROM information_schema.tables", "SELECT (SELECT word FROM secrets)"):  # fmt: skip
        assert "not among those that query_db may read" in refused(some, sql)
    assert shop(port, tables=["inner_room.items"]).query("SELECT * FROM inner_room.items").rows == [[7]]


@needs_postgres
def test_the_schema_and_the_help_name_what_there_is(port: int) -> None:
    schema = shop(port).schema()
    assert schema.startswith("shop (PostgreSQL):\n")
    assert (
        "  items(id INTEGER, name TEXT, price NUMERIC(8, 2), day DATE, tags TEXT[], more JSONB)" in schema.splitlines()
    )
    assert shop(port, tables=["inner_room.items"]).schema() == "shop (PostgreSQL):\n  inner_room.items(id INTEGER)"
    assert refused(shop(port), "SELECT prise FROM items") == (
        'column "prise" does not exist; items has: id, name, price, day, tags, more'
    )
    assert refused(shop(port), "SELECT * FROM itemz").startswith('relation "itemz" does not exist; shop has: ')


@needs_postgres
def test_a_server_that_is_away_or_refuses_is_one_sentence(port: int) -> None:
    url = f"postgresql://owner:{{}}@127.0.0.1:{port}/postgres"
    bad = Databases({"shop": DatabaseSpec(url=url.format("wrong-word"), seconds=SECONDS)}, Path("/"), {})
    assert "password authentication failed" in refused(bad, "SELECT 1")
    assert "wrong-word" not in bad.schema() + refused(bad, "SELECT 1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"postgresql://owner:x@127.0.0.1:{closed.getsockname()[1]}/postgres"
        sentence = refused(Databases({"shop": DatabaseSpec(url=gone, seconds=SECONDS)}, Path("/"), {}), "SELECT 1")
    assert sentence.startswith("shop cannot be read now: ")


def test_a_server_that_never_answers_is_not_waited_for() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://owner:x@127.0.0.1:{silent.getsockname()[1]}/postgres"
        databases, started = Databases({"shop": DatabaseSpec(url=url, seconds=0.3)}, Path("/"), {}), time.monotonic()
        assert "longer than 0.3 seconds" in refused(databases, "SELECT 1")
        assert "longer than 0.3 seconds" in databases.schema()
        assert time.monotonic() - started < 2 * (0.3 + 1)


def test_values_of_servers_are_safe_in_json() -> None:
    moment = datetime.datetime(2024, 2, 3, 4, 5, tzinfo=datetime.UTC)
    for value, safe in (
        (Decimal("3.50"), "3.50"), (Decimal("1E+3"), "1000"), (Decimal("NaN"), "NaN"),
        (moment, "2024-02-03T04:05:00+00:00"),
        (datetime.time(4, 5), "04:05:00"), (datetime.timedelta(hours=1), "1:00:00"), (memoryview(b"abc"), "<3 bytes>"),
        ([1, Decimal("2.5")], '[1, "2.5"]'), ({"day": moment.date()}, '{"day": "2024-02-03"}'), (2**70, str(2**70)),
    ):  # fmt: skip
        assert cell(value) == safe
