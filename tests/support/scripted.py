"""An in-process model whose every answer a test decides.

`play(turn)` gets a Turn and returns text, a pydantic object, or tool calls made by `calls(("search_knowledge", {…}))`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crewai import BaseLLM
from pydantic import BaseModel, PrivateAttr

from pilotage.checks.results import Citation, Explanation, Finding, Findings, Statement, Verdict, Verdicts
from pilotage.guard.fence import unfence


@dataclass
class Turn:
    """One model call as the provider would see it."""

    number: int  # 1-based, over the whole run
    task: str
    messages: list[dict[str, Any]]
    tools: list[str]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The tool results so far in this conversation."""
        contents = [unfence(m["content"]) for m in self.messages if m["role"] == "tool"]
        return [json.loads(content) for content in contents if content.startswith("{")]

    def passage(self, words: str) -> dict[str, Any]:
        """The passage, in whole or as a quote, that a search of this conversation has found and that holds `words`."""
        found: list[dict[str, Any]] = [entry for result in self.results for entry in result.get("passages", ())]
        return next(entry for entry in found if words in entry.get("text", entry.get("quote", "")))


@dataclass
class Scripted:
    play: Callable[[Turn], Any]
    turns: list[Turn] = field(default_factory=list)

    def build(self) -> BaseLLM:
        model = ScriptedLLM(model="scripted", provider="tests")
        model._script = self
        return model


class ScriptedLLM(BaseLLM):
    _script: Any = PrivateAttr(default=None)

    def supports_function_calling(self) -> bool:
        return True

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return 0

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> Any:  # fmt: skip
        names = [tool["function"]["name"] for tool in tools or []]
        formatted: Any = self._format_messages(messages)
        task = from_task.name if from_task else ""
        turn = Turn(len(self._script.turns) + 1, task, [dict(m) for m in formatted], names)
        self._script.turns.append(turn)
        self._track_token_usage_internal({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120})
        answer = self._script.play(turn)
        return answer.model_dump_json() if isinstance(answer, BaseModel) and response_model is None else answer


def calls(*wanted: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Native tool calls as a provider returns them."""
    return [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(wanted)
    ]


def good(turn: Turn) -> Any:
    """Plays all three roles as a good model would, in its own words, on the document of tests/conftest.py."""
    if turn.task == "research":
        if not turn.results:
            return calls(("search_knowledge", {"query": "who owns retries, nested retries multiply"}))
        source = turn.passage("27 requests")["source"]
        quote = "With three owners of three attempts each,\none fault makes 27 requests."
        return Findings(findings=[Finding(claim="Nested retries multiply to 27.", quote=quote, source=source)])
    if turn.task == "verify":
        finding = read(turn, Findings).findings[0]
        if not turn.results:
            return calls(("read_source", {"source": finding.source}))
        verdict = Verdict(**finding.model_dump(), verdict="supported", reason="it says so")
        return Verdicts(verdicts=[verdict])
    checked = read(turn, Verdicts).verdicts[0]
    citation = Citation(n=1, source=checked.source, quote=checked.quote)
    statement = Statement(text="One fault can become 27 requests when three owners retry.", cites=[1])
    return Explanation(statements=[statement], citations=[citation])


def read(turn: Turn, kind: type[Any]) -> Any:
    """The typed result in the conversation, as a model would read it from its prompt."""
    from pilotage.checks.results import parse

    for message in reversed(turn.messages):
        if message["role"] == "user":
            try:
                return parse(str(message["content"]), kind)
            except ValueError:
                continue
    raise AssertionError(f"no {kind.__name__} in the prompt")
