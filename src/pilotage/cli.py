"""The command line. Each command calls the very function that a run uses; data on stdout, talk on stderr.

CrewAI is imported by `run` and `eval` only: the other commands answer at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage import __version__, errors
from pilotage.errors import ConfigError, PilotageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pilotage.settings import Settings

app = typer.Typer(
    add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="CrewAI crews whose every answer is capped, checked against its sources, and on record.",
)  # fmt: skip

Json = Annotated[bool, typer.Option("--json", help="One JSON document (one per line for lists) on stdout.")]
Set = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. limits.seconds=20.")
]
KnowledgeDir = Annotated[
    Path | None, typer.Option("--knowledge", metavar="DIR", help="Documents to cite instead of knowledge/.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or `last`.")]


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
    from pilotage import report
    from pilotage.run import run_crew

    settings = _settings(set_)
    _say_model(settings)
    result = run_crew(
        question, settings=settings, knowledge=knowledge, urls=url,
        listener=report.progress_lines(), progress=report.progress_bar(),
    )  # fmt: skip
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    else:
        report.print_result(result)
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

    settings = _settings(set_)
    rows = read_questions(questions or settings.root / GOLDEN)
    _say_model(settings)
    card = evaluate(settings, rows, knowledge=knowledge, out=out, progress=report.progress_bar())
    print(json.dumps(card.as_json()) if as_json else card.table())
    raise typer.Exit(errors.EXIT_REJECTED if card.right < at_least else errors.EXIT_OK)


@app.command()
def sessions(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20, as_json: Json = False
) -> None:
    """List the recorded runs, the newest first.

    Example: pilotage sessions --limit 5
    """
    from pilotage.record.journal import list_runs
    from pilotage.record.store import NoJournal
    from pilotage.views import session_line

    try:
        rows = list_runs(_store(), limit)
    except NoJournal:
        rows = []
    _print_lines(json.dumps(row, ensure_ascii=False) if as_json else session_line(row) for row in rows)
    if not rows:
        print("no runs yet", file=sys.stderr)


@app.command()
def show(name: Run, as_json: Json = False) -> None:
    """Print a run, step by step.

    Tasks, model and tool calls, checks, decisions, each with its content shortened.

    Example: pilotage show last
    """
    from pilotage.record.journal import find_run, read_events
    from pilotage.views import event_lines

    engine = _store()
    events = read_events(engine, find_run(engine, name))
    _print_lines(json.dumps(e.as_json(), ensure_ascii=False) if as_json else event_lines(e) for e in events)


@app.command()
def export(
    name: Run,
    _jsonl: Annotated[bool, typer.Option("--jsonl", help="One event per line, with content and hashes.")] = True,
) -> None:
    """Take a run away, with all content.

    Example: pilotage export last --jsonl > run.jsonl
    """
    show(name, as_json=True)


@app.command()
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

    settings = _settings([])
    try:
        engine = _store()
    except NoJournal:
        if name:
            raise
        print("no runs yet", file=sys.stderr)
        return
    names = [find_run(engine, name)] if name else [row["run"] for row in list_runs(engine, limit=1_000_000)]
    reports = [verify(engine, run, sealed(settings.runs / run)) for run in names]
    _print_lines(json.dumps(report.__dict__) if as_json else audit_line(report) for report in reports)
    raise typer.Exit(errors.EXIT_OK if all(report.ok for report in reports) else errors.EXIT_REJECTED)


@app.command()
def index(knowledge: KnowledgeDir = None) -> None:
    """Index the documents, vectors included.

    Runs do the same, but make the vectors of a large folder bit by bit behind them.

    Example: pilotage index --knowledge docs/
    """
    from pilotage import report
    from pilotage.evidence.knowledge import Knowledge

    settings = _settings([])
    settings.runs.mkdir(parents=True, exist_ok=True)
    opened = Knowledge.open(
        knowledge or settings.knowledge, settings.runs / "index.sqlite", progress=report.progress_bar()
    )
    report.warn(opened.warnings)
    opened.embed_missing(progress=report.progress_bar())
    left = opened.pending
    print(f"{left:,} sentences have no vector" if left else "indexed, every sentence has its vector", file=sys.stderr)
    opened.close()


@app.command()
def page(
    target: Annotated[str, typer.Argument(metavar="URL|FILE", help="An address, or a file.html or file.html.gz.")],
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Read one page as an agent would.

    Prints its main text, title, date and links, under the settings of web and policy; what reads like orders is named.

    Example: pilotage page https://docs.python.org/3/library/csv.html --json
    """
    from pilotage.tools.look import look
    from pilotage.views import page_lines

    seen = look(target, _settings(set_))
    _print_lines([json.dumps(seen, ensure_ascii=False)] if as_json else page_lines(seen))


