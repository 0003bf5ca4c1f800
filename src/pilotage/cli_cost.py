"""The command `cost`: what was spent, as a table or as one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pilotage.errors import ConfigError
from pilotage.report import money, one_line, say
from pilotage.terminal import Json, open_journal, print_lines

if TYPE_CHECKING:
    from pilotage.costs import Costs
    from pilotage.record.tally import Use

COLUMNS = ("calls", "served", "prompt", "cached", "completion", "reasoning", "usd", "unpriced", "saved")


def cost(
    by: Annotated[str, typer.Option("--by", metavar="agent|model|task|day|tag", help="What the rows are.")] = "model",
    since: Annotated[str, typer.Option(help="A day such as 2026-11-01, or 7d, 24h, 30m ago.")] = "",
    until: Annotated[str, typer.Option(help="As --since; a day is included.")] = "",
    as_json: Json = False,
) -> None:
    """Add up what was spent: calls, tokens and US dollars.

    Calls that nobody prices are counted apart, and are in no sum. Days are those of UTC.

    Example: pilotage cost --by day --since 7d
    """
    from pilotage.costs import Costs, check_group, costs, moment
    from pilotage.record.store import NoJournal

    check_group(by)
    begin, end = moment(since) if since else None, moment(until, end=True) if until else None
    if begin is not None and end is not None and begin >= end:
        raise ConfigError(f"--since {since} is not before --until {until}")
    try:
        found = costs(open_journal(), by, begin, end)
    except NoJournal:
        found = Costs(by, begin, end)
    if as_json:
        print_lines([json.dumps(found.as_json(), ensure_ascii=False)])
    elif found.total.calls or found.total.served:
        print_lines(table(found))
    if not found.runs:
        say("no runs yet" if begin is None and end is None else "no runs in that time")
    elif not as_json and not (found.total.calls or found.total.served):
        say("no model calls yet")


def table(found: Costs) -> list[str]:
    """The rows under their heading, a total last; names on the left, figures on the right."""
    rows = [[found.by, *COLUMNS], *([one_line(name), *_cells(use)] for name, use in found.rows.items())]
    rows.append(["total", *_cells(found.total)])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _cells(use: Use) -> list[str]:
    figures = (use.calls, use.served, use.prompt, use.cached, use.completion, use.reasoning)
    usd = money(use.usd) if use.calls > use.unpriced or not use.calls else money(None)
    saved = money(None if use.saved_unpriced and use.saved_unpriced == use.served else use.saved_usd)
    return [*(f"{number:,}" for number in figures), usd, f"{use.unpriced:,}", saved]
