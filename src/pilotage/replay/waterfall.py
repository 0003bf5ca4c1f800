"""The waterfall: the spans of a session in the order of a tree, each with what it has used, as rows for a page.

Rows lie outer before inner, siblings by their start. What is not covered: a span whose parent has not arrived stands
at the top until it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotage.record.tally import ENCLOSING, UNPRICED
from pilotage.record.tree import Span
from pilotage.replay import formats
from pilotage.replay.formats import money

DEEPEST = 12  # levels that are indented
THIN = 0.6  # per cent of the width that the shortest bar has
NAMES = {"llm": "LLM", "workflow": "crew"}  # where the kind itself is no word for people
SERVED = ("tape", "cache")  # where a call that was not made again was answered from
CALM = ("limited", "rejected", "interrupted", "nudged")  # went another way than hoped for, without a fault


@dataclass
class Row:
    """One span in its place. `changed` is the number of the event that opened or closed it last."""

    span: Span
    depth: int
    changed: int
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    step: int = 0
    agent: str = ""  # where the rows around it do not say so


def arrange(spans: Sequence[Span], changed: Mapping[int, int]) -> list[Row]:
    """The spans as rows; `changed` maps id(span) to the number of the last event that concerned it."""
    inner = _children(spans)
    rows: list[Row] = []
    stack = [(number, 0, -1) for number in reversed(inner.get(-1, []))]
    around: list[int] = []
    while stack:
        number, depth, parent = stack.pop()
        span = spans[number]
        agent = _agent(span, rows[parent].span if parent >= 0 else None)
        rows.append(Row(span, depth, changed.get(id(span), 0), *_used(span), _step(span), agent))
        around.append(parent)
        place = len(rows) - 1
        stack += [(child, depth + 1, place) for child in reversed(inner.get(number, []))]
    for place in range(len(rows) - 1, -1, -1):
        if (parent := around[place]) >= 0:
            _carry(rows[place], rows[parent])
    return rows


def _children(spans: Sequence[Span]) -> dict[int, list[int]]:
    """The inner spans of each by number; -1 has those at the top. A task that was begun again has its own steps."""
    latest: dict[str, int] = {}
    anywhere = {span.id: number for number, span in enumerate(spans)}
    inner: dict[int, list[int]] = {}
    for number, span in enumerate(spans):
        parent = -1
        if span.parent is not None:
            parent = latest.get(span.parent, anywhere.get(span.parent, -1))
        inner.setdefault(parent if parent != number else -1, []).append(number)
        latest[span.id] = number
    for numbers in inner.values():
        numbers.sort(key=lambda number: spans[number].start)
    return _without_circles(inner, len(spans))


def _without_circles(inner: dict[int, list[int]], count: int) -> dict[int, list[int]]:
    """Spans that name each other as parents would be seen nowhere: they stand at the top."""
    seen: set[int] = set()
    waiting = list(inner.get(-1, []))
    while waiting:
        number = waiting.pop()
        seen.add(number)
        waiting += inner.get(number, [])
    if len(seen) == count:
        return inner
    lost = [number for number in range(count) if number not in seen]
    kept = {parent: [n for n in numbers if n in seen] for parent, numbers in inner.items()}
    return {**kept, -1: kept.get(-1, []) + lost}


def _used(span: Span) -> tuple[int, float, int]:
    """Tokens, US dollars and calls without a price of one model call."""
    if span.event is None or span.event.kind != "model_call":
        return 0, 0.0, 0
    facts = span.event.facts
    usd = facts.get("usd", UNPRICED)
    tokens = int(facts.get("prompt_tokens") or 0) + int(facts.get("completion_tokens") or 0)
    return tokens, 0.0 if usd == UNPRICED else float(usd), int(usd == UNPRICED)


def _carry(row: Row, parent: Row) -> None:
    parent.tokens += row.tokens
    parent.usd += row.usd
    parent.unpriced += row.unpriced
    if not parent.step and row.step:
        parent.step = row.step


def _step(span: Span) -> int:
    found = span.event or span.ended_by
    return found.seq if found else 0


def row_json(
    row: Row, number: int, started: float, total: float, why: str = "", *, is_live: bool = False
) -> dict[str, Any]:
    """What a page shows of a row; `x` and `width` are per cent of `total` seconds, `s` and `e` seconds from `started`.

    They are texts, so that the template and the script write the same. `e` is None for a span without an end: its bar
    goes on to the end, and it is running only while the session is live. `chip` says how it ended, where that was not
    well, and `tone` how bad that is; or where a call was answered from that was not made again.
    """
    span = row.span
    begin = max(0.0, span.start - started)
    end = None if span.end is None else max(begin, span.end - started)
    x, width = bar(begin, total if end is None else end, total)
    chip, open_word = _chip(span), "running" if is_live else "no end"
    return {
        "i": number, "step": row.step, "depth": min(row.depth, DEEPEST), "kind": span.kind,
        "label": NAMES.get(span.kind, span.kind), "name": _name(span), "whole": span.name or span.kind,
        "agent": row.agent, "chip": chip, "tone": _tone(chip),
        "s": _written(begin), "e": None if end is None else _written(end), "x": _written(x), "width": _written(width),
        "took": open_word if end is None else formats.seconds(end - begin) if end > begin else "",
        "spent": spent(row), "exact": formats.exact_money(row.usd), "why": why if span.failed else "",
    }  # fmt: skip


def _name(span: Span) -> str:
    """Shorter than the span's own: a model without its provider; a run of ours is called after its crew below it."""
    if span.kind == "session" and span.id == "session":
        return "the whole run"
    return span.name.rpartition("/")[2] or span.name if span.kind == "llm" else span.name or span.kind


