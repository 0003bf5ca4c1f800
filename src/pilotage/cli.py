"""The command line. Each command calls the very function that a run uses; data on stdout, talk on stderr.

CrewAI is imported by the commands that make runs only: the other commands answer at once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage import (
    __version__,
    cli_alerts,
    cli_cache,
    cli_checks,
    cli_cost,
    cli_eval,
    cli_grade,
    cli_loops,
    cli_record,
    cli_replay,
    cli_tape,
    errors,
)
from pilotage.cli_answer import answer, redacted
from pilotage.errors import ConfigError, PilotageError, shortened
from pilotage.report import printable, say
from pilotage.signals import STOPS, exit_code
from pilotage.terminal import Json, KnowledgeDir, Set, print_lines, settings_from

if TYPE_CHECKING:
    from pilotage.again import Again

app = typer.Typer(
    add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="CrewAI crews whose every answer is capped, checked against its sources, and on record.",
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pilotage {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None: ...


@app.command()
def run(
    question: Annotated[str | None, typer.Argument(help="Default: question in config/pilotage.yaml.")] = None,
    knowledge: KnowledgeDir = None,
    url: Annotated[
        list[str], typer.Option("--url", metavar="URL", help="A page to read first, and to cite; may be repeated.")
    ] = [],  # noqa: B006 (typer reads the default once)
    continue_: Annotated[
        str | None,
        typer.Option("--continue", metavar="RUN", help="Ask about the answer of this run; `last` is the newest."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask anew, whatever was answered before.")] = False,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer one question with the crew.

    Example: pilotage run "How do I stop an agent from looping?" --set limits.seconds=60

    Then: pilotage run --continue last "And who decides that?"
    """
    settings = settings_from(set_)
    again = _continued(continue_, question, settings)
    folder = knowledge or (again.knowledge if again else None)
    answer(question, settings, as_json=as_json, knowledge=folder, urls=url, fresh=fresh, again=again)


app.command("eval")(cli_eval.eval_)


@app.command()
def index(knowledge: KnowledgeDir = None) -> None:
    """Index the documents, vectors included.

    Runs do the same, but make the vectors of a large folder bit by bit behind them.

    Example: pilotage index --knowledge docs/
    """
    from pilotage import report
    from pilotage.evidence.knowledge import Knowledge

    settings = settings_from([])
    settings.runs.mkdir(parents=True, exist_ok=True)
    opened = Knowledge.open(
        knowledge or settings.knowledge, settings.runs / "index.sqlite", progress=report.progress_bar()
    )
    report.warn(opened.warnings)
    opened.embed_missing(progress=report.progress_bar())
    left = opened.pending
    say(f"{left:,} sentences have no vector" if left else "indexed, every sentence has its vector")
    opened.close()


@app.command()
def doctor(set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Show what is in force, and why.

    Models, keys, limits, stores and optional parts, and where each value comes from.

    Example: pilotage doctor
    """
    from pilotage.doctor import examine, lines

    report = examine(settings_from(set_))
    print_lines([json.dumps(report, ensure_ascii=False) if as_json else printable(lines(report), "\n\t")])
    raise typer.Exit(errors.EXIT_OK if report["ok"] else errors.EXIT_CONFIG)


FURTHER: tuple[Callable[..., None], ...] = (
    cli_tape.resume, cli_tape.fork, cli_tape.compare, cli_cost.cost,
    cli_record.sessions, cli_record.show, cli_record.export, cli_record.audit, cli_replay.replay,
    cli_loops.loops, cli_grade.grade, cli_checks.page, cli_checks.check_code, cli_checks.check_data,
)  # fmt: skip
for command in FURTHER:
    app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(cli_alerts.app, name="alerts")
app.add_typer(cli_cache.app, name="cache")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every PilotageError becomes its message, its hint and its exit code."""
    _open_streams()
    STOPS.install()
    STOPS.code = code = invoke(arguments)
    gc.freeze()  # else the interpreter's last collection walks all of CrewAI, for about a second
    sys.exit(code)


def invoke(arguments: list[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    STOPS.begin()
    try:
        code = app(arguments, standalone_mode=False)
    except PilotageError as error:
        say(printable(redacted(error.lines()), "\n"))
        return error.exit_code
    except KeyboardInterrupt:
        code = errors.EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line
            error.show()
            return errors.EXIT_CONFIG
        say(printable(traceback.format_exc().rstrip(), "\n"))
        say(printable(redacted(f"error: this is a bug: {type(error).__name__}: {error}"), "\n"))
        return errors.EXIT_FAILED
    if code == errors.EXIT_INTERRUPTED and STOPS.code is None:  # typer makes this of a Ctrl-C, and says nothing
        STOPS.code = code = exit_code(STOPS.number or signal.SIGINT)
        say("interrupted")
    return code if isinstance(code, int) else errors.EXIT_OK


def _continued(name: str | None, question: str | None, settings: Any) -> Again | None:
    """What a follow-up question goes on from; None for a question by itself."""
    if name is None:
        return None
    if not name.strip():
        raise ConfigError("--continue takes a run", hint='`last` is the newest: pilotage run --continue last "…"')
    if not (question or "").strip():
        raise ConfigError("--continue takes a question", hint='pilotage run --continue last "…"')
    from pilotage.again import follow_up
    from pilotage.record.store import open_store

    engine = open_store(settings.store, create=False)
    try:
        again = follow_up(engine, name, str(question))
    finally:
        engine.dispose()
    say(printable(redacted(f"follows up {again.parent}: {shortened(' '.join(again.earlier[-1].question.split()))}")))
    return again


def _open_streams() -> None:
    """A process may be started with stdout or stderr closed (`2>&-`): what it says there goes nowhere.

    The numbers are taken too, or the next file that is opened would be written to by whoever talks to stderr.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
