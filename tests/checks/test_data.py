"""The data check: what a reader would lose is a fault, each keyword is said in words, nothing is fetched."""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, RootModel, field_validator

from pilotage.checks.data import FORMATS, LARGEST, MOST_FAULTS, DataFault, check_text, check_value, load_schema
from pilotage.errors import ConfigError, ToolError

PRICE: dict[str, Any] = {
    "type": "object",
    "required": ["name", "price"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "price": {"type": "number", "minimum": 0},
        "stock": {"type": ["integer", "null"]},
        "sold": {"type": "boolean"},
    },
    "additionalProperties": False,
}
ANYTHING: dict[str, Any] = {}


def faults(text: str, format: str = "json", schema: Any = PRICE) -> list[str]:
    return [str(fault) for fault in check_text(text, format, schema)]


def of(value: Any, schema: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in check_value(value, schema)]


# --- what holds


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("json", '{"name": "tea", "price": 3.5}'), ("json", '[{"name": "tea", "price": 3, "stock": null}]'),
        ("json", "[]"),
        ("json", '\ufeff{"name": "tea", "price": 0}'), ("json", ' \n{"name": "é 日本 \\u00e9", "price": 1e2}\n'),
        ("yaml", "name: tea\nprice: 3.5\n"), ("yaml", "- name: tea\n  price: 3\n  sold: true\n"),
        ("yaml", "\ufeff{name: tea, price: 1}"),
        ("csv", "name,price\ntea,3.5\nmilk,2\n"), ("csv", "name;price\ntea;3\n"), ("csv", "name\tprice\ntea\t3\n"),
        ("csv", "name|price\ntea|3"),
        ("csv", "\ufeffname,price,stock,sold\r\ntea,3,,TRUE\r\n"), ("csv", "name,price\n"),
        ("csv", 'name,price\n"a, b\nand ""c""",-0'),
        ("csv", "name , price\n tea , +3e1 \n\n\nmilk,2"), ("csv", "price,name\n1,007"),
    ],
)  # fmt: skip
def test_good_data_of_every_format_has_no_fault(format: str, text: str) -> None:
    assert faults(text, format) == []


def test_a_fault_says_where_what_and_what_else() -> None:
    text = '[{"name": "tea", "price": 1}, {"name": "milk"}, {"name": "x", "price": "free"}]'
    assert check_text(text, "json", PRICE) == [
        DataFault("$[1]", '{"name": "milk"}', "the key price"),
        DataFault("$[2].price", '"free"', "number"),
    ]
    assert faults(text)[1] == '$[2].price: found "free", expected number'


# --- what a reader would lose