def _chip(span: Span) -> str:
    """How it ended where that was not well: the run's outcome, what a loop came to, else that it failed."""
    if span.kind == "loop" and span.event:
        return {"nudge": "nudged", "stop": "stopped"}.get(str(span.event.facts.get("level")), "")
    if not span.failed:
        served = span.event.facts.get("served") if span.event else None
        return f"from {served}" if served in SERVED else ""
    if span.ended_by and span.ended_by.kind == "run_ended":
        return str(span.ended_by.facts.get("outcome") or "failed")
    return "reached" if span.kind == "limit" else "failed"


def _tone(chip: str) -> str:
    if chip.startswith("from "):
        return "kept"
    return "" if not chip else "warn" if chip in CALM else "bad"


def _written(value: float) -> str:
    return f"{round(value, 4):.10g}"


def bar(begin: float, end: float, total: float) -> tuple[float, float]:
    """Where a bar begins and how wide it is, in per cent."""
    total = max(total, 1e-6)
    width = min(100.0, max(THIN, 100 * (end - begin) / total))
    return round(min(100 * begin / total, 100 - width), 3), round(width, 3)


def spent(row: Row) -> str:
    """`1,234 · $0.02`; `1,234 tokens` without a cost where it was free, nothing where no model was asked."""
    if not row.tokens and not row.usd and not row.unpriced:
        return ""
    if row.unpriced:
        cost = f" · {money(row.usd)} +" if row.usd else f" · {UNPRICED}"
    else:
        cost = f" · {money(row.usd)}" if row.usd else ""
    return f"{formats.tokens(row.tokens)}{cost or ' tokens'}"


def ticks(total: float) -> list[tuple[float, str]]:
    """Three marks of the time axis as (per cent, text)."""
    return [(0.0, "0"), (50.0, formats.seconds(total / 2)), (100.0, formats.seconds(total))]


def _agent(span: Span, around: Span | None) -> str:
    """Whose a row is, where neither it nor the row around it says so."""
    if span.kind in ENCLOSING or (around is not None and around.agent == span.agent):
        return ""
    return span.agent
