"""The tape: the journal of a run, used to answer its calls again.

    strict     a call is served when one with the same key was recorded in the same task by the same agent, in order
    `until`    a fork: what stands before this event is served in order, whatever the settings are now

What failed, what was stopped by the end of its run, and an answer that redaction has changed is never served. Calls of
tools that change something in the world are served wherever they stand: they are not made twice by accident.
What is not covered: what a tool of the user's keeps in memory of its own is not there again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotage.record.journal import Event


@dataclass(frozen=True)
class Recorded:
    """A call of a run and what came back. `form` says how a model's answer is read: text, calls or typed."""

    run: str
    seq: int
    task: str | None
    agent: str
    key: str
    answer: str
    form: str = "text"
    tool: str = ""
    model: str = ""
    failed: bool = False
    tokens: int = 0
    usd: float | None = None
    request: str = field(default="", repr=False)
    read: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """A call of a tool that changes something, of which nobody knows whether it was done."""

    tool: str
    key: str
    idempotency: str
    seq: int
    arguments: str


class Tape:
    """The calls of one run that can be served. Each is served once. Safe from several threads."""

    def __init__(self, events: Iterable[Event], *, until: int | None = None) -> None:
        self.until = until
        self._lock = threading.Lock()
        self._models: dict[tuple[str | None, str], list[Recorded]] = {}
        self._tools: dict[tuple[str | None, str, str], list[Recorded]] = {}
        self._effects: dict[str, list[Recorded]] = {}
        self.begun: list[Begun] = []
        self.length = 0
        for event in events:
            self._add(event)

    def model(self, task: str | None, agent: str, keys: Sequence[str]) -> Recorded | None:
        """The answer to the next call of this agent at this task, when it is there; `keys` are its possible keys."""
        with self._lock:
            calls = self._models.get((task, agent), [])
            if self.until is not None:
                return calls.pop(0) if calls else None
            return _take(calls, keys)

    def tool(self, task: str | None, agent: str, key: str) -> Recorded | None:
        with self._lock:
            return _take(self._tools.get((task, agent, key), []), [key])

    def effect(self, key: str) -> Recorded | None:
        """The result of a call with these arguments that has changed something, wherever it was made."""
        with self._lock:
            return _take(self._effects.get(key, []), [key])

    def next_of(self, task: str | None, agent: str) -> Recorded | None:
        """The call that was recorded where none matches: for the reader of a difference."""
        with self._lock:
            return next(iter(self._models.get((task, agent), [])), None)

    def left(self) -> Iterator[Recorded]:
        """What was recorded and not asked for."""
        with self._lock:
            rest = [call for calls in (*self._models.values(), *self._tools.values()) for call in calls]
        return iter(sorted(rest, key=lambda call: call.seq))

    def _add(self, event: Event) -> None:
        self.length = event.seq
        facts = event.facts
        if event.kind == "tool_started":
            arguments = event.content.get("arguments") or ""
            self.begun.append(Begun(facts["tool"], facts["key"], facts["idempotency"], event.seq, arguments))
        elif event.kind == "tool_call" and facts.get("idempotency"):
            self.begun = [begun for begun in self.begun if begun.idempotency != facts["idempotency"]]
        call = _recorded(event)
        if call is None:
            return
        if facts.get("idempotency"):
            self._effects.setdefault(call.key, []).append(call)
        elif self.until is None or call.seq < self.until:
            if event.kind == "model_call":
                self._models.setdefault((call.task, call.agent), []).append(call)
            else:
                self._tools.setdefault((call.task, call.agent, call.key), []).append(call)


def _recorded(event: Event) -> Recorded | None:
    """The event as a call that can be served; None when it is none."""
    facts, content = event.facts, event.content
    name = {"model_call": "answer", "tool_call": "result"}.get(event.kind)
    answer = content.get(name) if name else None
    if answer is None or not facts.get("key") or facts.get("redacted") or facts.get("stopped"):
        return None
    if event.kind == "model_call" and facts.get("failed"):
        return None
    usd = facts.get("saved_usd", facts.get("usd"))
    return Recorded(
        event.run, event.seq, facts.get("task"), facts.get("agent", ""), facts["key"], answer,
        form=facts.get("form", "text"), tool=facts.get("tool", ""), model=facts.get("model", ""),
        failed=bool(facts.get("failed")), usd=usd if isinstance(usd, int | float) else None,
        tokens=facts.get("saved_tokens") or facts.get("prompt_tokens", 0) + facts.get("completion_tokens", 0),
        request=content.get("request") or content.get("arguments") or "", read=json.loads(content.get("read") or "{}"),
    )  # fmt: skip


def _take(calls: list[Recorded], keys: Sequence[str]) -> Recorded | None:
    """The first of `calls` with one of these keys, taken out."""
    for number, call in enumerate(calls):
        if call.key in keys:
            return calls.pop(number)
    return None
