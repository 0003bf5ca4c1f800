"""A JSON Schema whose answers end within their tokens, and whose quotes and sources are those that the request holds.

Where an object has both a `quote` and a `source`, each source is a choice of its own with its own quotes: a citation
that llama.cpp decodes by such a schema stands word for word in its source. What is not covered: whether it proves the
claim; patterns, formats and whatever else pydantic checks afterwards; maps with free keys, whose keys have no end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

MOST_ITEMS = 4  # of a list
LONGEST, SHORTEST = 400, 40  # characters of a text of the model's own
DEEPEST = 6  # of a type that refers to itself
KNOWN = {  # what constrains the decoding; with any other keyword llguidance gives up, and constrains nothing
    "type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "enum",
    "const", "anyOf", "minLength", "maxLength", "minimum", "maximum",
}  # fmt: skip
SAME = {"oneOf": "anyOf"}
FIRST = ("quote", "source")  # what is copied comes before what is said about it


def narrowed(schema: Mapping[str, Any], quotes: Mapping[str, Sequence[str]]) -> Schema:
    """The schema with its references put in, and with these quotes, by source, as the only ones; {} changes none."""
    inlined = _inline(dict(schema), schema.get("$defs") or {}, 0)
    made: Schema = _citing(inlined, {source: list(own) for source, own in quotes.items() if own})
    return made


def bounded(schema: Mapping[str, Any], max_tokens: int) -> Schema:
    """The schema with lengths for its texts and lists, so that its longest answer takes at most `max_tokens`.

    A character of the model's own counts as a token, which digits and most scripts keep to; what is given counts a
    third. Lists get shorter only when the shortest texts do not fit either.
    """
    tried: Schema = {}
    for items in range(MOST_ITEMS, 0, -1):
        for length in (LONGEST, 300, 200, 120, 80, SHORTEST):
            tried = _limit(dict(schema), items, length)
            if _longest(tried) <= max_tokens:
                return tried
    return tried


def has_quotes(schema: Mapping[str, Any]) -> bool:
    """Whether the type quotes: somewhere in it an object has a quote and a source."""
    return any(_cites(part) for part in _objects(_inline(dict(schema), schema.get("$defs") or {}, 0)))


def of_one(key: str, values: Sequence[str], schema: Mapping[str, Any]) -> Schema:
    """An object's schema with one of its texts narrowed to these values."""
    properties = dict(schema.get("properties") or {}) | {key: {"enum": list(values)}}
    return dict(schema) | {"properties": properties}


def spelled(schema: Mapping[str, Any]) -> tuple[Schema, dict[str, str]]:
    """The schema with its given texts free of what JSON escapes, and the texts that were meant, by those.

    xllamacpp 2026.10's llguidance lets a given text end early behind an escaped character.
    """
    meant: dict[str, str] = {}

    def plain(part: Any) -> Any:
        if isinstance(part, list):
            return [plain(each) for each in part]
        if isinstance(part, dict):
            return {
                key: _spell(value, meant) if key in ("enum", "const") else plain(value) for key, value in part.items()
            }
        return part

    return plain(dict(schema)), meant


def as_meant(written: Any, meant: Mapping[str, str]) -> Any:
    """What was written by a schema of `spelled`, with the texts that were meant."""
    if isinstance(written, str):
        return meant.get(written, written)
    if isinstance(written, list):
        return [as_meant(each, meant) for each in written]
    return {key: as_meant(value, meant) for key, value in written.items()} if isinstance(written, dict) else written


def _spell(given: Any, meant: dict[str, str]) -> Any:
    if isinstance(given, list):
        return [_spell(each, meant) for each in given]
    if not isinstance(given, str):
        return given
    plain = " ".join(given.replace('"', "'").replace("\\", "/").split())
    plain = "".join(letter for letter in plain if letter.isprintable())
    while meant.get(plain, given) != given:  # another text looks like it
        plain += " "
    meant[plain] = given
    return plain


def _inline(part: Any, definitions: Mapping[str, Any], depth: int) -> Any:
    if isinstance(part, list):
        return [_inline(each, definitions, depth) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        name = str(part["$ref"]).rpartition("/")[2]
        return _inline(definitions.get(name, {}), definitions, depth + 1) if depth < DEEPEST else {"type": "null"}
    if len(part.get("allOf") or ()) == 1:
        return _inline(part["allOf"][0], definitions, depth)
    kept = {SAME.get(key, key): value for key, value in part.items() if SAME.get(key, key) in KNOWN}
    if "properties" in kept:
        inner = {name: _inline(value, definitions, depth) for name, value in kept.pop("properties").items()}
        return _inline(kept, definitions, depth) | {"properties": inner, "additionalProperties": False}
    return {
        key: value if key in ("enum", "const") else _inline(value, definitions, depth) for key, value in kept.items()
    }


def _cites(part: Mapping[str, Any]) -> bool:
    return set(FIRST) <= (part.get("properties") or {}).keys()


def _objects(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _objects(inner)


def _citing(part: Any, quotes: Mapping[str, list[str]]) -> Any:
    if isinstance(part, list):
        return [_citing(each, quotes) for each in part]
    if not isinstance(part, dict):
        return part
    if _cites(part) and quotes:
        return {"anyOf": [_from_one(part, source, own) for source, own in quotes.items()]}
    if part.get("type") == "array" and not quotes and isinstance(part.get("items"), dict) and _cites(part["items"]):
        return part | {"maxItems": 0}  # nothing was seen that could be quoted
    return {key: _citing(value, quotes) for key, value in part.items()}


def _from_one(part: Mapping[str, Any], source: str, quotes: list[str]) -> Schema:
    """An object that cites this source."""
    rest = {name: value for name, value in part["properties"].items() if name not in FIRST}
    properties = {"quote": {"enum": quotes}, "source": {"const": source}} | rest
    return dict(part) | {"properties": properties, "required": list(properties)}


def _limit(part: Any, items: int, length: int) -> Any:
    if isinstance(part, list):
        return [_limit(each, items, length) for each in part]
    if not isinstance(part, dict):
        return part
    if "enum" in part or "const" in part:
        return part
    made: Schema = {
        key: {name: _limit(value, items, length) for name, value in inner.items()}
        if key == "properties" else _limit(inner, items, length)
        for key, inner in part.items()
    }  # fmt: skip
    if made.get("type") == "array":
        made["maxItems"] = min(items, made.get("maxItems", items))
    elif made.get("type") == "string":
        made["maxLength"] = min(length, made.get("maxLength", length))
    return made


def _longest(part: Any) -> int:
    """The most tokens that an answer can take."""
    if not isinstance(part, dict):
        return 0
    if "const" in part or "enum" in part:
        return max(len(str(value)) for value in part.get("enum") or [part["const"]]) // 3 + 3
    if "anyOf" in part:
        return max(map(_longest, part["anyOf"]), default=0)
    if part.get("type") == "array":
        each = sum(map(_longest, part["prefixItems"])) if "prefixItems" in part else 0
        return each or part.get("maxItems", MOST_ITEMS) * (_longest(part.get("items", {})) + 2) + 2
    if "properties" in part:
        return 4 + sum(len(name) // 3 + 6 + _longest(value) for name, value in part["properties"].items())
    return int(part.get("maxLength", 0)) + 4 if part.get("type") == "string" else 17
