"""query_db: which database, what the agent is shown, what comes back, and what a setting must say."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError, ToolError
from pilotage.spec import DatabaseSpec
from pilotage.tools.database import Databases
from pilotage.tools.rows import Rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("shop", "staff"):
        db = sqlite3.connect(tmp_path / f"{name}.sqlite")
        db.executescript(
            "PRAGMA synchronous=OFF;"
            "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(8, 2), photo BLOB);"
            "INSERT INTO items VALUES (1, 'Tea', 3.5, x'0102'), (2, 'Coffee', 4.25, NULL), (3, 'Cake', 5.0, NULL);"
            "CREATE TABLE orders (id INTEGER, item INTEGER);"
        )
        db.close()
    return tmp_path


def one(root: Path, **spec: Any) -> Databases:
    return Databases({"shop": DatabaseSpec(**{"url": "sqlite:///shop.sqlite"} | spec)}, root, {})


def two(root: Path) -> Databases:
    urls = {"shop": "sqlite:///shop.sqlite", "staff": "sqlite:///staff.sqlite"}
    return Databases({name: DatabaseSpec(url=url) for name, url in urls.items()}, root, {})


def refused(databases: Databases, sql: str, database: str = "") -> str:
    with pytest.raises(ToolError) as error:
        databases.query(sql, database)
    return str(error.value)


def wrong(url: str, root: Path, environment: dict[str, str] | None = None, **spec: Any) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        Databases({"shop": DatabaseSpec(url=url, **spec)}, root, environment or {}).check()
    return error.value


# --- rows


def test_rows_come_back_with_their_columns(root: Path) -> None:
    result = one(root).query("SELECT id, name, price AS cost, photo FROM items WHERE id < 3")
    assert result.columns == ["id", "name", "cost", "photo"]
    assert result.rows == [[1, "Tea", 3.5, "<2 bytes>"], [2, "Coffee", 4.25, None]]
    assert (result.database, result.more) == ("shop", False)
    assert 0 < result.seconds < 5


def test_the_text_has_a_line_per_row_that_can_be_quoted(root: Path) -> None:
    text = one(root).query("SELECT name, price, photo FROM items ORDER BY id LIMIT 2").text()
    assert text == "name: Tea | price: 3.5 | photo: <2 bytes>\nname: Coffee | price: 4.25 | photo: null"


def test_no_value_can_pass_for_a_row_of_its_own(root: Path) -> None:
    sql = "SELECT 'Tea' || char(10) || 'name: Gold | price: 0' || char(8203, 27) AS name"
    assert one(root).query(sql).text() == "name: Tea name: Gold | price: 0"


def test_rows_beyond_the_limit_are_cut_and_said_to_be_more(root: Path) -> None:
    assert len((cut := one(root, rows=2).query("SELECT * FROM items")).rows) == 2
    assert cut.more
    assert not one(root, rows=3).query("SELECT * FROM items").more


def test_a_result_is_cut_at_a_million_characters(root: Path) -> None:
    endless = (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n, printf('%.*c', 2000, 'x') FROM c"
    )
    result = one(root, rows=10_000).query(endless)
    assert result.more
    assert 1_000_000 < sum(len(str(value)) for row in result.rows for value in row) < 1_010_000


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT printf('%.*c', 5000, 'x')", "x" * 1999 + "…"),
        ("SELECT 9e999", "inf"),
        ("SELECT -9e999", "-inf"),
        ("SELECT 9223372036854775807", 9223372036854775807),
        ("SELECT CAST(x'ff41' AS TEXT)", "\ufffdA"),
        ("SELECT date('2024-02-03')", "2024-02-03"),
        ("SELECT zeroblob(1234)", "<1,234 bytes>"),
        ("SELECT 'a' || char(0x202e) || 'b'", "ab"),
    ],
)
def test_every_value_is_safe_in_json(root: Path, sql: str, value: Any) -> None:
    result = one(root).query(sql)
    assert result.rows == [[value]]
    json.dumps(result.rows, allow_nan=False)


def test_columns_of_the_same_name_both_come_back(root: Path) -> None:
    result = one(root).query("SELECT a.id, b.id FROM items a, items b WHERE a.id = 1 AND b.id = 2")
    assert result.rows == [[1, 2]]
    assert result.text() == "id: 1 | id: 2"


def test_no_rows_are_an_empty_text(root: Path) -> None:
    assert one(root).query("SELECT * FROM items WHERE id = 9").text() == ""
    assert Rows("shop", ["a"], [], False, 0.1).text() == ""


def test_many_threads_may_ask_at_once(root: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    databases = one(root)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: databases.query(f"SELECT {n}, count(*) FROM items").rows, range(40))
    assert list(found) == [[[n, 3]] for n in range(40)]


# --- which database, and what an error says


def test_the_only_database_need_not_be_named(root: Path) -> None:
    assert one(root).query("SELECT 1", "shop").rows == one(root).query("SELECT 1").rows == [[1]]
    assert refused(two(root), "SELECT 1") == "say which database is meant: shop, staff"
    assert two(root).query("SELECT 1", "staff").database == "staff"


def test_an_unknown_database_is_answered_with_those_there_are(root: Path) -> None:
    assert refused(one(root), "SELECT 1", "shoop") == 'there is no database "shoop": shop'
    assert "no database is configured" in refused(Databases({}, root, {}), "SELECT 1")


def test_an_unknown_name_is_answered_with_what_there_is(root: Path) -> None:
    assert refused(one(root), "SELECT prise FROM items") == ("no such column: prise; items has: id, name, price, photo")
    assert refused(one(root), "SELECT * FROM itemz") == "no such table: itemz; shop has: items, orders"
    assert "orders" not in refused(one(root, tables=["items"]), "SELECT prise FROM items")


@pytest.mark.parametrize("sql", ["SELECT form FROM WHERE", "SELECT 'x", "hello there", "SELECT (1", "SELECT ?"])
def test_what_is_no_sql_is_one_sentence(root: Path, sql: str) -> None:
    sentence = refused(one(root), sql)
    assert "\n" not in sentence
    assert "\x1b" not in sentence
    assert 10 < len(sentence) < 300


def test_a_query_that_takes_too_long_names_the_setting(root: Path) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    sentence = refused(one(root, seconds=0.2), endless)
    assert sentence == "the query took longer than 0.2 seconds (databases.shop.seconds)"


# --- what the agent is shown


def test_the_schema_names_tables_columns_and_types(root: Path) -> None:
    assert one(root).schema() == (
        "shop (SQLite):\n  items(id INTEGER, name TEXT, price DECIMAL(8, 2), photo BLOB)\n"
        "  orders(id INTEGER, item INTEGER)"
    )
    assert two(root).schema().count("(SQLite):") == 2
    assert Databases({}, root, {}).schema() == ""


def test_the_schema_of_a_large_database_stays_short(root: Path) -> None:
    db = sqlite3.connect(root / "shop.sqlite")
    db.execute("PRAGMA synchronous=OFF")
    db.execute(f"CREATE TABLE wide ({', '.join(f'column_{n} TEXT' for n in range(300))})")
    for number in range(300):
        db.execute(f"CREATE TABLE table_{number} (id INTEGER, a_rather_long_name_of_a_column TEXT)")
    db.close()
    schema = two(root).schema()
    assert len(schema) <= 4000
    assert "more tables" in schema
    assert "staff (SQLite):\n  items(" in schema


def test_a_broken_view_does_not_hide_the_rest(root: Path) -> None:
    db = sqlite3.connect(root / "shop.sqlite")
    db.execute("CREATE VIEW broken AS SELECT * FROM gone")
    db.close()
    assert "items(" in one(root).schema()
    assert one(root, tables=["items", "broken"]).query("SELECT id FROM items LIMIT 1").rows == [[1]]


# --- what a setting must say


def test_a_good_setting_passes(root: Path) -> None:
    two(root).check()
    one(root, tables=["items", "main.Orders"]).check()
    Databases({"shop": DatabaseSpec(url="${SHOP}")}, root, {"SHOP": "sqlite:///shop.sqlite"}).check()
    Databases({"shop": DatabaseSpec(url=f"sqlite:///{root}/shop.sqlite")}, Path("/"), {}).check()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:///gone.sqlite", "gone.sqlite does not exist"),
        ("sqlite:///.", "is no file"),
        ("sqlite://", "expected sqlite:///path"),
        ("sqlite:///:memory:", ":memory: does not exist"),
        ("sqlite+aiosqlite:///shop.sqlite", "expected sqlite:///path"),
        ("sqlite:///text.sqlite", "is no SQLite file"),
        ("shop.sqlite", "no URL that can be read"),
        ("postgresql://user:hunter2@host:port/db", "no URL that can be read"),
        ("oracle://user:hunter2@host/db", "oracle is not supported"),
        ("postgresql+asyncpg://user:hunter2@host/db", "postgresql+asyncpg is not supported"),
        ("postgressql://user:hunter2@host/db", "postgressql is not supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_named(root: Path, url: str, problem: str) -> None:
    (root / "text.sqlite").write_text("this is a plain text file")
    error = wrong(url, root)
    assert problem in str(error)
    assert str(error).startswith("databases.shop.url: ")
    assert error.hint
    assert "hunter2" not in error.lines()


def test_a_name_that_is_not_set_is_named(root: Path) -> None:
    error = wrong("postgresql://reader:${SHOP_PASSWORD}@localhost/shop", root)
    assert str(error) == "databases.shop.url needs SHOP_PASSWORD, which is not set"
    assert wrong("sqlite:///${}", root)


def test_a_driver_that_is_not_installed_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    error = wrong("postgresql://reader@localhost/shop", root)
    assert "psycopg is not installed" in str(error)
    assert 'uv add "psycopg[binary]"' in error.hint


def test_a_table_that_is_not_there_is_named(root: Path) -> None:
    error = wrong("sqlite:///shop.sqlite", root, tables=["items", "ordrs"])
    assert str(error) == "databases.shop.tables: there is no table ordrs"
    assert "databases.shop.tables in config/pilotage.yaml" in error.hint


def test_a_damaged_file_is_named_before_the_start(root: Path) -> None:
    path = root / "shop.sqlite"
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)
    assert "databases.shop.url: shop cannot be read" in str(wrong("sqlite:///shop.sqlite", root, tables=["items"]))
