"""Commands on recorded runs: sessions, show, export, audit."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pilotage import errors
from pilotage.errors import ConfigError, nearest
from pilotage.report import say
from pilotage.terminal import Json, Run, open_journal, print_lines, settings_from

OUTCOMES = (  # of runs, of sessions of other programs, and what a run without an end is
    "accepted", "unanswered", "rejected", "limited", "failed", "interrupted", "ended", "live", "lost",
)  # fmt: skip


def sessions(
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, the newest first.")] = 20,
    text: Annotated[str, typer.Option("--search", help="In the question, or the beginning of a run's id.")] = "",
    outcome: Annotated[str, typer.Option(help="accepted, unanswered, rejected, limited … or live, lost.")] = "",
    tag: Annotated[str, typer.Option(help="One of record.tags.")] = "",
    agent: Annotated[str, typer.Option(help="An agent's name.")] = "",
    model: Annotated[str, typer.Option(help="A model's name.")] = "",
    loop: Annotated[str, typer.Option(help="A rule of the loop detection, or any.")] = "",
    as_json: Json = False,
) -> None:
    """List the recorded runs, the newest first, live ones on top.

    Example: pilotage sessions --outcome limited --loop any
    """
    from pilotage.record.sessions import Search, find
    from pilotage.record.store import NoJournal
    from pilotage.views import session_line

    if outcome and outcome not in OUTCOMES:
        raise ConfigError(f'--outcome: no run ends as "{outcome}"', hint=nearest(outcome, OUTCOMES))
    search = Search(text=text, outcome=outcome, tag=tag, agent=agent, model=model, loop=loop, per_page=limit)
    try:
        rows = find(open_journal(), search).rows
    except NoJournal:
        rows = []
    print_lines(json.dumps(row, ensure_ascii=False) if as_json else session_line(row) for row in rows)
    if not rows:
        say("no such runs" if search != Search(per_page=limit) else "no runs yet")


def show(name: Run, as_json: Json = False) -> None:
    """Print a run, step by step.

    Tasks, model and tool calls, checks, decisions, each with its content shortened.

    Example: pilotage show last
    """
    from pilotage.record.journal import find_run, read_events
    from pilotage.views import event_lines

    engine = open_journal()
    events = read_events(engine, find_run(engine, name))
    print_lines(json.dumps(e.as_json(), ensure_ascii=False) if as_json else event_lines(e) for e in events)


def export(
    name: Run,
    html: Annotated[bool, typer.Option("--html", help="One HTML file that needs no server and no network.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One event per line, with content and hashes; the default.")
    ] = False,
) -> None:
    """Take a run away, with all content.

    Example: pilotage export last --html > session.html
    """
    if html and jsonl:
        raise ConfigError("--html and --jsonl are two files", hint="ask for one of them at a time")
    if html:
        from pilotage.record.journal import find_run
        from pilotage.replay.export import export_html

        engine = open_journal()
        print_lines([export_html(engine, find_run(engine, name))])
    else:
        show(name, as_json=True)


def audit(
    name: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Default: all runs.")] = None,
    as_json: Json = False,
) -> None:
    """Verify the hash chain of a run, or of all.

    Exit 1 when one is broken; the first broken event is named.

    Example: pilotage audit last
    """
    from pilotage.record.audit import audit as verify
    from pilotage.record.journal import find_run, list_runs
    from pilotage.record.store import NoJournal
    from pilotage.views import audit_line, sealed

    settings = settings_from([])
    try:
        engine = open_journal()
    except NoJournal:
        if name:
            raise
        say("no runs yet")
        return
    names = [find_run(engine, name)] if name else [row["run"] for row in list_runs(engine, limit=1_000_000)]
    reports = [verify(engine, run, sealed(settings.runs / run)) for run in names]
    print_lines(json.dumps(report.__dict__) if as_json else audit_line(report) for report in reports)
    raise typer.Exit(errors.EXIT_OK if all(report.ok for report in reports) else errors.EXIT_REJECTED)