@pytest.mark.parametrize(
    ("format", "text", "found"),
    [
        ("json", '{"name": "a", "price": 1, "price": 2}', 'the key "price" stands twice in one object'),
        ("json", '[{"name": {"a": 1, "a": 1}}]', 'the key "a" stands twice in one object'),
        ("json", '{"price": NaN}', "NaN is no JSON"),
        ("json", '{"price": -Infinity}', "-Infinity is no JSON"),
        ("json", '{"price": 1e999}', "1e999 is too large for a number"),
        ("json", "", "Expecting value: line 1 column 1 (char 0)"),
        ("json", '{"name": "tea",}', "line 1 column"),
        ("json", "{'name': 'tea'}", "line 1 column 2"),
        ("json", '{"a": 1} {"b": 2}', "Extra data"),
        ("json", "[" * 100_000, "nesting that is too deep"),
        ("json", "9" * 5000, "4300"),
        ("yaml", "name: a\nprice: 1\nname: b\n", 'the key "name" stands twice (line 3)'),
        ("yaml", "1: a\n'1': b\n", 'the key "1" stands twice (line 2)'),
        ("yaml", "a: &x [1]\nb: *x\n", "aliases (*name) are not read (line 2)"),
        ("yaml", "a: &a {<<: *a}", "aliases (*name) are not read"),
        (
            "yaml",
            "a: !!python/object/apply:os.system [ls]",
            "tags (tag:yaml.org,2002:python/object/apply:os) are not read (line 1)",
        ),
        ("yaml", "a: !!binary aGk=", "tags"),
        ("yaml", "a: !!int ''", "tags"),
        ("yaml", "a: !mine x", "tags (!mine) are not read (line 1)"),
        ("yaml", "price: .nan", "NaN is no JSON"),
        ("yaml", "price: -.inf", "-Infinity is no JSON"),
        ("yaml", "a: [1, 2", "(line 1)"),
        ("yaml", "a: 1\n\tb: 2", "(line 2)"),
        ("yaml", "a: 1\n---\nb: 2", "(line 2)"),
        ("yaml", "? [a, b]\n: 1", "unhashable"),
        ("yaml", "{" * 50_000, "nesting that is too deep"),
        ("yaml", "a: \x00", "special characters"),
        ("csv", "", "no rows"),
        ("csv", "\n\n", "no rows"),
        ("csv", "name,price\ntea,1\nmilk\n", "row 3 has 1 cells, the first row 2"),
        ("csv", 'name,price\n"a\nb",1\n\nmilk,2,3\n', "row 4 has 3 cells, the first row 2"),
        ("csv", "name,price,name\na,1,b\n", 'the column "name" stands twice'),
        ("csv", "name,,price\na,1,2\n", "column 2 has no name"),
        ("csv", 'name,price\n"tea,1\n', "unexpected end of data"),
        ("csv", 'name,price\n"te"a,1\n', "expected after"),
        ("csv", "name,price\n" + "x" * 200_000 + ",1", "field larger than field limit"),
    ],
)
def test_what_cannot_be_read_as_it_stands_is_one_fault_that_says_why(format: str, text: str, found: str) -> None:
    (fault,) = check_text(text, format, ANYTHING)
    assert fault.path == "$"
    assert found in fault.found
    assert fault.expected == f"valid {format.upper()}"


@pytest.mark.parametrize(
    ("format", "text", "said"),
    [
        ("json", '{"a":\n', "$: no valid JSON: Expecting value: line 2 column 1 (char 6)"),
        ("json", '{"a": 1, "a": 2}', '$: no valid JSON: the key "a" stands twice in one object'),
        ("csv", "name,price\nmilk\n", "$: no valid CSV: row 2 has 1 cells, the first row 2"),
        ("yaml", "a: !mine x", "$: no valid YAML: tags (!mine) are not read (line 1)"),
    ],
)
def test_a_text_that_cannot_be_read_is_said_in_one_sentence(format: str, text: str, said: str) -> None:
    assert faults(text, format, ANYTHING) == [said]


def test_a_value_that_looks_like_that_sentence_is_still_a_value() -> None:
    assert of("no valid JSON", {"const": "valid JSON"}) == ['$: found "no valid JSON", expected "valid JSON"']


def test_a_short_text_that_stands_for_gigabytes_is_refused_at_once() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    began = time.perf_counter()
    (fault,) = check_text("l0: &l0 [lol]\n" + levels, "yaml", ANYTHING)
    assert "aliases" in fault.found
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-05-01", "2024-05-01"), ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"), ("12:30", "12:30"),
        ("1:1:1.5", "1:1:1.5"),
        ("0x10", 16), ("1_000", 1000), ("-7", -7), ("1.5", 1.5), ("yes", True), ("~", None), ("=", "="), ("<<", "<<"),
        ("!!str 5", "5"),
        ("'5'", "5"), ("1e3", "1e3"),
    ],
)  # fmt: skip
def test_yaml_is_read_as_json_knows_it(text: str, value: Any) -> None:
    assert of_yaml(f"a: {text}", {"a": value}) == []
    assert of_yaml(f"a: {text}", {"a": "another"}) != []


def of_yaml(text: str, value: Any) -> list[str]:
    return faults(text, "yaml", {"const": value})


