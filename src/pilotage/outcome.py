"""How a run ends: its outcome, its result, and the decision behind each sentence of the answer."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage import errors
from pilotage.checks.established import Evidence
from pilotage.checks.results import Explanation, Findings, Solution, Verdicts
from pilotage.errors import PilotageError, StoreError
from pilotage.guard.limits import Ended
from pilotage.report import write_files

if TYPE_CHECKING:
    from pilotage.crew import Kit
    from pilotage.guard.limits import Meter
    from pilotage.record.journal import Journal
    from pilotage.record.redact import Redactor

LONGEST_REASON = 600  # characters
CHECKED = "cited, checked word for word"
UNANSWERED = "The documents do not answer this question."
EXIT_CODES = {
    "accepted": errors.EXIT_OK,
    "unanswered": errors.EXIT_OK,
    "rejected": errors.EXIT_REJECTED,
    "limited": errors.EXIT_LIMITED,
    "failed": errors.EXIT_FAILED,
    "interrupted": errors.EXIT_INTERRUPTED,
}


@dataclass(frozen=True)
class Result:
    """What came of a run; `as_json` is result.json. `usd` is None when a price is unknown, or what a lost call used.

    An answer with the outcome `failed` has passed its checks, but the journal or the files of the run are not complete.
    """

    run: str
    question: str
    outcome: str
    reason: str
    hint: str
    answer: str | None
    citations: list[dict[str, Any]]
    unsupported: list[dict[str, str]]
    seconds: float
    tokens: int
    usd: float | None
    seal: str
    exit_code: int
    parent: str | None = None
    unsure: list[dict[str, Any]] = field(default_factory=list)  # sentences of the answer: sentence, reason, score
    served_from: dict[str, str] | None = None  # run and at (UTC) of an earlier answer that is given again
    link: str = ""  # where the run can be looked at
    folder: Path | None = None
    findings: list[dict[str, str]] = field(default_factory=list)
    verdicts: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """`results` is there when a task made something else than evidence: code, rows, an object of your own.

        `partial` is there when a run without an answer had established something: what its checks had accepted.
        `served_from` is there when an earlier run has given the answer.
        """
        names = (
            "run", "question", "outcome", "reason", "answer", "citations", "unsupported", "unsure",
            "seconds", "tokens", "usd", "parent", "seal",
        )  # fmt: skip
        partial = {"findings": self.findings, "verdicts": self.verdicts} if self.is_partial else {}
        more = {"served_from": self.served_from, "results": self.results, "partial": partial}
        return {name: getattr(self, name) for name in names} | {name: value for name, value in more.items() if value}

    @property
    def is_partial(self) -> bool:
        """No answer, but work that passed its checks before the run ended."""
        return not self.citations and bool(self.findings)


@dataclass(frozen=True)
class Answered:
    """A question, the verified answer to it that there was already, and how long it took to find that.

    `run` has given it `at` (unix seconds); `decisions` are that run's, as `decide_sentences` returns them.
    """

    question: str
    answer: str
    citations: list[dict[str, Any]]
    seconds: float
    run: str
    at: float
    decisions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def origin(self) -> dict[str, str]:
        return {"run": self.run, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at))}


def conclude(kit: Kit, error: BaseException | None) -> Ended:
    """The outcome, from what ended the run, what CrewAI raised, or the answer that passed its checks."""
    if kit.meter.ended is not None:
        return with_troubles(kit.meter.ended, kit.troubles)
    if isinstance(error, TimeoutError):  # CrewAI's own, a second after ours
        reason = "Run stopped: an agent hung outside of any call until its max_execution_time was over"
        return kit.meter.end(Ended("limited", reason, "raise max_execution_time in config/agents.yaml"))
    if isinstance(error, PilotageError):
        return kit.meter.end(Ended("failed", str(error), error.hint, error.exit_code))
    if error is not None:
        text = kit.journal.redactor.text(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return kit.meter.end(Ended("failed", f"The crew failed: {text}", "see `pilotage show last`"))
    if kit.evidence.answer is None:
        return kit.meter.end(Ended("failed", "The crew ended without an answer", "see `pilotage show last`"))
    reason = "every sentence is cited and every quote stands in its source"
    tested = kit.evidence.tested
    if tested is not None:
        passed = f"passed {tested} test{'s' * (tested != 1)}" if tested else "ran, without a test"
        reason += f"; the code {passed}"
    reason += _counted(len(kit.evidence.faults), "sentence was taken out", "sentences were taken out")
    reason += _counted(len(kit.evidence.unsure), "sentence is unsure", "sentences are unsure")
    return kit.meter.end(Ended("accepted", reason))


def _counted(count: int, one: str, more: str) -> str:
    return f"; {count} {one if count == 1 else more}" if count else ""


def with_troubles(ended: Ended, troubles: list[str]) -> Ended:
    """An answer that is missing, and the calls that did not run or failed before: they may be why."""
    if ended.outcome not in ("unanswered", "rejected") or not troubles:
        return ended
    return replace(ended, reason=f"{ended.reason}; {'; '.join(dict.fromkeys(troubles))}"[:LONGEST_REASON])


def finish(kit: Kit, ended: Ended, folder: Path | None) -> Result:
    """Record the decisions and the end of the run, and write its files. What it returns holds no secret either.

    Whatever cannot be recorded or written, there is a result: `failed`, with what was found and what is missing.
    """
    journal, decisions = kit.journal, list[dict[str, Any]]()
    answer = kit.evidence.answer if ended.outcome == "accepted" else None
    folder, ended = _made(folder, ended)
    with contextlib.suppress(StoreError):
        decisions = decide_sentences(kit, answer) if answer else []
    ended = _on_record(ended, journal.failure)
    return _close(journal, kit.meter, _result(kit, ended, answer), ended, decisions, folder)


def finish_again(journal: Journal, meter: Meter, answered: Answered, ended: Ended, folder: Path | None) -> Result:
    """The same for a run that is answered with what an earlier run has answered and verified."""
    is_whole = ended.outcome == "accepted"  # nobody has interrupted it
    folder, ended = _made(folder, ended)
    ended = _on_record(ended, journal.failure)
    result = Result(
        run=journal.run, question=answered.question, outcome="", reason="", hint="",
        answer=answered.answer if is_whole else None, citations=answered.citations if is_whole else [],
        unsupported=[], seconds=round(answered.seconds, 3), tokens=meter.tokens,
        usd=None if meter.unpriced else round(meter.usd, 9), seal="", exit_code=errors.EXIT_FAILED,
        served_from=answered.origin if is_whole else None,
    )  # fmt: skip
    decisions = answered.decisions if is_whole else []
    return _close(journal, meter, _with_end(result, ended, journal.redactor), ended, decisions, folder)


def _close(
    journal: Journal, meter: Meter, result: Result, ended: Ended, decisions: list[dict[str, Any]], folder: Path | None
) -> Result:  # fmt: skip
    content = {"reason": ended.reason, "answer": result.answer or "", "citations": result.citations}
    content |= {"unsure": result.unsure} if result.unsure else {}
    try:
        journal.append(
            "run_ended", content,
            outcome=ended.outcome, seconds=result.seconds, tokens=result.tokens, usd=result.usd,
            model_calls=meter.model_calls, tool_calls=meter.tool_calls,
        )  # fmt: skip
    except StoreError:
        ended = _on_record(ended, journal.failure)
    result = replace(_with_end(result, ended, journal.redactor), seal=journal.seal, folder=folder)
    try:
        if folder:
            write_files(result, decisions, folder)
    except OSError as error:
        result = replace(_with_end(result, _unwritten(ended, folder, error), journal.redactor), folder=None)
    return result


def _result(kit: Kit, ended: Ended, answer: Explanation | None) -> Result:
    meter, evidence, clean = kit.meter, kit.evidence, kit.journal.redactor
    citations = [
        {"n": c.n, "source": c.source, "quote": c.quote, "where": kit.desk.where.get(c.source, "")}
        for c in (answer.citations if answer else [])
    ]
    text = clean.text(answer.answer) if answer else UNANSWERED if ended.outcome == "unanswered" else None
    result = Result(
        run=kit.journal.run, question=clean.text(kit.question), outcome="", reason="", hint="", answer=text,
        citations=clean.tree(citations),
        unsupported=clean.tree([{"sentence": f.text, "reason": f.reason} for f in evidence.faults]),
        unsure=clean.tree([dict(vars(one)) for one in evidence.unsure]) if answer else [],
        seconds=round(meter.seconds, 3), tokens=meter.tokens, usd=None if meter.unpriced else round(meter.usd, 9),
        seal="", exit_code=errors.EXIT_FAILED, parent=kit.parent,
        findings=clean.tree([f.model_dump() for f in evidence.findings]),
        verdicts=clean.tree([v.model_dump() for v in evidence.verdicts or []]),
        results=clean.tree(further_results(evidence)),
    )  # fmt: skip
    return _with_end(result, ended, clean)


def _with_end(result: Result, ended: Ended, clean: Redactor) -> Result:
    code = EXIT_CODES[ended.outcome] if ended.exit_code is None else ended.exit_code
    return replace(result, outcome=ended.outcome, reason=clean.text(ended.reason), hint=ended.hint, exit_code=code)


def _on_record(ended: Ended, failure: StoreError | None) -> Ended:
    """The same end, or a failed one when an event of the run is missing in the journal."""
    said = f"the journal could not be completed: it {str(failure).removeprefix('The journal ')}"
    if failure is None or str(failure) in ended.reason or said in ended.reason:
        return ended
    return _spoilt(ended, said, failure.hint)


def _made(folder: Path | None, ended: Ended) -> tuple[Path | None, Ended]:
    """The folder for the files of the run, made before its end is recorded, so that the journal knows when it fails."""
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return None, _unwritten(ended, folder, error)
    return folder, ended


def _unwritten(ended: Ended, folder: Path | None, error: OSError) -> Ended:
    shown = f"{folder.parent.name}/{folder.name}" if folder else ""
    return _spoilt(ended, f"{shown} cannot be written: {error.strerror}", "make runs/ writable, with room on its disk")


def _spoilt(ended: Ended, problem: str, hint: str) -> Ended:
    """The end with what is missing of it. What the user has interrupted stays so, with its exit code."""
    reason = f"{ended.reason}; {problem}"
    if ended.outcome == "interrupted":
        return replace(ended, reason=reason)
    return Ended("failed", reason, hint)


def further_results(evidence: Evidence) -> dict[str, Any]:
    """What tasks made besides evidence and answer, by task: the code of a Solution, Data, classes of the user's own."""
    found: dict[str, Any] = {}
    for task, result in evidence.results.items():
        if isinstance(result, Solution):
            found |= {task: {"code": result.code, "tests": result.tests}} if result.code else {}
        elif not isinstance(result, Findings | Verdicts | Explanation):
            found[task] = result.model_dump(mode="json")
    return found


def decide_sentences(kit: Kit, answer: Explanation) -> list[dict[str, Any]]:
    """One decision event for each sentence of the answer; returns them with their event numbers."""
    by_number = {c.n: c for c in answer.citations}
    reasons = {(v.source, v.quote): v.reason for v in kit.evidence.verdicts or []}
    doubts = {one.sentence: f"cited, unsure: {one.reason}" for one in kit.evidence.unsure}
    decisions = []
    for sentence in answer.sentences():
        cited = [by_number[n] for n in sentence.cites]
        because = [c.model_dump() | {"verdict": reasons.get((c.source, c.quote), "")} for c in cited]
        content = {"text": sentence.text, "reason": doubts.get(sentence.text, CHECKED), "because": because}
        event = kit.journal.append("decision", content, who=kit.evidence.answered_by, what="said")
        decisions.append({"event": event.seq, "sentence": event.content["text"], "cites": list(sentence.cites)})
    return decisions
