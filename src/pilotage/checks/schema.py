"""JSON Schema: a validator that fetches nothing, and its errors in words: what was found, what is expected.

Cells of a CSV are text: they are read as the numbers, booleans and nulls that the schema asks for. What is not covered:
how long a check takes; `bounded` sees to that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pilotage.errors import ConfigError

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from jsonschema.protocols import Validator

SHOWN = 80  # characters of a value
LONGEST = 200  # characters of what is expected
_WHOLE = re.compile(r"[-+]?[0-9]{1,300}\Z")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z")
_OF_LISTS = ("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems")
_OF_OBJECTS = ("properties", "required", "patternProperties", "additionalProperties", "propertyNames", "minProperties")
_SEVERAL = ("anyOf", "oneOf", "allOf")


def make_validator(schema: dict[str, Any], at: str) -> Validator:
    """The validator of the schema's own draft; ConfigError with `at` and the place of what is wrong with it."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind: Any = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema, format_checker=kind.FORMAT_CHECKER)  # with formats: a pattern that is none
    except SchemaError as error:
        problem = f"{at} is no valid JSON Schema: {error.json_path}: {line(error.message)}"
        raise ConfigError(problem, hint="mend the schema") from None
    nothing: Registry[Any] = Registry()  # empty, it fetches nothing
    validator: Validator = kind(schema, registry=nothing, format_checker=_formats())
    for reference in _references(schema):
        _check_reference(schema, reference, at)
    try:
        list(errors_of(validator, None))
    except RecursionError:
        raise ConfigError(
            f"{at} is no valid JSON Schema: it refers to itself without end", hint="mend the schema"
        ) from None
    return validator


def errors_of(validator: Validator, value: Any) -> Iterator[Any]:
    """The errors of a value; ConfigError for a `$ref` that leads nowhere."""
    from referencing.exceptions import Unresolvable

    try:
        yield from validator.iter_errors(value)
    except Unresolvable as error:
        raise _unresolved("the schema", str(getattr(error, "ref", error))) from None


def found_and_expected(error: Any) -> tuple[str, str]:
    """Both sides of a fault, in words."""
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        more = [name for name in error.instance if name not in known and not any(re.search(p, name) for p in patterns)]
        expected = f"no other keys than {', '.join(known)}" if known else "no such keys"
        return cut(f"the keys {', '.join(map(shown, more))}", SHOWN), cut(expected, LONGEST)
    return shown(error.instance), cut(_expected(error), LONGEST)


