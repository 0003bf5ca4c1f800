"""Sessions for the tests of the pages: two real runs that all of them look at, and journals written by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.outcome import Result
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.replay.fold import Folded, fold
from pilotage.run import run_crew
from pilotage.settings import Settings, load
from tests.conftest import lay_out
from tests.support.scripted import Scripted, Turn, calls, good

QUESTION = "How many requests can one fault make when retries are nested?"

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@dataclass(frozen=True)
class Recorded:
    """A project with a run that was accepted and one that went round in circles. Who changes it, copies it."""

    settings: Settings
    engine: Engine
    accepted: Result
    circling: Result

    @property
    def folded(self) -> Folded:
        return fold(self.engine, self.accepted.run)

    @property
    def in_circles(self) -> Folded:
        return fold(self.engine, self.circling.run)

    def copy(self, file: Path) -> Engine:
        """The same store, to be spoilt."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(file),))
        return open_store(file)


@functools.cache
def recorded(base: Path) -> Recorded:
    """The two runs, made once for all tests of a process, in a folder of `base`."""
    root = base / "recorded"
    lay_out(root)
    settings = load(root, {"limits.tool_calls": "8"})
    accepted, in_circles = _run(settings, good), _run(settings, circling)
    return Recorded(settings, open_store(settings.store), accepted, in_circles)


def _run(settings: Settings, play: Callable[[Turn], Any]) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotage.crew.Reader.for_question", lambda _question: Scripted(play).build())
        return run_crew(QUESTION, settings=settings)


def journal(engine: Engine, run: str | None = None) -> Journal:
    return Journal(engine, Redactor(), run)


def collected(engine: Engine, run: str = TRACE, *, title: str = "Where is order 7?", times: int = 2) -> Journal:
    """A session of another program: two kinds of call within an agent within a root, inner spans first."""
    book = journal(engine, run)
    book.append("run_started", {"question": title}, origin="otlp", model="", crew="shop", host="box")
    first = 1_795_000_000.0
    for turn in range(times):
        start = first + 1 + 2 * turn
        request = {"model": "m", "messages": [{"role": "user", "content": "where is order 7?"}]}
        book.append(
            "model_call", {"request": request, "answer": "I look it up.", "attributes": {"gen_ai.system": "x"}},
            agent="clerk", model="m", prompt_tokens=10, completion_tokens=5, usd="unpriced", seconds=1.0,
            span=f"{turn:015x}1", parent="a" * 16, start=start,
        )  # fmt: skip
        book.append(
            "tool_call", {"arguments": {"order": 7}, "result": "no such order was found in the books of this year"},
            agent="clerk", tool="lookup", seconds=0.5, span=f"{turn:015x}2", parent="a" * 16, start=start + 1,
        )  # fmt: skip
    ids = {"span": "a" * 16, "parent": "b" * 16, "start": first + 0.5, "seconds": 9.0}
    book.append("span", {"attributes": {}}, name="clerk", span_kind="agent", agent="clerk", **ids)
    book.append(
        "span", {"attributes": {}}, name="POST /ask", span_kind="span", span="b" * 16, start=first, seconds=10.0
    )
    return book


def long_run(engine: Engine, steps: int, run: str | None = None) -> Journal:
    """A run that goes on, with so many tool calls."""
    book = journal(engine, run)
    settings = {"engine": {"limits": {"tool_calls": steps}}}
    book.append("run_started", {"question": "How long?", "settings": settings, "warnings": []}, model="m", crew="c:c")
    book.append("task_started", {"context": ""}, task="t", agent="a")
    for number in range(steps):
        content = {"arguments": {"n": number}, "result": f"result {number}"}
        book.append("tool_call", content, agent="a", task="t", tool="count", seconds=0.001)
    return book


def hostile(engine: Engine) -> Journal:
    """A run whose every text and name is an attempt to write the page."""
    book, bad = journal(engine), HOSTILE
    settings = {"engine": {"limits": {"tool_calls": 5}}, bad: bad}
    start = {"question": bad, "settings": settings, "warnings": [bad]}
    book.append("run_started", start, model=bad, crew=bad, parent=bad, tags=[bad])
    book.append("task_started", {"context": bad}, task=bad, agent=bad)
    messages = [{"role": bad, "content": bad, "name": bad}]
    request = {"model": bad, "messages": messages, "tools": [{"function": {"name": bad, "description": bad}}]}
    who = {"agent": bad, "task": bad}
    book.append("model_call", {"request": request, "answer": bad}, model=bad, attempt=1, usd="unpriced", **who)
    passages = {"passages": [{"source": bad, "text": f"{bad} {bad}"}]}
    book.append("tool_call", {"arguments": {bad: bad}, "result": passages}, tool=bad, **who)
    book.append("tool_call", {"arguments": bad, "result": bad, "error": bad}, tool=bad, failed=True, **who)
    book.append("check", {"faults": [{"text": bad, "reason": bad}]}, check=bad, passed=False, **who)
    because = [{"source": bad, "quote": bad, "verdict": bad}]
    book.append("decision", {"text": bad, "reason": bad, "because": because}, who=bad, task=bad, what=bad)
    book.append("suspicious", {"excerpt": bad}, tool=bad, source=bad)
    loop = {"rule": bad, "level": "nudge", "agent": bad, "first_step": 4, "last_step": 5, "times": 2}
    book.append("loop", {"evidence": bad, "nudge": bad}, **loop)
    book.append("alert", {"text": bad}, rule=bad, metric=bad, value=1.0, above=0.5, over="run")
    cited = [{"n": 1, "source": bad, "quote": bad, "where": bad}]
    end = {"reason": bad, "answer": f"{bad} [1]", "citations": cited}
    book.append("run_ended", end, outcome="accepted", seconds=1.0, tokens=0, usd=0.0, model_calls=1, tool_calls=2)
    return book


def circling(turn: Turn) -> Any:
    """Asks nearly the same again and again."""
    again = ("please", "now")[turn.number % 2]
    return calls(("search_knowledge", {"query": f"who owns retries when nested retries multiply {again}"}))
