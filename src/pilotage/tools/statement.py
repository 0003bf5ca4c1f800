"""SQL is read before it is run: one SELECT passes, anything else is refused by its name.

A database on a server gets the statement as it was understood here, written anew without comments, and only functions
that are known to do nothing but compute. SQLite gets it as it was written: its own authorizer sees each table and
function. What is not covered: functions that the owner of a server has added are refused, as nobody knows what they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from pilotage.errors import ToolError

LONGEST = 20_000  # characters
STARTS = {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}
REFUSED = {exp.DML: "", exp.DDL: "", exp.Command: "", exp.Into: "SELECT INTO", exp.Lock: "FOR UPDATE", exp.Pragma: ""}
_COMPUTE = """
addtime age array_dims array_lower array_positions array_upper bin bit_count cardinality clock_timestamp conv
convert_tz crc32 curdate curtime date_part daterange every field find_in_set from_days from_unixtime gcd inet_aton
inet_ntoa int4range isempty isfinite json_array json_array_elements json_array_elements_text json_array_length
json_arrayagg json_build_object json_contains json_contains_path json_each json_each_text json_length
json_object_keys json_search json_typeof json_unquote json_valid jsonb_agg jsonb_array_elements
jsonb_array_elements_text jsonb_array_length jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
jsonb_extract_path_text jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_pretty jsonb_set
jsonb_strip_nulls jsonb_typeof lcm lower_inc make_date makedate maketime masklen microsecond mid now num_nonnulls
num_nulls numrange oct octet_length ord period_add period_diff phraseto_tsquery plainto_tsquery quote_literal
range_merge regexp_match regexp_matches regexp_split_to_array regexp_split_to_table row_to_json sec_to_time
similarity std strcmp subtime time_to_sec timediff timezone to_json to_jsonb to_tsquery to_tsvector ts_headline
ts_rank ts_rank_cd tstzrange unaccent unix_timestamp upper_inc websearch_to_tsquery weekday word_similarity yearweek
"""
COMPUTE = frozenset(_COMPUTE.split())


def read_statement(sql: str, dialect: str) -> exp.Query:
    """The one SELECT in `sql`, parsed in sqlglot's `dialect`; ToolError for anything else."""
    if len(sql) > LONGEST:
        raise ToolError(f"the statement has {len(sql):,} characters, and query_db takes {LONGEST:,}")
    if "\x00" in sql:
        raise ToolError("the statement holds a NUL character")
    try:
        _check_start(sqlglot.tokenize(sql, read=dialect))
        tree = sqlglot.parse_one(sql, read=dialect)
    except SqlglotError as error:
        raise ToolError(f"this is no {dialect} that query_db can read: {_reason(error)}") from None
    except RecursionError:
        raise ToolError("the statement is nested too deeply for query_db") from None
    _check_reads(tree)
    return tree  # type: ignore[return-value]  # _check_reads has seen that it is a query


def rewritten(tree: exp.Query, dialect: str, rows: int) -> str:
    """The statement as it was understood, for at most `rows`: what a comment or a quote hides from it is not run."""
    for hint in list(tree.find_all(exp.Hint)):  # a comment that MySQL obeys
        hint.pop()
    for function in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc):
        if function.name.lower() not in COMPUTE:
            raise ToolError(f"the function {function.name} is not allowed: query_db takes those that only compute")
    limit = tree.args.get("limit")
    if limit is None:
        tree.set("limit", exp.Limit(expression=exp.Literal.number(rows)))
    elif isinstance(limit, exp.Limit) and not _is_at_most(limit.expression, rows):
        limit.set("expression", exp.Literal.number(rows))
    try:
        return tree.sql(dialect=dialect, comments=False)
    except RecursionError:
        raise ToolError("the statement is nested too deeply for query_db") from None


