"""The figures that rules are held against: of one run, from its tally, and of a window, from the list of runs.

What is not covered: a rate or the seconds over "N runs" are only judged when there are N that have ended, so that the
first failure of a new project is no rate (usd is the sum of those that there are); and the cost of calls without a
price counts as nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, select

from pilotage.alerts.rules import ONE_RUN, Window, window_of
from pilotage.errors import counted, figure
from pilotage.record.journal import read_page
from pilotage.record.sessions import quantile
from pilotage.record.store import runs
from pilotage.record.tally import Tally
from pilotage.report import money
from pilotage.spec import AlertRule, LimitSpec

CAPPED = ("usd", "tokens", "seconds", "model_calls", "tool_calls")  # what a run has caps for
FAILED = ("limited", "failed", "rejected")
COLUMNS = (runs.c.run, runs.c.started, runs.c.updated, runs.c.outcome, runs.c.seconds, runs.c.usd, runs.c.loops,
           runs.c.tally)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """One run as rules see it. `caps` are those of limits; a session of another program has none."""

    run: str
    started: float
    outcome: str | None  # None while it runs
    seconds: float
    usd: float
    tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    loops: int = 0
    question: str = ""
    caps: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Reading:
    """What a rule has measured, and the sentence that says so."""

    rule: str
    metric: str
    value: float
    above: float
    over: str
    text: str

    @property
    def fires(self) -> bool:
        return self.value > self.above


def caps_of(limits: LimitSpec) -> dict[str, float]:
    return {name: float(getattr(limits, name)) for name in CAPPED}


def figures_of(run: str, started: float, seconds: float, tally: Tally, **more: Any) -> Figures:
    """The figures of a run that `tally` has counted so far; `more` are outcome, question and caps."""
    counts = {name: getattr(tally, name) for name in ("usd", "tokens", "model_calls", "tool_calls", "errors", "loops")}
    return Figures(run, started, more.pop("outcome", None), seconds, **counts, **more)


def recorded_figures(engine: Engine, run: str, limits: LimitSpec) -> Figures:
    """The figures of a recorded run or session, with the caps it was made with; `limits` where nobody knows them."""
    with engine.connect() as connection:
        row = dict(connection.execute(select(runs).where(runs.c.run == run)).mappings().one())
    caps = caps_of(_limits_of(engine, run) or limits) if row["origin"] == "run" else None
    more = {"outcome": row["outcome"], "question": row["question"], "caps": caps}
    return figures_of(run, row["started"], _seconds(row), Tally.from_text(row["tally"]), **more)


def measure(
    rules: Mapping[str, AlertRule], engine: Engine, this: Figures, at: float, only: Collection[str] | None = None
) -> list[Reading]:
    """What each rule reads at the time `at`, with the run `this`; those that have nothing to judge are left out."""
    readings = []
    for name, rule in rules.items():
        if only is not None and name not in only:
            continue
        window = window_of(rule.over) or ONE_RUN
        if window == ONE_RUN:
            reading = read_run(name, rule, this)
        else:
            reading = _read_window(name, rule, window, _in_window(engine, window, this, at))
        readings += [reading] if reading else []
    return readings


def read_run(name: str, rule: AlertRule, this: Figures) -> Reading | None:
    """A rule over one run; None for the share of a budget that the run does not have."""
    value, said = _of_run(rule, this)
    if value is None:
        return None
    return Reading(name, rule.when, value, rule.above, rule.over, f"{name}: run {this.run} {said}")


def _of_run(rule: AlertRule, this: Figures) -> tuple[float | None, str]:
    if rule.when == "budget_share":
        shares = {key: getattr(this, key) / cap for key, cap in (this.caps or {}).items()}
        key = max(shares, key=lambda name: shares[name], default="")
        said = f"has used {_percent(shares[key])} of limits.{key}, above {_percent(rule.above)}" if key else ""
        return shares.get(key), said
    value = float(getattr(this, rule.when))
    above = _amount(rule.when, rule.above)
    said = {"usd": "has cost", "seconds": "has taken", "errors": "has", "loops": "has"}.get(rule.when, "has made")
    said = "has used" if rule.when == "tokens" else said
    return value, f"{said} {_amount(rule.when, value, noun=True)}, above {above}"


def _read_window(name: str, rule: AlertRule, window: Window, rows: Sequence[Figures]) -> Reading | None:
    ended = [row for row in rows if row.outcome]
    if rule.when not in ("runs", "usd") and (not ended or len(ended) < window.runs):
        return None
    judged = ended if rule.when in ("failure_rate", "loop_rate", "seconds") else rows
    number = counted(len(judged), "runs")
    value, said = _of_window(
        rule.when, judged, f"{number} in the last {rule.over.removeprefix('1 ')}" if window.seconds else number
    )
    above = _percent(rule.above) if rule.when.endswith("_rate") else _amount(rule.when, rule.above)
    last = "" if window.seconds else f"over the last {rule.over}: "
    return Reading(name, rule.when, value, rule.above, rule.over, f"{name}: {last}{said}, above {above}")


def _of_window(metric: str, rows: Sequence[Figures], group: str) -> tuple[float, str]:
    """The value, and its sentence about the `group`."""
    if metric == "runs":
        return float(len(rows)), group
    if metric == "usd":
        total = round(sum(row.usd for row in rows), 9)
        return total, f"{group} cost {money(total)}"
    if metric == "seconds":
        slow = quantile([row.seconds for row in rows], 0.95) or 0.0
        return slow, f"{group} took up to {_amount('seconds', slow)} (95th percentile)"
    failing = metric == "failure_rate"
    hit = sum(row.outcome in FAILED if failing else row.loops > 0 for row in rows)
    said = f"{hit} of {group} {'failed' if failing else 'went in circles'}"
    return hit / len(rows), f"{said} ({_percent(hit / len(rows))})"


def _in_window(engine: Engine, window: Window, this: Figures, at: float) -> list[Figures]:
    """The runs of the window, `this` among them; of "N runs" only those that have ended."""
    wanted = select(*COLUMNS).where(runs.c.run != this.run, runs.c.started <= at)
    if window.runs:
        ended = wanted.where(runs.c.outcome.is_not(None))
        wanted = ended.order_by(runs.c.started.desc(), runs.c.run.desc()).limit(window.runs - 1)
    else:
        wanted = wanted.where(runs.c.started >= at - window.seconds)
    with engine.connect() as connection:
        rows = connection.execute(wanted).mappings().all()
    return [this, *(_of_row(dict(row)) for row in rows)]


def _of_row(row: dict[str, Any]) -> Figures:
    usd = row["usd"] if row["usd"] is not None else Tally.from_text(row["tally"]).usd  # unpriced: what is known of it
    return Figures(row["run"], row["started"], row["outcome"], _seconds(row), usd, loops=row["loops"])


def _seconds(row: Mapping[str, Any]) -> float:
    seconds = row["seconds"]
    return float(seconds if seconds is not None else max(0.0, (row["updated"] or row["started"]) - row["started"]))


def _limits_of(engine: Engine, run: str) -> LimitSpec | None:
    """The limits that stand in the run's first event; None when they were erased or are another version's."""
    try:
        (first,) = read_page(engine, run, limit=1)
        return LimitSpec(**json.loads(first.content["settings"] or "")["engine"]["limits"])
    except (KeyError, TypeError, ValueError):
        return None


def ended_as(this: Figures, outcome: str, seconds: float | None) -> Figures:
    return replace(this, outcome=outcome, seconds=this.seconds if seconds is None else seconds)


def _amount(metric: str, value: float, noun: bool = False) -> str:
    """$0.42 · 61.2 s · 12,000 tokens, or 12,000 without the noun"""
    if metric == "usd":
        return money(value)
    if metric == "seconds":
        return f"{figure(value)} s"
    nouns = {"tokens": "tokens", "model_calls": "model calls", "tool_calls": "tool calls", "errors": "failed calls"}
    return counted(value, nouns.get(metric, metric)) if noun else figure(value)


def _percent(share: float) -> str:
    """92 % · 80.5 %"""
    return f"{figure(round(share * 100, 1))} %"
