"""What the sessions say over time: outcomes, time, tokens, cost, loops, failing checks, alerts; and what has fired."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, func, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pilotage.record.sessions import Bucket, statistics
from pilotage.record.store import alerts, runs
from pilotage.replay import formats
from pilotage.replay.charts import Chart, Series, Words, bars, lines
from pilotage.report import money

HOUR, DAY = 3_600, 86_400
COLOURS = {
    "accepted": 3, "unanswered": 1, "rejected": 5, "limited": 2, "failed": 6, "interrupted": 4, "ended": 7,
    "live": 9, "lost": 10, "other": 8,
}  # fmt: skip
MOST_SERIES = 7  # the rest is one series, "others"
PER_PAGE = 100


@dataclass(frozen=True)
class Range:
    """How far back, in buckets of which length."""

    name: str
    buckets: int
    width: int  # seconds

    def ending(self, now: float) -> tuple[float, float]:
        """From when to when, so that buckets begin at full hours or days (UTC)."""
        until = math.ceil(now / self.width) * self.width if self.width <= DAY else math.ceil(now / DAY) * DAY
        return until - self.buckets * self.width, until

    def label(self, start: float) -> str:
        when = datetime.fromtimestamp(start, UTC)
        return f"{when:%H:%M}" if self.buckets * self.width <= DAY else f"{when.day} {when:%b}{self._hour(when)}"

    def _hour(self, when: datetime) -> str:
        return f" {when:%H}h" if self.width < DAY else ""


RANGES = {
    "day": Range("24 hours", 24, HOUR),
    "week": Range("7 days", 28, 6 * HOUR),
    "month": Range("30 days", 30, DAY),
    "quarter": Range("90 days", 30, 3 * DAY),
    "year": Range("52 weeks", 52, 7 * DAY),
}


def show(request: Request) -> Response:
    """The page, for one of the ranges."""
    chosen = request.query_params.get("range", "month")
    span, now = RANGES.get(chosen, RANGES["month"]), time.time()
    buckets = statistics(request.app.state.engine, *span.ending(now), span.buckets, now)
    context = {
        "ranges": RANGES, "span": span, "whole": totals(buckets), "charts": charts(buckets, span),
    }  # fmt: skip
    answer: Response = request.app.state.templates.TemplateResponse(request, "statistics.html", context)
    return answer


@dataclass(frozen=True)
class Totals:
    """The whole range in figures; shares of outcomes are of the sessions that are over."""

    runs: int
    outcomes: dict[str, int]
    p50: float | None
    p95: float | None
    tokens: int
    usd: float
    unpriced: int
    looping: int
    alerts: int

    def share(self, *outcomes: str) -> float | None:
        over = _over(self.outcomes)
        return sum(self.outcomes.get(name, 0) for name in outcomes) / over if over else None

    @property
    def loop_rate(self) -> float | None:
        return self.looping / self.runs if self.runs else None


def _over(outcomes: Mapping[str, int]) -> int:
    return sum(count for name, count in outcomes.items() if name != "live")


def _known(outcomes: Mapping[str, int]) -> dict[str, int]:
    """The outcomes that have a colour; the words of other programs are counted together."""
    found: Counter[str] = Counter()
    for name, count in outcomes.items():
        found[name if name in COLOURS else "other"] += count
    return found


def totals(buckets: Sequence[Bucket]) -> Totals:
    whole = Bucket(0, seconds=[value for bucket in buckets for value in bucket.seconds])
    outcomes: Counter[str] = Counter()
    for bucket in buckets:
        outcomes.update(bucket.outcomes)
    return Totals(
        sum(bucket.runs for bucket in buckets), dict(outcomes), whole.quantile(0.5), whole.quantile(0.95),
        sum(bucket.tokens for bucket in buckets), sum(sum(bucket.usd.values()) for bucket in buckets),
        sum(bucket.unpriced for bucket in buckets), sum(bucket.looping for bucket in buckets),
        sum(bucket.alerts for bucket in buckets),
    )  # fmt: skip


def charts(buckets: Sequence[Bucket], span: Range) -> list[Chart]:
    labels = [span.label(bucket.start) for bucket in buckets]
    outcomes = [name for name in COLOURS if any(_known(bucket.outcomes).get(name) for bucket in buckets)]
    unpriced = sum(bucket.unpriced for bucket in buckets)
    return [
        bars("Sessions by outcome", labels, _outcomes(buckets, outcomes), COUNT, whole=True),
        bars("Outcomes, share of the sessions that are over", labels, _rates(buckets, outcomes), SHARE, most=1),
        lines("Time of a session", labels, [
            Series("p50", [bucket.quantile(0.5) for bucket in buckets], 1),
            Series("p95", [bucket.quantile(0.95) for bucket in buckets], 2),
        ], SECONDS, note="p50: half of the sessions took no longer; p95: 95 of 100"),
        bars("Tokens", labels, [Series("tokens", [bucket.tokens for bucket in buckets])], TOKENS),
        bars("Cost by model", labels, _grouped(buckets, lambda bucket: bucket.usd), MONEY,
             note=f"{formats.plural(unpriced, 'unpriced call')} not included" if unpriced else ""),
        bars("Share of sessions with a loop", labels, [Series("with a loop", _loop_rates(buckets), 2)], SHARE),
        bars("Failing checks", labels, _grouped(buckets, lambda bucket: bucket.failed_checks), COUNT,
             whole=True),
        bars("Alerts that fired", labels, [Series("alerts", [bucket.alerts for bucket in buckets], 6)], COUNT,
             whole=True),
    ]  # fmt: skip


def _outcomes(buckets: Sequence[Bucket], names: Iterable[str]) -> list[Series]:
    return [Series(name, [_known(b.outcomes).get(name, 0) for b in buckets], COLOURS[name]) for name in names]


def _rates(buckets: Sequence[Bucket], names: Iterable[str]) -> list[Series]:
    shares = [(_known(b.outcomes), _over(b.outcomes)) for b in buckets]
    return [
        Series(name, [known.get(name, 0) / over if over else None for known, over in shares], COLOURS[name])
        for name in names if name != "live"
    ]  # fmt: skip


def _loop_rates(buckets: Sequence[Bucket]) -> list[float | None]:
    return [bucket.looping / bucket.runs if bucket.runs else None for bucket in buckets]


def _grouped(buckets: Sequence[Bucket], of: Callable[[Bucket], dict[str, Any]]) -> list[Series]:
    """A series for each name, the largest first; those beyond MOST_SERIES together."""
    whole: Counter[str] = Counter()
    for bucket in buckets:
        whole.update(of(bucket))
    names = [name for name, value in whole.most_common() if value > 0]
    own, others = names[:MOST_SERIES], names[MOST_SERIES:]
    found = [Series(name, [of(b).get(name, 0) for b in buckets], n) for n, name in enumerate(own, 1)]
    if others:
        found.append(Series("others", [sum(of(b).get(name, 0) for name in others) for b in buckets], 8))
    return found


def _percent(value: float) -> str:
    return f"{value * 100:.3g} %"


def _rough_seconds(value: float) -> str:
    """0 s · 0.5 s · 90 s · 15 min · 2 h"""
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 7_200 else f"{value / 3600:.3g} h"


def _rough_tokens(value: float) -> str:
    """0 · 500 · 20k · 1.5M"""
    if value < 1_000:
        return f"{value:.3g}"
    return f"{value / 1000:.3g}k" if value < 1_000_000 else f"{value / 1_000_000:.4g}M"


COUNT = Words(formats.count, formats.count)
SECONDS = Words(formats.seconds, _rough_seconds)
TOKENS = Words(formats.tokens, _rough_tokens)
SHARE = Words(_percent, _percent)
MONEY = Words(money, money)


def show_alerts(request: Request) -> Response:
    """What has fired, the newest first, and the rules that are in force."""
    engine, rule = request.app.state.engine, request.query_params.get("rule", "")
    page = int(text) if (text := request.query_params.get("page", "1")).isdecimal() and len(text) < 8 else 1
    rows, total = fired(engine, rule, max(1, page))
    context = {
        "rows": rows, "total": total, "rule": rule, "page": max(1, page), "pages": max(1, -(-total // PER_PAGE)),
        "rules": request.app.state.settings.engine.alerts.rules, "names": _rules(engine),
    }  # fmt: skip
    answer: Response = request.app.state.templates.TemplateResponse(request, "alerts.html", context)
    return answer


def fired(engine: Engine, rule: str = "", page: int = 1) -> tuple[list[dict[str, Any]], int]:
    """One page of the alerts with the question of their run, and how many there are."""
    wanted = [alerts.c.rule == rule] if rule else []
    rows = (
        select(alerts, runs.c.question).join(runs, runs.c.run == alerts.c.run, isouter=True).where(*wanted)
        .order_by(alerts.c.at.desc(), alerts.c.id.desc()).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
    )  # fmt: skip
    with engine.connect() as connection:
        total = connection.execute(select(func.count()).select_from(alerts).where(*wanted)).scalar_one()
        found = [dict(row) for row in connection.execute(rows).mappings()]
    return [row | {"delivered": _delivered(row["delivered"])} for row in found], total


def _rules(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(alerts.c.rule).distinct().order_by(alerts.c.rule)).scalars())


def _delivered(text: str) -> list[tuple[str, bool, str]]:
    """Channel, whether it arrived, and why not."""
    try:
        tree = json.loads(text or "{}")
    except ValueError:
        return []
    return [(str(name), said is True, "" if said is True else str(said or "")) for name, said in tree.items()]


routes = [
    Route("/statistics", show, methods=["GET"]),
    Route("/alerts", show_alerts, methods=["GET"]),
]
