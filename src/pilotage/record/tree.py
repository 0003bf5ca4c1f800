"""The events of a run as spans: session -> workflow -> task -> agent -> model call, tool call, check, loop …

One fold for everybody who shows spans, so that AgentOps, OpenTelemetry and the page have the same ones. A span of our
own runs is known by its place (`task/research`) or by the number of its event; one of another program by its own id.
What is not covered: calls under way, which the journal hears of when they are over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotage.record.journal import Event

SESSION, WORKFLOW = "session", "workflow"
LEAVES = {  # kind of event -> kind of span
    "model_call": "llm", "tool_call": "tool", "check": "check", "loop": "loop", "limit": "limit",
    "decision": "decision", "code_run": "code",
}  # fmt: skip
NOTED = (  # on the span around
    "check", "decision", "limit", "loop", "suspicious", "fallback", "abandoned", "alert", "grade", "round", "lesson",
)  # fmt: skip
GOOD = ("accepted", "unanswered", "ended")


@dataclass
class Span:
    """One span. `start` and `end` are seconds since 1970, `end` None while it is open; `why` says what failed.

    `event` made it, `ended_by` ended it, `notes` are the events on it that have no length.
    """

    id: str
    parent: str | None
    kind: str
    name: str
    start: float
    end: float | None = None
    failed: bool = False
    why: str = ""
    agent: str = ""
    task: str = ""
    event: Event | None = None
    ended_by: Event | None = None
    notes: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """What one event has opened and closed, in this order; a call is both at once."""

    opened: list[Span] = field(default_factory=list)
    closed: list[Span] = field(default_factory=list)


class Tree:
    """The spans of one run as they grow. `spans` are in the order of their opening. Not safe from several threads."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._open: dict[str, Span] = {}  # by place: session, workflow, task/research, agent/research/researcher
        self._times: dict[str, int] = {}  # how often a place was entered
        self._changed = Change()

    def add(self, event: Event) -> Change:
        """Fold in one event; what it has changed."""
        self._changed = Change()
        if "span" in event.facts:
            self._add_foreign(event)
        elif event.kind == "run_started":
            if "origin" not in event.facts:
                crew = str(event.facts.get("crew", ""))
                self._enter(WORKFLOW, self._enter(SESSION, None, SESSION, crew, event), WORKFLOW, crew, event)
        elif event.kind == "task_started":
            self._start_task(event)
        elif event.kind == "task_ended":
            self._close(self._within(str(event.facts["task"])), event)
        elif event.kind == "run_ended":
            why = "" if event.facts.get("outcome") in GOOD else event.content.get("reason") or "failed"
            self._close(list(self._open), event, why)
        elif SESSION in self._open:
            self._add_step(event)
        return self._changed

    def _start_task(self, event: Event) -> None:
        task, agent = str(event.facts["task"]), str(event.facts["agent"])
        around = self._enter(f"task/{task}", self._open.get(WORKFLOW), "task", task, event)
        around.agent, around.task = agent, task
        self._enter_agent(agent, around, event)

    def _add_step(self, event: Event) -> None:
        facts = event.facts
        agent, task = str(facts.get("agent") or facts.get("who") or ""), str(facts.get("task") or "")
        around = self._around(agent, task, event)
        if event.kind in NOTED:
            around.notes.append(event)
        if kind := LEAVES.get(event.kind):
            span = self._enter(str(event.seq), around, kind, name_of(event), event, begin_of(event))
            span.agent, span.task = agent, task or around.task
            self._close([str(event.seq)], event, why_failed(event))

    def _around(self, agent: str, task: str, event: Event) -> Span:
        """The span in which an event of this agent lies: its own in its task, made when it is another's task."""
        if not task and agent:  # limits and loops are told of an agent alone: the task that it is at
            mine = [span for span in self._open.values() if span.kind == "agent" and span.agent == agent]
            return mine[-1] if mine else self._open[WORKFLOW]
        within = self._open.get(f"task/{task}")
        if within is None or not agent:
            return within or self._open[WORKFLOW]
        return self._open.get(f"agent/{task}/{agent}") or self._enter_agent(agent, within, event)

    def _enter_agent(self, agent: str, around: Span, event: Event) -> Span:
        span = self._enter(f"agent/{around.task}/{agent}", around, "agent", agent, event, begin_of(event))
        span.agent, span.task = agent, around.task
        return span

    def _enter(
        self, place: str, around: Span | None, kind: str, name: str, event: Event, start: float | None = None
    ) -> Span:
        if place in self._open:  # begun again: the same turn goes on
            return self._open[place]
        times = self._times[place] = self._times.get(place, 0) + 1
        shown = place if times == 1 else f"{place}#{times}"
        span = Span(shown, around.id if around else None, kind, name, event.at if start is None else start, event=event)
        self._open[place] = span
        self.spans.append(span)
        self._changed.opened.append(span)
        return span

    def _within(self, task: str) -> list[str]:
        return [place for place in self._open if place == f"task/{task}" or place.startswith(f"agent/{task}/")]

    def _close(self, places: list[str], event: Event, why: str = "") -> None:
        """Inner spans first: they were opened last."""
        for place in reversed(places):
            span = self._open.pop(place)
            span.end, span.ended_by, span.failed, span.why = event.at, event, bool(why), why
            self._changed.closed.append(span)

    def _add_foreign(self, event: Event) -> None:
        """A span of another program: it arrives when it has ended, mostly before the one around it."""
        facts = event.facts
        kind = LEAVES.get(event.kind) or str(facts.get("span_kind") or "span")
        span = Span(
            str(facts["span"]), facts.get("parent"), kind, name_of(event), float(facts.get("start") or event.at),
            event.at, bool(facts.get("failed")), why_failed(event), str(facts.get("agent") or ""),
            str(facts.get("task") or ""), event, event,
        )  # fmt: skip
        self.spans.append(span)
        self._changed.opened.append(span)
        self._changed.closed.append(span)


def begin_of(event: Event) -> float:
    """When what the event tells of began, in seconds since 1970: it is journalled when it is over."""
    return event.at - float(event.facts.get("seconds") or 0)


def name_of(event: Event) -> str:
    """What a span of this event is called: the model, the tool, the check, the rule of the loop …"""
    facts = event.facts
    for name in ("name", "model", "tool", "check", "rule", "what", "limit", "sandbox"):
        if value := facts.get(name):
            return str(value)
    return event.kind


def why_failed(event: Event) -> str:
    """One line on what went wrong with a call or a check; empty when nothing did."""
    facts, content = event.facts, event.content
    if event.kind == "check":
        return "" if facts.get("passed") else f"the check {facts.get('check')} did not pass"
    if event.kind == "code_run":
        return "" if facts.get("outcome") == "passed" else content.get("reason") or str(facts.get("outcome"))
    if event.kind in ("limit", "loop") and facts.get("level") != "nudge":
        return content.get("evidence") or f"{facts.get('key') or facts.get('rule')} reached"
    if not facts.get("failed"):
        return ""
    told = content.get("error") or content.get("result") or "failed"
    return told.strip().splitlines()[-1][:500] if event.kind == "tool_call" else told[:500]


def fold(events: Any) -> list[Span]:
    """The spans of these events, in the order of their opening."""
    tree = Tree()
    for event in events:
        tree.add(event)
    return tree.spans
