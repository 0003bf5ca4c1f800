"""The gate: passes, sends back with the evidence, rejects, ends as unanswered or limited; and what it records."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from pilotage.checks.gate import Evidence, Gate
from pilotage.checks.results import Citation, Explanation, Finding, Findings, Verdict, Verdicts
from pilotage.errors import LimitExceeded
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.sandbox import CodeRun
from pilotage.spec import LimitSpec

TEXT = "Retries must have one owner. One fault makes 27 requests."
SOURCES = {"a.md#1": TEXT, "b.md#2": "A deadline stops the run after 300 seconds."}
GOOD = Finding(claim="One owner.", quote="Retries must have one owner.", source="a.md#1")
BAD = Finding(claim="Two owners.", quote="Retries must have two owners.", source="a.md#1")
KINDS: dict[str, type[BaseModel]] = {"findings": Findings, "verdicts": Verdicts, "citations": Explanation}


class Program(BaseModel):
    code: str


class Programs(BaseModel):
    parts: list[Program]


def until(done: Any, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(done())


class Table:
    """A gate with everything around it."""

    def __init__(self, engine: Engine) -> None:
        self.journal = Journal(engine, Redactor({}))
        self.meter = Meter(LimitSpec(), self.journal)
        self.evidence = Evidence(dict(SOURCES))
        self.meter.begin_turn("agent", "task", max_iter=5, seconds=60)

    def gate(self, check: str, rounds: int = 1) -> Gate:
        return Gate("task", "agent", KINDS[check], [check], self.evidence, self.meter, self.journal, rounds)

    def events(self, kind: str) -> list[Any]:
        return [e for e in read_events(self.journal.engine, self.journal.run) if e.kind == kind]

    def decisions(self) -> list[tuple[str, str]]:
        return [(e.facts["what"], e.content["text"]) for e in self.events("decision")]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield Table(engine)
    engine.dispose()


def findings(*rows: Finding) -> str:
    return Findings(findings=list(rows)).model_dump_json()


def verdicts(*words: Any, of: Finding = GOOD) -> str:
    rows = [Verdict(**of.model_dump(), verdict=word, reason="r") for word in words]
    return Verdicts(verdicts=rows).model_dump_json()


def explanation(answer: str, quote: str = GOOD.quote) -> str:
    citations = [Citation(n=1, source="a.md#1", quote=quote)]
    return Explanation.model_validate({"answer": answer, "citations": citations}).model_dump_json()


def test_what_holds_goes_on_in_canonical_form(table: Table) -> None:
    passed, result = table.gate("findings")(f"Here you are:\n```json\n{findings(GOOD)}\n```")
    assert (passed, result) == (True, findings(GOOD))
    assert table.evidence.findings == [GOOD]
    assert table.evidence.results["task"] == Findings(findings=[GOOD])
    assert [e.facts["passed"] for e in table.events("check")] == [True]
    assert table.decisions() == [("found", "One owner.")]


def test_what_does_not_hold_goes_back_with_faults_and_sources(table: Table) -> None:
    passed, feedback = table.gate("findings")(findings(BAD))
    assert not passed
    assert "does not stand word for word in a.md#1: Retries must have two owners." in feedback
    assert all(text in feedback for text in SOURCES.values())
    assert table.evidence.findings == []
    (check,) = table.events("check")
    assert check.facts["passed"] is False
    assert BAD.quote in check.content["faults"]
    assert table.meter.ended is None


def test_feedback_to_the_verifier_and_the_explainer_holds_their_true_input(table: Table) -> None:
    table.gate("findings")(findings(GOOD))
    _, feedback = table.gate("verdicts")(verdicts("supported", of=BAD))
    assert findings(GOOD) in feedback
    table.gate("verdicts")(verdicts("supported"))
    _, feedback = table.gate("citations")(explanation("No citation."))
    assert verdicts("supported").replace('"reason":"r"', '"reason":""') in feedback


def test_feedback_carries_the_sources_that_the_input_names_and_of_a_long_one_what_stands_around_the_quote(
    table: Table,
) -> None:
    long = "\n".join(f"row {number}: {GOOD.quote if number == 300 else 'nothing of note'}" for number in range(600))
    table.evidence.sources = {**SOURCES, GOOD.source: long, "more.md#2": "Nobody quotes this one."}
    _, feedback = table.gate("findings")(findings(BAD))
    assert long in feedback
    assert "Nobody quotes this one." in feedback  # the researcher may choose it yet
    table.gate("findings")(findings(GOOD))
    _, judged = table.gate("verdicts")(verdicts("supported", of=BAD))
    table.gate("verdicts")(verdicts("supported"))
    _, explained = table.gate("citations")(explanation("No citation."))
    for feedback in (judged, explained):
        assert f"row 300: {GOOD.quote}" in feedback
        assert "row 0: " in feedback
        assert "row 299: nothing" in feedback
        assert len(feedback) < len(long) / 3
        assert "Nobody quotes this one." not in feedback


def test_sending_back_gives_the_agent_no_new_iterations(table: Table) -> None:
    for _ in range(5):
        table.meter.before_model_call("agent")
    assert table.gate("findings")(findings(BAD))[0] is False
    with pytest.raises(LimitExceeded, match=r"agent\.max_iter"):
        table.meter.before_model_call("agent")


def test_no_program_is_run_when_the_run_has_ended_meanwhile(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_code(code: str, *_: Any, **__: Any) -> CodeRun:
        ran.append(code)
        table.meter.end(Ended("interrupted", "stopped by SIGINT"))
        return CodeRun("passed", "", "", "monty", 0.1, 0)

    monkeypatch.setattr("pilotage.checks.code.run_code", run_code)
    programs = Programs(parts=[Program(code="first = 1"), Program(code="second = 2")])
    gate = Gate("task", "agent", Programs, ["code"], table.evidence, table.meter, table.journal, 1)
    with pytest.raises(RunEnded):
        gate(programs.model_dump_json())
    assert until(lambda: not [t for t in threading.enumerate() if t.name == "pilotage-code.seconds"])
    assert ran == ["first = 1"]
    with pytest.raises(RunEnded):
        gate(programs.model_dump_json())
    assert ran == ["first = 1"]


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_rejected_after_as_many_rounds_as_are_allowed(table: Table, rounds: int) -> None:
    gate = table.gate("findings", rounds)
    for _ in range(rounds):
        assert gate(findings(BAD))[0] is False
    with pytest.raises(RunEnded):
        gate(findings(BAD))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "rejected"
    assert BAD.quote in table.meter.ended.reason
    assert [fault.text for fault in table.evidence.faults] == [BAD.quote]


def test_after_the_last_round_findings_that_do_not_hold_are_left_out_when_others_do(table: Table) -> None:
    assert table.gate("findings", 0)(findings(BAD, GOOD)) == (True, findings(GOOD))
    assert table.evidence.findings == [GOOD]
    assert ("dropped", BAD.quote) in table.decisions()


@pytest.mark.parametrize("raw", ["", "I could not find it.", '{"findings": [{"claim": "x"}]}', '{"findings":'])
def test_what_has_no_form_goes_back_and_is_then_rejected(table: Table, raw: str) -> None:
    gate = table.gate("findings")
    passed, feedback = gate(raw)
    assert not passed
    assert "not the Findings asked for" in feedback
    with pytest.raises(RunEnded):
        gate(raw)
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "rejected"


@pytest.mark.parametrize("raw", ["Thought: I need to search", "Action: search\nAction Input: {}", "so\nObservation: x"])
def test_a_bare_thought_or_action_is_limited(table: Table, raw: str) -> None:
    with pytest.raises(RunEnded):
        table.gate("findings", 0)(raw)
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "limited"


def test_nothing_found_is_unanswered(table: Table) -> None:
    with pytest.raises(RunEnded):
        table.gate("findings")(findings())
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "unanswered"


@pytest.mark.parametrize("rows", [(), (GOOD,)])
def test_what_is_returned_without_a_search_goes_back(table: Table, rows: tuple[Finding, ...]) -> None:
    table.evidence.sources = {}
    passed, feedback = table.gate("findings")(findings(*rows))
    assert not passed
    assert "nothing was searched" in feedback


def test_a_search_that_found_nothing_is_a_search(table: Table) -> None:
    table.evidence.sources, table.evidence.searches = {}, lambda: 1
    with pytest.raises(RunEnded):
        table.gate("findings")(findings())
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "unanswered"


@pytest.mark.parametrize("word", ["unsupported", "unsure"])
def test_nothing_supported_is_unanswered(table: Table, word: str) -> None:
    table.gate("findings")(findings(GOOD))
    with pytest.raises(RunEnded):
        table.gate("verdicts")(verdicts(word))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "unanswered"
    assert table.decisions()[-1] == (word, GOOD.claim)


@pytest.mark.parametrize("answer", ["", "  \n"])
def test_an_empty_answer_is_unanswered_never_accepted(table: Table, answer: str) -> None:
    table.gate("findings")(findings(GOOD))
    table.gate("verdicts")(verdicts("supported"))
    with pytest.raises(RunEnded):
        table.gate("citations")(json.dumps({"answer": answer, "citations": []}))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "unanswered"


def test_the_answer_is_checked_against_the_trusted_verdicts_not_the_agents_words(table: Table) -> None:
    table.gate("findings")(findings(GOOD))
    table.gate("verdicts")(verdicts("supported"))
    passed, feedback = table.gate("citations")(explanation("One fault makes 27 requests [1].", TEXT.split(". ")[1]))
    assert not passed, "the quote stands in the source, but the verifier never saw it"
    assert "the verifier did not find this quote supported" in feedback
    assert table.gate("citations")(explanation("There is one owner [1]."))[0]
    assert table.evidence.answer is not None
    assert table.evidence.answered_by == "agent"


def test_a_check_that_does_not_fit_its_result_never_passes(table: Table) -> None:
    gate = Gate("task", "agent", Findings, ["citations"], table.evidence, table.meter, table.journal, 1)
    passed, feedback = gate(findings(GOOD))
    assert not passed
    assert 'the check "citations" does not fit' in feedback


def test_a_result_of_a_type_of_ones_own_passes_when_it_has_its_form(table: Table) -> None:
    gate = Gate("task", "agent", Citation, [], table.evidence, table.meter, table.journal, 1)
    raw = json.dumps({"n": 1, "source": "a", "quote": "q"})
    assert gate(raw)[0] is True
    assert gate("words")[0] is False


def test_a_failed_try_leaves_the_evidence_of_the_last_good_one(table: Table) -> None:
    table.gate("findings")(findings(GOOD))
    table.gate("findings")(findings(BAD))
    assert table.evidence.findings == [GOOD]
