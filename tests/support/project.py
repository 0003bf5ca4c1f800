"""A test's project: its YAML changed as a user would, and the events of its last run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pilotage.again import resume
from pilotage.outcome import Result
from pilotage.record.journal import Event, find_run, read_events
from pilotage.record.store import open_store
from pilotage.run import Runner
from pilotage.settings import Settings


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    """Let `edit` change the tree of a YAML file."""
    tree = yaml.safe_load(path.read_text("utf-8"))
    edit(tree)
    path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")


def events_of(settings: Settings) -> list[Event]:
    """The events of the last run, in order."""
    engine = open_store(settings.store, create=False)
    try:
        return list(read_events(engine, find_run(engine, "last")))
    finally:
        engine.dispose()


def resumed(settings: Settings, run: str) -> Result:
    """What comes of a run that stopped, gone on with."""
    runner = Runner(settings)
    try:
        again = resume(runner.engine, run)
        return runner.answer(again.question, again=again)
    finally:
        runner.close()
