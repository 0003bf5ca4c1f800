"""Commands that do by themselves what a run does inside: page, check-code, check-data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pilotage import errors
from pilotage.errors import ConfigError
from pilotage.report import printable
from pilotage.terminal import Json, Set, print_lines, settings_from, text_of


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

    seen = look(target, settings_from(set_))
    print_lines([json.dumps(seen, ensure_ascii=False)] if as_json else page_lines(seen))


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

    spec = settings_from(set_).engine.code
    if tests is not None and (str(file) == str(tests) == "-" or not text_of(tests).strip()):
        raise ConfigError(f"{tests} holds no tests", hint="write assert statements, or functions named test_…")
    seen = run_code(text_of(file), text_of(tests) if tests else "", spec=spec)
    if as_json:
        print_lines([json.dumps(shown_run(seen), ensure_ascii=False)])
    else:
        said = [printable(seen.output.rstrip(), "\n\t")] if seen.output.strip() else []
        print_lines([*said, printable(f"{seen.outcome}: {seen.reason}" if seen.reason else seen.outcome)])
    raise typer.Exit(errors.EXIT_OK if seen.outcome == "passed" else errors.EXIT_REJECTED)


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
    wanted = load_schema(schema, settings_from([]).root, "--schema")
    faults = check_text(text_of(file), kind, wanted)
    print_lines(
        json.dumps(fault.__dict__, ensure_ascii=False) if as_json else printable(str(fault)) for fault in faults
    )
    if not faults and not as_json:
        print_lines(["fits"])
    raise typer.Exit(errors.EXIT_REJECTED if faults else errors.EXIT_OK)
