"""The command `pilotage loops`: recursive thought in traces and in recorded runs, by the very watch of a run.

A recorded run is judged by the thresholds it was made with, and with --set by today's. One whose contents were erased
cannot be judged again: what was recorded of it while it ran is listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage.errors import ConfigError
from pilotage.report import printable, say
from pilotage.terminal import Json, Set, open_journal, print_lines, settings_from, text_of

if TYPE_CHECKING:
    from pilotage.record.journal import Event
    from pilotage.settings import Settings
    from pilotage.spec import LoopSpec

FOUND = ("kind", "first_step", "stopped_at", "evidence")  # what is said of a loop


def loops(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.jsonl]", help='Rows {"id", "events": […]}; - reads stdin.')
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="A recorded run, or `last`.")] = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Find where agents go round in circles.

    A line of JSON for each row of a file; for a recorded run its nudges and its stop, or one line with --json.
    Exits 0 whether or not there is a loop.

    Example: pilotage loops --run last
    """
    if (file is None) == (run is None):
        raise ConfigError("Expected either a file or --run", hint="pilotage loops --run last")
    settings = settings_from(set_)
    if file is not None:
        shown = "stdin" if str(file) == "-" else str(file)
        print_lines(_lines_of_rows(_rows(text_of(file), shown), settings))
    elif run is not None:
        print_lines(_lines_of_run(run, settings, [item for item in set_ if item.startswith("loops.")], as_json))


def _lines_of_rows(rows: list[dict[str, Any]], settings: Settings) -> Iterator[str]:
    from pilotage.guard.loops import find_loop

    spec = settings.engine.loops.model_copy(update={"enabled": True})  # asked for here, whatever runs do
    for row in rows:
        verdict = find_loop(row["events"], spec)
        yield _line(row["id"], {key: getattr(verdict, key) for key in FOUND} if verdict else None)


def _lines_of_run(name: str, settings: Settings, overrides: Sequence[str], as_json: bool) -> Iterator[str]:
    from pilotage.record.journal import find_run, read_events

    if not name.strip():
        raise ConfigError("--run names no run", hint="`pilotage sessions` lists them; `last` is the newest")
    engine = open_journal()
    run = find_run(engine, name)
    events = list(read_events(engine, run))
    if any(text is None for event in events for text in event.content.values()):
        say(f"{run}: contents were erased; listed is what was recorded while it ran")
        found = _recorded(events)
    else:
        found = _judged(events, _thresholds(events, settings.engine.loops, overrides))
    stop = next((number for number, one in enumerate(found) if one["level"] == "stop"), len(found))
    if as_json:
        yield _line(run, found[stop] if stop < len(found) else None)
    else:
        shown = "{stopped_at:>4}  {level:<5} {kind}: {evidence}"
        yield from (printable(shown.format_map(one)) for one in found[: stop + 1])
        if not found:
            yield f"{run}: no loop"


def _thresholds(events: Sequence[Event], today: LoopSpec, overrides: Sequence[str]) -> LoopSpec:
    """Those that the run was made with; today's when some are given, or when the run's cannot be read."""
    from pydantic import ValidationError

    from pilotage.spec import LoopSpec

    try:
        recorded = json.loads(events[0].content["settings"] or "")["engine"]["loops"]
        own = LoopSpec(**{key: value for key, value in recorded.items() if key in LoopSpec.model_fields})
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, ValidationError):
        own = None
    if own and not overrides:
        return own
    if own != today:
        say("judged by the settings of today, not by those of the run")
    return today


def _judged(events: Sequence[Event], spec: LoopSpec) -> list[dict[str, Any]]:
    """What the watch has to say about the run, now."""
    from pilotage.guard.loops import Watch
    from pilotage.guard.steps import steps_of

    watch = Watch(spec.model_copy(update={"enabled": True}))
    verdicts = (watch.step(step) for event in events if (step := steps_of(event)))
    return [{key: getattr(verdict, key) for key in ("level", *FOUND)} for verdict in verdicts if verdict]


def _recorded(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What the watch had to say while the run went on. Its sentence may be among what was erased."""
    return [
        {
            "level": event.facts["level"],
            "kind": event.facts["rule"],
            "first_step": event.facts["first_step"],
            "stopped_at": event.facts.get("last_step", event.seq),
            "evidence": event.content["evidence"]
            or f"{event.facts['agent']}, from step {event.facts['first_step']} on",
        }
        for event in events
        if event.kind == "loop"
    ]


def _line(name: Any, found: dict[str, Any] | None) -> str:
    row = {"id": name, "loop": found is not None} | {key: found[key] if found else None for key in FOUND}
    return json.dumps(row, ensure_ascii=False)


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
