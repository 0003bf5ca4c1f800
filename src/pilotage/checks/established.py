"""What a run has established so far: the trusted copy, whatever the agents pass to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from pilotage.checks.citations import Fault, Sources
from pilotage.checks.results import Explanation, Finding, Verdict

OF_A_ROUND = ("findings", "verdicts", "answer", "answered_by", "faults", "unsure", "results", "tested")


@dataclass(frozen=True)
class Unsure:
    """A sentence of the answer of which nobody can tell whether its sources say it; `score` is how likely, 0 to 1."""

    sentence: str
    reason: str
    score: float


@dataclass
class Evidence:
    """`faults` are what did not hold: why there is no answer, or what was taken out of it."""

    sources: Sources
    findings: list[Finding] = field(default_factory=list)
    verdicts: list[Verdict] | None = None
    answer: Explanation | None = None
    answered_by: str = ""
    faults: list[Fault] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)
    results: dict[str, BaseModel] = field(default_factory=dict)
    searches: Callable[[], int] = lambda: 0  # how many searches this run has made
    number: str = "0"  # of this run's fences
    tested: int | None = None  # how many tests the code of the last result passed, None when it held no code
    where: Mapping[str, str] = field(default_factory=dict)  # where each source stands, for people
    about: Callable[[str], str] = lambda _source: ""  # title and heading of a source

    def quotes_of(self, source: str) -> list[str]:
        """What the findings quote from a source."""
        return [finding.quote for finding in self.findings if finding.source == source]

    @property
    def supported(self) -> list[tuple[str, str]] | None:
        if self.verdicts is None:
            return None
        return [(v.source, v.quote) for v in self.verdicts if v.verdict == "supported"]

    def kept(self) -> Evidence:
        """A copy that later rounds do not change."""
        return replace(self, faults=list(self.faults), unsure=list(self.unsure), results=dict(self.results))

    def become(self, other: Evidence) -> None:
        """Take over what another round has established; the sources stay those of the run."""
        for name in OF_A_ROUND:
            setattr(self, name, getattr(other, name))

    def clear(self, kept: Mapping[str, BaseModel]) -> None:
        """Nothing is established but the results of tasks that stand."""
        self.become(Evidence(self.sources, results=dict(kept)))
