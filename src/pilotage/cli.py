"""The command line. Each command calls the very function that a run uses; data on stdout, talk on stderr.

CrewAI is imported by `run` and `eval` only: the other commands answer at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage import __version__, cli_alerts, cli_checks, cli_loops, cli_record, cli_replay, errors
from pilotage.errors import PilotageError
from pilotage.report import printable, say
from pilotage.signals import STOPS, exit_code
from pilotage.terminal import Json, KnowledgeDir, Set, print_lines, settings_from

if TYPE_CHECKING:
    from pilotage.outcome import Result

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
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer one question with the crew.

    Example: pilotage run "How do I stop an agent from looping?" --set limits.seconds=60
    """
    from pilotage import live, report
    from pilotage.run import run_crew

    def tell(result: Result) -> None:
        listener.close()
        if as_json:
            print_lines([json.dumps(result.as_json(), ensure_ascii=False)])
        else:
            report.print_result(result)
        STOPS.code = result.exit_code

    settings = settings_from(set_)
    _say_model(settings)
    with contextlib.closing(live.progress()) as listener:
        result = run_crew(
            question, settings=settings, knowledge=knowledge, urls=url, then=tell,
            listener=listener, progress=report.progress_bar(),
        )  # fmt: skip
    raise typer.Exit(result.exit_code)


@app.command("eval")
def eval_(
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines with id, question and, if known, answer and outcome.")
    ] = None,
    knowledge: KnowledgeDir = None,
    out: Annotated[Path | None, typer.Option(help="Write a line of JSON per question here.")] = None,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Exit 1 when a smaller share is right.")] = 0.0,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer many questions and count the outcomes.

    Each is a full crew run with its journal. Without --questions: the golden ones in tests/evals.

    Example: pilotage eval --questions questions.jsonl --knowledge docs/ --out answers.jsonl
    """
    from pilotage import report
    from pilotage.evals.score import GOLDEN, evaluate, read_questions

    settings = settings_from(set_)
    rows = read_questions(questions or settings.root / GOLDEN)
    _say_model(settings)
    card = evaluate(settings, rows, knowledge=knowledge, out=out, progress=report.progress_bar())
    print_lines([json.dumps(card.as_json()) if as_json else card.table()])
    raise typer.Exit(errors.EXIT_REJECTED if card.right < at_least else errors.EXIT_OK)


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
    cli_record.sessions, cli_record.show, cli_record.export, cli_record.audit, cli_replay.replay,
    cli_loops.loops, cli_checks.page, cli_checks.check_code, cli_checks.check_data,
)  # fmt: skip
for command in FURTHER:
    app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(cli_alerts.app, name="alerts")


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
        say(printable(_redacted(error.lines()), "\n"))
        return error.exit_code
    except KeyboardInterrupt:
        code = errors.EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line
            error.show()
            return errors.EXIT_CONFIG
        say(printable(traceback.format_exc().rstrip(), "\n"))
        say(printable(_redacted(f"error: this is a bug: {type(error).__name__}: {error}"), "\n"))
        return errors.EXIT_FAILED
    if code == errors.EXIT_INTERRUPTED and STOPS.code is None:  # typer makes this of a Ctrl-C, and says nothing
        STOPS.code = code = exit_code(STOPS.number or signal.SIGINT)
        say("interrupted")
    return code if isinstance(code, int) else errors.EXIT_OK


def _say_model(settings: Any) -> None:
    from pilotage.model.factory import READER, READER_NOTICE, model_name

    models = list(dict.fromkeys(model_name(settings, agent) for agent in settings.agents))
    say(READER_NOTICE if models == [READER] else f"model: {', '.join(models)}")
    say("loading …")


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


def _redacted(text: str) -> str:
    from pilotage.record.redact import Redactor

    return Redactor().text(text)
