"""The watch in a run: a nudge is journalled and kept for its agent until its task ends, a stop ends the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.guard.limits import Ended, Meter
from pilotage.guard.looping import Looping
from pilotage.record.journal import Event, Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.spec import LimitSpec, LoopSpec

TOOLS = {"ann": ["search", "read_page"], "bob": ["search"]}


class Run:
    """A journal that is watched, and what agents do in it."""

    def __init__(self, journal: Journal, spec: LoopSpec) -> None:
        self.journal, self.meter = journal, Meter(LimitSpec(), journal)
        self.looping = Looping(spec, self.meter, journal, TOOLS)
        for agent in TOOLS:
            self.meter.begin_turn(agent, f"task of {agent}", max_iter=100, seconds=60)

    def search(self, agent: str = "ann", words: str = "retries", result: str = "Retries must have one owner.") -> None:
        content = {"arguments": {"query": words}, "result": result}
        self.journal.append("tool_call", content, agent=agent, task=f"task of {agent}", tool="search", seconds=0.1)

    def events(self, kind: str) -> list[Event]:
        return [event for event in read_events(self.journal.engine, self.journal.run) if event.kind == kind]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield lambda **keys: Run(Journal(engine, Redactor({})), LoopSpec(**keys))
    engine.dispose()


def test_the_third_equal_call_is_a_nudge_for_its_agent_alone(make: Callable[..., Run]) -> None:
    run = make()
    for _ in range(3):
        assert run.looping.nudges("ann") == []
        run.search()
    said = run.looping.nudges("ann")
    assert len(said) == 1
    assert "search" in said[0]
    assert "read_page" in said[0]
    assert run.looping.nudges("bob") == []
    assert run.meter.ended is None


def test_a_nudge_is_journalled_with_its_evidence(make: Callable[..., Run]) -> None:
    run = make()
    for _ in range(3):
        run.search()
    event = run.events("loop")[0]
    assert event.facts == {
        "rule": "repeat", "level": "nudge", "agent": "ann", "first_step": 1, "last_step": 3, "times": 3
    }  # fmt: skip
    assert 'query: "retries"' in str(event.content["evidence"])
    assert event.content["nudge"] == run.looping.nudges("ann")[0]
    assert event.content["evidence"]


def test_the_fifth_ends_the_run_as_limited(make: Callable[..., Run]) -> None:
    run = make()
    for _ in range(5):
        run.search()
    ended = run.meter.ended
    assert ended is not None
    assert ended.outcome == "limited"
    assert ended.reason.startswith("Run stopped: ann ")
    assert ended.reason.endswith("(loop: repeat, loops.stop)")
    assert "pilotage loops --run last" in ended.hint
    assert "loops.exempt in config/pilotage.yaml" in ended.hint
    levels = [event.facts["level"] for event in run.events("loop")]
    assert (levels[0], levels[-1], levels.count("stop")) == ("nudge", "stop", 1)
    limit = run.events("limit")[0].facts
    assert limit == {"limit": "loop", "value": 5, "cap": 5, "key": "loops.stop"}


def test_of_each_rule_an_agent_is_told_the_newest_nudge_alone(make: Callable[..., Run]) -> None:
    run = make(stop=50, stagnation=200, cycles=50)
    for words in ("one owner", "deadlines of runs", "citations"):
        for _ in range(3):
            run.search(words=words, result=f"What is said of {words} stands in the handbook, chapter nine.")
    for tool in ("read_page", "open"):
        for _ in range(3):
            content = {"arguments": {"page": tool}, "result": f"What {tool} has to show is the same as ever before."}
            run.journal.append("tool_call", content, agent="ann", task="task of ann", tool=tool, seconds=0.1)
    assert [event.facts["rule"] for event in run.events("loop")] == ["repeat"] * 5
    (said,) = run.looping.nudges("ann")
    assert "called open 3 times" in said


def test_a_stop_that_comes_late_names_the_key_that_put_it_off(make: Callable[..., Run]) -> None:
    run = make()
    for number in range(12):
        run.search(result="Retries must have one owner, or else they multiply.")
        run.search(
            words=f"chapter {'abcdefghijkl'[number] * 9}",
            result=f"It tells of {'mnopqrstuvwx'[number] * 9} and of nothing else at all.",
        )
    assert run.meter.ended is not None
    assert run.meter.ended.reason.endswith("(loop: repeat, loops.stagnation)")
    assert run.events("limit")[0].facts == {"limit": "loop", "value": 12, "cap": 12, "key": "loops.stagnation"}


def test_a_cycle_names_its_own_key(make: Callable[..., Run]) -> None:
    run = make(stop=50, nudge=40)
    for _ in range(12):
        run.search(words="one", result="[]")
        run.search(words="two owners", result="nothing found")
    assert run.meter.ended is not None
    assert run.meter.ended.reason.endswith("(loop: cycle, loops.cycles)")


def test_a_nudge_goes_with_its_task(make: Callable[..., Run]) -> None:
    run = make()
    for agent in TOOLS:
        for _ in range(3):
            run.search(agent, words=f"retries of {agent}")
    run.journal.append("task_ended", {"output": "{}"}, task="task of ann", agent="ann")
    assert run.looping.nudges("ann") == []
    assert len(run.looping.nudges("bob")) == 1


def test_when_it_is_off_nothing_is_watched(make: Callable[..., Run]) -> None:
    run = make(enabled=False)
    for _ in range(20):
        run.search()
    assert run.meter.ended is None
    assert run.events("loop") == []


def test_after_the_end_nothing_is_watched(make: Callable[..., Run]) -> None:
    run = make()
    run.meter.end(Ended("interrupted", "stopped by SIGINT"))
    for _ in range(9):
        run.search()
    assert run.events("loop") == []


def test_honest_work_is_left_alone(make: Callable[..., Run]) -> None:
    run = make()
    for number in range(30):
        run.search(
            words=f"chapter {number}",
            result=f"Chapter {number} is about {'abcdefghijklmnopqrstuvwxyz'[number % 26] * 9}.",
        )
    assert run.looping.nudges("ann") == []


def test_many_threads_that_journal_at_once_end_it_once(make: Callable[..., Run]) -> None:
    run, start = make(), threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(5):
            run.search()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert run.meter.ended is not None
    assert len(run.events("limit")) == 1
    assert 1 <= len([event for event in run.events("loop") if event.facts["level"] == "stop"]) <= 8


def test_a_secret_in_a_result_is_in_no_nudge(make: Callable[..., Run]) -> None:
    run = make()
    for _ in range(3):
        run.search(result="the key is sk-1234567890abcdefghijklmnop")
    said: Any = run.looping.nudges("ann") + [str(event.content) for event in run.events("loop")]
    assert not [text for text in said if "sk-1234567890" in text]
