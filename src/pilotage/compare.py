"""Two runs side by side: what each came to, and the first step at which they part.

Steps are aligned task by task, equal requests with each other and the rest in order. What differs from run to run and
says nothing (the number of the fences, the ids of tool calls, times) is taken out before. What is not covered: attempts
that failed and were made again, and runs whose content was erased: what is gone compares as "[erased]".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from pilotage.difference import diff, laid_out
from pilotage.record.journal import Event, as_text, read_events
from pilotage.record.redact import Redactor
from pilotage.record.tally import Tally
from pilotage.tape.keys import SHOWN, normalised
from pilotage.tape.line import first_event
from pilotage.tape.tape import FENCE

if TYPE_CHECKING:
    from sqlalchemy import Engine

ERASED = "[erased]"
STEPS = ("model_call", "tool_call", "check", "code_run", "answered")
ASKED = {"model_call": "request", "tool_call": "arguments"}
GIVEN = {"model_call": "answer", "tool_call": "result", "check": "faults", "code_run": "output", "answered": "question"}


@dataclass(frozen=True)
class Side:
    """What one run came to. `usd` is None when a price is unknown; `served` calls were not made again."""

    run: str
    parent: str | None
    how: str | None
    question: str
    model: str
    outcome: str | None
    reason: str
    answer: str
    seconds: float
    tokens: int
    usd: float | None
    saved_usd: float
    served: int
    model_calls: int
    tool_calls: int
    tools: dict[str, int]
    settings: dict[str, Any] = field(repr=False)
    steps: list[Event] = field(repr=False)
    fence: str = field(default="", repr=False)


@dataclass(frozen=True)
class Pair:
    """A step of each run; None where one has no more. `what` differs is empty when they are the same."""

    task: str
    a: Event | None
    b: Event | None
    what: str = ""


@dataclass(frozen=True)
class Difference:
    """The first thing that differs: in which step, in what, and the lines of a unified diff of it."""

    what: str
    task: str
    agent: str
    kind: str
    a: int | None
    b: int | None
    diff: list[str]


@dataclass(frozen=True)
class Comparison:
    a: Side
    b: Side
    pairs: list[Pair]
    first: Difference | None
    answer_diff: list[str]
    settings: list[tuple[str, str, str]]  # key, in a, in b

    @property
    def same(self) -> bool:
        """Whether both came to the same outcome and answer."""
        return self.a.outcome == self.b.outcome and not self.answer_diff

    def as_json(self) -> dict[str, Any]:
        left_out = ("settings", "steps", "fence")
        sides = {name: {k: v for k, v in vars(getattr(self, name)).items() if k not in left_out} for name in "ab"}
        steps = [{"task": p.task, "a": p.a and p.a.seq, "b": p.b and p.b.seq, "differs": p.what} for p in self.pairs]
        return sides | {
            "same": self.same, "first": vars(self.first) if self.first else None, "answer_diff": self.answer_diff,
            "settings": [{"key": key, "a": a, "b": b} for key, a, b in self.settings], "steps": steps,
        }  # fmt: skip


def compare(engine: Engine, a: str, b: str) -> Comparison:
    """The two runs with these ids."""
    one, two = side(engine, a), side(engine, b)
    pairs = align(one, two)
    answer_diff = [] if one.answer == two.answer else diff(one.answer, two.answer)
    return Comparison(one, two, pairs, _first(one, two, pairs), answer_diff, changed(one.settings, two.settings))


def side(engine: Engine, run: str) -> Side:
    """One run, read whole."""
    told, tally = list(read_events(engine, run)), Tally()
    for event in told:
        tally.add(event)
    start, end = told[0], told[-1]
    ended = end if end.kind in ("run_ended", "session_ended") else None
    content, facts = (ended.content, ended.facts) if ended else ({}, {})
    requests = (event.content.get("request") or "" for event in told if event.kind == "model_call")
    fence = next((found[1] for text in requests if (found := FENCE.search(text))), "")
    return Side(
        run, start.facts.get("parent"), start.facts.get("how"), _told(start, "question"), start.facts.get("model", ""),
        facts.get("outcome"), content.get("reason") or "", content.get("answer") or "",
        round(facts.get("seconds") or end.at - start.at, 3), tally.tokens, tally.cost, tally.saved_usd, tally.served,
        tally.model_calls, tally.tool_calls, {name: use.calls + use.served for name, use in tally.tools.items()},
        settings_of(start), [event for event in told if _is_step(event)], fence,
    )  # fmt: skip


def align(a: Side, b: Side) -> list[Pair]:
    """The steps of both runs by task, and in what each pair differs."""
    pairs: list[Pair] = []
    for task in dict.fromkeys(_task(event) for event in (*a.steps, *b.steps)):
        left, right = ([event for event in one.steps if _task(event) == task] for one in (a, b))
        matcher = SequenceMatcher(None, list(map(_signature, left)), list(map(_signature, right)), autojunk=False)
        for _, start_a, end_a, start_b, end_b in matcher.get_opcodes():
            for n in range(max(end_a - start_a, end_b - start_b)):
                one = left[start_a + n] if start_a + n < end_a else None
                two = right[start_b + n] if start_b + n < end_b else None
                pairs.append(Pair(task, one, two, differs(one, two, a.fence, b.fence)))
    return pairs


def differs(a: Event | None, b: Event | None, fence_a: str = "", fence_b: str = "") -> str:
    """In what two steps differ: step, request, answer, arguments, result, check; "" when they are the same."""
    if a is None or b is None:
        return f"only in {'a' if b is None else 'b'}"
    if (a.kind, *_who(a)) != (b.kind, *_who(b)):
        return "step"
    asked, given = ASKED.get(a.kind, ""), GIVEN[a.kind]
    same_key = a.facts.get("key") and a.facts.get("key") == b.facts.get("key")
    if asked and not same_key and shown(a, asked, fence_a) != shown(b, asked, fence_b):
        return asked
    if _passed(a) != _passed(b) or shown(a, given, fence_a) != shown(b, given, fence_b):
        return "check" if a.kind == "check" else given
    return ""


def shown(event: Event, name: str, fence: str = "") -> str:
    """A text of an event, without what differs in each run."""
    text = event.content.get(name, "")
    if text is None:
        return ERASED
    text = text.replace(fence, SHOWN) if fence else text
    if event.kind != "model_call":
        return text
    try:
        read = json.loads(text)
    except ValueError:
        return text
    if name == "answer" and not isinstance(read, list):
        return text
    return laid_out(json.loads(normalised({"read": read}, ""))["read"])


def settings_of(started: Event) -> dict[str, Any]:
    """The settings that a run was made with; {} when they were erased."""
    try:
        read = json.loads(started.content.get("settings") or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def changed_since(engine: Engine, run: str, today: Mapping[str, Any]) -> list[str]:
    """The keys that are set otherwise than they were for that run."""
    started = first_event(engine, run)
    then = settings_of(started) if started else {}
    if not then:
        return []
    patterns = today["engine"]["record"]["redact"]
    now = json.loads(as_text(Redactor(patterns=patterns).tree(today)))
    return [key for key, _, _ in changed(then, now)]


def changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Key, value in `a` and value in `b` of each setting that differs, keys as --set takes them."""
    one, two = dict(_flat(a)), dict(_flat(b))
    keys = [key for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key)]
    return [(key.removeprefix("engine."), as_text(one.get(key)), as_text(two.get(key))) for key in keys]


