"""Imports CrewAI without its side effects: nothing in the home folder, nothing on the terminal, nothing phoned home.

At import CrewAI 1.15 makes ~/.config/crewai and ~/.local/share/crewai/credentials/secret.key (crewai_core, no setting
turns that off); for that moment its home is runs/crewai. tests/test_quiet.py tells when that is no longer needed.
"""

from __future__ import annotations

import contextlib
import contextvars
import gc
import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

HOMES = ("HOME", "USERPROFILE", "LOCALAPPDATA")
LOGGERS = ("crewai", "crewai_core", "httpx", "openai", "opentelemetry", "chromadb")


def import_crewai(runs: Path) -> None:
    """Import CrewAI with its files below `runs`; does nothing when it is imported already."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_crewais)  # it also calls logging.error itself; failures are ours to report
    home = runs / "crewai"
    os.environ.setdefault("CREWAI_STORAGE_DIR", str(home))
    if "crewai" in sys.modules:
        return
    home.mkdir(parents=True, exist_ok=True)
    with _home_at(home):
        import crewai  # noqa: F401
    gc.freeze()  # what an import has made stays: the collector need not walk all of CrewAI in each run


def _not_crewais(record: logging.LogRecord) -> bool:
    return "crewai" not in Path(record.pathname).parts


@contextlib.contextmanager
def _home_at(folder: Path) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in HOMES}
    os.environ.update(dict.fromkeys(HOMES, str(folder)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def lasting_context() -> contextvars.Context:
    """What the contexts of all runs are copied from, so that they share the types that pydantic generates.

    pydantic 2.12 keeps those in a context variable: with an empty context, each run would make the types of OpenAI's
    structured answers anew, and OpenAI's client keeps them for ever (0.3 MB a run).
    """
    from pydantic import BaseModel

    T = TypeVar("T")

    class Some(BaseModel, Generic[T]):
        it: T

    context = contextvars.Context()
    context.run(lambda: Some[int])
    return context
