"""What the commands share: their options, reading settings and files, printing data on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilotage.errors import ConfigError
from pilotage.report import discard

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pilotage.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document (one per line for lists) on stdout.")]
Set = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. limits.seconds=20.")
]
KnowledgeDir = Annotated[
    Path | None, typer.Option("--knowledge", metavar="DIR", help="Documents to cite instead of knowledge/.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or `last`.")]


def settings_from(overrides: list[str]) -> Settings:
    from pilotage.settings import load

    pairs = {}
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f'--set takes KEY=VALUE, found "{item}"', hint="e.g. --set limits.seconds=60")
        pairs[key.strip()] = value
    return load(overrides=pairs)


def text_of(file: Path) -> str:
    """A file's text, or stdin's for `-`. ConfigError when it cannot be read."""
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="name a file that is there") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text, first wrong byte at {error.start:,}") from None


def open_journal() -> Engine:
    from pilotage.record.store import open_store

    return open_store(settings_from([]).store, create=False)


def print_lines(lines: Iterable[str]) -> None:
    """Data on stdout; whoever reads it may stop reading (`| head`), which is no fault of ours."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