def _first(a: Side, b: Side, pairs: Iterable[Pair]) -> Difference | None:
    """The first pair that differs, in the order in which the runs went; else what they came to."""
    parted = [pair for pair in pairs if pair.what]
    if not parted:
        return _of_ends(a, b)
    pair = min(parted, key=lambda pair: min(event.seq for event in (pair.a, pair.b) if event))
    event = pair.a or pair.b
    assert event is not None
    lines = diff(_said(pair.a, pair.what, a.fence), _said(pair.b, pair.what, b.fence))
    seq_a, seq_b = (one.seq if one else None for one in (pair.a, pair.b))
    return Difference(pair.what, pair.task, _who(event)[0], event.kind, seq_a, seq_b, lines)


def _of_ends(a: Side, b: Side) -> Difference | None:
    if a.outcome != b.outcome or a.reason != b.reason:
        ends = [f"{one.outcome or 'no end'}\n{one.reason}" for one in (a, b)]
        return Difference("outcome", "", "", "run_ended", None, None, diff(*ends))
    if a.answer != b.answer:
        return Difference("answer", "", "", "run_ended", None, None, diff(a.answer, b.answer))
    return None


def _said(event: Event | None, what: str, fence: str) -> str:
    """The text that a difference is about."""
    if event is None:
        return ""
    if what in event.content:
        return shown(event, what, fence)
    if what == "check":
        return f"{event.facts.get('check')} {'passed' if _passed(event) else 'failed'}\n{shown(event, 'faults', fence)}"
    return shown(event, GIVEN[event.kind], fence) or " ".join((event.kind, *_who(event)))


def _is_step(event: Event) -> bool:
    return event.kind in STEPS and not (event.kind == "model_call" and event.facts.get("failed"))


def _signature(event: Event) -> tuple[str, ...]:
    return (event.kind, *_who(event), str(event.facts.get("key", "")))


def _who(event: Event) -> tuple[str, str]:
    facts = event.facts
    return str(facts.get("agent") or ""), str(facts.get("tool") or facts.get("check") or "")


def _passed(event: Event) -> bool:
    return bool(event.facts.get("passed", not event.facts.get("failed")))


def _task(event: Event) -> str:
    return str(event.facts.get("task") or "")


def _told(event: Event, name: str) -> str:
    text = event.content.get(name, "")
    return ERASED if text is None else text


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        yield name, value
        return
    for key, item in value.items():
        yield from _flat(item, f"{name}.{key}" if name else str(key))
