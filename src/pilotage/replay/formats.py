"""How figures are written on the pages: money, seconds, tokens, times, shares. Made for Jinja, usable without it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pilotage import report

LEAST = 0.0001  # US dollars that a page still shows
OUTCOMES = {
    "accepted": "every sentence cited and checked",
    "unanswered": "the evidence does not say",
    "rejected": "the checks did not let it pass",
    "limited": "a cap was reached",
    "failed": "a provider or a tool failed",
    "interrupted": "stopped by a signal",
    "ended": "a session of another program, ended",
    "live": "it goes on",
    "lost": "it ended without a word",
}


def seconds(value: float | None) -> str:
    """40 ms · 1.5 s · 42 s · 2 min 05 s · 1 h 02 min · – for what nobody knows"""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def tokens(value: float | None) -> str:
    """1,234 · 12.3k · 4.56M · – for what nobody knows"""
    if value is None:
        return "–"
    if value < 10_000:
        return f"{value:,.0f}"
    return f"{value / 1000:,.1f}k" if value < 999_950 else f"{value / 1_000_000:,.2f}M"


def money(usd: float | None) -> str:
    """As in the terminal, but no longer than `<$0.0001`: `exact_money` has the rest."""
    return f"<${LEAST}" if usd is not None and 0 < usd < LEAST else report.money(usd)


def exact_money(usd: float | None) -> str:
    """What `money` does not say; empty when it says everything."""
    return report.money(usd) if money(usd) != report.money(usd) else ""


def plural(value: float, what: str) -> str:
    """1 alert · 2 alerts · 1 unpriced call"""
    return f"{count(value)} {what}{'' if value == 1 else 's'}"


def titled(question: str | None, run: str) -> str:
    """What a session is called: its question, or its id when that shows nothing."""
    shown = (question or "").strip()
    return shown if any(letter.isprintable() and not letter.isspace() for letter in shown) else run


def count(value: float | None) -> str:
    """12,345 · – for what nobody knows"""
    return "–" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """12.3 % of 0.123"""
    return "–" if value is None else f"{value * 100:.1f} %"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def clock(at: float) -> str:
    """23 Nov 2026, 12:36:42 UTC"""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b %Y, %H:%M:%S} UTC"


def short_clock(at: float) -> str:
    """23 Nov, 12:36, in UTC"""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b, %H:%M}"


FILTERS: dict[str, Any] = {
    "money": money, "seconds": seconds, "tokens": tokens, "count": count, "share": share,
    "iso": iso, "clock": clock, "short_clock": short_clock, "exact_money": exact_money, "plural": plural,
    "titled": titled,
}  # fmt: skip
