"""The command `pilotage loops`: recursive thought in traces and in recorded runs, by the very watch of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage.errors import ConfigError
from pilotage.terminal import Json, Set, open_journal, print_lines, settings_from, text_of

if TYPE_CHECKING:
    from pilotage.guard.loops import Verdict
    from pilotage.settings import Settings


def loops(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.jsonl]", help='Rows {"id", "events": […]}; - reads stdin.')
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="A recorded run, or `last`.")] = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Find where agents go round in circles.

    A line of JSON for each row of a file; for a recorded run its nudges and stops, or one line with --json.

    Example: pilotage loops --run last
    """
    if (file is None) == (run is None):
        raise ConfigError("Expected either a file or --run", hint="pilotage loops --run last")
    settings = settings_from(set_)
    if file is not None:
        print_lines(_lines_of_rows(_rows(text_of(file), str(file)), settings))
    elif run is not None:
        print_lines(_lines_of_run(run, settings, as_json))


def _lines_of_rows(rows: list[dict[str, Any]], settings: Settings) -> Iterator[str]:
    from pilotage.guard.loops import find_loop

    spec = settings.engine.loops.model_copy(update={"enabled": True})  # asked for here, whatever runs do
    for row in rows:
        yield _line(row["id"], find_loop(row["events"], spec))


def _lines_of_run(name: str, settings: Settings, as_json: bool) -> Iterator[str]:
    from pilotage.guard.loops import Watch
    from pilotage.guard.steps import steps_of
    from pilotage.record.journal import find_run, read_events

    engine = open_journal()
    run = find_run(engine, name)
    spec = settings.engine.loops.model_copy(update={"enabled": True})
    watch = Watch(spec, {agent: one.tools for agent, one in settings.agents.items()})
    steps = (step for event in read_events(engine, run) if (step := steps_of(event)))
    verdicts = [verdict for step in steps if (verdict := watch.step(step))]
    if as_json:
        yield _line(run, next((verdict for verdict in verdicts if verdict.level == "stop"), None))
    else:
        yield from (
            f"{verdict.stopped_at:>4}  {verdict.level:<5} {verdict.kind}: {verdict.evidence}" for verdict in verdicts
        )
        if not verdicts:
            yield f"{run}: no loop"


def _line(name: Any, verdict: Verdict | None) -> str:
    found = {key: getattr(verdict, key, None) for key in ("kind", "first_step", "stopped_at", "evidence")}
    return json.dumps({"id": name, "loop": verdict is not None, **found}, ensure_ascii=False)


def _rows(text: str, file: str) -> list[dict[str, Any]]:
    """Each line that is not blank; ConfigError with file and line for one that is no trace."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise ConfigError(f"{file} holds no rows", hint='a row is {"id": …, "events": […]}')
    return [_row(line, f"{file}:{number}") for number, line in lines]


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place}: not JSON: {error}", hint="one JSON object per line") from None
    events = row.get("events") if isinstance(row, dict) else None
    if not isinstance(events, list):
        raise ConfigError(f'{place}: expected an object with "events", a list', hint="one JSON object per line")
    for number, event in enumerate(events):
        if not isinstance(event, dict) or not {"text", "name"} & event.keys():
            raise ConfigError(
                f"{place}: event {number} is neither a message nor a tool call",
                hint='a message has "agent" and "text", a tool call "agent", "name", "arguments" and "result"',
            )
    return {"id": row.get("id"), "events": events}