def test_a_date_in_yaml_is_text_for_the_schema() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
    assert faults("day: 2024-05-01", "yaml", schema) == []
    assert faults("day: 2024-05-32", "yaml", schema) == ['$.day: found "2024-05-32", expected a date']


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_that_is_too_long_is_not_read(format: str) -> None:
    began = time.perf_counter()
    (fault,) = check_text("[" * (LARGEST[format] + 1), format, ANYTHING)
    assert fault == DataFault("$", f"{LARGEST[format] + 1:,} characters", f"at most {LARGEST[format]:,}")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("format", ["xml", "JSON", "", "../json"])
def test_an_unknown_format_is_an_error_that_names_the_known_ones(format: str) -> None:
    with pytest.raises(ToolError, match=r"unknown format \".*\": known are json, csv, yaml"):
        check_text("{}", format, ANYTHING)


# --- JSON Schema in words


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "integer"}, "5", '"5", expected integer'),
        ({"type": ["string", "null"]}, 5, "5, expected string or null"),
        ({"enum": ["a", None, 1]}, "b", '"b", expected one of "a", null, 1'),
        ({"const": {"a": 1}}, 2, '2, expected {"a": 1}'),
        ({"minimum": 2}, 1, "1, expected at least 2"),
        ({"maximum": 2}, 3, "3, expected at most 2"),
        ({"exclusiveMinimum": 2}, 2, "2, expected more than 2"),
        ({"exclusiveMaximum": 2}, 2, "2, expected less than 2"),
        ({"multipleOf": 5}, 7, "7, expected a multiple of 5"),
        ({"minLength": 2}, "a", '"a", expected at least 2 characters'),
        ({"maxLength": 1}, "ab", '"ab", expected at most 1 character'),
        ({"minItems": 1}, [], "[], expected at least 1 element"),
        ({"maxItems": 1}, [1, 2], "[1, 2], expected at most 1 element"),
        ({"uniqueItems": True}, [1, 1], "[1, 1], expected no element twice"),
        ({"contains": {"const": 1}}, [2], '[2], expected an element that fits {"const": 1}'),
        ({"minProperties": 1}, {}, "{}, expected at least 1 key"),
        ({"maxProperties": 0}, {"a": 1}, '{"a": 1}, expected at most 0 keys'),
        ({"pattern": "^a+$"}, "b", '"b", expected text that fits the pattern ^a+$'),
        ({"format": "date"}, "soon", '"soon", expected a date'),
        ({"format": "date-time"}, "2024-05-01", '"2024-05-01", expected a date-time'),
        ({"format": "email"}, "me", '"me", expected a email'),
        ({"format": "uri"}, "no uri", '"no uri", expected a uri'),
        ({"required": ["a", "b", "c"]}, {"b": 1}, '{"b": 1}, expected the keys a, c'),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "b": 2, "c": 3},
            'the keys "b", "c", expected no other keys than a',
        ),
        (
            {"additionalProperties": False, "patternProperties": {"^x": {}}},
            {"x1": 1, "y": 2},
            'the keys "y", expected no such keys',
        ),
        ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, 1, "1, expected string or at least 3"),
        (
            {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            "3, expected only one of the forms that the schema knows, not several",
        ),
        ({"not": {"type": "null"}}, None, 'null, expected nothing that fits {"type": "null"}'),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, '{"a": 1}, expected keys that belong together: {"a": ["b"]}'),
        ({"properties": {"a": False}}, {"a": 1}, "1, expected nothing at all"),
        ({"propertyNames": {"maxLength": 1}}, {"abc": 1}, '"abc", expected at most 1 character'),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, "a", '"a", expected at least 2 characters'),
        ({"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}, "a", '"a", expected number'),
    ],
)
def test_a_keyword_that_fails_is_said_in_words(schema: dict[str, Any], value: Any, said: str) -> None:
    assert of(value, {"type": ["object", "array", "string", "number", "boolean", "null"]} | schema) == [
        f"$: found {said}"
    ]


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date-time", ["2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5+02:00"], ["2024-05-01T10:00:00", "10:00", "x"]),
        ("uri", ["https://example.org/a?b#c", "urn:isbn:1"], ["//example.org", "a b:c", "https://[", "é:x"]),
        ("ipv4", ["10.0.0.1"], ["10.0.0.256"]),
    ],
)
def test_formats_are_checked(format: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in [*good, 5] if of(text, {"format": format})] == []
    assert [text for text in bad if not of(text, {"format": format})] == []


