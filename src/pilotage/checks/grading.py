"""The graders at work on a task's result: does each claim stand in what it cites, does the answer address the question.

    Findings      each claim against its quote
    Verdicts      each claim that is called supported against its quote
    Explanation   each sentence against the quotes that it cites, and all of them together against the question

A claim is held against the quotes alone first, then with the passages around them and their titles: these may say who
"he" is, they may not make good what the quote contradicts. What is copied word for word needs no grader. Each grade is
journalled. What is not covered: results of the user's own types, and data and code, which have checks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pilotage.checks.established import Evidence
from pilotage.checks.grades import Grade
from pilotage.checks.results import Explanation, Findings, Statement, Verdicts
from pilotage.checks.verbatim import normalise
from pilotage.evidence.around import around
from pilotage.guard.limits import Meter
from pilotage.record.journal import Journal

if TYPE_CHECKING:
    from pilotage.checks.judge import Judge
    from pilotage.evidence.embedder import Embedder

QUOTED = Grade("supported", 1.0, "it stands word for word in what it cites", layer="quote")
NEAR_ONLY = frozenset(  # what a quote contradicts, no passage around it makes good
    ["number", "date", "unit", "negation", "antonym", "quantifier", "comparative", "roles"]
)
MARKS = "“”„\"«»「」『』'.。 "


@dataclass(frozen=True)
class Cited:
    """A claim, the quotes it rests on, and the sources that these stand in."""

    claim: str
    quotes: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass
class Graders:
    """The graders of one run. `judge` is asked what the rules cannot tell; `embedder` is that of the documents."""

    question: str
    evidence: Evidence
    journal: Journal
    meter: Meter
    embedder: Embedder | None = None
    judge: Callable[[], Judge | None] = lambda: None

    def ground(self, task: str, agent: str, result: BaseModel) -> dict[int, Grade]:
        """The grade of each claim of a result, by the number of its item."""
        grades = {}
        for number, cited in cited_in(result).items():
            self.meter.raise_if_ended()
            grades[number] = self._ground(cited)
            self._record(task, agent, "claim", cited.claim, grades[number])
        return grades

    def address(self, task: str, agent: str, answer: Explanation) -> tuple[Grade, bool]:
        """How far the answer addresses the question, and whether that is enough. Passages that it cites count as said.

        What quotes must probably be to the question: they were found by its words. Who answers in words of its own has
        read it, and is believed unless the answer shows that it is to another one.
        """
        from pilotage.checks.answering.grader import ADDRESSED, grade_answer

        text, cited = text_of(answer), cited_in(answer).values()
        context = "\n".join(self._passage(citation.source, [citation.quote]) for citation in answer.citations)
        grade = grade_answer(self.question, text, embedder=self.embedder, judge=self.judge(), context=context)
        self._record(task, agent, "answer", text, grade)
        is_probable = grade.score >= ADDRESSED or not all(map(_is_quote, cited))
        return grade, grade.verdict != "unsupported" and is_probable

    def _ground(self, cited: Cited) -> Grade:
        if _is_quote(cited):
            return QUOTED
        near = "\n".join(cited.quotes)
        passages = "\n".join(self._passage(source, cited.quotes) for source in dict.fromkeys(cited.sources))
        first = self._grade(cited.claim, near, judge=None)
        if first.verdict == "supported" or (first.layer == "veto" and first.kind in NEAR_ONLY):
            return first
        second = self._grade(cited.claim, f"{near}\n\n{passages}", judge=self.judge())
        return max(first, second, key=lambda grade: grade.score)

    def _grade(self, claim: str, evidence: str, *, judge: Judge | None) -> Grade:
        from pilotage.checks.grounding.grader import grade_text

        return grade_text(claim, evidence, embedder=self.embedder, judge=judge)

    def _passage(self, source: str, quotes: Sequence[str]) -> str:
        text = around(self.evidence.sources.get(source, ""), quotes)
        return f"{self.evidence.about(source)}\n{text}".lstrip()

    def _record(self, task: str, agent: str, of: str, claim: str, grade: Grade) -> None:
        content = {"claim": claim, "reason": grade.reason} | ({"evidence": grade.evidence} if grade.evidence else {})
        self.journal.append(
            "grade", content, task=task, agent=agent, of=of, verdict=grade.verdict, score=round(grade.score, 4),
            layer=grade.layer or None, veto=grade.kind or None,
        )  # fmt: skip


def text_of(answer: Explanation) -> str:
    """The answer without its marks."""
    return " ".join(sentence.text for sentence in answer.sentences())


def _is_quote(cited: Cited) -> bool:
    return _bare(cited.claim) in map(_bare, cited.quotes)


def _bare(text: str) -> str:
    """Without the marks of a quotation and the end of a sentence."""
    return normalise(text).strip(MARKS)


def warm() -> None:
    """Load what the first grade in other words would load, half a second, before the clock of a run starts."""
    from pilotage.checks.grounding.grader import grade_text

    grade_text("The door owns all retries.", "Retries have one owner, which is the door.")


def cited_in(result: BaseModel) -> dict[int, Cited]:
    """What there is to be graded in a result, by the number of the finding, verdict or sentence."""
    if isinstance(result, Findings):
        return {n: Cited(f.claim, (f.quote,), (f.source,)) for n, f in enumerate(result.findings)}
    if isinstance(result, Verdicts):
        told = enumerate(result.verdicts)
        return {n: Cited(v.claim, (v.quote,), (v.source,)) for n, v in told if v.verdict == "supported"}
    if not isinstance(result, Explanation):
        return {}
    by_number = {c.n: c for c in result.citations}
    found = {}
    for number, sentence in enumerate(result.sentences()):
        cites = [by_number[n] for n in sentence.cites if n in by_number]
        found[number] = Cited(sentence.text, tuple(c.quote for c in cites), tuple(c.source for c in cites))
    return found


def without(result: BaseModel, wrong: Collection[int]) -> BaseModel | None:
    """The result without what does not hold; None when nothing else is left, or when nothing can be left out."""
    if isinstance(result, Findings):
        kept = [finding for n, finding in enumerate(result.findings) if n not in wrong]
        return Findings(findings=kept) if kept else None
    if isinstance(result, Verdicts):
        changed = {"verdict": "unsupported", "reason": "its source does not say this"}
        told = enumerate(result.verdicts)
        return Verdicts(verdicts=[v.model_copy(update=changed) if n in wrong else v for n, v in told])
    return _without_sentences(result, wrong) if isinstance(result, Explanation) else None


def _without_sentences(answer: Explanation, wrong: Collection[int]) -> Explanation | None:
    """Citations that only stood behind those sentences go with them."""
    kept = [sentence for n, sentence in enumerate(answer.sentences()) if n not in wrong]
    gone = {n for number, s in enumerate(answer.sentences()) if number in wrong for n in s.cites}
    gone -= {n for sentence in kept for n in sentence.cites}
    statements = [Statement(text=sentence.text, cites=list(sentence.cites)) for sentence in kept]
    citations = [citation for citation in answer.citations if citation.n not in gone]
    return answer.model_copy(update={"statements": statements, "citations": citations}) if kept else None
