"""The command `pilotage alerts`: what has fired, and whether a rule would fire and its message arrive.

`test` judges a recorded run by the very function that the end of a run uses, by the rules of today; nothing is entered.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage import errors
from pilotage.errors import ConfigError, nearest
from pilotage.report import printable, say
from pilotage.terminal import Json, Set, open_journal, print_lines, settings_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotage.alerts.figures import Reading
    from pilotage.settings import Settings
    from pilotage.spec import AlertRule

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rules that tell you: what has fired, and try them.\n\nExample: pilotage alerts test --send",
)
Rules = Mapping[str, "AlertRule"]
PATIENCE = 180.0  # seconds: three attempts, and the waits that a server asks for


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the alerts that have fired, the newest first, and where each has arrived.

    Example: pilotage alerts list --limit 5
    """
    from pilotage.alerts.fired import fired_line, list_fired
    from pilotage.record.store import NoJournal

    try:
        rows = list_fired(open_journal(), limit)
    except NoJournal:
        rows = []
    print_lines(json.dumps(row, ensure_ascii=False) if as_json else fired_line(row) for row in rows)
    if not rows:
        say("no alert has fired yet")


@app.command("test")
def try_(
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Default: all of alerts.rules.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="A recorded run; default: the last.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send a marked message to each channel of the rules.")] = False,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Say which rules would fire on a recorded run, its value against theirs.

    With --send a message marked as a test goes to each channel: exit 1 when one did not arrive.

    Example: pilotage alerts test budget --run last --send
    """
    from pilotage.alerts.rules import check_alerts
    from pilotage.settings import located

    settings = settings_from(set_)
    with located(settings):
        check_alerts(settings.engine.alerts, os.environ)
    rules = _chosen(settings.engine.alerts.rules, rule)
    rows = _judged(settings, rules, run, or_none=send)
    print_lines(json.dumps(row, ensure_ascii=False) if as_json else _line(row) for row in rows)
    if send:
        sent = list(_sent(settings, rules, next((row["run"] for row in rows), None)))
        if not sent:
            say("no channel: nothing was sent (alerts.rules.NAME.to)")
        print_lines(json.dumps(row, ensure_ascii=False) if as_json else _sent_line(row) for row in sent)
        raise typer.Exit(errors.EXIT_OK if all(row["arrived"] for row in sent) else errors.EXIT_REJECTED)


def _chosen(rules: Rules, name: str | None) -> Rules:
    if name is None and not rules:
        raise ConfigError("There are no rules", hint="add one to alerts.rules in config/pilotage.yaml")
    if name is not None and name not in rules:
        hint = nearest(name, rules or ["(none)"])
        raise ConfigError(f'alerts.rules has no rule "{name}"', hint=hint)
    return rules if name is None else {name: rules[name]}


def _judged(settings: Settings, rules: Rules, name: str | None, *, or_none: bool) -> list[dict[str, Any]]:
    """A row for each rule; none when there is no run yet and that is allowed."""
    from pilotage.alerts.figures import measure, recorded_figures
    from pilotage.alerts.fired import quiet_until
    from pilotage.record.journal import find_run
    from pilotage.record.store import NoJournal, open_store

    try:
        engine = open_store(settings.store, create=False)
        found = find_run(engine, name or "last")
    except (NoJournal, ConfigError):
        if name or not or_none:
            raise
        say("no runs yet: nothing to judge")
        return []
    this = recorded_figures(engine, found, settings.engine.limits)
    at = this.started + this.seconds
    readings = {reading.rule: reading for reading in measure(rules, engine, this, at)}
    quiet = {key: quiet_until(engine, key, rule.cool_down) for key, rule in rules.items()}
    engine.dispose()
    return [_row(found, key, rules[key], readings.get(key), quiet[key]) for key in rules]


def _row(run: str, name: str, rule: AlertRule, reading: Reading | None, quiet: float) -> dict[str, Any]:
    said = reading.text if reading else f"{name}: nothing to judge: {_missing(rule)}"
    fires = bool(reading and reading.fires)
    return {
        "rule": name, "run": run, "fires": fires, "metric": rule.when, "value": reading.value if reading else None,
        "above": rule.above, "over": rule.over, "to": list(rule.to), "text": said if fires or not reading else "",
        "quiet_until": quiet if quiet > time.time() else None,
    }  # fmt: skip


def _missing(rule: AlertRule) -> str:
    if rule.when == "budget_share":
        return "the run has no caps"
    is_number = rule.over.rstrip().endswith(("run", "runs"))
    return f"fewer than {rule.over} have ended" if is_number else f"no run has ended in the last {rule.over}"


def _line(row: dict[str, Any]) -> str:
    return printable(_verdict(row))


def _verdict(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return f"quiet  {row['text']}"
    if not row["fires"]:
        return (
            f"quiet  {row['rule']}: {row['metric']} {row['value']:.6g}, not above {row['above']:g} (over {row['over']})"
        )
    pause = row["quiet_until"]
    later = time.strftime(" (but not before %Y-%m-%d %H:%M: cool_down)", time.localtime(pause)) if pause else ""
    return f"FIRES  {row['text']}  → {', '.join(row['to']) or 'the journal only'}{later}"


def _sent(settings: Settings, rules: Rules, run: str | None) -> Iterator[dict[str, Any]]:
    """A test message to each channel that the rules name, and what became of it."""
    from pilotage.alerts.delivery import Delivery, marked_message

    channels = list(dict.fromkeys(channel for rule in rules.values() for channel in rule.to))
    told: dict[str, str] = {}
    delivery = Delivery(settings.engine.alerts, settings.root, os.environ)
    delivery.send(
        marked_message(", ".join(rules), run), channels, lambda channel, reason: told.update({channel: reason})
    )
    if "webhook" in channels:
        say("waiting for the webhook …")
    delivery.close(PATIENCE)
    for channel in channels:
        reason = told.get(channel, f"no answer within {PATIENCE:g} s")
        yield {"channel": channel, "arrived": not reason, "reason": reason}


def _sent_line(row: dict[str, Any]) -> str:
    return f"{row['channel']}: {'arrived' if row['arrived'] else 'NOT delivered: ' + row['reason']}"
