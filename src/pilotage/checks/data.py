"""Data self-check: JSON, CSV or YAML text against a JSON Schema or a pydantic model; each fault as path, found, expected.

A schema that describes an object is held against every row of a CSV and every element of a list. Nothing is fetched
for a `$ref`; YAML aliases are refused, since a short text can stand for gigabytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from pilotage import names
from pilotage.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Schema = type[BaseModel] | dict[str, Any]
FORMATS = ("json", "csv", "yaml")
LARGEST = 2_000_000  # characters
MOST_FAULTS = 20
SHOWN = 80  # characters of a value


@dataclass(frozen=True)
class DataFault:
    """What is wrong, and where: `$[2].price: found "free", expected number`."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}, expected {self.expected}"


def load_schema(name: str, root: Path, at: str = "data") -> Schema:
    """A JSON Schema file (.json, .yaml) below `root`, or a pydantic model as module:Class. ConfigError otherwise."""
    if ":" in name and not (root / name).is_file():
        model = names.find(name, at, root)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise ConfigError(f"{at}: {name} is no pydantic model", hint="name a class of yours, as module:Class")
        return model
    path = root / name
    try:
        schema = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{at}: {name}: {error.strerror}", hint="name a schema file or a model as module:Class") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{at}: {name} is neither JSON nor YAML: {_line(error)}", hint=f"mend {name}") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"{at}: {name} holds no mapping, so no JSON Schema", hint=f"mend {name}")
    _validator(schema, f"{at}: {name}")
    return schema


def check_text(text: str, format: str, schema: Schema) -> list[DataFault]:
    """All faults of a text, at most MOST_FAULTS; ToolError for an unknown format."""
    if format not in FORMATS:
        raise ToolError(f'unknown format "{format}": known are {", ".join(FORMATS)}')
    if len(text) > LARGEST:
        return [DataFault("$", f"{len(text):,} characters", f"at most {LARGEST:,}")]
    try:
        value = _READ[format](text)
    except ValueError as error:
        return [DataFault("$", _line(error), f"valid {format.upper()}")]
    except RecursionError:
        return [DataFault("$", "nesting that is too deep", f"valid {format.upper()}")]
    return check_value(value, schema, rows=format == "csv")


def check_value(value: Any, schema: Schema, *, rows: bool = False) -> list[DataFault]:
    """All faults of a value that has been read already. `rows`: it is a CSV, whose cells are all text."""
    if isinstance(schema, dict):
        pairs = _elements(value, whole=schema.get("type") == "array" or not isinstance(value, list))
        validator = _validator(schema)
        found = (fault for path, part in pairs for fault in _by_schema(path, part, validator, rows))
    else:
        pairs = _elements(value, whole=issubclass(schema, RootModel) or not isinstance(value, list))
        found = (fault for path, part in pairs for fault in _by_model(path, part, schema, rows))
    return [fault for _, fault in zip(range(MOST_FAULTS), found, strict=False)]


def _elements(value: Any, *, whole: bool) -> list[tuple[str, Any]]:
    return [("$", value)] if whole else [(f"$[{number}]", part) for number, part in enumerate(value)]


def _by_schema(path: str, value: Any, validator: Validator, rows: bool) -> Iterator[DataFault]:
    schema = cast("dict[str, Any]", validator.schema)
    if rows:
        value = [_typed(row, schema.get("items", {})) for row in value] if isinstance(value, list) else _typed(value, schema)
    for error in _errors(validator, value):
        at = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        yield DataFault(at, _shown(error.instance), _expected(error))


def _errors(validator: Validator, value: Any) -> Iterator[Any]:
    from referencing.exceptions import Unresolvable

    try:
        yield from validator.iter_errors(value)
    except Unresolvable as error:
        problem = f"the schema's $ref {error} cannot be resolved: nothing is fetched"
        raise ConfigError(problem, hint="put what it names under $defs") from None


