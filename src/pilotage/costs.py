"""What was spent, added up by agent, model, task, day or tag: the sums behind `pilotage cost`.

A run that lies wholly within the time asked for is read from its tally, so that 10,000 runs are quick; one across its
border, or across midnight where days are asked for, is added up call by call. Days are those of UTC. A run with two
tags counts for both, and once in the total. What is not covered: what an earlier version has not counted (thoughts,
written caches), and calls without a price, which are counted apart.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from pilotage.errors import ConfigError, nearest
from pilotage.record.spending import day_of
from pilotage.record.store import events, facets, runs
from pilotage.record.tally import Tally, Use, answer_of, call_of

BY = ("agent", "model", "task", "day", "tag")
NONE = "(none)"
AGO = re.compile(r"(\d{1,5})([mhd])")
UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
HIDDEN = ("failed", "seconds")
COUNTED = ("model_call", "answered")
Part = tuple[str, Use]  # what it counts for, and the calls


@dataclass(frozen=True)
class Costs:
    """Rows by name, the dearest first (days in their order), and all calls once."""

    by: str
    since: float | None = None
    until: float | None = None
    rows: dict[str, Use] = field(default_factory=dict)
    total: Use = field(default_factory=Use)
    runs: int = 0

    def as_json(self) -> dict[str, Any]:
        when = {name: None if at is None else _iso(at) for name, at in (("since", self.since), ("until", self.until))}
        rows = [{"name": name, **_shown(use)} for name, use in self.rows.items()]
        return {"by": self.by, **when, "runs": self.runs, "rows": rows, "total": _shown(self.total)}


def costs(engine: Engine, by: str = "model", since: float | None = None, until: float | None = None) -> Costs:
    """The calls made from `since` on and before `until`, in seconds since 1970, grouped by one of BY.

    Raises ConfigError for another group.
    """
    check_group(by)
    rows: dict[str, Use] = {}
    total, number = Use(), 0
    with engine.connect() as connection:
        tags = _tags(connection) if by == "tag" else {}
        for run in _runs(connection, since, until):
            number += 1
            for name, use in _parts(connection, run, by, since, until):
                total.add(use)
                for group in tags.get(run["run"], [NONE]) if by == "tag" else [name]:
                    rows.setdefault(group, Use()).add(use)
    return Costs(by, since, until, dict(sorted(rows.items(), key=_order(by))), total, number)


def check_group(by: str) -> None:
    """ConfigError when costs are not known so."""
    if by not in BY:
        raise ConfigError(f'--by: costs are not known by "{by}"', hint=nearest(by, BY))


def moment(text: str, now: float | None = None, *, end: bool = False) -> float:
    """A time that was given as 2026-11-01 (its begin in UTC, or its `end`), or as 7d, 24h or 30m ago.

    >>> moment("24h", 1_000_000.0)
    913600.0
    """
    now = time.time() if now is None else now
    if ago := AGO.fullmatch(text.strip()):
        return now - int(ago[1]) * UNITS[ago[2]]
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f'"{text}" is no time', hint="a day such as 2026-11-01, or 7d, 24h, 30m ago") from None
    last = datetime.max.replace(tzinfo=UTC)
    return (day + timedelta(days=1) if end and day.date() < last.date() else last if end else day).timestamp()


def _runs(connection: Connection, since: float | None, until: float | None) -> Iterator[Mapping[str, Any]]:
    """The runs that may have made a call in that time."""
    last = func.coalesce(runs.c.updated, runs.c.started + func.coalesce(runs.c.seconds, 0.0))
    wanted = select(runs.c.run, runs.c.started, last.label("last"), runs.c.tally).order_by(runs.c.run)
    wanted = wanted if since is None else wanted.where(last >= since)
    wanted = wanted if until is None else wanted.where(runs.c.started < until)
    yield from (dict(row) for row in connection.execute(wanted).mappings().all())


def _parts(
    connection: Connection, run: Mapping[str, Any], by: str, since: float | None, until: float | None
) -> Iterator[Part]:  # fmt: skip
    """The calls of a run: from its tally where that can tell them apart, else each by itself."""
    tally = _tally_of(run["tally"])
    first, last = run["started"], run["last"]
    is_within = (since is None or first >= since) and (until is None or last < until)
    if is_within and by == "day":
        is_within = day_of(first) == day_of(last)
    uses = {"agent": tally.agents, "task": tally.tasks}.get(by, tally.models) if tally else {}
    if is_within and tally and _is_whole(tally, uses):
        for name, use in uses.items():
            yield (day_of(first) if by == "day" else name), use
        return
    for at, name, use in _calls(connection, run["run"], by):
        if (since is None or at >= since) and (until is None or at < until):
            yield (day_of(at) if by == "day" else name), use


def _tally_of(text: str | None) -> Tally | None:
    """None when it cannot be read."""
    try:
        return Tally.from_text(text)
    except (ValueError, TypeError, AttributeError):
        return None


def _is_whole(tally: Tally, uses: Mapping[str, Use]) -> bool:
    """Whether each call of the run counts for one of these: a call without an agent has none, nor has an answer."""
    made, served = (sum(getattr(use, name) for use in uses.values()) for name in ("calls", "served"))
    tools = sum(use.served for use in tally.tools.values())
    return bool(made == tally.model_calls and served + tools == tally.served)


def _calls(connection: Connection, run: str, by: str) -> Iterable[tuple[float, str, Use]]:
    """When each call was made, what it counts for, and what it used; an answer of an earlier run among them."""
    wanted = select(events.c.at, events.c.kind, events.c.facts)
    for at, kind, text in connection.execute(wanted.where(events.c.run == run, events.c.kind.in_(COUNTED))):
        facts = json.loads(text)
        if kind == "answered":
            yield at, NONE, answer_of(facts)
        else:
            yield at, str(facts.get(by) or NONE), call_of(facts)


def _tags(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run, tag in connection.execute(select(facets.c.run, facets.c.value).where(facets.c.name == "tag")):
        found.setdefault(run, []).append(tag)
    return found


def _order(by: str) -> Any:
    return (lambda row: row[0]) if by == "day" else (lambda row: (-row[1].usd, -row[1].calls, row[0]))


def _shown(use: Use) -> dict[str, Any]:
    return {name: value for name, value in asdict(use).items() if name not in HIDDEN}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
