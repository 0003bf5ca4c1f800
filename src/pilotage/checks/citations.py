"""The checks on what agents return, in code: no model can talk its way past them.

findings   each quote stands verbatim in a source that was retrieved in this run
verdicts   there is one for each finding, and none calls supported what does not stand in its source
citations  every sentence carries a citation; every cited quote stands verbatim in its retrieved source and was found
           supported; every number and every quoted stretch of a sentence stands in what it cites; no ReAct residue

What is not covered: whether a sentence in the model's own words means what its quote means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pilotage.checks.results import Citation, Explanation, Finding, Sentence, Verdict
from pilotage.checks.verbatim import SHORTEST_QUOTE, normalise, numbers, stands_in

RESIDUE = re.compile(r"^\s*(?:Thought|Action|Action Input|Observation|Final Answer)\s*:", re.MULTILINE | re.IGNORECASE)
QUOTED = re.compile(r'[“„"«]([^“”„"«»]{3,})[”“"»]|「([^」]{3,})」|『([^』]{3,})』|‘([^‘]{3,}?)’(?!\w)')

Sources = Mapping[str, str]
"""Source id -> the text of that passage as it was read in this run."""


@dataclass(frozen=True)
class Fault:
    """What does not hold: the words in question, and why."""

    text: str
    reason: str


def check_quote(quote: str, source: str, sources: Sources) -> str:
    """Why the quote does not hold, or "" when it does."""
    if source not in sources:
        return f'the source "{source}" was not retrieved in this run'
    if len(normalise(quote)) < min(SHORTEST_QUOTE, len(normalise(sources[source]))):
        return f'the quote "{quote}" is too short to prove anything'
    if not stands_in(quote, sources[source]):
        return f"the quote does not stand word for word in {source}"
    return ""


def check_findings(findings: Iterable[Finding], sources: Sources) -> list[Fault]:
    return [Fault(f.quote, reason) for f in findings if (reason := check_quote(f.quote, f.source, sources))]


def check_verdicts(verdicts: list[Verdict], findings: list[Finding], sources: Sources) -> list[Fault]:
    faults = [
        Fault(v.quote, f"called supported, but {reason}")
        for v in verdicts
        if v.verdict == "supported" and (reason := check_quote(v.quote, v.source, sources))
    ]
    judged: dict[tuple[str, str], str] = {}
    for v in verdicts:
        if judged.setdefault((v.source, normalise(v.quote)), v.verdict) != v.verdict:
            faults.append(Fault(v.quote, "two verdicts on this finding contradict each other"))
    for finding in findings:
        if (finding.source, normalise(finding.quote)) not in judged:
            faults.append(Fault(finding.quote, f"there is no verdict on this finding from {finding.source}"))
    return faults


def check_explanation(
    explanation: Explanation, sources: Sources, supported: Iterable[tuple[str, str]] | None = None
) -> list[Fault]:
    """All faults of an answer; `supported` holds (source, quote) of the verdicts, None when nobody verified."""
    faults: list[Fault] = []
    for statement in explanation.statements:
        if RESIDUE.search(statement.text):
            faults.append(Fault(statement.text[:200], "the answer holds the residue of a thought or an action"))
    proven = None if supported is None else [(source, normalise(quote)) for source, quote in supported]
    citations: dict[int, Citation] = {}
    for citation in explanation.citations:
        if citation.n in citations:
            faults.append(Fault(f"[{citation.n}]", "two citations carry this number"))
        citations[citation.n] = citation
        if reason := check_quote(citation.quote, citation.source, sources):
            faults.append(Fault(f"[{citation.n}] {citation.quote}", reason))
        elif proven is not None and not _is_proven(citation, proven):
            faults.append(Fault(f"[{citation.n}] {citation.quote}", "the verifier did not find this quote supported"))
    for sentence in explanation.sentences():
        if reason := check_sentence(sentence, citations):
            faults.append(Fault(sentence.text, reason))
    return faults


def check_sentence(sentence: Sentence, citations: Mapping[int, Citation]) -> str:
    """Why the sentence does not stand in what it cites, by its numbers and quotes alone; "" when it may."""
    if not sentence.cites:
        return "the sentence carries no citation"
    unknown = [n for n in sentence.cites if n not in citations]
    if unknown:
        return f"there is no citation [{unknown[0]}]"
    cited = [citations[n].quote for n in sentence.cites]
    if missing := numbers(sentence.text).difference(*map(numbers, cited)):
        return f"the number {min(missing)} does not stand in what it cites"
    for match in QUOTED.finditer(sentence.text):
        stretch = next(filter(None, match.groups()))
        if not any(stands_in(stretch, quote) for quote in cited):
            return f"“{stretch}” does not stand in what it cites"
    return ""


def _is_proven(citation: Citation, proven: list[tuple[str, str]]) -> bool:
    quote = normalise(citation.quote)
    return any(source == citation.source and quote in known for source, known in proven)
