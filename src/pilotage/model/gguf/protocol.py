"""What the model is made to write, and how that becomes an answer that CrewAI takes.

    with tools    {"tool": "search_knowledge", "arguments": {"query": "…"}}, or the result
    a result      one JSON object of its type; what can be copied is not written but put in here

An explanation says which of the verdicts that were handed over prove a sentence; their citations are put in. Findings
and verdicts are not written at all, see weighing.py. An agent that has tools, and whose result quotes, must look before
it answers; the same call is not made twice. What is not covered: polling a tool with the same arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pilotage.checks.citations import check_sentence
from pilotage.checks.grounding.grader import grade_text
from pilotage.checks.results import Citation, Explanation, Sentence
from pilotage.model.gguf.narrow import Schema, bounded, has_quotes, narrowed, of_one
from pilotage.model.gguf.reading import Message, Request, as_call
from pilotage.prompts import LocalPrompts, fill

PAGE = "read_page"
OPENERS = {"source": "read_source", "url": PAGE}  # arguments that must have been seen before

Called = list[dict[str, Any]]


@dataclass(frozen=True)
class Form:
    """What is written in place of a result, and how the result is made of it."""

    schema: Schema
    note: str = ""
    whole: Callable[[dict[str, Any]], dict[str, Any]] = lambda written: written


def form_of(kind: type[BaseModel] | None, request: Request, prompts: LocalPrompts) -> Form:
    """How a result of this type is written after this request; words alone are `{"answer": "…"}`."""
    if kind is None:
        properties = {"answer": {"type": "string", "maxLength": 2000}}
        return Form({"type": "object", "properties": properties, "required": ["answer"]})
    supported = [verdict for verdict in request.verdicts if verdict.get("verdict") == "supported"]
    if issubclass(kind, Explanation) and (supported or request.findings):
        return _explanation(kind, supported or request.findings, prompts)
    return Form(narrowed(kind.model_json_schema(), request.quotes))


def _explanation(kind: type[BaseModel], supported: Sequence[Mapping[str, Any]], prompts: LocalPrompts) -> Form:
    numbers = {"type": "array", "items": {"enum": list(range(1, len(supported) + 1))}, "minItems": 1}
    statement = _object(cites=numbers, text={"type": "string", "minLength": 8})
    schema = narrowed(kind.model_json_schema(), {})
    own = {name: part for name, part in schema["properties"].items() if name not in ("statements", "citations")}

    def whole(written: dict[str, Any]) -> dict[str, Any]:
        statements = [_as_proved(s["text"], sorted(set(s["cites"])), supported) for s in written["statements"]]
        used = sorted({n for statement in statements for n in statement["cites"]})
        cited = [{"n": n, "source": supported[n - 1]["source"], "quote": supported[n - 1]["quote"]} for n in used]
        return written | {"statements": statements, "citations": cited}

    return Form(_object(statements={"type": "array", "items": statement}, **own), prompts.statements, whole)


def _as_proved(text: str, cites: list[int], supported: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sentence if its quotes hold it, else the quotes themselves: a small model adds what it believes to know."""
    quotes = [str(supported[n - 1]["quote"]) for n in cites]
    cited = {n: Citation(n=n, source="", quote=quote) for n, quote in zip(cites, quotes, strict=True)}
    if grade_text(text, "\n".join(quotes)).verdict == "supported" and not check_sentence(
        Sentence(text, tuple(cites)), cited
    ):
        return {"text": text, "cites": cites}
    return {"text": " ".join(f"“{quote}”" for quote in quotes), "cites": cites}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True)
class Tool:
    """A tool as the model may call it now: its arguments are narrowed to what was seen."""

    name: str
    description: str
    arguments: Schema


def offered(tools: Sequence[Mapping[str, Any]] | None, request: Request) -> list[Tool]:
    """The tools of the request; one that opens what was named before stands aside while nothing new is named."""
    given = [_tool(tool.get("function", tool)) for tool in tools or ()]
    return [usable for tool in given if (usable := _usable(tool, request))]


def _tool(function: Mapping[str, Any]) -> Tool:
    arguments = narrowed(function.get("parameters") or {"type": "object", "properties": {}}, {})
    return Tool(str(function["name"]), str(function.get("description") or ""), arguments)


def _usable(tool: Tool, request: Request) -> Tool | None:
    for key, name in OPENERS.items():
        if tool.name == name and key in tool.arguments.get("properties", {}):
            seen = request.sources if key == "source" else request.urls
            used = {arguments.get(key) for called, arguments in request.calls if called == name}
            new = [value for value in seen if value not in used]
            return Tool(tool.name, tool.description, of_one(key, new, tool.arguments)) if new else None
    return tool


def told(tools: Sequence[Mapping[str, Any]] | None, prompts: LocalPrompts) -> str:
    """The tools in words, for the system text; the same throughout a conversation, so that it is read once."""
    lines = []
    for tool in map(_tool, [tool.get("function", tool) for tool in tools or ()]):
        arguments = dict.fromkeys(tool.arguments.get("properties", {}), "…")
        lines.append(f"- {as_call(tool.name, arguments)}\n  {' '.join(tool.description.split())}")
    return fill(prompts.tools, tools="\n".join(lines)) if lines else ""


def with_words(messages: Sequence[Message], *words: str) -> list[Message]:
    """The messages with these words behind the system text."""
    said = "\n\n".join(filter(None, words))
    first = messages[0] if messages and messages[0]["role"] == "system" else {"role": "system", "content": ""}
    rest = messages[1:] if messages and messages[0]["role"] == "system" else messages
    text = "\n\n".join(filter(None, [first["content"], said]))
    return [{"role": "system", "content": text}, *rest] if text else list(rest)


def schema_of(form: Form, tools: Sequence[Tool], request: Request, max_tokens: int) -> Schema:
    """A call of one of the tools, or the result; a result that quotes is none before anything was looked at.

    A page that the request names is read first.
    """
    calls = [_object(tool={"const": tool.name}, arguments=tool.arguments) for tool in tools]
    blind = bool(calls) and not request.looked and (has_quotes(form.schema) or bool(request.findings))
    named = [call for tool, call in zip(tools, calls, strict=True) if tool.name == PAGE and not request.looked]
    choices = [bounded(each, max_tokens) for each in (named or calls if blind else [*calls, form.schema])]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def as_calls(written: Mapping[str, Any], number: int) -> Called:
    """What the model wrote as the list of calls that CrewAI's executor takes."""
    arguments = json.dumps(written["arguments"], ensure_ascii=False)
    name = str(written["tool"])
    return [{"id": f"call_{name}_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}]


def is_call(written: Mapping[str, Any]) -> bool:
    return {"tool", "arguments"} == written.keys()
