"""Which spans of a session lie in which: so that tokens count once, and a call knows whose it was.

Instrumentations of a framework and of a provider's SDK often report the same call twice, one span in the other, and
spans around calls carry their totals. So only model calls count, and of model calls within each other only the first
that arrives with its tokens, which is mostly the innermost. What is not covered: the same call told by two spans side
by side; the agent of a call whose agent span arrives in a later request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotage.collector.drafts import Draft

DEEPEST = 100  # spans in each other that are looked through
Place = tuple[str, str]  # agent, task


@dataclass(slots=True)
class Family:
    """The spans of one session as far as they have arrived."""

    parents: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)  # model calls with their tokens
    around: set[str] = field(default_factory=set)  # spans around one of those
    within: set[str] = field(default_factory=set)  # spans within one of those
    is_rooted: bool = False  # a span without a parent is among them

    def meet(self, drafts: Iterable[Draft]) -> None:
        """Learn of spans that arrive together before any of them is placed."""
        arrived = [draft for draft in drafts if draft.span and draft.kind != "log"]
        for draft in arrived:
            self._know(draft.span, draft.parent, draft.facts)
        reporting = {draft.span for draft in arrived if draft.reports}
        for draft in arrived:
            if draft.kind == "model_call" and not draft.reports and self._lies_in(draft.span, reporting):
                self.within.add(draft.span)

    def remember(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Learn of a span that was recorded earlier."""
        if span := facts.get("span"):
            self._know(span, str(facts.get("parent") or ""), facts)
            self._place(span, counts=kind == "model_call" and "prompt_tokens" in facts)

    def counts(self, draft: Draft) -> bool:
        """Whether this model call counts; False when one around it or within it does."""
        is_twice = draft.span in self.around or draft.span in self.within or self._is_within(draft.span)
        self._place(draft.span, counts=draft.kind == "model_call" and draft.reports and not is_twice)
        return not is_twice

    def ends_with(self, root: Draft) -> bool:
        """Whether this root ends the session: one below a span of another process only while nothing is above it."""
        return not root.parent or not (self.is_rooted or root.parent in self.parents)

    def place(self, span: str) -> Place:
        """The agent and the task of a span: its own, or those of the spans around it."""
        agent = task = ""
        for outer in self._outward(span):
            found = self.places.get(outer)
            if found:
                agent, task = agent or found[0], task or found[1]
            if agent and task:
                break
        return agent, task

    def _know(self, span: str, parent: str, facts: Mapping[str, Any]) -> None:
        self.parents[span] = parent
        self.is_rooted = self.is_rooted or not parent
        if "agent" in facts or "task" in facts:
            self.places[span] = str(facts.get("agent") or ""), str(facts.get("task") or "")

    def _place(self, span: str, *, counts: bool) -> None:
        if self._is_within(span):
            self.within.add(span)
        if counts:
            self.counted.add(span)
        if counts or span in self.around:
            for outer in self._outward(self.parents.get(span, "")):
                self.around.add(outer)

    def _is_within(self, span: str) -> bool:
        parent = self.parents.get(span, "")
        return parent in self.counted or parent in self.within

    def _lies_in(self, span: str, others: set[str]) -> bool:
        return any(outer in others for outer in self._outward(self.parents.get(span, "")))

    def _outward(self, span: str) -> Iterable[str]:
        for _ in range(DEEPEST):
            if not span:
                return
            yield span
            span = self.parents.get(span, "")
