"""What goes back to an agent whose result did not hold: the faults, its input, and the sources as they were read.

CrewAI drops a task's context when a guardrail fails, so the evidence is told again.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from pilotage.checks.citations import Fault, Sources
from pilotage.checks.established import Evidence
from pilotage.checks.results import Explanation, Finding, Findings, Verdict, Verdicts, supported
from pilotage.evidence.around import around
from pilotage.guard.fence import fence
from pilotage.prompts import CrewPrompts


def feedback(
    faults: Sequence[Fault], kind: type[BaseModel], context: Sequence[str], evidence: Evidence, prompts: CrewPrompts
) -> str:
    """For a task that returns a `kind` and was given the results of the tasks in `context`."""
    parts = [prompts.faults]
    parts += [f"- {fault.reason}" + (f": {fault.text}" if fault.text else "") for fault in faults]
    given = _given(kind, context, evidence)
    if given:
        parts += ["", prompts.input, *(result.model_dump_json() for result in given)]
    if sources := _sources(given, kind, evidence):
        parts += ["", prompts.sources]
        in_order = sorted(sources.items())  # whichever call was over first: the same prompt from the tape
        parts += [fence(text, source, evidence.number) for source, text in in_order]
    return "\n".join(parts)


def _sources(given: Sequence[BaseModel], kind: type[BaseModel], evidence: Evidence) -> Sources:
    """The sources that the input names; all of them where it names none, or where the task may use others."""
    named = {
        item.source
        for result in given
        for item in (*getattr(result, "findings", ()), *getattr(result, "verdicts", ()))
        if isinstance(item, Finding | Verdict)
    }
    if not named or not issubclass(kind, Verdicts | Explanation):
        return evidence.sources
    return {s: around(t, evidence.quotes_of(s)) for s, t in evidence.sources.items() if s in named}


def _given(kind: type[BaseModel], context: Sequence[str], evidence: Evidence) -> list[BaseModel]:
    """What the task was given: findings or verdicts, and the results of its context."""
    given: list[BaseModel] = []
    if issubclass(kind, Verdicts | Explanation):
        judged = supported(Verdicts(verdicts=evidence.verdicts or []))
        given.append(Findings(findings=evidence.findings) if kind is Verdicts else judged)
    results = [evidence.results.get(name) for name in context]
    if issubclass(kind, Explanation):
        results = [supported(result) if isinstance(result, Verdicts) else result for result in results]
    return given + [result for result in results if result is not None and result not in given]
