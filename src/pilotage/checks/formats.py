"""JSON, YAML and CSV text as one and the same value, or a ValueError that says in a line what is wrong and where.

Whatever a reader would lose or change without a word is an error here: a key or a column that stands twice, a row that
is too long, NaN. YAML is read as JSON knows it: dates and times stay text; aliases are refused, since a short text can
stand for gigabytes, and so are tags.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from typing import Any, cast

import yaml

DELIMITERS = ",;\t|"
_TAGS = {"!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map", "null", "bool"))}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)


def read_json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, parse_float=_number, object_pairs_hook=_unique)


def read_yaml(text: str) -> Any:
    try:
        return json.loads(json.dumps(yaml.load(text, _Plain)), parse_constant=_refuse)
    except yaml.MarkedYAMLError as error:
        at = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{at}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_csv(text: str) -> list[dict[str, str]]:
    """The rows by the names of the first. The delimiter is the one of DELIMITERS that parts the first row most often.

    Rows are counted as they stand, blank ones too; blank ones are left out.
    """
    delimiter = max(DELIMITERS, key=lambda mark: _cells(text, mark))
    try:
        rows = list(enumerate(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), 1))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    filled = [(number, row) for number, row in rows if row]
    if not filled:
        raise ValueError("no rows")
    head = _columns([name.strip() for name in filled[0][1]])
    for number, row in filled[1:]:
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} cells, the first row {len(head)}")
    return [dict(zip(head, (cell.strip() for cell in row), strict=True)) for _, row in filled[1:]]


READ: dict[str, Callable[[str], Any]] = {"json": read_json, "csv": read_csv, "yaml": read_yaml}


def _cells(text: str, delimiter: str) -> int:
    """How many cells the first row has."""
    try:
        return len(next(csv.reader(io.StringIO(text), delimiter=delimiter), []))
    except csv.Error:  # one cell, longer than any may be
        return 0


def _columns(names: list[str]) -> list[str]:
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name")
    if twice := _twice(names):
        raise ValueError(f'the column "{twice}" stands twice')
    return names


def _twice(names: list[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f'the key "{next(name for name in names if names.count(name) > 1)}" stands twice in one object'
        )
    return found


class _Plain(yaml.SafeLoader):
    """YAML without aliases, tags and keys that stand twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read", mark)
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise yaml.composer.ComposerError(None, None, f"tags ({tag[:40]}) are not read", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        pairs: list[tuple[Any, Any]] = node.value if isinstance(node, yaml.MappingNode) else []
        for key_node, _ in pairs:
            name = json.dumps(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if name and name in seen:
                problem, mark = f"the key {name[:80]} stands twice", cast("Any", key_node.start_mark)
                raise yaml.constructor.ConstructorError(None, None, problem, mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _resolvers() -> dict[Any, list[tuple[str, re.Pattern[str]]]]:
    """Those of YAML 1.1 without dates and without numbers to the base of 60, such as 12:30."""
    changed = {"tag:yaml.org,2002:int": _INTEGER, "tag:yaml.org,2002:float": _FLOAT}
    dropped = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
    return {
        first: [(tag, changed.get(tag, pattern)) for tag, pattern in pairs if tag not in dropped]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Plain.yaml_implicit_resolvers = _resolvers()
