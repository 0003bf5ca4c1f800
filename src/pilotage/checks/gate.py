"""The gate behind each task: reads the typed result, runs the checks that tasks.yaml names, and decides.

    passes                 -> the result goes on, in canonical form
    fails, rounds left     -> back to the agent with the faults, its input and the sources as they were read
    fails, no rounds left  -> the run ends: rejected (or limited, when all there is is a bare thought or action)
    nothing found          -> the run ends: unanswered

CrewAI drops a task's context when a guardrail fails, so the feedback carries the evidence again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel

from pilotage.checks.citations import (
    RESIDUE,
    Fault,
    Sources,
    check_explanation,
    check_findings,
    check_quote,
    check_verdicts,
)
from pilotage.checks.code import check_code
from pilotage.checks.data import Schema, check_text, check_value
from pilotage.checks.results import Data, Explanation, Finding, Findings, Verdict, Verdicts, parse, supported
from pilotage.evidence.around import around
from pilotage.guard.fence import fence
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.record.journal import Journal
from pilotage.sandbox import CodeRun
from pilotage.spec import CodeSpec
from pilotage.tape.recall import Recall

STARTS = 10.0  # seconds that a sandbox may take to start, beyond code.seconds, on a busy machine


@dataclass
class Evidence:
    """What the run has established so far; the trusted copy, whatever the agents pass to one another."""

    sources: Sources
    findings: list[Finding] = field(default_factory=list)
    verdicts: list[Verdict] | None = None
    answer: Explanation | None = None
    answered_by: str = ""
    faults: list[Fault] = field(default_factory=list)
    results: dict[str, BaseModel] = field(default_factory=dict)
    searches: Callable[[], int] = lambda: 0  # how many searches this run has made
    number: str = "0"  # of this run's fences
    tested: int | None = None  # how many tests the code of the last result passed, None when it held no code

    def quotes_of(self, source: str) -> list[str]:
        """What the findings quote from a source."""
        return [finding.quote for finding in self.findings if finding.source == source]

    @property
    def supported(self) -> list[tuple[str, str]] | None:
        if self.verdicts is None:
            return None
        return [(v.source, v.quote) for v in self.verdicts if v.verdict == "supported"]


class Gate:
    """One task's gate; `gate(raw)` returns (True, result) or (False, feedback), or raises RunEnded."""

    def __init__(
        self, task: str, agent: str, kind: type[BaseModel], checks: Sequence[str],
        evidence: Evidence, meter: Meter, journal: Journal, rounds: int,
        schema: Schema | None = None, code: CodeSpec | None = None, context: Sequence[str] = (),
        recall: Recall | None = None,
    ) -> None:  # fmt: skip
        self.recall = recall or Recall(journal.redactor, "")
        self.task, self.agent, self.kind, self.checks = task, agent, kind, checks
        self.schema, self.code, self.context = schema, code or CodeSpec(), context
        self.evidence, self.meter, self.journal, self.rounds = evidence, meter, journal, rounds

    def __call__(self, raw: str) -> tuple[bool, str]:
        try:
            result = parse(raw, self.kind)
        except ValueError as error:
            return self._send_back(raw, "form", [Fault(raw[:500], f"not the {self.kind.__name__} asked for: {error}")])
        for check in self.checks:
            faults = self._run(check, result)
            if faults and check == "findings" and self.rounds <= 0:
                result, faults = self._drop(result, faults)
            if faults:
                return self._send_back(raw, check, faults)
            self._record(check, [])
        self.recall.passed(self.task)
        self._accept(result)
        self.evidence.results[self.task] = result
        return True, result.model_dump_json()

    def _run(self, check: str, result: Any) -> list[Fault]:
        sources = self.evidence.sources
        if check == "findings" and isinstance(result, Findings):
            if not sources and not self.evidence.searches():
                return [Fault("", "nothing was searched: call your search tool before you return")]
            return check_findings(result.findings, sources)
        if check == "verdicts" and isinstance(result, Verdicts):
            return check_verdicts(result.verdicts, self.evidence.findings, sources)
        if check == "citations" and isinstance(result, Explanation):
            return check_explanation(result, sources, self.evidence.supported)
        if check == "code":
            self.evidence.tested = None
            most = self.code.seconds + STARTS
            try:
                run = partial(check_code, result, self.code, self._ran)
                return self.meter.within(self.agent, most, "code.seconds", run, what="code check")
            except TimeoutError as error:  # several programs, none of which ends
                return [Fault("", f"the code was not done in time: {error}")]
        if check == "data" and self.schema is not None:
            if isinstance(result, Data):
                found = check_text(result.text, result.format, self.schema)
            else:
                found = check_value(result.model_dump(mode="json"), self.schema)
            return [Fault(fault.path, str(fault).removeprefix(f"{fault.path}: ")) for fault in found]
        return [Fault(self.kind.__name__, f'the check "{check}" does not fit this result')]

    def _ran(self, run: CodeRun) -> None:
        self.meter.raise_if_ended()  # the next program of the result is not started
        self.evidence.tested = (self.evidence.tested or 0) + run.tests
        content = {"reason": run.reason, "output": run.output}
        self.journal.append(
            "code_run", content, task=self.task, agent=self.agent, outcome=run.outcome, sandbox=run.mode,
            tests=run.tests, seconds=round(run.seconds, 4),
        )  # fmt: skip

    def _drop(self, result: Any, faults: list[Fault]) -> tuple[Any, list[Fault]]:
        """After the last round, findings that do not hold are left out when others do."""
        kept = [f for f in result.findings if not check_quote(f.quote, f.source, self.evidence.sources)]
        if not kept:
            return result, faults
        for fault in faults:
            self._decide("dropped", fault.text, fault.reason)
        return Findings(findings=kept), []

    def _accept(self, result: Any) -> None:
        if isinstance(result, Findings):
            self.evidence.findings = result.findings
            for finding in result.findings:
                self._decide("found", finding.claim, "the quote stands word for word in its source", [finding])
            if not result.findings:
                self._end(Ended("unanswered", f"{self.agent} found no passage that answers the question"))
        elif isinstance(result, Verdicts):
            self.evidence.verdicts = result.verdicts
            for verdict in result.verdicts:
                self._decide(verdict.verdict, verdict.claim, verdict.reason, [verdict])
            if not self.evidence.supported:
                self._end(Ended("unanswered", f"{self.agent} found no claim supported by its source"))
        elif isinstance(result, Explanation):
            self.evidence.answer, self.evidence.answered_by = result, self.agent
            if not result.answer:
                self._end(Ended("unanswered", f"{self.agent} found no answer in the evidence"))

    def _send_back(self, raw: str, check: str, faults: list[Fault]) -> tuple[bool, str]:
        self._record(check, faults)
        self.recall.refused(self.task)
        if self.rounds <= 0:
            self.evidence.faults = faults
            if check == "form" and RESIDUE.search(raw):
                self._end(
                    Ended("limited", f"{self.agent} stopped in the middle of a thought or an action, without an answer")
                )
            first = faults[0]
            shown = f"“{first.text[:160]}”: " if first.text else ""
            self._end(Ended("rejected", f"{self.task}: {shown}{first.reason}"))
        self.rounds -= 1
        return False, self._feedback(faults)

    def _feedback(self, faults: list[Fault]) -> str:
        """The faults, the task's input and the sources that it names: CrewAI's retry prompt holds neither."""
        parts = ["These points do not hold:"]
        parts += [f"- {fault.reason}" + (f": {fault.text}" if fault.text else "") for fault in faults]
        if given := self._given():
            parts += ["", "Your input again:", *(result.model_dump_json() for result in given)]
        if sources := self._sources(given):
            parts += ["", "The sources as they were read:"]
            in_order = sorted(sources.items())  # whichever call was over first: the same prompt from the tape
            parts += [fence(text, source, self.evidence.number) for source, text in in_order]
        return "\n".join(parts)

    def _sources(self, given: Sequence[BaseModel]) -> Sources:
        """The sources that the input names; all of them where it names none, or where the task may use others."""
        named = {
            item.source
            for result in given
            for item in (*getattr(result, "findings", ()), *getattr(result, "verdicts", ()))
            if isinstance(item, Finding | Verdict)
        }
        if not named or not issubclass(self.kind, Verdicts | Explanation):
            return self.evidence.sources
        return {s: around(t, self.evidence.quotes_of(s)) for s, t in self.evidence.sources.items() if s in named}

    def _given(self) -> list[BaseModel]:
        """What the task was given: findings or verdicts, and the results of its context."""
        given: list[BaseModel] = []
        if issubclass(self.kind, Verdicts | Explanation):
            findings, verdicts = self.evidence.findings, self.evidence.verdicts or []
            judged = supported(Verdicts(verdicts=verdicts))
            given.append(Findings(findings=findings) if self.kind is Verdicts else judged)
        results = [self.evidence.results.get(name) for name in self.context]
        if issubclass(self.kind, Explanation):
            results = [supported(result) if isinstance(result, Verdicts) else result for result in results]
        return given + [result for result in results if result is not None and result not in given]

    def _record(self, check: str, faults: list[Fault]) -> None:
        content = {"faults": [fault.__dict__ for fault in faults]} if faults else None
        self.journal.append("check", content, check=check, task=self.task, agent=self.agent, passed=not faults)

    def _decide(self, what: str, text: str, reason: str, because: Sequence[Finding | Verdict] = ()) -> None:
        evidence = [{"source": item.source, "quote": item.quote} for item in because]
        content = {"text": text, "reason": reason, "because": evidence}
        self.journal.append("decision", content, who=self.agent, task=self.task, what=what)

    def _end(self, ended: Ended) -> None:
        self.meter.end(ended)
        raise RunEnded(ended.reason)