@app.command("check-code")
def check_code(
    file: Annotated[Path, typer.Argument(metavar="FILE.py", help="The code; - reads stdin.")],
    tests: Annotated[Path | None, typer.Option("--tests", metavar="FILE.py", help="Tests that decide.")] = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Run code in the sandbox that agents' code runs in.

    Exit 0 when it passed, 1 when it failed, ran out of time or was refused.

    Example: pilotage check-code solution.py --tests test_solution.py
    """
    from pilotage.sandbox import run_code
    from pilotage.tools.builtin import shown_run

    spec = _settings(set_).engine.code
    if tests is not None and (str(file) == str(tests) == "-" or not _text(tests).strip()):
        raise ConfigError(f"{tests} holds no tests", hint="write assert statements, or functions named test_…")
    seen = run_code(_text(file), _text(tests) if tests else "", spec=spec)
    if as_json:
        print(json.dumps(shown_run(seen), ensure_ascii=False))
    else:
        print(f"{seen.output.rstrip()}\n" if seen.output.strip() else "", end="")
        print(f"{seen.outcome}: {seen.reason}" if seen.reason else seen.outcome)
    raise typer.Exit(errors.EXIT_OK if seen.outcome == "passed" else errors.EXIT_REJECTED)


@app.command("check-data")
def check_data(
    file: Annotated[Path, typer.Argument(help="JSON, CSV or YAML, told by its ending; - reads stdin.")],
    schema: Annotated[str, typer.Option(help="A JSON Schema file, or a pydantic model as module:Class.")],
    format: Annotated[str | None, typer.Option(help="json, csv or yaml, when the ending does not tell.")] = None,
    as_json: Json = False,
) -> None:
    """Hold data against a schema, as the check `data` does.

    Exit 0 when it fits, 1 when it does not; each fault as path, found, expected.

    Example: pilotage check-data order.json --schema config/order.schema.json
    """
    from pilotage.checks.data import FORMATS, check_text, load_schema

    kind = format or {".yml": "yaml", "": "json"}.get(file.suffix.lower(), file.suffix.lower().lstrip("."))
    if kind not in FORMATS:
        raise ConfigError(f'{file}: "{kind}" is no format of data', hint=f"--format {', '.join(FORMATS)}")
    wanted = load_schema(schema, _settings([]).root, "--schema")
    faults = check_text(_text(file), kind, wanted)
    _print_lines(json.dumps(fault.__dict__, ensure_ascii=False) if as_json else str(fault) for fault in faults)
    if not faults and not as_json:
        print("fits")
    raise typer.Exit(errors.EXIT_REJECTED if faults else errors.EXIT_OK)


@app.command()
def doctor(set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Show what is in force, and why.

    Models, keys, limits, stores and optional parts, and where each value comes from.

    Example: pilotage doctor
    """
    from pilotage.doctor import examine, lines

    report = examine(_settings(set_))
    print(json.dumps(report, ensure_ascii=False) if as_json else lines(report))
    raise typer.Exit(errors.EXIT_OK if report["ok"] else errors.EXIT_CONFIG)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every PilotageError becomes its message, its hint and its exit code."""
    sys.exit(invoke(arguments))


def invoke(arguments: list[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        code = app(arguments, standalone_mode=False)
    except PilotageError as error:
        print(_redacted(error.lines()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        code = errors.EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line
            error.show()
            return errors.EXIT_CONFIG
        traceback.print_exc()
        print(_redacted(f"error: this is a bug: {type(error).__name__}: {error}"), file=sys.stderr)
        return errors.EXIT_FAILED
    if code == errors.EXIT_INTERRUPTED:  # typer makes this of a Ctrl-C, and says nothing
        print("interrupted", file=sys.stderr)
    return code if isinstance(code, int) else errors.EXIT_OK


def _settings(overrides: list[str]) -> Settings:
    from pilotage.settings import load

    pairs = {}
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f'--set takes KEY=VALUE, found "{item}"', hint="e.g. --set limits.seconds=60")
        pairs[key.strip()] = value
    return load(overrides=pairs)


def _text(file: Path) -> str:
    """A file's text, or stdin's for `-`. ConfigError when it cannot be read."""
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="name a file that is there") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text, first wrong byte at {error.start:,}") from None


def _store() -> Engine:
    from pilotage.record.store import open_store

    return open_store(_settings([]).store, create=False)


def _print_lines(lines: Iterable[str]) -> None:
    """Data on stdout; whoever reads it may stop reading (`| head`), which is no fault of ours."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere


def _say_model(settings: Any) -> None:
    from pilotage.model.factory import READER, READER_NOTICE, model_name

    models = list(dict.fromkeys(model_name(settings, agent) for agent in settings.agents))
    print(READER_NOTICE if models == [READER] else f"model: {', '.join(models)}", file=sys.stderr)
    print("loading …", file=sys.stderr, flush=True)


def _redacted(text: str) -> str:
    from pilotage.record.redact import Redactor

    return Redactor().text(text)
