"""The gate behind each task: reads the typed result, runs the checks that tasks.yaml names, and decides.

    passes                 -> the result goes on, in canonical form
    fails, rounds left     -> back to the agent with the faults, its input and the sources as they were read
    fails, no rounds left  -> what does not hold is left out where something else stays, else the run ends: rejected
                              (or limited, when all there is is a bare thought or action)
    short of evidence      -> another round of the crew, else the run ends: unanswered (checks/rounds.py)

What does not hold is told again with the evidence: checks/feedback.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NoReturn

from pydantic import BaseModel

from pilotage.checks.citations import RESIDUE, Fault, check_explanation, check_findings, check_quote, check_verdicts
from pilotage.checks.code import check_code
from pilotage.checks.data import Schema, check_text, check_value
from pilotage.checks.established import Evidence, Unsure
from pilotage.checks.feedback import feedback
from pilotage.checks.grades import Grade
from pilotage.checks.grading import Graders, cited_in, text_of, without
from pilotage.checks.results import Data, Explanation, Finding, Findings, Verdict, Verdicts, parse
from pilotage.checks.rounds import Rounds, Short
from pilotage.guard.limits import Ended, Meter
from pilotage.prompts import Prompts, defaults
from pilotage.record.journal import Journal
from pilotage.sandbox import CodeRun
from pilotage.spec import CodeSpec
from pilotage.tape.recall import Recall

__all__ = ["Evidence", "Gate"]
EVEN = 0.5  # the score below which a claim is more likely wrong than right
STARTS = 10.0  # seconds that a sandbox may take to start, beyond code.seconds, on a busy machine


class Gate:
    """One task's gate; `gate(raw)` returns (True, result) or (False, feedback), or raises RunEnded or NewRound."""

    def __init__(
        self, task: str, agent: str, kind: type[BaseModel], checks: Sequence[str],
        evidence: Evidence, meter: Meter, journal: Journal, rounds: int,
        schema: Schema | None = None, code: CodeSpec | None = None, context: Sequence[str] = (),
        recall: Recall | None = None, prompts: Prompts | None = None, graders: Graders | None = None,
        of_run: Rounds | None = None, on_unsupported: Literal["remove", "reject"] = "remove",
    ) -> None:  # fmt: skip
        self.prompts = prompts or defaults()
        self.recall = recall or Recall(journal.redactor, "")
        self.graders = graders or Graders("", evidence, journal, meter)
        self.of_run = of_run or Rounds(0, evidence, meter, journal, self.prompts.rounds)
        self.task, self.agent, self.kind, self.checks = task, agent, kind, checks
        self.schema, self.code, self.context = schema, code or CodeSpec(), context
        self.evidence, self.meter, self.journal, self.rounds = evidence, meter, journal, rounds
        self.on_unsupported = on_unsupported
        self._grades: dict[int, Grade] = {}  # of the result at hand, by the number of its claim
        self._left_out: list[Fault] = []
        self._off: list[Unsure] = []  # an answer that may be one to another question

    def __call__(self, raw: str) -> tuple[bool, str]:
        self._grades, self._left_out, self._off = {}, [], []
        try:
            result = parse(raw, self.kind)
        except ValueError as error:
            return self._send_back(raw, "form", [Fault(raw[:500], f"not the {self.kind.__name__} asked for: {error}")])
        for check in self.checks:
            if check == "answer" and isinstance(result, Explanation):
                continue  # it is no fault of one sentence: looked at when all others have passed
            faults = self._run(check, result)
            if faults and self.rounds <= 0:
                result, faults = self._mend(check, result, faults)
            if faults:
                return self._send_back(raw, check, faults)
            self._record(check, [])
        self._look_at_the_whole(result)
        self.recall.passed(self.task)
        self._accept(result)
        self.evidence.results[self.task] = result
        self._try_for_better()
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
        if check == "grounding" and isinstance(result, Findings | Verdicts | Explanation):
            return self._ground(result)
        if check == "code":
            return self._run_code(result)
        if check == "data" and self.schema is not None:
            return self._check_data(result, self.schema)
        return [Fault(self.kind.__name__, f'the check "{check}" does not fit this result')]

    def _ground(self, result: BaseModel) -> list[Fault]:
        """A fault for each claim that what it cites does not say; while there are rounds, probably does not say."""
        self._grades = self.graders.ground(self.task, self.agent, result)
        cited, may_ask = cited_in(result), self.rounds > 0 and not isinstance(result, Verdicts)
        return [
            Fault(cited[number].claim, f"what it cites does not say this ({grade.reason})")
            for number, grade in self._grades.items()
            if grade.verdict == "unsupported" or (may_ask and grade.verdict == "unsure" and grade.score < EVEN)
        ]

    def _run_code(self, result: Any) -> list[Fault]:
        self.evidence.tested = None
        most = self.code.seconds + STARTS
        try:
            run = partial(check_code, result, self.code, self._ran)
            return self.meter.within(self.agent, most, "code.seconds", run, what="code check")
        except TimeoutError as error:  # several programs, none of which ends
            return [Fault("", f"the code was not done in time: {error}")]

    def _check_data(self, result: Any, schema: Schema) -> list[Fault]:
        if isinstance(result, Data):
            found = check_text(result.text, result.format, schema)
        else:
            found = check_value(result.model_dump(mode="json"), schema)
        return [Fault(fault.path, str(fault).removeprefix(f"{fault.path}: ")) for fault in found]

    def _ran(self, run: CodeRun) -> None:
        self.meter.raise_if_ended()  # the next program of the result is not started
        self.evidence.tested = (self.evidence.tested or 0) + run.tests
        content = {"reason": run.reason, "output": run.output}
        self.journal.append(
            "code_run", content, task=self.task, agent=self.agent, outcome=run.outcome, sandbox=run.mode,
            tests=run.tests, seconds=round(run.seconds, 4),
        )  # fmt: skip

    def _mend(self, check: str, result: Any, faults: list[Fault]) -> tuple[Any, list[Fault]]:
        """After the last round, what does not hold is left out when something else does."""
        if check == "findings" and isinstance(result, Findings):
            sources = self.evidence.sources
            wrong = [n for n, f in enumerate(result.findings) if check_quote(f.quote, f.source, sources)]
        elif check == "grounding" and self.on_unsupported == "remove":
            wrong = [number for number, grade in self._grades.items() if grade.verdict == "unsupported"]
        else:
            return result, faults
        rest = without(result, wrong)
        if rest is None:
            return result, faults
        kept = [grade for number, grade in sorted(self._grades.items()) if number not in wrong]
        self._grades = dict(zip(cited_in(rest), kept, strict=False)) if check == "grounding" else {}
        for fault in faults:
            self._decide("dropped", fault.text, fault.reason)
        self._left_out += faults if isinstance(result, Explanation) else []
        return rest, []

    def _look_at_the_whole(self, result: BaseModel) -> None:
        """Whether an answer that holds is one to the question. If not, other evidence is needed."""
        if "answer" not in self.checks or not isinstance(result, Explanation) or not result.answer:
            return
        grade, is_enough = self.graders.address(self.task, self.agent, result)
        said = text_of(result)
        self._record("answer", [] if is_enough else [Fault(said, grade.reason)])
        if not is_enough:
            self.recall.refused(self.task)
            reason = f"what the documents say does not answer the question: {grade.reason}"
            self._fall_short("answer", reason, claim=said, grade=grade.score)
        if grade.score < EVEN:
            self._off = [Unsure(said, f"it may not be what was asked: {grade.reason}", round(grade.score, 4))]

    def _try_for_better(self) -> None:
        """An answer that may be to another question is given when no other round finds a better one."""
        if self._off and self.of_run.has_another():
            doubt = self._off[0]
            ended = Ended("accepted", f"every sentence is cited; {doubt.reason}")
            self.of_run.fell_short(Short(self.task, "answer", ended, doubt.sentence, grade=doubt.score))

    def _accept(self, result: Any) -> None:
        if isinstance(result, Findings):
            self.evidence.findings = result.findings
            for finding in result.findings:
                self._decide("found", finding.claim, "the quote stands word for word in its source", [finding])
            if not result.findings:
                self._fall_short("findings", f"{self.agent} found no passage that answers the question")
        elif isinstance(result, Verdicts):
            self.evidence.verdicts = result.verdicts
            for verdict in result.verdicts:
                self._decide(verdict.verdict, verdict.claim, verdict.reason, [verdict])
            if not self.evidence.supported:
                first = result.verdicts[0] if result.verdicts else None
                claim, seen = (first.claim, first.quote) if first else ("", "")
                reason = f"{self.agent} found no claim supported by its source"
                self._fall_short("verdicts", reason, claim=claim, seen=seen)
        elif isinstance(result, Explanation):
            self._accept_answer(result)

    def _accept_answer(self, answer: Explanation) -> None:
        self.evidence.answer, self.evidence.answered_by = answer, self.agent
        self.evidence.faults = self._left_out
        sentences = answer.sentences()
        self.evidence.unsure = [
            Unsure(sentences[number].text, grade.reason, round(grade.score, 4))
            for number, grade in self._grades.items()
            if grade.verdict == "unsure"
        ] + self._off
        if not answer.answer:
            self._fall_short("answer", f"{self.agent} found no answer in the evidence")

    def _send_back(self, raw: str, check: str, faults: list[Fault]) -> tuple[bool, str]:
        self._record(check, faults)
        self.recall.refused(self.task)
        if self.rounds <= 0:
            self._give_up(raw, check, faults)
        self.rounds -= 1
        return False, feedback(faults, self.kind, self.context, self.evidence, self.prompts.crew)

    def _give_up(self, raw: str, check: str, faults: list[Fault]) -> NoReturn:
        self.evidence.faults = faults
        if check == "form" and RESIDUE.search(raw):
            reason = f"{self.agent} stopped in the middle of a thought or an action, without an answer"
            self.of_run.end(Short(self.task, check, Ended("limited", reason)))
        first = faults[0]
        shown = f"“{first.text[:160]}”: " if first.text else ""
        self.of_run.end(Short(self.task, check, Ended("rejected", f"{self.task}: {shown}{first.reason}")))

    def _fall_short(self, check: str, reason: str, *, claim: str = "", seen: str = "", grade: float = 0.0) -> NoReturn:
        self.of_run.fell_short(Short(self.task, check, Ended("unanswered", reason), claim, seen, grade))

    def _record(self, check: str, faults: list[Fault]) -> None:
        content = {"faults": [fault.__dict__ for fault in faults]} if faults else None
        self.journal.append("check", content, check=check, task=self.task, agent=self.agent, passed=not faults)

    def _decide(self, what: str, text: str, reason: str, because: Sequence[Finding | Verdict] = ()) -> None:
        evidence = [{"source": item.source, "quote": item.quote} for item in because]
        content = {"text": text, "reason": reason, "because": evidence}
        self.journal.append("decision", content, who=self.agent, task=self.task, what=what)
