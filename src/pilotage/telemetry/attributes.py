"""What the span of each kind says: AgentOps' names and OpenTelemetry's gen_ai conventions side by side.

Tokens and cost stand on model calls alone, so that a backend that adds up all spans is right; a call without a known
price has no cost. Texts are cut as text.py and messages.py say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pilotage.errors import shortened
from pilotage.record.tally import UNPRICED
from pilotage.telemetry.messages import of_request, of_response
from pilotage.telemetry.text import EVENT, NOTE, Whole, as_json, clean

if TYPE_CHECKING:
    from pilotage.record.journal import Event
    from pilotage.record.tree import Span

Attributes = dict[str, Any]
KINDS = {"check": "guardrail", "loop": "operation", "limit": "operation", "decision": "operation", "code": "operation"}
OPERATIONS = {"workflow": "invoke_workflow", "agent": "invoke_agent", "llm": "chat", "tool": "execute_tool"}
WITHOUT_PREFIX = {"claude": "anthropic", "reader": "pilotage"}  # model.factory's own, which makes no requests
WHOLE = ("check", "loop", "limit", "decision", "code")  # spans that carry their event as it is
GOOD = ("accepted", "unanswered")
ERROR = re.compile(r"(?:\w+\.)*([A-Z]\w*(?:Error|Exception|Abort|Stopped|Timeout|Answer|Refused|Truncated)):")
PROVIDERS = {
    "azure": "azure.ai.openai", "bedrock": "aws.bedrock", "claude": "anthropic", "gemini": "gcp.gemini",
    "google": "gcp.gemini", "mistral": "mistral_ai", "vertex_ai": "gcp.vertex_ai", "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}  # fmt: skip


class Describer:
    """Says what each span of one run is about; learns the run's settings from its first event."""

    def __init__(self, run: str, tags: Iterable[str] = ()) -> None:
        self.run, self.tags = run, list(tags)
        self._question, self._agents, self._tasks = "", dict[str, Any](), dict[str, Any]()
        self._model = ""

    def learn(self, event: Event) -> None:
        """Read what run_started says about the question, the agents and the tasks."""
        self._question = event.content.get("question") or ""
        self._model = str(event.facts.get("model", ""))
        settings = _json(event.content.get("settings"), {})
        self._agents, self._tasks = settings.get("agents") or {}, settings.get("tasks") or {}
        named = [str(tag) for tag in event.facts.get("tags", []) if tag not in self.tags]
        digest = hashlib.sha256(self._question.encode("utf-8", "replace")).hexdigest()[:12]
        crew = str(event.facts.get("crew", ""))
        self.tags += [*named, f"crew:{crew}", f"question:{digest}"]

    def at_start(self, span: Span) -> Attributes:
        """What is known when a span opens."""
        said: Attributes = {
            "agentops.span.kind": KINDS.get(span.kind, span.kind), "operation.name": span.name,
            "gen_ai.conversation.id": self.run, "gen_ai.operation.name": OPERATIONS.get(span.kind),
            "pilotage.run": self.run, "pilotage.kind": span.kind, "pilotage.crew_model": self._model or None,
            "pilotage.event": span.event.seq if span.event else None,
            "agent.name": span.agent or None, "gen_ai.agent.name": span.agent or None,
            "crewai.task.name": span.task or None,
        }  # fmt: skip
        begin = {"session": self._session, "workflow": self._workflow, "task": self._task, "agent": self._own}
        more = begin.get(span.kind)
        return _plain(said | (more(span) if more else {}))

    def at_end(self, span: Span) -> Attributes:
        """What a span has come to."""
        event, said = span.ended_by, Attributes()
        if event is None:
            return said
        if span.kind in ("session", "workflow"):
            said = self._ended(span, event)
        elif span.kind in ("task", "agent"):
            output = event.content.get("output") if event.kind == "task_ended" else None
            said = {"agentops.entity.output": output, "crewai.task.output": output if span.kind == "task" else None}
        elif span.kind == "llm":
            said = _llm(event)
        elif span.kind == "tool":
            said = _tool(event)
        elif span.kind in WHOLE:
            said = _whole(event) | (_loop(event) if span.kind == "loop" else {})
        if span.failed:
            said |= {"error.type": _error_type(span, event), "error.message": shortened(span.why, NOTE)}
        return _plain(said)

    def _session(self, span: Span) -> Attributes:
        facts = span.event.facts if span.event else {}
        return {
            "agentops.tags": list(self.tags), "agentops.entity.input": self._question,
            "pilotage.crew": facts.get("crew"), "pilotage.model": self._model or None,
        }  # fmt: skip

    def _workflow(self, span: Span) -> Attributes:
        return {
            "workflow.name": span.name, "gen_ai.workflow.name": span.name, "workflow.type": "crewai.crew",
            "workflow.input": self._question, "agentops.entity.input": self._question,
            "crewai.crew.agents": list(self._agents), "crewai.crew.tasks": list(self._tasks),
        }  # fmt: skip

    def _task(self, span: Span) -> Attributes:
        spec = self._tasks.get(span.name, {})
        description = self._described(span.name)
        context = span.event.content.get("context") if span.event else None
        return {
            "crewai.task.name": span.name, "crewai.task.agent": spec.get("agent"),
            "crewai.task.description": description,
            "crewai.task.expected_output": spec.get("expected_output"), "crewai.task.context": context,
            "agentops.entity.input": context or description,
        }  # fmt: skip

    def _own(self, span: Span) -> Attributes:
        spec = self._agents.get(span.agent, {})
        role = str(spec.get("role") or span.agent).strip()
        return {
            "agent.id": span.agent, "gen_ai.agent.id": span.agent, "agent.role": role, "crewai.agent.role": role,
            "crewai.agent.goal": spec.get("goal"), "crewai.agent.backstory": spec.get("backstory"),
            "agent.tools": [str(tool) for tool in spec.get("tools") or []], "agent.models": spec.get("llm"),
            "agentops.entity.input": self._described(span.task),
        }  # fmt: skip

    def _described(self, task: str) -> str:
        """What a task asks for, with the question in its place, as the agent reads it."""
        return str(self._tasks.get(task, {}).get("description") or "").replace("{question}", self._question)

    def _ended(self, span: Span, event: Event) -> Attributes:
        outcome, answer = str(event.facts.get("outcome", "")), event.content.get("answer")
        said: Attributes = {"agentops.entity.output": answer or event.content.get("reason")}
        if span.kind == "workflow":
            return said | {"workflow.final_output": answer}
        return said | {
            "agentops.tags": [*self.tags, f"outcome:{outcome}"], "pilotage.outcome": outcome,
            "agentops.session.end_state": "Success" if outcome in GOOD else "Fail",
            "pilotage.reason": event.content.get("reason"), "pilotage.seal": event.hash,
            "pilotage.usd": event.facts.get("usd", UNPRICED), "pilotage.seconds": event.facts.get("seconds"),
            "pilotage.citations": event.content.get("citations"),
        }  # fmt: skip