def test_paths_name_keys_of_every_kind() -> None:
    value = {"a": [{"b c": {"d.e": "x"}, "é": 1}]}
    number = {"type": "number"}
    inner = {"properties": {"b c": {"properties": {"d.e": number}}, "é": {"type": "string"}}}
    found = of(value, {"type": "object", "properties": {"a": {"items": inner}}})
    assert found == ['$.a[0]["b c"]["d.e"]: found "x", expected number', "$.a[0].é: found 1, expected string"]


def test_long_values_and_expectations_are_cut() -> None:
    (fault,) = check_value("x" * 500, {"enum": [f"choice {n}" for n in range(500)]})
    assert len(fault.found) < 100
    assert len(fault.expected) < 220


def test_there_are_no_more_faults_than_twenty_and_none_twice() -> None:
    many = [{"name": n} for n in range(500)]
    found = check_value(many, PRICE)
    assert len(found) == len(set(found)) == MOST_FAULTS
    wide = {"type": "object", "required": [f"k{n}" for n in range(200)], "properties": {"z": {"type": "string"}}}
    assert [fault.path for fault in check_value({"z": 1}, wide)] in (["$", "$.z"], ["$.z", "$"])


# --- lists and single objects


def test_a_schema_of_an_object_is_held_against_each_element_of_a_list() -> None:
    for schema in (
        {"type": "object", "required": ["a"]}, {"required": ["a"]},
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#/$defs/row", "$defs": {"row": {"type": "object", "required": ["a"]}}},
        {"anyOf": [{"required": ["a"]}, False]},
    ):  # fmt: skip
        assert [fault.path for fault in check_value([{"a": "x"}, {}], schema)] == ["$[1]"]


def test_a_schema_of_a_list_is_held_against_the_list() -> None:
    for schema in (
        {"type": "array", "minItems": 3}, {"minItems": 3}, {"items": {"type": "object"}, "minItems": 3},
        {"type": ["array", "null"], "minItems": 3},
        {"$ref": "#/$defs/all", "$defs": {"all": {"type": "array", "minItems": 3}}},
    ):  # fmt: skip
        assert [fault.path for fault in check_value([{}, {}], schema)] == ["$"]
    assert of([1, 2], {"type": "string"}) == ["$: found [1, 2], expected string"]
    assert of([1, 2], {"type": ["array", "object"]}) == []


# --- CSV and its cells


@pytest.mark.parametrize(
    ("cell", "kind", "good"),
    [
        ("5", "integer", True), ("-5", "integer", True), ("007", "integer", True), ("5.0", "integer", False),
        ("1_000", "integer", False),
        ("٣", "integer", False), ("five", "integer", False), ("5.5", "number", True), (".5", "number", True),
        ("1e3", "number", True),
        ("nan", "number", False), ("inf", "number", False), ("1_0.5", "number", False), ("1e9999", "number", False),
        ("9" * 5000, "number", False),
        ("true", "boolean", True), ("False", "boolean", True), ("yes", "boolean", False), ("x", "string", True),
        ("5", "string", True),
        ("", "string", True), ("", "null", True), ("x", "null", False),
    ],
)  # fmt: skip
def test_a_cell_is_read_as_the_schema_asks(cell: str, kind: str, good: bool) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": kind}}}
    assert (faults(f"a,b\n{cell},x\n", "csv", schema) == []) is good


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"}, {"type": ["null", "integer"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"$ref": "#/$defs/n"},
        {"allOf": [{"$ref": "#/$defs/n"}, {"minimum": 1}]}, {"enum": [5, 6]}, {"const": 5}, True,
    ],
)  # fmt: skip
def test_the_type_of_a_cell_is_found_wherever_the_schema_says_it(schema: Any) -> None:
    whole = {"type": "object", "properties": {"a": schema}, "$defs": {"n": {"type": "integer"}}}
    assert faults("a\n5\n", "csv", whole) == []
    assert faults("a\n5\n", "csv", {"type": "array", "minItems": 1, "items": whole, "$defs": whole["$defs"]}) == []


