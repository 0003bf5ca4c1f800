"""The rule that nobody has to write: a warning once a day when most of limits.usd_per_day is spent.

It is called usd_per_day; a rule of that name in alerts.rules takes its place. What is not covered: calls without a
price, and `pilotage alerts`, which lists the rules that are written.
"""

from __future__ import annotations

from sqlalchemy import Engine

from pilotage.alerts.figures import Reading
from pilotage.record.spending import day_of, spent_on
from pilotage.report import money
from pilotage.spec import AlertRule

NAME = "usd_per_day"
SHARE = 0.8  # of the budget
A_DAY = 86_400.0  # seconds


def rule_of(cap: float) -> AlertRule:
    """Above what it fires, and where it is told."""
    return AlertRule(when="usd", above=round(SHARE * cap, 9), over="24 hours")


def quiet_for(at: float) -> float:
    """The cool-down at this time: an alert since midnight UTC keeps the rule quiet, an earlier one does not."""
    return at % A_DAY


def read_day(engine: Engine, cap: float, at: float) -> Reading:
    """What all runs on the store have spent on the day of `at`."""
    with engine.connect() as connection:
        usd = spent_on(connection, day_of(at), at).usd
    text = f"{NAME}: {money(usd)} of {money(cap)} are spent today (limits.{NAME})"
    return Reading(NAME, NAME, usd, rule_of(cap).above, "today", text)
