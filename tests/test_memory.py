"""What a run must not leave in memory, over a few runs; benchmarks/bench_soak.py shows it over hundreds."""

from __future__ import annotations

import gc
from collections.abc import Callable

import crewai
import pytest
from pydantic import BaseModel

from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support import plays
from tests.support.chaos import Play, serve

QUESTION = "How many requests can one fault make?"


def run(load: Callable[..., Settings], play: Play) -> str:
    with serve(play) as server:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url, limits__retries=0)
        return run_crew(QUESTION, settings=settings).outcome


def count(kind: type) -> int:
    """How many there are; `isinstance` would wake the sleeping proxies of OpenAI's client."""
    gc.collect()
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def test_a_run_makes_no_types_that_stay(load: Callable[..., Settings]) -> None:
    for _ in range(3):
        assert run(load, plays.good) == "accepted"
    before = count(type(BaseModel))
    for _ in range(3):
        run(load, plays.good)
    assert count(type(BaseModel)) - before < 3  # one run would make three of OpenAI's anew


def test_a_crew_that_was_stopped_in_the_middle_of_a_task_is_let_go(load: Callable[..., Settings]) -> None:
    run(load, plays.good)
    before = count(crewai.Crew)
    for _ in range(3):
        assert run(load, plays.then(plays.good, plays.good, plays.overflow)) == "failed"
    run(load, plays.good)
    assert count(crewai.Crew) <= before + 1