def note(event: Event) -> Attributes:
    """The attributes of a span event: short, for its span has them whole."""
    content = {name: shortened(text, NOTE) for name, text in event.content.items() if text is not None}
    return _plain({"pilotage.event": event.seq} | {f"pilotage.{k}": v for k, v in (event.facts | content).items()})


def provider_of(model: str) -> tuple[str, str]:
    """The provider as OpenTelemetry calls it, and the model without it.

    >>> provider_of("gemini/gemini-2.5-flash"), provider_of("gpt-4o-mini")
    (('gcp.gemini', 'gemini-2.5-flash'), ('openai', 'gpt-4o-mini'))
    """
    prefix, slash, name = model.partition("/")
    if slash:
        return PROVIDERS.get(prefix, prefix), name
    return WITHOUT_PREFIX.get(model.partition("-")[0], "openai"), model


def _llm(event: Event) -> Attributes:
    facts, content = event.facts, event.content
    provider, model = provider_of(str(facts.get("model", "")))
    prompt, completion = int(facts.get("prompt_tokens") or 0), int(facts.get("completion_tokens") or 0)
    usd, cached = facts.get("usd", UNPRICED), facts.get("cached_tokens")
    said: Attributes = {
        "gen_ai.system": provider, "gen_ai.provider.name": provider, "gen_ai.request.model": model,
        "gen_ai.response.model": None if facts.get("failed") else model, "gen_ai.request.type": "chat",
        "gen_ai.usage.prompt_tokens": prompt, "gen_ai.usage.completion_tokens": completion,
        "gen_ai.usage.total_tokens": prompt + completion,
        "gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion,
        "gen_ai.usage.cache_read_input_tokens": cached, "gen_ai.usage.cache_read.input_tokens": cached,
        "pilotage.attempt": facts.get("attempt"), "pilotage.estimated": facts.get("estimated"),
        "pilotage.model": facts.get("model"), "pilotage.served": facts.get("served"),
        "pilotage.saved_tokens": facts.get("saved_tokens"), "pilotage.saved_usd": facts.get("saved_usd"),
    }  # fmt: skip
    said |= {"pilotage.price": "unknown"} if usd == UNPRICED else {"gen_ai.usage.total_cost": float(usd)}
    return said | of_request(_json(content.get("request"), {})) | of_response(content.get("answer"))


