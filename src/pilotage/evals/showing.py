"""Scorecards for people: a terminal's table and Markdown, one column a model, each figure with its 95 % interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pilotage.evals.comparing import Changes, Comparison
from pilotage.evals.estimates import RESAMPLES, SEED, Estimate
from pilotage.evals.score import Scorecard

Format = Literal["table", "markdown", "json"]
FIGURES = {
    "right": "right", "cited": "cited", "rightly unanswered": "rightly_unanswered", "wrong accepted": "wrong_accepted",
}  # fmt: skip
AMOUNTS = {
    "seconds, median": ("seconds_median", "{:.3f}"), "seconds, p95": ("seconds_p95", "{:.3f}"),
    "tokens a run": ("tokens_mean", "{:,.0f}"),
}  # fmt: skip
BY_KIND = ("right", "wrong_accepted", "pass_hat_k")
NONE = "–"
NAMED = 10  # questions that were not compared


@dataclass(frozen=True)
class Table:
    header: list[str]
    rows: list[list[str]]

    def text(self) -> Iterator[str]:
        lines = [self.header, *self.rows] if any(self.header) else self.rows
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        for line in lines:
            yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()

    def markdown(self) -> Iterator[str]:
        yield _row(self.header)
        yield _row(["---"] * len(self.header))
        yield from map(_row, self.rows)


def lines_of(
    cards: Sequence[Scorecard], comparisons: Sequence[Comparison] = (), format_: Format = "table"
) -> list[str]:
    """The figures, those by kind, what was compared, and how the intervals were made."""
    tables = [_figures(cards), *[_by_kind(card, len(cards) > 1) for card in cards if card.kinds]]
    lines: list[str] = []
    for table in tables:
        lines += [*(table.markdown() if format_ == "markdown" else table.text()), ""]
    bullet = "- " if format_ == "markdown" else ""
    for comparison in comparisons:
        lines += [f"{bullet}{line}" for line in _compared(comparison)] + [""]
    return [*lines, _method(cards)]


def _figures(cards: Sequence[Scorecard]) -> Table:
    tried = _tried(cards)
    rows: list[list[str]] = [["questions", *map(_asked, cards)]]
    for outcome in sorted({outcome for card in cards for outcome in card.outcomes}):
        rows += [[f"  {outcome}", *(f"{card.outcomes.get(outcome, 0):,}" for card in cards)]]
    for name, key in FIGURES.items():
        rows += [[name, *(share(card.shares[key]) for card in cards)]]
    for k in tried:
        rows += [[f"pass^{k}", *(share(card.pass_all[k - 1]) for card in cards)]]
    for k in tried[-1:]:
        rows += [[f"pass@{k}", *(share(card.pass_any[k - 1]) for card in cards)]]
    for name, (key, form) in AMOUNTS.items():
        rows += [[name, *(_amount(card.amounts[key], form) for card in cards)]]
    rows += [["usd a run", *map(_dollars_a_run, cards)]]
    rows += [["tokens", *(f"{card.tokens:,}" for card in cards)]]
    rows += [["usd", *("unpriced" if card.usd is None else f"${card.usd:.4f}" for card in cards)]]
    return Table(["", *(card.model for card in cards)], rows)


def _tried(cards: Sequence[Scorecard]) -> list[int]:
    """The k to show: 2, 4, 8, … and the largest one that some question was asked."""
    most = max((tally.asked for card in cards for tally in card.tallies), default=1)
    most = min(most, min(card.times for card in cards))
    return [k for k in range(2, most + 1) if k == most or k.bit_count() == 1]


def _by_kind(card: Scorecard, is_named: bool) -> Table:
    names = ["right", "wrong accepted", *([f"pass^{card.times}"] if card.times > 1 else [])]
    rows = [[kind, *(share(found[key]) for key in BY_KIND[: len(names)])] for kind, found in card.kinds.items()]
    return Table([f"kind, {card.model}" if is_named else "kind", *names], rows)


def _compared(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.after} against {comparison.before}, {comparison.paired} questions"
    yield f"right: {_split(comparison.right)}"
    yield f"wrong accepted: {_split(comparison.wrong_accepted)}"
    for what, names in (
        ("better", comparison.right.up), ("worse", comparison.right.down),
        ("wrong accepted now", comparison.wrong_accepted.up), ("no longer", comparison.wrong_accepted.down),
    ):  # fmt: skip
        for name in names:
            was, now = comparison.turned[name]
            yield f"{what}: {name}" + (f" ({was} → {now})" if was != now else "")
    if comparison.left_out:
        named = ", ".join(comparison.left_out[:NAMED]) + (" …" if len(comparison.left_out) > NAMED else "")
        yield f"not compared, on one side only or reworded: {len(comparison.left_out)} ({named})"


def _split(changes: Changes) -> str:
    """`3 up, 1 down, p = 0.63 (chance)`"""
    verdict = "more than chance" if changes.is_significant else "may be chance"
    return f"{len(changes.up)} up, {len(changes.down)} down, p = {changes.p:.3g} ({verdict})"


def _method(cards: Sequence[Scorecard]) -> str:
    if all(card.times == 1 for card in cards):
        how = "Wilson for shares, bootstrap over questions for the rest"
    else:
        how = "bootstrap over questions, Wilson where each question counts once or all agree"
    return f"Intervals: 95 %, {how} ({RESAMPLES:,} resamples, seed {SEED})."


def _asked(card: Scorecard) -> str:
    times = f" × {card.times} = {card.attempts:,} runs" if card.times > 1 else ""
    return f"{card.questions:,}{times}" + (", interrupted" if card.interrupted else "")


def share(estimate: Estimate) -> str:
    """`79.2% [59.5, 90.8] of 24`"""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return NONE
    return f"{estimate.value:.1%} [{estimate.low * 100:.1f}, {estimate.high * 100:.1f}] of {estimate.of:,}"


def _amount(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return NONE
    value, low, high = (form.format(number) for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _dollars_a_run(card: Scorecard) -> str:
    return "unpriced" if card.usd is None else _amount(card.amounts["usd_mean"], "${:.5f}")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"
