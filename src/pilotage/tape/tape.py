"""The tape: the journals of a run and of those that it goes on from, used to answer its calls again.

    strict     a call is served when one with the same key was recorded in the same task by the same agent, in order
    `until`    a fork: what stands before this event is served in order, whatever the settings are now

What failed, what was stopped by the end of its run, and an answer that redaction has changed is never served. Calls of
tools that change something in the world are served wherever they stand, as far as anything is known of their results:
they are not made twice by accident. What is not covered: what a tool of the user's keeps in memory of its own.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotage.record.journal import Event

FENCE = re.compile(r"<<<data ([0-9a-f]+) from ")  # guard/fence.py writes it, and nobody else can
Place = tuple[str | None, str]  # task and agent


@dataclass(frozen=True)
class Recorded:
    """A call of a run and what came back. `form` says how a model's answer is read: text, calls or typed.

    `number` is that of the fences of its run, which an answer may repeat.
    """

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
    idempotency: str = ""
    number: str = ""


@dataclass(frozen=True)
class Begun:
    """A call of a tool that changes something, of which nobody knows whether it was done."""

    tool: str
    key: str
    idempotency: str
    seq: int
    arguments: str
    run: str = ""


@dataclass(frozen=True)
class Stretch:
    """The events of one run. Those before `until` are served in order; None: each by its key."""

    events: Sequence[Event]
    until: int | None = None


class Tape:
    """The calls that can be served, each once. Safe from several threads.

    `earlier` are the runs that this one had gone on from, the newest first: what it had not come to yet when it
    stopped is served from them. `kin` are events of other runs of the family: what their tools have changed is changed.
    """

    def __init__(
        self, events: Iterable[Event], *, until: int | None = None, earlier: Iterable[Stretch] = (),
        kin: Iterable[Event] = (),
    ) -> None:  # fmt: skip
        self._lock = threading.Lock()
        self.until = until
        stretches = [Stretch(list(events), until), *earlier]
        self.length = max((event.seq for event in stretches[0].events), default=0)
        self.lessons = [event for event in stretches[0].events if event.kind == "lesson"]  # which its prompts hold
        self._models, self._in_order, self._tools = _merged(stretches)
        self._astray: set[Place] = set()  # where an answer in the order of a fork could not be served
        told = [event for stretch in stretches for event in stretch.events]
        self._effects, self.begun = _effects([*kin, *told])
        self._whole = {place: len(calls) for place, calls in self._models.items()}
        self.drift: Exception | None = None  # the first call that is not on it, of a run that may make none

    @property
    def model_calls(self) -> int:
        """How many calls of models can be served."""
        in_order = sum(call is not None for calls in self._in_order.values() for call in calls)
        return sum(map(len, self._models.values())) + in_order

    @property
    def tool_calls(self) -> int:
        """How many calls of tools can be served."""
        return sum(map(len, self._tools.values())) + sum(map(len, self._effects.values()))

    def model(self, task: str | None, agent: str, keys: Sequence[str]) -> Recorded | None:
        """The answer to the next call of this agent at this task, if the tape has it; `keys` are its possible keys."""
        place = (task, agent)
        with self._lock:
            by_key, in_order = self._models.get(place, []), self._in_order.get(place, [])
            if by_key or not in_order:
                return _take(by_key, keys)
            if place in self._astray:
                return _take(in_order, keys)
            if (call := in_order.pop(0)) is None:
                self._astray.add(place)
            return call

    def tool(self, task: str | None, agent: str, key: str) -> Recorded | None:
        with self._lock:
            return _take(self._tools.get((task, agent, key), []), [key])

    def effect(self, key: str, idempotency: str = "", *, only: bool = False) -> Recorded | None:
        """The result of a call with these arguments that has changed something, wherever it was made.

        That of the call of this name before any other; with `only`, no other.
        """
        with self._lock:
            calls = self._effects.get(key, [])
            own = next((n for n, call in enumerate(calls) if call.idempotency == idempotency), None)
            found = own if own is not None or only or not calls else 0
            return None if found is None else calls.pop(found)

    def assume_done(self, tools: Collection[str]) -> None:
        """The user says that the calls of these tools that were under way were done."""
        with self._lock:
            for begun in (one for one in self.begun if one.tool in tools):
                self._effects.setdefault(begun.key, []).append(_as_done(begun))
            self.begun = [one for one in self.begun if one.tool not in tools]

    def next_of(self, task: str | None, agent: str, *, models: bool = True) -> Recorded | None:
        """The call of a model, or else of a tool, that was recorded where none matches: to be compared with it."""
        with self._lock:
            if not models:
                calls = [call for key, calls in self._tools.items() if key[:2] == (task, agent) for call in calls]
                return min(calls, key=lambda call: call.seq, default=None)
            found: Sequence[Recorded | None] = self._models.get((task, agent)) or self._in_order.get((task, agent), [])
            return next((call for call in found if call), None)

    def asked(self, task: str | None, agent: str) -> int:
        """Which call of its model the agent is at there, from 1."""
        with self._lock:
            return self._whole.get((task, agent), 0) - len(self._models.get((task, agent), [])) + 1

    def left(self) -> Iterator[Recorded]:
        """What was recorded and not asked for."""
        with self._lock:
            kept: list[Sequence[Recorded | None]] = [*self._models.values(), *self._in_order.values()]
            rest = [call for calls in [*kept, *self._tools.values()] for call in calls if call]
        return iter(sorted(rest, key=lambda call: call.seq))


Models = dict[Place, list[Recorded]]
InOrder = dict[Place, list[Recorded | None]]
Tools = dict[tuple[str | None, str, str], list[Recorded]]


def _merged(stretches: Sequence[Stretch]) -> tuple[Models, InOrder, Tools]:
    """The calls of a line of runs. What a later run has served of an earlier one stands in both, and counts once."""
    models, in_order, tools = Models(), InOrder(), Tools()
    asked: Counter[Place] = Counter()  # the most calls that one of the later runs had answered there
    known: Counter[tuple[str, Place, str]] = Counter()
    for stretch in stretches:
        here: Counter[tuple[str, Place, str]] = Counter()
        turns: Counter[Place] = Counter()
        for event, call in _calls(stretch):
            place = _place(event)
            turns[place] += event.kind == "model_call"
            if event.kind == "model_call" and stretch.until is not None:
                if turns[place] > asked[place]:
                    in_order.setdefault(place, []).append(call)
                continue
            if call is None or call.idempotency:
                continue
            name = (event.kind, place, call.key)
            here[name] += 1
            if here[name] <= known[name]:
                continue
            known[name] += 1
            if event.kind == "model_call":
                models.setdefault(place, []).append(call)
            else:
                tools.setdefault((*place, call.key), []).append(call)
        asked |= turns
    return models, in_order, tools


def _calls(stretch: Stretch) -> Iterator[tuple[Event, Recorded | None]]:
    """Calls that were answered, in order; with None when the answer cannot be served."""
    number = ""
    for event in stretch.events:
        if stretch.until is not None and event.seq >= stretch.until:
            return
        if event.kind == "model_call" and not number:
            found = FENCE.search(event.content.get("request") or "")
            number = found[1] if found else ""
        is_call = event.kind == "tool_call" or (event.kind == "model_call" and not event.facts.get("failed"))
        if is_call and event.facts.get("key"):
            yield event, _recorded(event, number)


def _effects(told: Iterable[Event]) -> tuple[dict[str, list[Recorded]], list[Begun]]:
    """By key what tools have changed, each call once by its idempotency; and the calls that nobody knows the end of."""
    begun: dict[str, Begun] = {}
    done: dict[str, Recorded] = {}
    for event in sorted(told, key=lambda event: event.at):
        name = event.facts.get("idempotency")
        if not name:
            continue
        if event.kind == "tool_started":
            arguments = event.content.get("arguments") or ""
            begun[name] = Begun(event.facts["tool"], event.facts["key"], name, event.seq, arguments, event.run)
        elif not event.facts.get("stopped"):  # one that was stopped may still have done its work
            done.setdefault(name, _recorded(event) or _unknown(event))
    effects: dict[str, list[Recorded]] = {}
    for call in done.values():
        effects.setdefault(call.key, []).append(call)
    return effects, [one for name, one in begun.items() if name not in done]


def _recorded(event: Event, number: str = "") -> Recorded | None:
    """The event as a call that can be served; None when it is none."""
    facts, content = event.facts, event.content
    answer = content.get("answer" if event.kind == "model_call" else "result")
    is_effect = bool(facts.get("idempotency"))  # a result with a secret taken out is better than a second order
    if answer is None or facts.get("stopped") or (facts.get("redacted") and not is_effect):
        return None
    usd = facts.get("saved_usd", facts.get("usd"))
    return Recorded(
        event.run, event.seq, *_place(event), facts["key"], answer,
        form=facts.get("form", "text"), tool=facts.get("tool", ""), model=facts.get("model", ""),
        failed=bool(facts.get("failed")), usd=usd if isinstance(usd, int | float) else None,
        tokens=facts.get("saved_tokens") or facts.get("prompt_tokens", 0) + facts.get("completion_tokens", 0),
        request=content.get("request") or content.get("arguments") or "", read=json.loads(content.get("read") or "{}"),
        idempotency=facts.get("idempotency", ""), number=number,
    )  # fmt: skip


def _place(event: Event) -> Place:
    return event.facts.get("task"), event.facts.get("agent", "")


def _unknown(event: Event) -> Recorded:
    """A call that was done, and whose result was erased."""
    facts: Mapping[str, Any] = event.facts
    return _as_done(Begun(facts["tool"], facts["key"], facts["idempotency"], event.seq, "", event.run))


def _as_done(begun: Begun) -> Recorded:
    said = f"{begun.tool} was done before; what it said is not known."
    return Recorded(begun.run, begun.seq, None, "", begun.key, said, tool=begun.tool, idempotency=begun.idempotency)


def _take(calls: list[Recorded] | list[Recorded | None], keys: Sequence[str]) -> Recorded | None:
    """The first of `calls` with one of these keys, taken out."""
    for number, call in enumerate(calls):
        if call is not None and call.key in keys:
            del calls[number]
            return call
    return None