def test_columns_that_the_schema_does_not_name_follow_its_additional_properties() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    assert faults("a,b\n1,2.5\n", "csv", schema) == []
    assert faults("a,b\n1,x\n", "csv", schema) == ['$[0].b: found "x", expected number']


def test_an_empty_cell_is_no_value_unless_the_schema_takes_one() -> None:
    assert faults("name,price\ntea,\n", "csv") == ['$[0]: found {"name": "tea"}, expected the key price']
    assert faults("name,price\n,1\n", "csv") == ['$[0].name: found "", expected at least 1 character']


def test_a_csv_is_a_list_for_a_schema_of_a_list() -> None:
    assert faults("name,price\n", "csv", {"type": "array", "minItems": 1, "items": PRICE}) == [
        "$: found [], expected at least 1 element"
    ]
    assert faults("name,price\ntea,x\n", "csv", {"type": "array", "items": PRICE}) == [
        '$[0].price: found "x", expected number'
    ]
    assert faults("a\n1\n", "csv", {"items": False}) == ['$: found [{"a": "1"}], expected no further elements']


def test_a_csv_with_very_many_columns_is_read() -> None:
    head = ",".join(f"c{n}" for n in range(50_000))
    assert faults(head + "\n" + ",".join(["1"] * 50_000), "csv", {"type": "object", "maxProperties": 50_000}) == []


# --- pydantic


class Item(BaseModel):
    name: str
    price: float
    day: date | None = None
    kind: Literal["a", "b"] = "a"

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if name == "boom":
            raise RuntimeError("not foreseen")
        if name == "nobody":
            raise ValueError("nobody is no name")
        return name


class Items(RootModel[list[Item]]):
    pass


class Tree(BaseModel):
    child: Tree | None = None


def test_a_model_is_held_against_an_object_a_list_and_rows() -> None:
    assert faults('{"name": "tea", "price": 3, "day": "2024-05-01"}', "json", Item) == []
    assert faults("name: tea\nprice: 3\nday: 2024-05-01", "yaml", Item) == []
    assert faults("name,price,day,kind\ntea,3.5,2024-05-01,\n", "csv", Item) == []
    assert faults('[{"name": "tea", "price": 3}]', "json", Items) == []
    assert faults('{"name": "tea"}', "json", Items)[0].startswith("$: found")


def test_the_faults_of_a_model_are_in_words() -> None:
    text = '[{"name": "nobody", "price": "free", "day": "2024-05-32", "kind": "c"}, {"price": 1}]'
    assert faults(text, "json", Item) == [
        '$[0].name: found "nobody", expected nobody is no name',
        '$[0].price: found "free", expected a valid number, unable to parse string as a number',
        '$[0].day: found "2024-05-32", expected a valid date or datetime, day value is outside expected range',
        "$[0].kind: found \"c\", expected 'a' or 'b'",
        "$[1].name: found nothing, expected a value",
    ]
    assert faults("name,price\ntea,free\n,1\n", "csv", Item) == [
        '$[0].price: found "free", expected a valid number, unable to parse string as a number',
        "$[1].name: found nothing, expected a value",
    ]


def test_a_validator_that_breaks_is_a_fault_of_that_element() -> None:
    found = faults('[{"name": "boom", "price": 1}, {"name": "tea"}]', "json", Item)
    assert "expected what Item can check, but it raised RuntimeError: not foreseen" in found[0]
    assert found[1].startswith("$[1].price")


# --- depth


def test_data_that_is_nested_too_deep_is_a_fault() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"child": deep}
    recursive = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    assert check_value(deep, recursive)[0].found == "nesting that is too deep"
    assert check_value(deep, Tree)
    assert faults('{"child":' * 100 + "{}" + "}" * 100, "json", recursive) == []


# --- schemas


