"""What was spent on a day, by run: the table `spending`, written with the events that it adds up.

All processes on a store share it, so that limits.usd_per_day holds for all of them together. A day is one of UTC. What
a strict budget holds for calls under way stands there too; that of a run which has ended, or is lost, is not counted.
What is not covered: calls without a price, and sessions of other programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from pilotage.record.store import events, runs, spending

# made once: SQLAlchemy takes longer to build a statement than SQLite to run it
_new = upsert(spending)
ADD = _new.on_conflict_do_update(
    index_elements=["day", "run"],
    set_={
        "usd": spending.c.usd + _new.excluded.usd,
        "held": func.max(0.0, spending.c.held + _new.excluded.held - bindparam("freed")),
    },
)
BOOK_HELD = (
    update(spending).where(spending.c.run == bindparam("of_run"), spending.c.held > 0)
    .values(usd=spending.c.usd + spending.c.held, held=0.0)
)  # fmt: skip
_is_live = and_(runs.c.outcome.is_(None), runs.c.until >= bindparam("now"))
OF_DAY = (
    select(func.coalesce(func.sum(spending.c.usd), 0.0),
           func.coalesce(func.sum(case((_is_live, spending.c.held), else_=0.0)), 0.0))
    .select_from(spending.outerjoin(runs, runs.c.run == spending.c.run)).where(spending.c.day == bindparam("of_day"))
)  # fmt: skip

UNLISTED = (
    select(runs.c.run).outerjoin(spending, and_(spending.c.run == runs.c.run, spending.c.day == bindparam("of_day")))
    .where(runs.c.updated >= bindparam("begin"), spending.c.run.is_(None))
    .where(runs.c.origin == "run", runs.c.model_calls > 0)
)  # fmt: skip
CALLS = select(events.c.facts).where(
    events.c.run == bindparam("of_run"), events.c.kind == "model_call",
    events.c.at >= bindparam("begin"), events.c.at < bindparam("end"),
)  # fmt: skip
DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class Held:
    """What is held for one call under way, and the day that pays for it."""

    day: str
    usd: float


@dataclass(frozen=True)
class Spent:
    """US dollars of a day: of calls that are over, and the most that those under way can cost."""

    usd: float
    held: float


def day_of(at: float) -> str:
    """ "2026-11-23": the day of UTC at that time, in seconds since 1970."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def spent_on(connection: Connection, day: str, now: float) -> Spent:
    """What all runs on the store have spent and hold."""
    usd, held = connection.execute(OF_DAY, {"of_day": day, "now": now}).one()
    return Spent(round(float(usd), 9), round(float(held), 9))


def fill(connection: Connection, day: str) -> None:
    """List what runs of that day have spent that are not there: an earlier version has recorded them."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    for run in connection.execute(UNLISTED, {"of_day": day, "begin": begin}).scalars().all():
        calls = connection.execute(CALLS, {"of_run": run, "begin": begin, "end": begin + DAY}).scalars()
        usd = round(sum(_usd_of(json.loads(facts)) for facts in calls), 9)
        connection.execute(ADD, {"day": day, "run": run, "usd": usd, "held": 0.0, "freed": 0.0})


def is_filled(connection: Connection, day: str) -> bool:
    """Whether each run of that day is listed."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return connection.execute(UNLISTED, {"of_day": day, "begin": begin}).first() is None


def hold(connection: Connection, run: str, held: Held) -> None:
    connection.execute(ADD, {"day": held.day, "run": run, "usd": 0.0, "held": held.usd, "freed": 0.0})


def free(connection: Connection, run: str, held: Held) -> None:
    """Nothing was used of it."""
    connection.execute(ADD, {"day": held.day, "run": run, "usd": 0.0, "held": 0.0, "freed": held.usd})


def book(
    connection: Connection, run: str, kind: str, at: float, facts: Mapping[str, Any], freed: Held | None = None
) -> None:  # fmt: skip
    """Count an event of a run; `freed` was held for its call. What is held at the end may be billed: it is spent."""
    if kind == "run_ended":
        connection.execute(BOOK_HELD, {"of_run": run})
    usd = _usd_of(facts) if kind == "model_call" else 0.0
    if usd or freed:
        day, amount = (freed.day, freed.usd) if freed else (day_of(at), 0.0)
        connection.execute(ADD, {"day": day, "run": run, "usd": usd, "held": 0.0, "freed": amount})


def _usd_of(facts: Mapping[str, Any]) -> float:
    """0 for a call without a price."""
    usd = facts.get("usd")
    return float(usd) if isinstance(usd, int | float) else 0.0
