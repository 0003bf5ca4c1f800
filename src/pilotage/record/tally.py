"""What a run amounts to so far: calls, tokens and cost, by agent, model, task and tool, added up event by event.

Tokens and cost come from model calls alone, so that nothing is counted twice. It is a view: adding the events of a run
again gives the same tally. What is not covered: what a call has used that nobody reported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotage.record.journal import Event

UNPRICED = "unpriced"
ENCLOSING = ("session", "workflow", "task", "agent")  # spans that fail because of what failed within them


@dataclass
class Use:
    """Model calls of one agent, model or task. `usd` is what the priced ones cost, `unpriced` counts the others.

    Calls that were `served` from memory are no calls: they used nothing, and saved `saved_usd`; of `saved_unpriced` of
    them nobody knows how much. `cached` and `written` are parts of the prompt, `reasoning` of the completion. `booked`
    are the tokens that a strict budget counts for calls of which nobody knows what they have used.
    """

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    usd: float = 0.0
    unpriced: int = 0
    failed: int = 0
    seconds: float = 0.0
    reasoning: int = 0
    written: int = 0
    served: int = 0
    saved_usd: float = 0.0
    saved_unpriced: int = 0
    booked: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion + self.booked

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Use:
        """One that was stored, by this version or another: what that has not counted is 0. TypeError for no figures."""
        known = _known(cls, stored)
        if not all(isinstance(value, int | float) for value in known.values()):
            raise TypeError("a figure of a tally is no number")
        return cls(**known)

    def add(self, call: Use) -> None:
        """One more call, as `call_of` has read it."""
        self.calls += call.calls
        self.prompt += call.prompt
        self.completion += call.completion
        self.cached += call.cached
        self.usd = round(self.usd + call.usd, 9)
        self.unpriced += call.unpriced
        self.failed += call.failed
        self.seconds = round(self.seconds + call.seconds, 4)
        self.reasoning += call.reasoning
        self.written += call.written
        self.served += call.served
        self.saved_usd = round(self.saved_usd + call.saved_usd, 9)
        self.saved_unpriced += call.saved_unpriced
        self.booked += call.booked


def call_of(facts: Mapping[str, Any]) -> Use:
    """One call. One that failed and used no tokens, as far as is known, has cost nothing; nor has one served."""
    if facts.get("served"):
        saved = facts.get("saved_usd")
        return Use(served=1, saved_usd=float(saved or 0), saved_unpriced=int(saved is None))
    usd = facts.get("usd", UNPRICED)
    prompt, completion = int(facts.get("prompt_tokens") or 0), int(facts.get("completion_tokens") or 0)
    booked = int(facts.get("booked_tokens") or 0)
    if usd == UNPRICED and facts.get("failed") and not (prompt or completion or booked or facts.get("estimated")):
        usd = 0.0
    return Use(
        1, prompt, completion, int(facts.get("cached_tokens") or 0), 0.0 if usd == UNPRICED else float(usd),
        int(usd == UNPRICED), int(bool(facts.get("failed"))), float(facts.get("seconds") or 0),
        int(facts.get("reasoning_tokens") or 0), int(facts.get("written_tokens") or 0),
        booked=booked,
    )  # fmt: skip


def answer_of(facts: Mapping[str, Any]) -> Use:
    """A whole run that was answered by an earlier one: as a call that was served, of no agent and no model."""
    return call_of({"served": "answer", "saved_usd": facts.get("saved_usd")})


def _known(kind: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What stands there of its fields."""
    return {name: value for name, value in stored.items() if name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


@dataclass
class ToolUse:
    """Calls of one tool; those that were denied count as failed, those `served` from memory are not made."""

    calls: int = 0
    failed: int = 0
    seconds: float = 0.0
    served: int = 0


@dataclass
class Tally:
    """What the events added so far amount to."""

    model_calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    loops: int = 0
    alerts: int = 0
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    served: int = 0
    saved_usd: float = 0.0
    agents: dict[str, Use] = field(default_factory=dict)
    models: dict[str, Use] = field(default_factory=dict)
    tasks: dict[str, Use] = field(default_factory=dict)
    tools: dict[str, ToolUse] = field(default_factory=dict)
    failed_checks: dict[str, int] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Count one event. Errors are calls of models and tools that failed."""
        facts = event.facts
        match event.kind:
            case "model_call":
                self._add_model_call(facts)
            case "tool_call":
                self._add_tool_call(facts)
            case "span" if facts.get("span_kind") not in ENCLOSING:
                self.errors += bool(facts.get("failed"))
            case "session_ended" if "usd" in facts:  # a copy of a run of ours, which knows more than its calls say
                self.unpriced = int(facts["usd"] == UNPRICED)
                self.usd = 0.0 if self.unpriced else float(facts["usd"])
            case "answered":  # the whole run, by an answer of an earlier one
                self.served += 1
                self.saved_usd = round(self.saved_usd + float(facts.get("saved_usd") or 0), 9)
            case "loop":
                self.loops += 1
            case "alert":
                self.alerts += 1
            case "check" if not facts.get("passed"):
                name = str(facts.get("check", ""))
                self.failed_checks[name] = self.failed_checks.get(name, 0) + 1

    @property
    def cost(self) -> float | None:
        """US dollars of all calls, None when the price of one is unknown."""
        return None if self.unpriced else self.usd

    def as_text(self) -> str:
        """JSON, quick to make: it is written with each event."""
        return json.dumps(vars(self), default=vars, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str | None) -> Tally:
        """The tally that `as_text` made; an empty one for a run that an older version has listed."""
        stored: dict[str, Any] = json.loads(text or "{}")
        uses = {name: {k: Use.of(v) for k, v in stored.get(name, {}).items()} for name in ("agents", "models", "tasks")}
        tools = {name: ToolUse(**_known(ToolUse, use)) for name, use in stored.get("tools", {}).items()}
        return cls(**{**_known(cls, stored), **uses, "tools": tools})

    def _add_model_call(self, facts: Mapping[str, Any]) -> None:
        use = call_of(facts)
        self.model_calls += use.calls
        self.served += use.served
        self.saved_usd = round(self.saved_usd + use.saved_usd, 9)
        self.errors += use.failed
        self.tokens += use.tokens
        self.usd = round(self.usd + round(use.usd, 9), 9)
        self.unpriced += use.unpriced
        for group, name in ((self.agents, "agent"), (self.models, "model"), (self.tasks, "task")):
            if of := facts.get(name):
                group.setdefault(str(of), Use()).add(use)

    def _add_tool_call(self, facts: Mapping[str, Any]) -> None:
        tool, served = self.tools.setdefault(str(facts.get("tool", "")), ToolUse()), int(bool(facts.get("served")))
        tool.calls += 1 - served
        tool.served += served
        tool.failed += bool(facts.get("failed"))
        tool.seconds = round(tool.seconds + float(facts.get("seconds") or 0), 4)
        self.tool_calls += 1 - served
        self.served += served
        self.errors += bool(facts.get("failed"))


def facets_of(event: Event) -> list[tuple[str, str]]:
    """What a run can be found by because of this event, as (name, value): agent, model, tag, tool, loop, alert."""
    facts = event.facts
    found = [("tag", str(tag)) for tag in facts.get("tags", [])]
    if event.kind in ("task_started", "model_call", "tool_call", "span"):
        found += [(name, str(facts[name])) for name in ("agent", "model", "tool") if facts.get(name)]
    elif event.kind in ("loop", "alert"):
        found.append((event.kind, str(facts.get("rule", ""))))
    return [(name, value.encode("utf-8", "replace").decode()) for name, value in found]  # a model may invent any name