def _tool(event: Event) -> Attributes:
    facts, content = event.facts, event.content
    arguments, result = content.get("arguments"), content.get("result")
    return {
        "tool.name": facts.get("tool"), "gen_ai.tool.name": facts.get("tool"), "gen_ai.tool.type": "function",
        "tool.parameters": arguments, "gen_ai.tool.call.arguments": arguments, "agentops.entity.input": arguments,
        "tool.result": result, "gen_ai.tool.call.result": result, "agentops.entity.output": result,
        "tool.status": "failed" if facts.get("failed") else "succeeded", "pilotage.denied": facts.get("denied"),
        "pilotage.served": facts.get("served"),
    }  # fmt: skip


def _whole(event: Event) -> Attributes:
    """The event as it is, for its reader to have all of it back."""
    told = next(
        (event.content[name] for name in ("faults", "evidence", "text", "reason") if name in event.content), None
    )
    texts = {name: text for name, text in event.content.items() if text is not None}
    said: Attributes = {f"pilotage.content.{name}": Whole(clean(text, EVENT)) for name, text in texts.items()}
    return said | {
        "pilotage.facts": as_json(event.facts),
        "agentops.entity.output": told or as_json(event.facts),
    }


def _loop(event: Event) -> Attributes:
    facts = event.facts
    return {
        "loop.kind": facts.get("rule"), "loop.level": facts.get("level"), "loop.times": facts.get("times"),
        "loop.steps": f"{facts.get('first_step', '?')}..{facts.get('last_step', '?')}",
        "loop.evidence": event.content.get("evidence"),
    }  # fmt: skip


def _error_type(span: Span, event: Event) -> str:
    """The exception's class where one is told, else a word of few values."""
    if span.kind == "session":
        return str(event.facts.get("outcome") or "unknown")
    if event.facts.get("denied"):
        return "denied"
    told = " ".join(str(event.content.get(name) or "") for name in ("error", "result")) if span.kind != "check" else ""
    found = ERROR.search(told)
    return found[1] if found else str(event.facts.get("rule") or event.facts.get("limit") or f"{span.kind}_failed")


def _json(text: str | None, otherwise: Any) -> Any:
    """What the JSON of an event holds; what was erased, or is none, holds nothing."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def _plain(said: Mapping[str, Any]) -> Attributes:
    """As OpenTelemetry takes it: no None, texts cut, what is neither text, number nor list of texts as JSON."""
    return {name: _value(value) for name, value in said.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return str(clean(value))
    if isinstance(value, bool | int | float):
        return value
    return [clean(str(item)) for item in value] if isinstance(value, list) else str(as_json(value))
