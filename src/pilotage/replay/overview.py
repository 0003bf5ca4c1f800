"""What a session comes to: its head, who did what, decisions and alerts.

Figures are the journal's own: those of `run_ended` once it is there, the tally until then. What is not covered: what
a call has used that nobody reported.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, bindparam, select

from pilotage.record.journal import Event
from pilotage.record.sessions import state
from pilotage.record.store import events, facets, runs
from pilotage.record.tally import UNPRICED, Use
from pilotage.replay import formats
from pilotage.replay.fold import Folded, listed_row, with_texts
from pilotage.replay.formats import exact_money, money

QUIET = 15.0  # seconds without an event until a live session is said to be silent
MOST_DECISIONS = 200  # that a page shows
MOST_CHILDREN = 50
FIRST = select(events.c.facts).where(events.c.run == bindparam("of_run"), events.c.seq == 1)
GROUNDS = ("source", "quote", "verdict")


@dataclass(frozen=True)
class Figure:
    """One figure of the head; `name` is what the page knows it by while it grows."""

    name: str
    label: str
    text: str
    note: str = ""
    exact: str = ""


@dataclass(frozen=True)
class Head:
    """What stands above everything else."""

    run: str
    question: str | None
    state: str
    reason: str | None
    started: float
    figures: list[Figure]
    origin: str = "run"
    model: str = ""
    crew: str = ""
    host: str = ""
    parent: str = ""
    seal: str = ""
    silence: str = ""
    tags: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    how: str = ""  # it goes on from its parent
    children: list[tuple[str, str]] = field(default_factory=list)  # the sessions that go on from this one, and how

    @property
    def is_live(self) -> bool:
        return self.state == "live"


def head_of(engine: Engine, folded: Folded, now: float | None = None) -> Head:
    now = time.time() if now is None else now
    row, first = listed_row(engine, folded.run), folded.events[0]
    ending = folded.ending
    texts = with_texts(engine, [first, *([ending.event] if ending.event else [])], ("question", "reason", "warnings"))
    said = state(row, now) if row else ending.outcome or "lost"
    facts = first.facts
    return Head(
        folded.run, texts[0].content.get("question"), said,
        texts[1].content.get("reason", "") if ending.event else "", folded.started,
        figures_of(folded, now if said == "live" else None), str(row.get("origin") or "run"),
        str(facts.get("model") or ""), str(facts.get("crew") or ""), str(row.get("host") or ""),
        str(facts.get("parent") or ""), str(row.get("seal") or ""),
        silence(folded.events[-1].at, now) if said == "live" else "", _tags(engine, folded.run),
        _list_of_texts(texts[0].content.get("warnings")), _how(facts), children_of(engine, folded.run),
    )  # fmt: skip


def children_of(engine: Engine, run: str) -> list[tuple[str, str]]:
    """The sessions that go on from this one, the oldest first, with how in words."""
    wanted = select(runs.c.run).where(runs.c.parent == run).order_by(runs.c.started, runs.c.run).limit(MOST_CHILDREN)
    with engine.connect() as connection:
        found = [str(child) for child in connection.execute(wanted).scalars()]
        first = {child: connection.execute(FIRST, {"of_run": child}).scalar() for child in found}
    return [(child, _how(_facts(first[child]))) for child in found]


def _facts(text: str | None) -> dict[str, Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _how(facts: Mapping[str, Any]) -> str:
    """`resume` · `fork at step 12` · `follow-up`"""
    step = facts.get("at_step")
    return str(facts.get("how") or "") + (f" at step {step}" if isinstance(step, int) else "")


def silence(heard: float, now: float) -> str:
    """`nothing heard for 42 s`, once that is long enough to say: a call may take its time, a killed run is silent."""
    return f"nothing heard for {formats.seconds(now - heard)}" if now - heard > QUIET else ""


def figures_of(folded: Folded, now: float | None = None) -> list[Figure]:
    """The figures of the head; `now` counts the seconds of a session that goes on."""
    tally, end = folded.tally, folded.ending.event
    facts: Mapping[str, Any] = end.facts if end else {}
    seconds = facts.get("seconds", (now or folded.until) - folded.started)
    tokens = facts.get("tokens", tally.tokens)
    note = formats.plural(tally.unpriced, "unpriced call") if tally.unpriced else ""
    return [
        Figure("seconds", "Time", formats.seconds(max(0.0, seconds)), "the whole session"),
        Figure("tokens", "Tokens", formats.count(tokens)),
        Figure("cost", "Cost", _cost(folded, facts), note, exact_money(float(facts.get("usd", tally.usd)))),
        Figure("model_calls", "Model calls", formats.count(facts.get("model_calls", tally.model_calls))),
        Figure("tool_calls", "Tool calls", formats.count(facts.get("tool_calls", tally.tool_calls))),
        Figure("errors", "Errors", formats.count(tally.errors)),
        Figure("loops", "Loops", formats.count(tally.loops)),
    ]


def _cost(folded: Folded, end: Mapping[str, Any]) -> str:
    tally = folded.tally
    known = tally.cost if "usd" not in end else float(end["usd"])
    if end and "usd" not in end and not folded.is_foreign:
        known = None
    if known is not None:
        return money(known)
    return f"{money(tally.usd)} + {UNPRICED}" if tally.usd else UNPRICED


# --- who did what


@dataclass(frozen=True)
class Line:
    """One agent, model, task or tool: what it did and what that took."""

    name: str
    who: str
    calls: int
    failed: int
    tool_calls: int
    prompt: int
    completion: int
    cached: int
    cost: str
    share: float | None
    seconds: float
    exact: str = ""


def lines_of(uses: Mapping[str, Use], tool_calls: Mapping[str, int], who: Mapping[str, list[str]]) -> list[Line]:
    """A line for each, the most expensive first; the share is of the cost, else of the tokens, else of the calls."""
    by = next((by for by in ("usd", "tokens", "calls") if sum(getattr(use, by) for use in uses.values())), "")
    whole = sum(getattr(use, by) for use in uses.values()) if by else 0
    empty = {name: Use() for name in tool_calls if name not in uses}
    return [
        Line(
            name, ", ".join(who.get(name, [])), use.calls, use.failed, tool_calls.get(name, 0), use.prompt,
            use.completion, use.cached, _cost_of(use), getattr(use, by) / whole if whole else None, use.seconds,
            exact_money(use.usd),
        )
        for name, use in sorted({**uses, **empty}.items(), key=lambda one: (-one[1].usd, -one[1].tokens, -one[1].calls))
    ]  # fmt: skip


def share_of(uses: Mapping[str, Use]) -> str:
    """What the shares are shares of."""
    by = next((by for by in ("usd", "tokens", "calls") if sum(getattr(use, by) for use in uses.values())), "calls")
    return {"usd": "cost", "tokens": "tokens", "calls": "calls"}[by]


def tables(folded: Folded) -> list[dict[str, Any]]:
    """Agents, tasks, models and tools as tables."""
    tally = folded.tally
    by_agent, by_task = Counter[str](), Counter[str]()
    of_agent: defaultdict[str, dict[str, None]] = defaultdict(dict)
    of_task: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for event in folded.events:
        agent, task = str(event.facts.get("agent") or ""), str(event.facts.get("task") or "")
        if event.kind == "tool_call":
            by_agent.update([agent] if agent else [])
            by_task.update([task] if task else [])
        if agent and task and event.kind in ("model_call", "tool_call", "task_started"):
            of_agent[agent].setdefault(task)
            of_task[task].setdefault(agent)
    tools = [
        Line(name, "", use.calls, use.failed, 0, 0, 0, 0, "", None, use.seconds)
        for name, use in sorted(tally.tools.items(), key=lambda one: -one[1].calls)
    ]
    return [
        _table("agents", "Agents", "Tasks", tally.agents, by_agent, of_agent),
        _table("tasks", "Tasks", "Agents", tally.tasks, by_task, of_task),
        _table("models", "Models", "", tally.models, {}, {}),
        {"name": "tools", "title": "Tools", "who": "", "lines": tools, "share": ""},
    ]


def _table(
    name: str, title: str, who: str, uses: Mapping[str, Use], tool_calls: Mapping[str, int],
    names: Mapping[str, Mapping[str, None]],
) -> dict[str, Any]:  # fmt: skip
    lines = lines_of(uses, tool_calls, {key: list(value) for key, value in names.items()})
    return {"name": name, "title": title, "who": who, "lines": lines, "share": share_of(uses)}


def _cost_of(use: Use) -> str:
    if use.unpriced:
        return f"{money(use.usd)} + {UNPRICED}" if use.usd else UNPRICED
    return money(use.usd)


# --- decisions, alerts


def decisions_of(engine: Engine, folded: Folded) -> tuple[list[dict[str, Any]], int]:
    """The first decisions with their reasons and evidence, and how many there are."""
    found = [event for event in folded.events if event.kind == "decision"]
    full = with_texts(engine, found[:MOST_DECISIONS])
    return [_decision(event) for event in full], len(found)


def _decision(event: Event) -> dict[str, Any]:
    facts, content = event.facts, event.content
    return {
        "seq": event.seq, "who": str(facts.get("who") or ""), "task": str(facts.get("task") or ""),
        "what": str(facts.get("what") or ""), "text": content.get("text"), "reason": content.get("reason"),
        "because": [{name: str(row.get(name) or "") for name in GROUNDS} for row in rows_of(content.get("because"))],
        "is_erased": any(text is None for text in content.values()),
    }  # fmt: skip


def alerts_of(engine: Engine, folded: Folded) -> list[dict[str, Any]]:
    found = with_texts(engine, [event for event in folded.events if event.kind == "alert"])
    return [{"seq": e.seq, "rule": str(e.facts.get("rule") or ""), "text": e.content.get("text")} for e in found]


def _tags(engine: Engine, run: str) -> list[str]:
    wanted = select(facets.c.value).where(facets.c.run == run, facets.c.name == "tag").order_by(facets.c.value)
    with engine.connect() as connection:
        return [str(value) for value in connection.execute(wanted).scalars()]


def rows_of(text: str | None) -> list[dict[str, Any]]:
    try:
        read = json.loads(text or "[]")
    except ValueError:
        return []
    return [row for row in read if isinstance(row, dict)] if isinstance(read, list) else []


def _list_of_texts(text: str | None) -> list[str]:
    try:
        read: Sequence[Any] = json.loads(text or "[]")
    except ValueError:
        return []
    return [str(one) for one in read] if isinstance(read, list) else []
