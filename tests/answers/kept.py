"""What the tests of kept answers share: a run in one call, entries made up, and a likeness that a test decides."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pilotage.answers.entry import Entry, Source
from pilotage.answers.likeness import Likeness
from pilotage.answers.store import NAME, Store
from pilotage.outcome import Result
from pilotage.record.journal import Event
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.project import events_of

QUESTION = "How many requests can one fault make when retries are nested?"
PARAPHRASE = "When retries are nested, how many requests can come of a single fault?"
OTHER = "After how many seconds does a deadline stop the run?"


def ask(settings: Settings, question: str = QUESTION, **more: Any) -> Result:
    return run_crew(question, settings=settings, **more)


def events(settings: Settings, kind: str) -> list[Event]:
    """Those of the last run."""
    return [event for event in events_of(settings) if event.kind == kind]


def is_served(settings: Settings) -> bool:
    """Whether the last run was answered with what an earlier one has said."""
    return bool(events(settings, "answered"))


def kept(settings: Settings) -> list[Entry]:
    """The newest first."""
    if not (settings.runs / NAME).exists():
        return []
    store = Store(settings.runs / NAME)
    try:
        return store.listed()
    finally:
        store.close()


def all_alike(monkeypatch: pytest.MonkeyPatch, *, hit: bool = True) -> None:
    """Every two questions that lie near each other ask the same, or none."""

    def judge(_old: str, _new: str, _embedder: Any, *, cosine: float) -> Likeness:
        return Likeness(hit, 0.9, "says the test")

    monkeypatch.setattr("pilotage.answers.serving.compare", judge)


def entry(number: int = 0, **changes: Any) -> Entry:
    made = Entry(
        scope="s" * 64, question=f"Question {number}?", answer=f"Answer {number} [1].",
        citations=[{"n": 1, "source": "a.md#1", "quote": "q", "where": "a.md, line 1"}],
        sources=[Source("a.md#1", "0" * 64)], known=["a.md#1"], edition="e.1.1", run=f"run-{number}", at=time.time(),
        model="reader", usd=0.5, tokens=10, seconds=2.0,
    )  # fmt: skip
    return replace(made, **changes)


def vector(number: int, size: int = 384) -> Any:
    """A vector of length 1, another one for each number."""
    row = np.random.default_rng(number).standard_normal(size).astype(np.float32)
    return row / np.linalg.norm(row)