def test_a_schema_is_read_from_json_or_yaml_below_the_project(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('\ufeff{\n\t"type": "object"\n}', "utf-8")
    (tmp_path / "b.yaml").write_text("type: object\nproperties: &p {a: {type: string}}\n", "utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_text(json.dumps(PRICE))
    assert load_schema("a.json", tmp_path) == {"type": "object"}
    assert load_schema("b.yaml", tmp_path) == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert load_schema("sub/c.json", tmp_path) == PRICE


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"type": "objekt"}', r"tasks\.yaml:7: s\.json is no valid JSON Schema: \$\.type: 'objekt' is not valid"),
        ('{"properties": {"a": {"minimum": "x"}}}', r"\$\.properties\.a\.minimum: 'x' is not of type 'number'"),
        ('{"properties": {"a": {"pattern": "("}}}', r"\$\.properties\.a\.pattern: '\(' is not a 'regex'"),
        ('{"patternProperties": {"(": {}}}', r"\$\.patternProperties: '\(' is not a 'regex'"),
        ('{"$ref": "#"}', "refers to itself without end"),
        (
            '{"properties": {"a": {"$ref": "#/$defs/none"}}}',
            r"the \$ref #/\$defs/none cannot be resolved: nothing is fetched",
        ),
        (
            '{"properties": {"a": {"$ref": "http://127.0.0.1:9/s.json"}}}',
            r"\$ref http://127\.0\.0\.1:9/s\.json cannot be resolved",
        ),
        ('{"items": {"$ref": "file:///etc/passwd"}}', r"\$ref file:///etc/passwd cannot be resolved"),
        ('{"$ref": "other.json"}', r"\$ref other\.json cannot be resolved"),
        ('{"type": "object", "type": "array"}', 'neither JSON nor YAML: the key "type" stands twice'),
        ("{", "neither JSON nor YAML: Expecting property name"),
        ("[" * 100_000, "neither JSON nor YAML"),
        ("[]", "holds no mapping"),
        ("true", "holds no mapping"),
    ],
)
def test_a_bad_schema_is_an_error_that_names_file_and_place(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_schema("s.json", tmp_path, "tasks.yaml:7")
    assert str(caught.value).startswith("tasks.yaml:7: s.json")
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_schema_that_is_not_there_or_not_text_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "bad.yaml").write_text("a: [")
    for name, problem in {
        "none.json": "No such file", "folder.json": "Is a directory", "bytes.json": "neither JSON nor YAML",
        "bad.yaml": "neither",
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=problem):
            load_schema(name, tmp_path)


def test_nothing_is_fetched_for_a_reference_of_a_part_with_its_own_address() -> None:
    schema = {"$defs": {"part": {"$id": "http://127.0.0.1:9/part", "$ref": "more.json"}}, "$ref": "#/$defs/part"}
    with pytest.raises(ConfigError, match="cannot be resolved: nothing is fetched"):
        check_value({"a": 1}, schema)


def test_references_within_the_schema_are_followed() -> None:
    schema = {
        "$id": "https://example.org/s", "type": "object",
        "properties": {"a": {"$ref": "#/$defs/x~1y"}, "b": {"$ref": "#anchor"}},
        "$defs": {"x/y": {"type": "number"}, "z": {"$anchor": "anchor", "type": "string"}},
    }  # fmt: skip
    assert of({"a": "x", "b": 1}, schema) == ['$.a: found "x", expected number', "$.b: found 1, expected string"]
    assert faults("a\n5\n", "csv", schema) == []


def test_a_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models_of_mine.py").write_text(
        "from pydantic import BaseModel\nclass Row(BaseModel):\n    a: int\nother = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        row = load_schema("models_of_mine:Row", tmp_path)
        assert faults('{"a": "x"}', "json", row)
        with pytest.raises(ConfigError, match="at: models_of_mine:other is no pydantic model"):
            load_schema("models_of_mine:other", tmp_path, "at")
        with pytest.raises(ConfigError, match="No module named 'nowhere_at_all'"):
            load_schema("nowhere_at_all:Row", tmp_path)
    finally:
        sys.modules.pop("models_of_mine", None)
