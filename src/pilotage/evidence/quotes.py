"""From scored sentences to quotes: one to three whole neighbouring sentences that together are worth most."""

from __future__ import annotations

from dataclasses import dataclass

from pilotage.evidence.ranking import Candidate, Floats


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a candidate's passage."""

    candidate: int
    text: str
    score: float


def quotes(candidates: list[Candidate], scores: list[Floats], limit: int) -> list[Quote]:
    """The best quotes, at most `limit`, best first."""
    found = []
    seen: set[str] = set()
    for number, candidate in enumerate(candidates):
        for score, (_, start, stop) in zip(scores[number], candidate.spans, strict=True):
            found.append(Quote(number, candidate.passage.text[start:stop], float(score)))
    found.sort(key=lambda quote: (-quote.score, quote.candidate))
    distinct = []
    for quote in found:
        if quote.text not in seen:
            seen.add(quote.text)
            distinct.append(quote)
    return distinct[:limit]
