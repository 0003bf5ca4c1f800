"""The built-in reader: a real CrewAI model without a language model in it.

It plays researcher, verifier and explainer through the normal loop: it calls the agent's tools, reads their results
and returns the typed results. It quotes word for word, never writes a claim of its own, and returns nothing when no
passage is likely to answer. What it cannot do: reason, rephrase, combine, or follow prompts beyond these three roles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from crewai import BaseLLM
from pydantic import BaseModel, PrivateAttr

from pilotage.checks.citations import check_quote
from pilotage.checks.results import Citation, Explanation, Finding, Findings, Statement, Verdict, Verdicts, parse
from pilotage.errors import ConfigError
from pilotage.evidence.choose import choose
from pilotage.evidence.hits import quoted
from pilotage.guard.fence import unfence
from pilotage.model.earlier import asked_before, complete

SEARCH, OPEN, READ = "search_knowledge", "read_source", "read_page"
URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Seen:
    """One hit of a search, as the tool's result shows it."""

    quote: str
    score: float
    source: str


class Reader(BaseLLM):
    """Deterministic; the same question and documents give the same answer."""

    _question: str = PrivateAttr(default="")

    @classmethod
    def for_question(cls, question: str) -> Reader:
        reader = cls(model="reader", provider="pilotage")
        reader._question = question
        return reader

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 1_000_000

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return 0

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> Any:  # fmt: skip
        wanted = response_model or getattr(from_task, "response_model", None)
        answer = self._play(cast("Messages", self._format_messages(messages)), _names(tools), wanted)
        return answer if response_model is not None or not isinstance(answer, BaseModel) else answer.model_dump_json()

    def _play(self, messages: Messages, tools: set[str], wanted: Any) -> Any:
        if wanted is Findings:
            return self._research(messages, tools)
        if wanted is Verdicts:
            return self._verify(messages, tools)
        if isinstance(wanted, type) and issubclass(wanted, Explanation):
            return wanted.model_validate(_explain(messages).model_dump())
        name = getattr(wanted, "__name__", "plain text")
        raise ConfigError(f"The built-in reader cannot make {name}", hint="set MODEL to a language model")

    def _research(self, messages: Messages, tools: set[str]) -> Any:
        results = list(_tool_results(messages, SEARCH))
        urls = list(dict.fromkeys(URL.findall(self._question)))
        if urls and READ in tools and not any(m["role"] == "tool" and m.get("name") == READ for m in messages):
            return [_tool_call(number, READ, url=url) for number, url in enumerate(urls)]
        searched = any(m["role"] == "tool" and m.get("name") == SEARCH for m in messages)
        if not searched and SEARCH in tools:
            asked = asked_before(str(m.get("content") or "") for m in messages if m["role"] == "user")
            return [_tool_call(0, SEARCH, query=complete(self._question, asked) if asked else self._question)]
        hits = sorted(_seen(results), key=lambda hit: -hit.score)
        return Findings(findings=[Finding(claim=hit.quote, quote=hit.quote, source=hit.source) for hit in choose(hits)])

    def _verify(self, messages: Messages, tools: set[str]) -> Any:
        findings = _last(messages, Findings, Findings(findings=[])).findings
        opened = {
            result["source"]: result.get("text", "") for result in _tool_results(messages, OPEN) if "source" in result
        }
        asked = {json.loads(call["function"]["arguments"])["source"] for call in _calls(messages)}
        missing = [s for s in dict.fromkeys(f.source for f in findings) if s not in asked]
        if missing and OPEN in tools:
            return [_tool_call(number, OPEN, source=source) for number, source in enumerate(missing)]
        return Verdicts(verdicts=[_judge(finding, opened) for finding in findings])


def _seen(results: Iterable[dict[str, Any]]) -> Iterator[Seen]:
    for result in results:
        for entry in result.get("passages", []):
            for quote, score in quoted(entry):
                yield Seen(quote, score, entry["source"])


def _judge(finding: Finding, opened: dict[str, str]) -> Verdict:
    fault = check_quote(finding.quote, finding.source, opened)
    return Verdict(
        claim=finding.claim,
        quote=finding.quote,
        source=finding.source,
        verdict="unsupported" if fault else "supported",
        reason=fault or "the quote stands word for word in the source",
    )


def _explain(messages: Messages) -> Explanation:
    supported = [v for v in _last(messages, Verdicts, Verdicts(verdicts=[])).verdicts if v.verdict == "supported"]
    citations = [Citation(n=n, source=v.source, quote=v.quote) for n, v in enumerate(supported, 1)]
    statements = [Statement(text=f"“{c.quote}”", cites=[c.n]) for c in citations]
    return Explanation(statements=statements, citations=citations)


def _last(messages: Messages, kind: type[Any], default: Any) -> Any:
    """The typed result in the newest user message that holds one."""
    for message in reversed(messages):
        if message["role"] == "user":
            try:
                return parse(str(message.get("content") or ""), kind)
            except ValueError:
                continue
    return default


def _tool_results(messages: Messages, name: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        if message["role"] == "tool" and message.get("name") == name:
            try:
                result = json.loads(unfence(str(message["content"])))
            except json.JSONDecodeError:  # the tool said in words what went wrong
                continue
            if isinstance(result, dict):
                yield result


def _calls(messages: Messages) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from (call for call in message.get("tool_calls") or [] if call["function"]["name"] == OPEN)


def _tool_call(number: int, name: str, **arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": f"call_{name}_{number}", "type": "function", "function": function}


def _names(tools: Iterable[Any] | None) -> set[str]:
    return {tool["function"]["name"] for tool in tools or []}
