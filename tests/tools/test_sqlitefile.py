"""query_db on SQLite files: nothing hostile changes a file, and everything ends within its time and memory."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ToolError
from pilotage.spec import DatabaseSpec
from pilotage.tools import rows, sqlitefile
from pilotage.tools.database import Databases

SECONDS = 0.3
TABLES = """
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL);
INSERT INTO items VALUES (1, 'Tea', 3.5), (2, 'Coffee', 4.25), (3, 'Cake', 5.0);
CREATE TABLE secrets (owner TEXT, word TEXT);
INSERT INTO secrets VALUES ('Tea', 'open sesame');
CREATE VIEW cheap AS SELECT name FROM items WHERE price < 4;
CREATE VIEW cheapest AS SELECT name FROM cheap;
CREATE VIEW words AS SELECT owner FROM secrets;
CREATE VIRTUAL TABLE notes USING fts5(body);
INSERT INTO notes VALUES ('the kettle is hot'), ('the cup is cold');
CREATE TABLE numbers (n INTEGER);
INSERT INTO numbers WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000) SELECT n FROM c;
"""
WITHOUT_END = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"

WRITES = [
    "INSERT INTO items VALUES (9, 'x', 1)",
    "UPDATE items SET price = 0",
    "DELETE FROM items",
    "DROP TABLE items",
    "REPLACE INTO items VALUES (1, 'x', 1)",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t AS SELECT * FROM items",
    "ALTER TABLE items ADD COLUMN x",
    "VACUUM",
    "VACUUM INTO '{folder}/copy.sqlite'",
    "ATTACH '{folder}/other.sqlite' AS other",
    "DETACH main",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA user_version = 7",
    "REINDEX",
    "ANALYZE",
    "BEGIN IMMEDIATE",
    "SAVEPOINT s",
    "EXPLAIN DELETE FROM items",
    "EXPLAIN QUERY PLAN SELECT 1",
    "SELECT 1; DROP TABLE items",
    "SELECT 1;\n-- nothing here\n;DELETE FROM items",
    "/* SELECT */ DELETE FROM items",
    "-- SELECT 1\nUPDATE items SET price = 0",
    "/**/;;DROP TABLE items",
    "WITH gone AS (DELETE FROM items RETURNING *) SELECT * FROM gone",
    "WITH x AS (SELECT 1) INSERT INTO items SELECT 9, 'x', 1 FROM x",
    "WITH x AS (SELECT 1) DELETE FROM items WHERE id IN (SELECT * FROM x)",
    "INSERT INTO items VALUES (9, 'x', 1) RETURNING *",
    "SELECT load_extension('{folder}/evil.so')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT hex(fts3_tokenizer('simple', x'0102030405060708'))",
    "SELECT writefile('{folder}/out.txt', 'x')",
    "SELECT readfile('/etc/hostname')",
    "SELECT edit('x')",
    "SELECT * FROM pragma_table_info('items')",
    "SELECT * FROM pragma_journal_mode('wal')",
    "INSERT INTO notes(notes) VALUES ('optimize')",
    "CREATE VIRTUAL TABLE temp.t USING fts5(a)",
    "SELECT name INTO copy FROM items",
    "SELECT 1\x00; DROP TABLE items",
    "",
    " ; ; ",
    "-- only a comment",
]
BOMBS = [
    f"{WITHOUT_END} SELECT n FROM c WHERE n < 0",
    f"{WITHOUT_END} SELECT count(*) FROM c",
    f"{WITHOUT_END} SELECT n FROM c ORDER BY -n",
    f"{WITHOUT_END} SELECT group_concat(n) FROM c",
    f"{WITHOUT_END} SELECT DISTINCT printf('%.*c', 900000, 'x') || n FROM c",
    f"{WITHOUT_END} SELECT randomblob(900000) AS r FROM c ORDER BY r",
    "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d",
    "SELECT a.n FROM numbers a, numbers b, numbers c ORDER BY b.n, c.n",
    "SELECT zeroblob(1000000000)",
    "SELECT printf('%.*c', 100000000, 'x')",
    "SELECT hex(randomblob(1000000000))",
    "SELECT group_concat(printf('%.*c', 900000, 'x')) FROM numbers",
    "SELECT json_group_array(printf('%.*c', 900000, 'x')) FROM numbers",
    "SELECT replace(printf('%.*c', 900000, 'x'), 'x', printf('%.*c', 900000, 'y'))",
    "SELECT instr(printf('%.*c', 400000, 'x'), printf('%.*c', 200000, 'x') || 'y')",
    f"SELECT printf('%.*c', 900000, 'x') LIKE '{'%x' * 90}%y'",
    f"SELECT printf('%.*c', 900000, 'x') LIKE '{'%x' * 900}%y'",
    f"SELECT {', '.join(['randomblob(900000)'] * 600)}",
    f"SELECT {', '.join(['randomblob(900000)'] * 199)} FROM numbers",
    f"WITH x AS (SELECT randomblob(999999) AS a) SELECT {', '.join(['a'] * 199)} FROM x, numbers",
    f"SELECT {' + '.join(['length(randomblob(999999))'] * 250)} FROM numbers",
    f"SELECT {'(' * 500}1{')' * 500}",
    f"SELECT {'+'.join(['1'] * 3000)}",
    "SELECT 1" + " UNION SELECT 1" * 600,
    f"SELECT '{'x' * 30_000}'",
]
HUNGRY = [BOMBS[4], BOMBS[5], *BOMBS[17:21]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "shop.sqlite"
    _make(path)
    return path


@pytest.fixture
def shop(tmp_path: Path, made: Path) -> Path:
    path = tmp_path / "a shop? yes #1 100%.sqlite"
    shutil.copy(made, path)
    return path


def _make(path: Path, before: str = "") -> None:
    db = sqlite3.connect(path)
    db.executescript(f"PRAGMA synchronous=OFF; {before} BEGIN; {TABLES} COMMIT;")
    db.close()


def databases(path: Path, **spec: Any) -> Databases:
    return Databases({"shop": DatabaseSpec(url=f"sqlite:///{path}", **{"seconds": SECONDS} | spec)}, path.parent, {})


def state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


# --- nothing is written


@pytest.mark.parametrize("sql", WRITES)
def test_a_statement_that_does_more_than_read_is_refused_and_changes_nothing(shop: Path, sql: str) -> None:
    before = state(shop.parent)
    with pytest.raises(ToolError) as refused:
        databases(shop).query(sql.replace("{folder}", str(shop.parent)))
    assert "\n" not in str(refused.value)
    assert state(shop.parent) == before


@pytest.mark.parametrize("sql", WRITES)
def test_the_file_is_safe_even_when_the_parser_sees_nothing(
    shop: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotage.tools.sqlitefile.read_statement", lambda *_: None)
    before = state(shop.parent)
    with contextlib.suppress(ToolError):
        databases(shop).query(sql.replace("{folder}", str(shop.parent)))
    assert state(shop.parent) == before


def test_a_refusal_names_what_is_refused(shop: Path) -> None:
    def sentence(sql: str) -> str:
        with pytest.raises(ToolError) as refused:
            databases(shop).query(sql)
        return str(refused.value)

    assert sentence("update items set price = 0") == "UPDATE is not allowed: query_db only reads"
    assert sentence("/* x */ pragma user_version") == "PRAGMA is not allowed: query_db only reads"
    assert sentence("with a as (delete from items returning *) select * from a").startswith("DELETE is not allowed")
    assert sentence("select 1; select 2") == "query_db takes one statement at a time"
    assert sentence("select load_extension('x')") == "the function load_extension is not allowed"
    assert sentence("select * from pragma_table_info('items')").startswith("PRAGMA is not allowed")


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_no_file_appears_beside_one_that_nobody_has_open(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "shop.sqlite"
    _make(path, f"PRAGMA journal_mode={mode};")
    before = state(tmp_path)
    shop = databases(path)
    assert [row[0] for row in shop.query("SELECT name FROM items ORDER BY id").rows] == ["Tea", "Coffee", "Cake"]
    assert "items(" in shop.schema()
    assert state(tmp_path) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_another_process_has_just_written_is_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "shop.sqlite"
    _make(path, f"PRAGMA journal_mode={mode};")
    writer = sqlite3.connect(path)
    writer.execute("UPDATE items SET name = 'Mate' WHERE id = 1")
    writer.commit()
    assert databases(path).query("SELECT name FROM items WHERE id = 1").rows == [["Mate"]]
    writer.close()


def test_a_file_that_is_written_during_the_query_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.sqlite"
    _make(path, "PRAGMA journal_mode=wal;")
    writer = sqlite3.connect(path, check_same_thread=False)

    def take(*arguments: Any) -> Any:
        result = original(*arguments)
        writer.execute("UPDATE items SET name = 'Mate' WHERE id = 1")
        writer.commit()
        return result

    original = rows.take
    monkeypatch.setattr(sqlitefile, "take", take)
    assert databases(path).query("SELECT name FROM items WHERE id = 1").rows == [["Mate"]]
    writer.close()


# --- everything ends


@pytest.mark.parametrize("sql", BOMBS)
def test_a_bomb_ends_within_its_time(shop: Path, sql: str) -> None:
    before, started = state(shop.parent), time.monotonic()
    said = ""
    try:
        said = databases(shop).query(sql).text()
    except ToolError as error:
        said = str(error)
    assert 3 < len(said) < 1_100_000
    assert time.monotonic() - started < SECONDS + 1
    assert state(shop.parent) == before


def _grow(path: Path, answer: Any) -> None:
    """Runs in a process of its own: by how much its memory grew at most, in megabytes."""
    shop = databases(path, seconds=0.6)
    shop.query("SELECT 1")
    start, peak = _resident(), 0
    for sql in HUNGRY:
        thread = threading.Thread(target=_try, args=(shop, sql))
        thread.start()
        while thread.is_alive():
            peak = max(peak, _resident())
            time.sleep(0.002)
    answer.put((peak - start) / 1e6)


def _try(shop: Databases, sql: str) -> None:
    with contextlib.suppress(ToolError):
        shop.query(sql)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured through /proc")
def test_no_bomb_eats_the_memory(shop: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_grow, args=(shop, answer))
    process.start()
    grown = answer.get(timeout=50)
    process.join()
    assert grown < 600


# --- only the tables that are named


READABLE = ["items", "cheapest", "notes"]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT name FROM items WHERE price > 4.5", [["Cake"]]),
        ("SELECT name FROM ITEMS i WHERE i.id = 1", [["Tea"]]),
        ("SELECT main.items.name FROM main.items WHERE id = 1", [["Tea"]]),
        ("SELECT count(*) FROM items", [[3]]),
        ("SELECT name FROM cheapest", [["Tea"]]),
        ("SELECT body FROM notes WHERE notes MATCH 'kettle'", [["the kettle is hot"]]),
        ("SELECT highlight(notes, 0, '[', ']') FROM notes('cup')", [["the [cup] is cold"]]),
        ("WITH x AS (SELECT name FROM items LIMIT 1) SELECT * FROM x", [["Tea"]]),
        ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT sum(n) FROM c", [[6]]),
        ("SELECT value FROM json_each('[7]')", [[7]]),
    ],
)
def test_the_tables_that_are_named_can_be_read(shop: Path, sql: str, rows: list[Any]) -> None:
    assert databases(shop, tables=READABLE).query(sql).rows == rows


@pytest.mark.parametrize("parsed", [True, False])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM secrets",
        "SELECT count(*) FROM secrets",
        'SELECT * FROM "SECRETS"',
        "SELECT * FROM 'secrets'",
        "SELECT * FROM main.secrets",
        "SELECT name FROM items WHERE name IN (SELECT owner FROM secrets)",
        "SELECT (SELECT word FROM secrets) FROM items",
        "SELECT name FROM items UNION SELECT word FROM secrets",
        "SELECT * FROM items NATURAL JOIN secrets",
        "WITH s AS (SELECT * FROM secrets) SELECT * FROM s",
        "WITH secrets AS (SELECT * FROM main.secrets) SELECT * FROM secrets",
        "SELECT * FROM words",
        "SELECT * FROM cheap",
        "SELECT * FROM sqlite_master",
        "SELECT sql FROM sqlite_schema",
        "SELECT * FROM dbstat",
        "SELECT * FROM pragma_table_list",
        "SELECT EXISTS (SELECT 1 FROM secrets WHERE word LIKE 'o%')",
    ],
)
def test_no_other_table_can_be_read(shop: Path, sql: str, parsed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not parsed:  # SQLite's own gate holds alone
        monkeypatch.setattr("pilotage.tools.sqlitefile.check_tables", lambda *_, **__: None)
    with pytest.raises(ToolError) as refused:
        databases(shop, tables=READABLE).query(sql)
    assert "open sesame" not in str(refused.value)


def test_a_with_that_takes_the_name_of_a_view_does_not_read_in_its_name(shop: Path) -> None:
    for sql in (
        "WITH cheapest AS (SELECT word FROM secrets) SELECT * FROM cheapest",
        "WITH 'cheapest' AS (SELECT word FROM secrets) SELECT * FROM cheapest",
        "WITH [CHEAPEST](a) AS (SELECT word FROM secrets) SELECT * FROM cheapest",
        "SELECT * FROM (WITH cheap AS (SELECT word FROM secrets) SELECT * FROM cheap)",
    ):
        with pytest.raises(ToolError, match=r"not among|hides the table"):
            databases(shop, tables=READABLE).query(sql)


def test_the_schema_shows_only_the_tables_that_are_named(shop: Path) -> None:
    everything, some = databases(shop).schema(), databases(shop, tables=READABLE).schema()
    assert "  items(id INTEGER, name TEXT, price REAL)" in everything
    assert "secrets" in everything
    assert "secrets" not in some
    assert "notes(body)" in some
    assert "notes_data" not in everything


# --- faults


def test_a_locked_file_is_one_sentence(shop: Path) -> None:
    writer = sqlite3.connect(shop, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"locked|longer than"):
        databases(shop).query("SELECT * FROM items")
    assert time.monotonic() - started < SECONDS + 1
    writer.close()


def test_a_damaged_file_is_one_sentence(shop: Path) -> None:
    content = bytearray(shop.read_bytes())
    content[100:4096] = b"\xff" * 3996
    shop.write_bytes(content)
    with pytest.raises(ToolError, match=r"malformed|corrupt|not a database"):
        databases(shop).query("SELECT * FROM items")
    assert "malformed" in databases(shop).schema()


def test_a_large_cell_is_named_as_the_cause(shop: Path) -> None:
    writer = sqlite3.connect(shop)
    writer.execute("INSERT INTO items VALUES (4, ?, 1)", ("x" * 1_200_000,))
    writer.commit()
    writer.close()
    with pytest.raises(ToolError, match="larger than 1,000,000 bytes"):
        databases(shop).query("SELECT * FROM items")
    assert databases(shop).query("SELECT id FROM items WHERE id = 4").rows == [[4]]


@pytest.fixture(autouse=True)
def _abandoned_threads_end() -> Iterator[None]:
    """A query that is no longer waited for must not slow down the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == "pilotage-tool":
            thread.join(timeout=20)
            assert not thread.is_alive()
