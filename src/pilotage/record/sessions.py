"""The recorded runs as a list: search, filters, order, pages, and what they say over time.

Everything is read from the tables that the journal keeps beside its events; no event is read here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, func, or_, select

from pilotage.record.store import facets, runs

SORTS = ("started", "question", "outcome", "seconds", "tokens", "usd", "model_calls", "tool_calls", "errors", "loops")
OPEN = ("live", "lost")  # what a run without an outcome is: until its time is over, and after that
MOST_WORDS = 50  # that are looked for
LISTED = [column for column in runs.columns if column.name != "tally"]


@dataclass(frozen=True)
class Search:
    """Which runs, in which order. Times are seconds since 1970; an empty text or None filters nothing."""

    text: str = ""  # words, each in the question or the beginning of the run's id
    outcome: str = ""  # or live, or lost
    agent: str = ""
    model: str = ""
    tag: str = ""
    tool: str = ""
    loop: str = ""  # a rule, or "any"
    origin: str = ""
    since: float | None = None
    until: float | None = None
    usd_from: float | None = None
    usd_to: float | None = None
    sort: str = "started"
    descending: bool = True
    page: int = 1
    per_page: int = 50


@dataclass(frozen=True)
class Found:
    """One page of runs as dicts of the table's columns and `state`, and how many there are in all."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0


def state(row: Any, now: float) -> str:
    """live, lost, or the outcome of a run."""
    if row["outcome"]:
        return str(row["outcome"])
    return "live" if now <= (row["until"] or 0) else "lost"


def find(engine: Engine, search: Search, now: float | None = None) -> Found:
    """The page of runs that `search` asks for, live ones on top."""
    now = time.time() if now is None else now
    wanted = and_(True, *_conditions(search, now))
    column = runs.c[search.sort if search.sort in SORTS else "started"]
    order = column.desc() if search.descending else column.asc()
    live = case((_is_live(now), 0), else_=1)
    page = (
        select(*LISTED).where(wanted).order_by(live, order.nulls_last(), runs.c.run.desc())
        .limit(search.per_page).offset((max(1, search.page) - 1) * search.per_page)
    )  # fmt: skip
    with engine.connect() as connection:
        total = connection.execute(select(func.count()).select_from(runs).where(wanted)).scalar_one()
        rows = [dict(row) for row in connection.execute(page).mappings()]
    return Found([row | {"state": state(row, now)} for row in rows], total)


def facet_values(engine: Engine) -> dict[str, list[str]]:
    """What can be filtered by: agents, models, tags, tools, loops and alerts, each in alphabetical order."""
    found: dict[str, list[str]] = {name: [] for name in ("agent", "model", "tag", "tool", "loop", "alert")}
    with engine.connect() as connection:
        rows = connection.execute(select(facets.c.name, facets.c.value).distinct().order_by(facets.c.value))
        for name, value in rows:
            found.setdefault(name, []).append(value)
    return found


@dataclass
class Bucket:
    """The runs that began between `start` and the next bucket. `usd` by model counts priced calls."""

    start: float
    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    usd: dict[str, float] = field(default_factory=dict)
    unpriced: int = 0
    looping: int = 0
    alerts: int = 0
    failed_checks: dict[str, int] = field(default_factory=dict)

    def quantile(self, share: float) -> float | None:
        """Seconds that this share of the runs did not pass, by the nearest rank; None without runs."""
        return quantile(self.seconds, share)


def quantile(values: Sequence[float], share: float) -> float | None:
    """What this share of the values does not pass, by the nearest rank; None without values."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * share) - 1)] if ordered else None


def statistics(engine: Engine, since: float, until: float, buckets: int = 30, now: float | None = None) -> list[Bucket]:
    """What happened between `since` and `until`, in as many parts of equal length."""
    now = time.time() if now is None else now
    width = max(1e-9, (until - since) / buckets)
    found = [Bucket(since + number * width) for number in range(buckets)]
    columns = (runs.c[name] for name in ("started", "outcome", "until", "seconds", "tokens", "loops", "alerts"))
    parts = func.json_extract(runs.c.tally, "$.models", "$.failed_checks").label("parts")  # a tenth of the whole
    wanted: Select[Any] = select(*columns, parts).where(runs.c.started >= since, runs.c.started < until)
    with engine.connect() as connection:
        for row in connection.execute(wanted).mappings():
            _count(found[min(buckets - 1, int((row["started"] - since) / width))], row, now)
    return found


def _count(bucket: Bucket, row: Any, now: float) -> None:
    outcome, (models, checks) = state(row, now), json.loads(row["parts"] or "[null, null]")
    bucket.runs += 1
    bucket.outcomes[outcome] = bucket.outcomes.get(outcome, 0) + 1
    if row["seconds"] is not None:
        bucket.seconds.append(row["seconds"])
    bucket.tokens += row["tokens"] or 0
    bucket.looping += bool(row["loops"])
    bucket.alerts += row["alerts"]
    for model, use in (models or {}).items():
        bucket.usd[model] = bucket.usd.get(model, 0.0) + use["usd"]
        bucket.unpriced += use["unpriced"]
    for check, times in (checks or {}).items():
        bucket.failed_checks[check] = bucket.failed_checks.get(check, 0) + times


def _conditions(search: Search, now: float) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for word in list(dict.fromkeys(search.text.split()))[:MOST_WORDS]:
        in_question = runs.c.question.icontains(word, autoescape=True)
        found.append(or_(in_question, runs.c.run.startswith(word, autoescape=True)))
    if search.outcome == "live":
        found.append(_is_live(now))
    elif search.outcome == "lost":
        found += [runs.c.outcome.is_(None), ~_is_live(now)]
    elif search.outcome:
        found.append(runs.c.outcome == search.outcome)
    for name in ("agent", "model", "tag", "tool", "loop"):
        if value := getattr(search, name):
            found.append(_has(name, value))
    if search.origin:
        found.append(runs.c.origin == search.origin)
    if search.since is not None:
        found.append(runs.c.started >= search.since)
    if search.until is not None:
        found.append(runs.c.started < search.until)
    if search.usd_from is not None:
        found.append(runs.c.usd >= search.usd_from)
    if search.usd_to is not None:
        found.append(runs.c.usd <= search.usd_to)
    return found


def _is_live(now: float) -> ColumnElement[bool]:
    return and_(runs.c.outcome.is_(None), func.coalesce(runs.c.until, 0) >= now)


def _has(name: str, value: str) -> ColumnElement[bool]:
    if name == "loop" and value == "any":
        return runs.c.loops > 0
    return runs.c.run.in_(select(facets.c.run).where(facets.c.name == name, facets.c.value == value))