def describes_object(schema: Any, root: dict[str, Any]) -> bool:
    """Whether the schema is about one object, so that each element of a list is held against it."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict):
        return False
    if "type" in schema:
        return "object" in _listed(schema["type"]) and "array" not in _listed(schema["type"])
    if any(key in schema for key in _OF_LISTS):
        return False
    parts = [part for key in _SEVERAL for part in schema.get(key, [])]
    return any(key in schema for key in _OF_OBJECTS) or any(describes_object(part, root) for part in parts)


def make_typer(schema: Any, root: dict[str, Any]) -> Callable[[dict[str, str]], dict[str, Any]]:
    """What reads a row of a CSV as the schema asks for; an empty cell becomes null or "", or is left out."""
    schema = _resolved(schema, root)
    known = schema.get("properties", {}) if isinstance(schema, dict) else {}
    others = schema.get("additionalProperties") if isinstance(schema, dict) else None

    @cache
    def kinds_of(column: str) -> set[str]:
        return _kinds(known.get(column, others), root)

    def read(row: dict[str, str]) -> dict[str, Any]:
        kept = ((name, text, kinds_of(name)) for name, text in row.items())
        return {name: _cell(text, kinds) for name, text, kinds in kept if text or kinds & {"null", "string"}}

    return read


def items_of(schema: Any, root: dict[str, Any]) -> Any:
    """What the schema of a list says about its elements."""
    schema = _resolved(schema, root)
    return schema.get("items") if isinstance(schema, dict) else None


def shown(value: Any) -> str:
    """A value as JSON, cut."""
    return cut(json.dumps(value, ensure_ascii=False, default=str), SHOWN)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def line(error: Any) -> str:
    return cut(" ".join(str(error).split()), LONGEST)


def _expected(error: Any) -> str:
    """What the keyword that failed asks for."""
    asked, value = str(error.validator), error.validator_value
    if asked == "required":
        missing = [name for name in value if name not in error.instance]
        return f"the key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    if asked in ("anyOf", "oneOf") and not error.context:
        return "only one of the forms that the schema knows, not several"
    if asked in ("anyOf", "oneOf"):
        return " or ".join(dict.fromkeys(_expected(part) for part in error.context or ()))
    words = _WORDS.get(asked)
    return words(value) if words else line(error.message)


def _count(value: Any, noun: str) -> str:
    return f"{value} {noun}" + ("" if value == 1 else "s")


_WORDS: dict[str, Callable[[Any], str]] = {
    "type": lambda value: " or ".join(_listed(value)),
    "enum": lambda value: "one of " + ", ".join(map(shown, value)),
    "const": lambda value: shown(value),
    "minimum": lambda value: f"at least {value}",
    "maximum": lambda value: f"at most {value}",
    "exclusiveMinimum": lambda value: f"more than {value}",
    "exclusiveMaximum": lambda value: f"less than {value}",
    "multipleOf": lambda value: f"a multiple of {value}",
    "minLength": lambda value: f"at least {_count(value, 'character')}",
    "maxLength": lambda value: f"at most {_count(value, 'character')}",
    "minItems": lambda value: f"at least {_count(value, 'element')}",
    "maxItems": lambda value: f"at most {_count(value, 'element')}",
    "minProperties": lambda value: f"at least {_count(value, 'key')}",
    "maxProperties": lambda value: f"at most {_count(value, 'key')}",
    "pattern": lambda value: f"text that fits the pattern {value}",
    "format": lambda value: f"a {value}",
    "uniqueItems": lambda value: "no element twice",
    "contains": lambda value: f"an element that fits {shown(value)}",
    "not": lambda value: f"nothing that fits {shown(value)}",
    "dependentRequired": lambda value: f"keys that belong together: {shown(value)}",
    "items": lambda value: "no further elements",
    "None": lambda value: "nothing at all",
}


def _formats() -> FormatChecker:
    """The formats that jsonschema knows by itself, with date-time and uri, for which it needs further packages."""
    from jsonschema import FormatChecker

    checker = FormatChecker()
    for name, fits in (("date-time", _is_moment), ("uri", _is_uri)):
        checker.checkers[name] = (fits, ())
    return checker


def _is_moment(text: Any) -> bool:
    if not isinstance(text, str):
        return True
    try:
        return datetime.fromisoformat(text).tzinfo is not None and text[10:11] in ("T", "t", " ")
    except ValueError:
        return False


def _is_uri(text: Any) -> bool:
    if not isinstance(text, str):
        return True
    try:
        return bool(urlsplit(text).scheme) and text.isascii() and text.isprintable() and " " not in text
    except ValueError:
        return False


def _kinds(schema: Any, root: dict[str, Any], depth: int = 0) -> set[str]:
    """The types that a schema allows, by `type`, by the values that it lists, or by its parts."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict) or depth > 10:
        return set()
    if "type" in schema:
        return set(_listed(schema["type"]))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    parts = [part for key in _SEVERAL for part in schema.get(key, [])]
    return {_type_of(value) for value in values}.union(*(_kinds(part, root, depth + 1) for part in parts))


def _cell(text: str, kinds: set[str]) -> Any:
    if text == "" and "null" in kinds:
        return None
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kinds & {"integer", "number"} and _WHOLE.match(text):
        return int(text)
    if "number" in kinds and _DECIMAL.match(text):
        return float(text)
    return text


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(name) for name in value]


def _resolved(schema: Any, root: dict[str, Any]) -> Any:
    """The schema that a chain of local `$ref` leads to; one that leads elsewhere as it is."""
    for _ in range(20):
        if not isinstance(schema, dict) or not str(schema.get("$ref", "")).startswith("#"):
            return schema
        found: Any = root
        for part in schema["$ref"].removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        schema = found
    return schema


def _references(schema: Any) -> Iterator[str]:
    """Every `$ref` in a schema; none when parts of it have an `$id` of their own, which only the validator reads."""
    waiting, found = [schema], []
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "$id" in part and part is not schema:
                return
            found += [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    yield from found


def _check_reference(schema: dict[str, Any], reference: str, at: str) -> None:
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry()
    try:
        registry.resolver_with_root(root).lookup(reference)
    except Unresolvable:
        raise _unresolved(at, reference) from None


def _unresolved(at: str, reference: str) -> ConfigError:
    problem = f"{at}: the $ref {cut(reference, SHOWN)} cannot be resolved: nothing is fetched"
    return ConfigError(problem, hint="put what it names under $defs")
