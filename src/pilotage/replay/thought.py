"""Recursive thought, side by side: the steps of each repetition with what was the same in all of them marked.

The steps come from the very watch of a run (guard/loops.py), with the thresholds that the run was made with; a session
of another program is watched here for the first time. Where texts were erased, what was recorded is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Engine

from pilotage.guard.loops import Watch
from pilotage.guard.steps import Step, steps_of
from pilotage.record.journal import Event
from pilotage.replay.fold import Folded, with_texts
from pilotage.replay.step import read_settings
from pilotage.spec import LoopSpec

WATCHED = ("model_call", "tool_call", "check", "task_started")
TEXTS = ("answer", "response", "arguments", "result", "faults")
MOST = 20  # repetitions that are shown
SHOWN = 420  # characters of a text in a column
RULES = {
    "repeat": "The same again", "near-repeat": "Almost the same again", "error": "The same failure again",
    "cycle": "Round in a circle", "monologue": "Thought after thought", "stagnation": "Nothing new",
}  # fmt: skip
WORD = re.compile(r"\w+")
IN_TEXT = re.compile(r"steps? ((?:\d+|…)(?:, (?:\d+|…))*)")
Part = tuple[str, bool]  # a stretch of text, and whether it stands in all steps of its kind


@dataclass(frozen=True)
class Column:
    """One of the repeated steps: what was said or asked, and what came of it, in parts."""

    seq: int
    at: float
    agent: str
    name: str
    said: list[Part] = field(default_factory=list)
    result: list[Part] = field(default_factory=list)
    is_erased: bool = False


@dataclass(frozen=True)
class Repetition:
    """One nudge or stop; `event` is its own event, None when only looking at the record has found it."""

    rule: str
    title: str
    level: str
    agent: str
    times: int
    evidence: str
    nudge: str
    event: int | None
    columns: list[Column]
    same: list[str]
    left_out: int = 0


def repetitions(engine: Engine, folded: Folded) -> list[Repetition]:
    """The nudges and stops of a session in their order, MOST at most."""
    recorded = [event for event in folded.events if event.kind == "loop"]
    if not recorded and not is_to_be_watched(engine, folded):
        return []
    watched = [event for event in folded.events if event.kind in WATCHED]
    full = {event.seq: _as_ours(event) for event in with_texts(engine, watched, TEXTS)}
    steps = {seq: step for seq, event in full.items() if (step := steps_of(event))}
    found = _watched(steps.values(), thresholds(engine, folded))
    if recorded:
        told = with_texts(engine, recorded[:MOST])
        return [_recorded(event, found, full, steps) for event in told]
    return [_made(one, None, full, steps) for one in _until_first_stop(found)][:MOST]


def is_to_be_watched(engine: Engine, folded: Folded) -> bool:
    """Whether nobody watched it while it ran: a session of another program, or a run with loops.enabled off."""
    return folded.is_foreign or not thresholds(engine, folded).enabled


def thresholds(engine: Engine, folded: Folded) -> LoopSpec:
    """Those that the run was made with, else the defaults."""
    first = with_texts(engine, folded.events[:1], ("settings",))
    settings = read_settings(first[0] if first else None)
    own = settings.get("engine", {}).get("loops", {}) if isinstance(settings.get("engine"), dict) else {}
    try:
        return LoopSpec(**{key: value for key, value in own.items() if key in LoopSpec.model_fields})
    except (ValidationError, AttributeError):
        return LoopSpec()


@dataclass(frozen=True)
class _Found:
    rule: str
    level: str
    agent: str
    steps: tuple[int, ...]
    times: int
    evidence: str
    nudge: str


def _watched(steps: Any, spec: LoopSpec) -> list[_Found]:
    watch = Watch(spec.model_copy(update={"enabled": True}))
    verdicts = [verdict for step in steps if (verdict := watch.step(step))]
    return [_Found(v.kind, v.level, v.agent, v.steps, v.times, v.evidence, v.nudge) for v in verdicts]


def _until_first_stop(found: Sequence[_Found]) -> Iterator[_Found]:
    """A run would have ended there."""
    for one in found:
        yield one
        if one.level == "stop":
            return


def _recorded(
    event: Event, found: Sequence[_Found], full: Mapping[int, Event], steps: Mapping[int, Step]
) -> Repetition:
    facts = event.facts
    last = int(facts.get("last_step") or event.seq)
    evidence = event.content.get("evidence") or ""
    same = [
        one for one in found if (one.rule, one.level, one.steps[-1]) == (facts.get("rule"), facts.get("level"), last)
    ]
    numbers = same[0].steps if same else _numbers(evidence, int(facts.get("first_step") or last), last)
    told = _Found(
        str(facts.get("rule") or ""), str(facts.get("level") or ""), str(facts.get("agent") or ""), numbers,
        int(facts.get("times") or len(numbers)), evidence, event.content.get("nudge") or "",
    )  # fmt: skip
    return _made(told, event.seq, full, steps)


def _numbers(evidence: str, first: int, last: int) -> tuple[int, ...]:
    """The steps that a sentence names: `(steps 3, 5, …, 9)`."""
    named = IN_TEXT.search(evidence)
    told = [int(number) for number in re.findall(r"\d+", named[1])] if named else []
    return tuple(told or dict.fromkeys((first, last)))


def _made(one: _Found, seq: int | None, full: Mapping[int, Event], steps: Mapping[int, Step]) -> Repetition:
    there = [steps[number] for number in one.steps if number in steps]
    columns = [_column(step, full[step.number], _common(step, there)) for step in there]
    left_out = max(0, one.times - len(columns)) if one.rule != "cycle" else 0
    return Repetition(
        one.rule, RULES.get(one.rule, one.rule), one.level, one.agent, one.times, one.evidence, one.nudge, seq,
        columns, _same(there), left_out,
    )  # fmt: skip


def _kind(step: Step) -> tuple[str, str, str]:
    return (step.agent, step.kind, step.name)


def _common(step: Step, steps: Sequence[Step]) -> tuple[set[str], set[str]]:
    """The words that stand in what was said, and in the result, of all steps of this kind."""
    alike = [other for other in steps if _kind(other) == _kind(step)]
    if len(alike) < 2:
        return set(), set()
    said, results = ([_words(text(other)) for other in alike] for text in (_said, _result))
    return set.intersection(*said), set.intersection(*results)


def _same(steps: Sequence[Step]) -> list[str]:
    """Sentences on what was the same, where all steps are of one kind."""
    if len(steps) < 2 or len({_kind(step) for step in steps}) > 1:
        return []
    what = "arguments" if steps[0].is_tool else "words"
    found = [f"the same {what}"] if len({step.said for step in steps}) == 1 else []
    if steps[0].is_tool and len({step.outcome for step in steps}) == 1:
        found.append("the same result")
    return found


def _column(step: Step, event: Event, common: tuple[set[str], set[str]]) -> Column:
    name = step.name if step.is_tool else str(event.facts.get("model") or "message")
    erased = any(text is None for text in event.content.values())
    return Column(
        step.number, event.at, step.agent, name,
        [] if erased else marked(_said(step), common[0]), [] if erased else marked(_result(step), common[1]), erased,
    )  # fmt: skip


def _said(step: Step) -> str:
    return _text(step.arguments) if step.kind == "tool" else step.text


def _result(step: Step) -> str:
    return _text(step.result)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in WORD.findall(text[:SHOWN])}


def marked(text: str, common: set[str]) -> list[Part]:
    """The beginning of a text in stretches; neighbouring words that are common are one stretch."""
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    parts: list[Part] = []
    place = 0
    for word in WORD.finditer(shown):
        is_common = word[0].casefold() in common
        gap = shown[place : word.start()]
        if gap and not (is_common and parts and parts[-1][1]):
            _add(parts, gap, False)
        elif gap:
            _add(parts, gap, True)
        _add(parts, word[0], is_common)
        place = word.end()
    if place < len(shown):
        _add(parts, shown[place:], False)
    return parts


def _add(parts: list[Part], text: str, is_common: bool) -> None:
    if parts and parts[-1][1] == is_common:
        parts[-1] = (parts[-1][0] + text, is_common)
    else:
        parts.append((text, is_common))


def _as_ours(event: Event) -> Event:
    """An answer under the name that the watch knows."""
    if event.kind == "model_call" and "answer" not in event.content and "response" in event.content:
        return replace(event, content={**event.content, "answer": event.content["response"]})
    return event
