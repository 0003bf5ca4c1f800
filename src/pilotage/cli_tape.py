"""Commands that go on from a recorded run, and the one that shows where two runs part: resume, fork, compare."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage import errors
from pilotage.cli_answer import answer, redacted
from pilotage.report import printable, say
from pilotage.terminal import Json, Run, Set, open_journal, print_lines, settings_from

if TYPE_CHECKING:
    from pilotage.again import Again
    from pilotage.settings import Settings

MOST_KEYS = 12  # settings that are named
Repeat = Annotated[
    list[str], typer.Option("--repeat", metavar="TOOL", help="Make the call again of which nobody knows the end.")
]
RepeatAll = Annotated[
    list[str], typer.Option("--repeat", metavar="TOOL", help="This tool may do again what it has done already.")
]
Done = Annotated[
    list[str], typer.Option("--done", metavar="TOOL", help="The call of this tool that was under way was done.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Nothing from the caches; the tape is served all the same.")]


def resume(
    name: Run,
    repeat: Repeat = [],  # noqa: B006 (typer reads the default once)
    done: Done = [],  # noqa: B006
    force: Annotated[
        bool, typer.Option("--force", help="Also when it seems to go on, or was resumed already.")
    ] = False,
    fresh: Fresh = False,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped: by a limit, a fault, Ctrl-C, or a crash.

    What it has asked and done comes from its record and costs nothing; what is missing is done now, as a new run.

    Example: pilotage resume last --set limits.seconds=600
    """
    from pilotage import again

    settings = settings_from(set_)
    engine = _open(settings)
    try:
        found = again.resume(engine, name, repeat=repeat, done=done, force=force)
        _say_tape(found, settings, engine)
    finally:
        engine.dispose()
    _go_on(found, settings, fresh, as_json)


def fork(
    name: Run,
    at: Annotated[int, typer.Option("--at", metavar="STEP", help="The event from which on all is done anew.")],
    question: Annotated[str | None, typer.Option(help="Another question from there on.")] = None,
    repeat: RepeatAll = [],  # noqa: B006
    done: Done = [],  # noqa: B006
    fresh: Fresh = False,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Go another way from one step of a run.

    What was asked and done before that step comes from its record and costs nothing, whatever the settings are now.

    Example: pilotage fork last --at 14 --set model.name=openai/gpt-4o
    """
    from pilotage import again

    settings = settings_from(set_)
    engine = _open(settings)
    try:
        found = again.fork(engine, name, at, question=question, repeat=repeat, done=done)
        _say_tape(found, settings, engine)
    finally:
        engine.dispose()
    _go_on(found, settings, fresh, as_json)


def compare(
    a: Run,
    b: Run,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when answers or outcomes differ.")] = False,
    as_json: Json = False,
) -> None:
    """Show where two runs part.

    The first step that differs, and in what; outcome, answer, tokens, cost and settings side by side.

    Example: pilotage compare 20261123-084501-3f9a2c last
    """
    from pilotage import views_compare
    from pilotage.compare import compare as compare_runs
    from pilotage.record.journal import find_run

    engine = open_journal()
    found = compare_runs(engine, find_run(engine, a), find_run(engine, b))
    if as_json:
        print_lines([json.dumps(found.as_json(), ensure_ascii=False)])
    elif sys.stdout.isatty():
        views_compare.print_table(found)
    else:
        print_lines(views_compare.lines(found))
    raise typer.Exit(errors.EXIT_REJECTED if check and not found.same else errors.EXIT_OK)


def _open(settings: Settings) -> Any:
    from pilotage.record.store import open_store

    return open_store(settings.store, create=False)


def _go_on(again: Again, settings: Settings, fresh: bool, as_json: bool) -> None:
    answer(
        again.question, settings, as_json=as_json, again=again, fresh=fresh, urls=again.urls, knowledge=again.knowledge
    )


def _say_tape(again: Again, settings: Settings, engine: Any) -> None:
    """What comes from the tape, from where it is live, and what is set otherwise than then."""
    from pilotage.again import FORK
    from pilotage.compare import changed_since
    from pilotage.run import shown_settings

    tape = again.tape
    assert tape is not None
    calls = f"{_count(tape.model_calls, 'model call')} and {_count(tape.tool_calls, 'tool call')}"
    live = f"event {again.step}" if again.how == FORK else f"event {tape.length + 1}"
    say(printable(f"{calls} from the tape of {again.parent}; from {live} live"))
    keys = changed_since(engine, again.parent, shown_settings(settings))
    if not keys:
        return
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    then = "" if again.how == FORK else "; a call whose request changes with it is made again"
    say(printable(redacted(f"set otherwise than then: {', '.join(keys[:MOST_KEYS])}{more}{then}")))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