def _by_model(path: str, value: Any, model: type[BaseModel], rows: bool) -> Iterator[DataFault]:
    if rows and isinstance(value, dict):
        value = {name: cell for name, cell in value.items() if cell != ""}
    try:
        if rows:
            model.model_validate(value)
        else:
            model.model_validate_json(json.dumps(value))  # text of a date is a date in JSON
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            at = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
            missing = fault["type"] == "missing"
            yield DataFault(at, "nothing" if missing else _shown(fault["input"]), _plain(fault["msg"]))


def _typed(row: Any, schema: dict[str, Any]) -> Any:
    """The cells of a row as numbers, booleans and nulls where the schema asks for such and the text is one."""
    if not isinstance(row, dict):
        return row
    wanted = schema.get("properties", {})
    typed = {name: _cell(cell, wanted.get(name, {}).get("type")) for name, cell in row.items()}
    return {name: cell for name, cell in typed.items() if cell != "" or wanted.get(name, {}).get("type") == "string"}


def _cell(text: str, kind: str | Sequence[str] | None) -> Any:
    kinds = [kind] if isinstance(kind, str) else list(kind or [])
    if text == "" and "null" in kinds:
        return None
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for name, read in (("integer", int), ("number", float)):
        if name in kinds:
            try:
                return cast("Any", read)(text)
            except ValueError:
                continue
    return text


def _expected(error: Any) -> str:
    """What a validator of JSON Schema asks for, in words."""
    asked, value = error.validator, error.validator_value
    if asked == "required":
        missing = [name for name in value if name not in error.instance]
        return f"the keys {', '.join(missing)}"
    if asked == "additionalProperties":
        known = ", ".join(error.schema.get("properties", {}))
        return f"no other keys than {known}" if value is False else str(error.message)
    words = {
        "type": lambda: value if isinstance(value, str) else " or ".join(value),
        "enum": lambda: "one of " + ", ".join(map(_shown, value)),
        "const": lambda: _shown(value),
        "minimum": lambda: f"at least {value}", "maximum": lambda: f"at most {value}",
        "exclusiveMinimum": lambda: f"more than {value}", "exclusiveMaximum": lambda: f"less than {value}",
        "minLength": lambda: f"at least {value} characters", "maxLength": lambda: f"at most {value} characters",
        "minItems": lambda: f"at least {value} elements", "maxItems": lambda: f"at most {value} elements",
        "pattern": lambda: f"the pattern {value}", "format": lambda: f"a {value}",
        "uniqueItems": lambda: "no element twice", "multipleOf": lambda: f"a multiple of {value}",
    }  # fmt: skip
    return words[asked]() if asked in words else str(error.message)[:200]


def _validator(schema: dict[str, Any], at: str = "schema") -> Validator:
    from jsonschema import Draft202012Validator, FormatChecker, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"{at} is no valid JSON Schema: {_line(error.message)}", hint="mend the schema") from None
    return kind(schema, registry=Registry(), format_checker=FormatChecker())  # an empty registry fetches nothing


class _Plain(yaml.SafeLoader):
    """YAML as JSON knows it: a date stays text, an alias is refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read_yaml(text: str) -> Any:
    try:
        return json.loads(json.dumps(yaml.load(text, _Plain), allow_nan=False))
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(_line(error)) from None


def _read_json(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def _read_csv(text: str) -> list[dict[str, str]]:
    """The rows by the names of the first; ValueError when one is longer or shorter than it."""
    try:
        dialect: Any = csv.Sniffer().sniff(text[:10_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect, strict=True) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not rows:
        raise ValueError("no rows")
    head = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} cells, the first row {len(head)}")
    return [dict(zip(head, (cell.strip() for cell in row), strict=True)) for row in rows[1:]]


_READ = {"json": _read_json, "csv": _read_csv, "yaml": _read_yaml}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _plain(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value error, ").replace("Field required", "a value")


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:200]
