"""Rounds: when another one begins, what its first task is told, and which round stands in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.checks.established import Evidence
from pilotage.checks.gate import Gate
from pilotage.checks.results import Explanation, Finding, Findings, Verdict, Verdicts
from pilotage.checks.rounds import NewRound, Rounds, Short
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.prompts import defaults
from pilotage.record.journal import Event, Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.spec import LimitSpec

TASKS = ("research", "verify", "explain")
TEXT = "Retries must have one owner. One fault makes 27 requests."
FOUND = Finding(claim="One owner.", quote="Retries must have one owner.", source="a.md#1")
OTHER = Finding(claim="27 requests.", quote="One fault makes 27 requests.", source="a.md#1")


class Table:
    """The rounds of a run that has one search behind it, and the gates of its tasks."""

    def __init__(self, engine: Engine, most: int = 1, **limits: Any) -> None:
        self.journal = Journal(engine, Redactor({}))
        self.meter = Meter(LimitSpec(**limits), self.journal)
        self.evidence = Evidence({"a.md#1": TEXT}, number="beef", where={"a.md#1": "a.md, lines 1-2"})
        self.rounds = Rounds(most, self.evidence, self.meter, self.journal, defaults().rounds)
        self.rounds.may_begin_at("research", "researcher", 6, TASKS)
        self.search("who owns retries")

    def search(self, query: str) -> None:
        self.journal.append("tool_call", {"arguments": {"query": query}}, tool="search_knowledge", agent="researcher")

    def gate(self, task: str, kind: Any, *checks: str, rounds: int = 0) -> Gate:
        return Gate(task, task, kind, checks, self.evidence, self.meter, self.journal, rounds, of_run=self.rounds)

    def find(self, *found: Finding) -> Any:
        return self.gate("research", Findings, "findings")(Findings(findings=list(found)).model_dump_json())

    def judge(self, word: Any, *found: Finding) -> Any:
        told = Verdicts(verdicts=[Verdict(**f.model_dump(), verdict=word, reason="r") for f in found])
        return self.gate("verify", Verdicts, "verdicts")(told.model_dump_json())

    def events(self, kind: str) -> list[Event]:
        return [e for e in read_events(self.journal.engine, self.journal.run) if e.kind == kind]

    @property
    def outcome(self) -> str | None:
        return self.meter.ended.outcome if self.meter.ended else None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(tmp_path / "journal.sqlite")
    yield made
    made.dispose()


@pytest.fixture
def table(engine: Engine) -> Table:
    return Table(engine)


def test_nothing_found_asks_for_another_round_and_the_run_goes_on(table: Table) -> None:
    with pytest.raises(NewRound):
        table.find()
    assert table.outcome is None
    assert table.rounds.begin() == "research"
    (begun,) = table.events("round")
    assert begun.facts == {"number": 2, "from_task": "research", "to_task": "research", "check": "findings"}
    assert "found no passage" in (begun.content["why"] or "")


def test_the_first_task_is_told_what_was_searched_and_read_and_the_others_nothing(table: Table) -> None:
    table.find(FOUND)
    with pytest.raises(NewRound):
        table.judge("unsupported", FOUND)
    assert table.rounds.told("research") == ""
    table.rounds.begin()
    told = table.rounds.told("research")
    for words in ("who owns retries", "a.md#1 (a.md, lines 1-2)", FOUND.claim, FOUND.quote, "no claim supported"):
        assert words in told
    assert told.index("<<<data beef") < told.index(FOUND.quote) < told.index("<<<end beef>>>")
    assert table.rounds.told("verify") == table.rounds.told("explain") == ""


def test_searches_are_told_in_the_same_order_whichever_was_over_first(engine: Engine) -> None:
    told = []
    for queries in (("b", "a"), ("a", "b")):
        table = Table(engine)
        for query in queries:
            table.search(query)
        with pytest.raises(NewRound):
            table.find()
        table.rounds.begin()
        told.append(table.rounds.told("research"))
    assert told[0] == told[1]


def test_a_new_round_begins_with_nothing_established_but_the_results_of_earlier_tasks(engine: Engine) -> None:
    table = Table(engine)
    table.rounds.may_begin_at("verify", "verifier", 6, TASKS)
    table.find(FOUND)
    with pytest.raises(NewRound):
        table.judge("unsure", FOUND)
    table.rounds.begin()
    assert list(table.evidence.results) == ["research"]
    assert table.evidence.verdicts is None


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_rounds_than_checks_feedback_rounds_in_all(engine: Engine, most: int) -> None:
    table = Table(engine, most)
    for _ in range(most):
        with pytest.raises(NewRound):
            table.find()
        table.rounds.begin()
    with pytest.raises(RunEnded):
        table.find()
    assert table.outcome == "unanswered"
    reason = table.meter.ended.reason if table.meter.ended else ""
    assert reason.endswith(f"in {most + 1} rounds") == (most > 0)


def test_without_a_task_that_could_find_more_there_is_no_round(table: Table) -> None:
    table.rounds.may_begin_at("", "", 0, TASKS)
    with pytest.raises(RunEnded):
        table.find()
    assert table.outcome == "unanswered"
    assert not table.events("round")


@pytest.mark.parametrize("limits", [{"model_calls": 5}, {"iterations": 5}])
def test_no_round_is_begun_that_would_have_no_calls_left(engine: Engine, limits: dict[str, int]) -> None:
    table = Table(engine, **limits)
    with pytest.raises(RunEnded):
        table.find()
    assert table.outcome == "unanswered"


def test_no_round_is_begun_when_the_agent_has_one_iteration_left(table: Table) -> None:
    for _ in range(5):
        table.journal.append("model_call", task="research", agent="researcher", model="m", attempt=1)
    with pytest.raises(RunEnded):
        table.find()
    assert table.outcome == "unanswered"


def test_calls_of_a_judge_are_no_iterations_of_the_agent(table: Table) -> None:
    for _ in range(9):
        table.journal.append("model_call", task="research", agent="judge", model="m", attempt=1)
    with pytest.raises(NewRound):
        table.find()


def test_of_two_rounds_that_fall_short_the_better_one_stands(table: Table) -> None:
    table.find(FOUND, OTHER)
    with pytest.raises(NewRound):
        table.judge("unsupported", FOUND, OTHER)
    table.rounds.begin()
    assert table.evidence.findings == []
    with pytest.raises(RunEnded):
        table.find()
    assert table.evidence.findings == [FOUND, OTHER], "the second round has found nothing at all"
    assert table.meter.ended is not None
    assert "no claim supported" in table.meter.ended.reason
    assert table.events("round")[-1].facts == {"number": 2, "better": False}


def test_a_later_round_that_comes_further_stands_though_it_is_rejected(table: Table) -> None:
    with pytest.raises(NewRound):
        table.find()
    table.rounds.begin()
    table.find(FOUND)
    table.judge("supported", FOUND)
    answer = {"statements": [{"text": "It makes 28.", "cites": [1]}]}
    cited = {"citations": [{"n": 1, "source": FOUND.source, "quote": FOUND.quote}]}
    with pytest.raises(RunEnded):
        table.gate("explain", Explanation, "citations")(json.dumps(answer | cited))
    assert table.outcome == "rejected"
    assert table.events("round")[-1].facts["better"] is True


def test_a_later_round_that_comes_no_further_leaves_the_first_unanswered(table: Table) -> None:
    table.find(FOUND)
    with pytest.raises(NewRound):
        table.judge("unsure", FOUND)
    table.rounds.begin()
    with pytest.raises(RunEnded):
        table.gate("research", Findings, "findings")("no JSON")
    assert table.outcome == "unanswered"


def test_a_round_that_comes_to_an_answer_is_the_better_one(table: Table) -> None:
    table.rounds.passed()
    assert not table.events("round"), "there was no other round"
    with pytest.raises(NewRound):
        table.find()
    table.rounds.begin()
    table.rounds.passed()
    assert table.events("round")[-1].facts == {"number": 2, "better": True}


def test_a_run_that_has_ended_gets_no_round(table: Table) -> None:
    table.meter.end(Ended("interrupted", "stopped by SIGINT"))
    with pytest.raises(RunEnded):
        table.rounds.fell_short(Short("research", "findings", Ended("unanswered", "nothing")))
    assert table.rounds.wanted is None
    assert table.outcome == "interrupted"
