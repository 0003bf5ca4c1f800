"""What is understood of a statement is what is checked and, on a server, what is run."""

from __future__ import annotations

import pytest

from pilotage.errors import ToolError
from pilotage.tools.statement import check_tables, read_statement, rewritten


def test_what_a_comment_hides_is_not_run() -> None:
    tree = read_statement("SELECT /*!50000 sleep(9), */ 1 # x", "mysql")
    assert rewritten(tree, "mysql", 9) == "SELECT 1 LIMIT 9"
    hint = read_statement("SELECT /*+ SET_VAR(sql_mode='') MAX_EXECUTION_TIME(0) */ a FROM t", "mysql")
    assert rewritten(hint, "mysql", 9) == "SELECT a FROM t LIMIT 9"


@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_a_text_stays_one_text(dialect: str) -> None:
    for text in ("it''s", "a\\\\", "-- no comment", "/* none */", "; DROP TABLE x"):
        sql = f"SELECT '{text}' AS a"
        assert rewritten(read_statement(sql, dialect), dialect, 9) == f"{sql} LIMIT 9"


@pytest.mark.parametrize(
    ("sql", "run"),
    [
        ("SELECT 1 LIMIT 5", "SELECT 1 LIMIT 5"),
        ("SELECT 1 LIMIT 5000", "SELECT 1 LIMIT 9"),
        ("SELECT 1 LIMIT 3, 5000", "SELECT 1 LIMIT 9 OFFSET 3"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a LIMIT 9"),
        ("SELECT 1 UNION SELECT 2 ORDER BY 1", "SELECT 1 UNION SELECT 2 ORDER BY 1 LIMIT 9"),
        ("(SELECT 1)", "(SELECT 1) LIMIT 9"),
        ("SELECT * FROM (SELECT 1 LIMIT 99) AS x", "SELECT * FROM (SELECT 1 LIMIT 99) AS x LIMIT 9"),
    ],
)
def test_a_server_is_asked_for_no_more_rows_than_are_shown(sql: str, run: str) -> None:
    assert rewritten(read_statement(sql, "mysql"), "mysql", 9) == run


@pytest.mark.parametrize(
    "sql",
    ["SELECT sleep(9)", "SELECT load_file('/etc/passwd')", "SELECT benchmark(9, 1)", "SELECT get_lock('a', 9)",
     "SELECT 1 INTO OUTFILE '/tmp/x'", "SELECT 1 INTO @x", "SELECT * FROM t FOR UPDATE", "SELECT sys_exec('id')",
     "SELECT * FROM t LOCK IN SHARE MODE", "HANDLER t OPEN", "LOAD DATA INFILE 'x' INTO TABLE t", "CALL p()",
     "SHOW TABLES", "USE other", "SET GLOBAL x = 1", "DO sleep(9)", "REPLACE INTO t VALUES (1)"],
)  # fmt: skip
def test_what_mysql_could_do_beyond_reading_is_refused(sql: str) -> None:
    with pytest.raises(ToolError):
        rewritten(read_statement(sql, "mysql"), "mysql", 9)


@pytest.mark.parametrize(
    ("sql", "passes"),
    [
        ("WITH x AS (SELECT * FROM items) SELECT * FROM x", True),
        ("WITH x AS (SELECT 1), y AS (SELECT * FROM x) SELECT * FROM y, items", True),
        ("WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT * FROM x", True),
        ("SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) AS q", True),
        ("SELECT * FROM items, LATERAL (SELECT 1) AS q", True),
        ('SELECT * FROM "items"', True),
        ("WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets", False),
        ("WITH x AS (SELECT * FROM secrets), secrets AS (SELECT 1) SELECT * FROM x", False),
        ("SELECT * FROM secrets, (WITH secrets AS (SELECT 1) SELECT * FROM secrets) AS q", False),
        ("WITH secrets AS (SELECT 1) SELECT * FROM public.secrets", False),
        ('WITH "Secrets" AS (SELECT 1) SELECT * FROM secrets', False),
        ("WITH x AS (SELECT 1) SELECT * FROM x UNION SELECT word FROM secrets", False),
        ("SELECT * FROM items WHERE EXISTS (SELECT 1 FROM secrets)", False),
        ("TABLE secrets", False),
        ("SELECT 1 UNION TABLE secrets", False),
        ("SELECT * FROM other.items", False),
        ("SELECT * FROM ONLY secrets", False),
        ("SELECT * FROM 'secrets'", False),
        ("WITH items AS (SELECT 1) SELECT * FROM items", False),
    ],
)
def test_a_table_that_is_not_named_is_seen_wherever_it_stands(sql: str, passes: bool) -> None:
    def check() -> None:
        tree = read_statement(sql, "postgres")
        check_tables(tree, "postgres", ["items"], "databases.shop.tables", home="public")

    if passes:
        check()
    else:
        with pytest.raises(ToolError):
            check()


@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "mysql"])
@pytest.mark.parametrize("sql", ["SELECT " + "(" * 900 + "1" + ")" * 900, "SELECT " + "NOT " * 900 + "1"])
def test_a_statement_that_is_nested_too_deeply_is_one_sentence(dialect: str, sql: str) -> None:
    with pytest.raises(ToolError, match="nested too deeply"):
        read_statement(sql, dialect)


def test_a_statement_of_great_length_is_refused_before_it_is_read() -> None:
    with pytest.raises(ToolError, match="30,007 characters, and query_db takes 20,000"):
        read_statement("SELECT " + "1" * 30_000, "sqlite")


def test_nothing_is_logged_about_what_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    for sql in ("EXPLAIN SELECT 1", "SELECT 1; CALL x()", "SHOW TABLES"):
        with pytest.raises(ToolError):
            read_statement(sql, "mysql")
    assert not caplog.records
