"""The table of what has fired: who may fire a rule now, and what became of its delivery.

A rule is claimed in one write transaction, so that of several processes at the same moment one fires.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from pilotage.alerts.figures import Reading
from pilotage.record.store import alerts, trying
from pilotage.report import printable

UNDER_WAY = "no answer yet"  # what stands there of a process that was killed, too
WAITS = 0.5  # seconds for a lock of another process; the rule is judged again at the next event


def claim(
    engine: Engine, reading: Reading, run: str, at: float, cool_down: float, to: Iterable[str] = ()
) -> tuple[int | None, float]:
    """Enter the alert for the channels `to`; its number, or None when it has to be quiet, and when it may fire again.

    A run fires a rule once. Raises DBAPIError when the store is locked for longer than WAITS.
    """
    found: list[tuple[int | None, float]] = []

    def enter() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            of_rule = select(func.max(alerts.c.at)).where(alerts.c.rule == reading.rule)
            if connection.execute(of_rule.where(alerts.c.run == run)).scalar() is not None:
                return found.append((None, inf))
            last = connection.execute(of_rule).scalar()
            if last is not None and at < last + cool_down:
                return found.append((None, last + cool_down))
            row = {
                "at": at, "rule": reading.rule, "run": run, "metric": reading.metric, "value": reading.value,
                "above": reading.above, "over": reading.over, "text": reading.text,
                "delivered": json.dumps(dict.fromkeys(to, UNDER_WAY)),
            }  # fmt: skip
            key = connection.execute(insert(alerts).values(**row)).inserted_primary_key
            return found.append((int(key[0]) if key else None, inf))

    trying(enter, lambda since: since + WAITS)
    return found[-1]


def quiet_until(engine: Engine, rule: str, cool_down: float) -> float:
    """When the rule may fire again, in seconds since 1970; 0 when it never fired."""
    with engine.connect() as connection:
        last = connection.execute(select(func.max(alerts.c.at)).where(alerts.c.rule == rule)).scalar()
    return 0.0 if last is None else float(last) + cool_down


def note_delivery(engine: Engine, number: int, delivered: Mapping[str, str | bool]) -> None:
    """Enter what became of it, by channel: true, or why it did not arrive."""
    wanted = update(alerts).where(alerts.c.id == number).values(delivered=json.dumps(dict(delivered)))

    def write() -> None:
        with engine.begin() as connection:
            connection.execute(wanted)

    trying(write, lambda since: since + WAITS)


def list_fired(engine: Engine, limit: int = 20) -> list[dict[str, Any]]:
    """The newest alerts first, `delivered` by channel."""
    with engine.connect() as connection:
        rows = connection.execute(select(alerts).order_by(alerts.c.at.desc(), alerts.c.id.desc()).limit(limit))
        return [dict(row) | {"delivered": json.loads(row["delivered"])} for row in rows.mappings()]


def fired_line(row: Mapping[str, Any]) -> str:
    """`2026-11-23 08:45  cost: run … has cost $0.42, above $0.40  (terminal, log; webhook: answered 500)`"""
    arrived = [channel for channel, state in row["delivered"].items() if state is True]
    lost = [f"{channel}: {state}" for channel, state in row["delivered"].items() if state is not True]
    where = "; ".join([*([", ".join(arrived)] if arrived else []), *lost])
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["at"]))
    return printable(f"{began}  {row['text']}  ({where or 'the journal only'})")