def check_tables(tree: exp.Query, dialect: str, allowed: Iterable[str], key: str, *, home: str) -> None:
    """ToolError for a table outside `allowed`, and for a WITH that takes the name of an allowed one.

    `home` is the schema that a bare name means; in `allowed`, other schemas stand before the table's name.
    """
    names = {name.lower().removeprefix(f"{home.lower()}.") for name in allowed}
    for name, schema in tables(tree, dialect):
        full = f"{schema}.{name}" if schema else name
        if full.lower().removeprefix(f"{home.lower()}.") not in names:
            raise ToolError(not_among(full, key, allowed))
    for cte in tree.find_all(exp.CTE):
        if cte.alias.lower() in names:
            raise ToolError(f"WITH {cte.alias} hides the table of that name: choose another name")


def not_among(table: str, key: str, allowed: Iterable[str]) -> str:
    return f"the table {table} is not among those that query_db may read: {', '.join(allowed) or 'none'} ({key})"


def tables(tree: exp.Query, dialect: str) -> Iterator[tuple[str, str]]:
    """Name and schema of each table that is read; what WITH defines at that place is none."""
    for table in tree.find_all(exp.Table):
        if table.name and not isinstance(table.this, exp.Func) and not _is_defined(table, dialect):
            yield table.name, ".".join(part.name for part in table.parts[:-1])


def _check_start(tokens: list[Any]) -> None:
    """Refuse by the first word and by a second statement, before anything is parsed."""
    if not tokens or all(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise ToolError("the statement is empty")
    if tokens[0].token_type not in STARTS:
        raise ToolError(_not_allowed(tokens[0].text))
    first_end = next((n for n, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON), len(tokens))
    if any(token.token_type != TokenType.SEMICOLON for token in tokens[first_end:]):
        raise ToolError("query_db takes one statement at a time")


def _check_reads(tree: Any) -> None:
    for kind, name in REFUSED.items():
        if found := tree.find(kind):
            raise ToolError(_not_allowed(name or (found.name if isinstance(found, exp.Command) else found.key)))
    if not isinstance(tree, exp.Query):
        raise ToolError(_not_allowed(tree.key))


def _is_defined(table: exp.Table, dialect: str) -> bool:
    """Whether the name means a WITH clause that is in force here, rather than a table."""
    name = _folded(table.this, dialect)
    inner: Any = table
    outer: Any = table.parent
    while outer is not None and not table.db:
        clause = outer.args.get("with_") or outer.args.get("with")
        if isinstance(clause, exp.With):
            parts = clause.expressions
            own = next((n for n, part in enumerate(parts) if inner is clause and _holds(part, table)), len(parts))
            last = own + 1 if clause.args.get("recursive") else own  # in its own definition only when RECURSIVE
            last = len(parts) if dialect == "sqlite" else last  # SQLite looks in all of them
            if any(_folded(part.args["alias"].this, dialect) == name for part in parts[:last]):
                return True
        inner, outer = outer, outer.parent
    return False


def _holds(part: Any, node: Any) -> bool:
    return any(ancestor is part for ancestor in _ancestors(node))


def _ancestors(node: Any) -> Iterator[Any]:
    while node is not None:
        yield node
        node = node.parent


def _folded(identifier: Any, dialect: str) -> str:
    """A name as the database compares it; where that differs by platform, as it is written."""
    folds = dialect == "sqlite" or (dialect == "postgres" and not identifier.args.get("quoted"))
    name: str = identifier.name
    return name.lower() if folds else name


def _is_at_most(number: Any, rows: int) -> bool:
    return isinstance(number, exp.Literal) and not number.is_string and number.is_int and int(number.name) <= rows


def _not_allowed(word: str) -> str:
    return f"{word.upper()[:40]} is not allowed: query_db only reads"


def _reason(error: SqlglotError) -> str:
    """The first thing that the parser did not like, without its colours."""
    for found in getattr(error, "errors", []):
        place = f"line {found['line']}, column {found['col']}"
        return f"{str(found['description']).rstrip('.')} near {str(found['highlight'])[:60]!r} ({place})"
    return "a quote or a comment is not closed" if "issing" in str(error) else "it cannot be split into words"
