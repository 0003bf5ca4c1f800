"""Data self-check: JSON, CSV or YAML text against a JSON Schema or a pydantic model; faults as path, found, expected.

A schema that describes an object is held against every row of a CSV and every element of a list; a CSV of a header only
has no row that could be wrong. Nothing is fetched for a `$ref`. A schema that may take long, by a pattern for
example, is held against the data in a process that ends after `bounded.SECONDS`. What is not covered: how long a
validator of your own model takes over a text; it runs where the check was called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from pilotage import names
from pilotage.checks import bounded
from pilotage.checks import schema as rules
from pilotage.checks.formats import READ, read_json
from pilotage.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Schema = type[BaseModel] | dict[str, Any]
FORMATS = tuple(READ)
LARGEST = {"json": 2_000_000, "csv": 1_000_000, "yaml": 200_000}  # characters; YAML is read fifty times as slowly
MOST_FAULTS = 20
TOO_DEEP = "nesting that is too deep"


@dataclass(frozen=True)
class DataFault:
    """What is wrong, and where: `$[2].price: found "free", expected number`."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        if self.found.startswith(f"no {self.expected}"):  # of a text that cannot be read: both say the same
            return f"{self.path}: {self.found}"
        return f"{self.path}: found {self.found}, expected {self.expected}"


_TOO_DEEP = DataFault("$", TOO_DEEP, "data that is nested less deeply")


def load_schema(name: str, root: Path, at: str = "data") -> Schema:
    """A JSON Schema file (.json, .yaml) below `root`, or a pydantic model as module:Class. ConfigError otherwise."""
    if ":" in name and not (root / name).is_file():
        model = names.find(name, at, root)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise ConfigError(f"{at}: {name} is no pydantic model", hint="name a class of yours, as module:Class")
        return model
    schema = _read_schema(name, root / name, at)
    if not isinstance(schema, dict):
        raise ConfigError(f"{at}: {name} holds no mapping, so no JSON Schema", hint=f"mend {name}")
    rules.make_validator(schema, f"{at}: {name}")
    return schema


def check_text(text: str, format: str, schema: Schema) -> list[DataFault]:
    """All faults of a text, at most MOST_FAULTS; ToolError for an unknown format."""
    if format not in FORMATS:
        raise ToolError(f'unknown format "{format}": known are {", ".join(FORMATS)}')
    if len(text) > LARGEST[format]:
        return [DataFault("$", f"{len(text):,} characters", f"at most {LARGEST[format]:,}")]
    try:
        value = READ[format](text.removeprefix("\ufeff"))
    except ValueError as error:
        return [DataFault("$", f"no valid {format.upper()}: {rules.line(error)}", f"valid {format.upper()}")]
    except RecursionError:
        return [DataFault("$", TOO_DEEP, f"valid {format.upper()}")]
    return check_value(value, schema, rows=format == "csv")


def check_value(value: Any, schema: Schema, *, rows: bool = False) -> list[DataFault]:
    """All faults of a value that has been read already, each once. `rows`: it is a CSV, whose cells are all text.

    One fault says that it took too long; ToolError when the process that it was given to ended without a result.
    """
    try:
        found = bounded.check(value, schema, rows) if bounded.may_take_long(schema) else None
    except RecursionError:
        return [_TOO_DEEP]
    return judge(value, schema, rows) if found is None else found


def judge(value: Any, schema: Schema, rows: bool) -> list[DataFault]:
    """The faults of a value, in this process and however long it takes."""
    found = _by_schema(value, schema, rows) if isinstance(schema, dict) else _by_model(value, schema, rows)
    faults: dict[DataFault, None] = {}
    try:
        for fault in found:
            faults[fault] = None
            if len(faults) == MOST_FAULTS:
                break
    except RecursionError:
        return [_TOO_DEEP]
    return list(faults)


def _read_schema(name: str, path: Path, at: str) -> Any:
    try:
        text = path.read_text("utf-8-sig")
        return read_json(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            f"{at}: {name}: {error.strerror}", hint="name a schema file or a model as module:Class"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{at}: {name} is neither JSON nor YAML: {rules.line(error)}", hint=f"mend {name}") from None


def _elements(value: Any, whole: bool) -> list[tuple[str, Any]]:
    if whole or not isinstance(value, list):
        return [("$", value)]
    return [(f"$[{number}]", part) for number, part in enumerate(value)]


def _by_schema(value: Any, schema: dict[str, Any], rows: bool) -> Iterator[DataFault]:
    validator, each = rules.make_validator(schema, "the schema"), rules.describes_object(schema, schema)
    if rows:
        typed = rules.make_typer(schema if each else rules.items_of(schema, schema), schema)
        value = [typed(row) for row in value]
    for path, part in _elements(value, whole=not each):
        yield from _faults(path, part, validator)


def _faults(path: str, value: Any, validator: Validator) -> Iterator[DataFault]:
    for error in rules.errors_of(validator, value):
        yield DataFault(path + _path(error.absolute_path), *rules.found_and_expected(error))


def _by_model(value: Any, model: type[BaseModel], rows: bool) -> Iterator[DataFault]:
    for path, part in _elements(value, whole=issubclass(model, RootModel) and not rows):
        if rows:
            part = {name: cell for name, cell in part.items() if cell != ""}
        yield from _faults_of_model(path, part, model, rows)


def _faults_of_model(path: str, value: Any, model: type[BaseModel], rows: bool) -> Iterator[DataFault]:
    try:
        if rows:
            model.model_validate(value)
        else:
            model.model_validate_json(json.dumps(value))  # text of a date is a date in JSON
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            found = "nothing" if fault["type"] == "missing" else rules.shown(fault["input"])
            yield DataFault(path + _path(fault["loc"]), found, _plain(fault["msg"]))
    except RecursionError:
        raise
    except Exception as error:  # raised by a validator of the user's that did not expect this value
        expected = f"what {model.__name__} can check, but it raised {type(error).__name__}: {error}"
        yield DataFault(path, rules.shown(value), rules.line(expected))


def _path(parts: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else _key(part) for part in parts)


def _key(name: str) -> str:
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name, ensure_ascii=False)}]"


def _plain(message: str) -> str:
    message = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return rules.line(message.replace("Field required", "a value"))
