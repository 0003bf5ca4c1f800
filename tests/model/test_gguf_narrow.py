from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from pilotage.checks.results import Explanation, Findings, Solution, Verdicts
from pilotage.model.gguf.narrow import KNOWN, as_meant, bounded, has_quotes, narrowed, of_one, spelled

QUOTES = {"a.md#1": ["The cap is 300 s.", "Nothing starts later."], "b.md#2": ["Budgets bind."]}


def finding(quote: str, source: str) -> dict[str, Any]:
    return {"findings": [{"claim": "c", "quote": quote, "source": source}]}


def is_allowed(written: Any, schema: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(written, schema)
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("quote", "source", "allowed"),
    [
        ("The cap is 300 s.", "a.md#1", True),
        ("Budgets bind.", "b.md#2", True),
        ("The cap is 30 s.", "a.md#1", False),
        ("Budgets bind.", "a.md#1", False),
        ("Budgets bind.", "c.md#3", False),
    ],
)
def test_a_quote_is_one_that_was_shown_of_its_own_source(quote: str, source: str, allowed: bool) -> None:
    schema = narrowed(Findings.model_json_schema(), QUOTES)
    assert is_allowed(finding(quote, source), schema) is allowed


def test_what_is_copied_is_written_before_what_is_said_about_it() -> None:
    items = narrowed(Findings.model_json_schema(), QUOTES)["properties"]["findings"]["items"]
    assert [list(choice["properties"]) for choice in items["anyOf"]] == [["quote", "source", "claim"]] * 2


def test_where_nothing_was_shown_nothing_is_quoted() -> None:
    schema = narrowed(Findings.model_json_schema(), {"a.md#1": []})
    assert is_allowed({"findings": []}, schema)
    assert not is_allowed(finding("Budgets bind.", "a.md#1"), schema)


class Inner(BaseModel):
    name: str = Field(pattern="z+", max_length=12, description="of the thing")
    title: str | None = None


class Odd(BaseModel):
    """All that a user's type may bring along."""

    kind: Literal["one", "two"]
    inner: list[Inner] = []
    pair: tuple[int, str] = (0, "")
    child: Odd | None = None
    default: dict[str, str] = {}


def keywords(part: Any) -> set[str]:
    if isinstance(part, list):
        return set().union(*map(keywords, part))
    if not isinstance(part, dict):
        return set()
    inner = part.get("properties", {}).values()
    rest = [value for key, value in part.items() if key not in ("properties", "enum", "const")]
    return part.keys() | keywords([*inner, *rest])


def test_only_keywords_that_constrain_the_decoding_are_left() -> None:
    schema = narrowed(Odd.model_json_schema(), {})
    assert keywords(schema) <= KNOWN
    assert {"kind", "inner", "pair", "child", "default"} == schema["properties"].keys()
    assert "title" in schema["properties"]["inner"]["items"]["properties"]


@pytest.mark.parametrize("kind", [Findings, Verdicts, Explanation, Solution, Odd])
@pytest.mark.parametrize("max_tokens", [400, 2048])
def test_every_text_and_list_has_an_end(kind: type[BaseModel], max_tokens: int) -> None:
    def check(part: Any) -> None:
        if isinstance(part, dict):
            assert part.get("type") != "string" or "maxLength" in part or "enum" in part or "const" in part
            assert part.get("type") != "array" or "maxItems" in part
            for value in part.values():
                check(value)
        elif isinstance(part, list):
            for value in part:
                check(value)

    check(bounded(narrowed(kind.model_json_schema(), QUOTES), max_tokens))


def test_the_fewer_tokens_the_shorter_the_texts_and_then_the_lists() -> None:
    schema = narrowed(Findings.model_json_schema(), QUOTES)
    sizes = []
    for tokens in (2048, 700, 200):
        listed = bounded(schema, tokens)["properties"]["findings"]
        claim = listed["items"]["anyOf"][0]["properties"]["claim"]
        sizes.append((listed["maxItems"], claim["maxLength"]))
        assert listed["maxItems"] * claim["maxLength"] < tokens
    assert sizes == sorted(sizes, reverse=True)


def test_a_limit_of_the_type_itself_is_kept() -> None:
    inner = bounded(narrowed(Odd.model_json_schema(), {}), 4096)["properties"]["inner"]["items"]
    assert inner["properties"]["name"]["maxLength"] == 12


def test_types_that_quote_are_known() -> None:
    assert has_quotes(Findings.model_json_schema())
    assert has_quotes(Explanation.model_json_schema())
    assert not has_quotes(Odd.model_json_schema())


def test_one_argument_is_narrowed_and_the_others_stay() -> None:
    arguments = {"type": "object", "properties": {"url": {"type": "string"}, "n": {"type": "integer"}}}
    schema = of_one("url", ["http://a"], arguments)
    assert is_allowed({"url": "http://a", "n": 3}, schema)
    assert not is_allowed({"url": "http://b"}, schema)
    assert arguments["properties"] == {"url": {"type": "string"}, "n": {"type": "integer"}}


@pytest.mark.parametrize("text", ['Say "limited" twice.', "One\nline.\t", "C:\\dir", "a\x00b", "Plain “marks” – 牧场."])
def test_given_texts_are_written_without_escapes_and_read_as_they_were(text: str) -> None:
    schema, meant = spelled({"anyOf": [{"properties": {"a": {"enum": [text, "other", 3]}}}, {"const": text}]})
    (written, other, number), constant = schema["anyOf"][0]["properties"]["a"]["enum"], schema["anyOf"][1]["const"]
    assert json.dumps(written, ensure_ascii=False) == f'"{written}"'
    assert written == constant
    assert as_meant({"a": [written, {"b": other}], "n": number}, meant) == {"a": [text, {"b": "other"}], "n": 3}


def test_texts_that_look_alike_without_escapes_stay_apart() -> None:
    texts = ['a "b"', "a 'b'", "a\n'b'"]
    schema, meant = spelled({"enum": texts})
    assert len(set(schema["enum"])) == 3
    assert [as_meant(written, meant) for written in schema["enum"]] == texts
