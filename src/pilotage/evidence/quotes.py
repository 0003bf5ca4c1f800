"""From scored sentences to quotes: one to three whole neighbouring sentences.

The two quotes that together are worth most within BUDGET characters come as they are, so that a reader who may quote
two gets the best pair; after them the single sentences that are left. A sentence that reads like an order to a model
stands alone: an agent may read it, what only copies leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotage.evidence.ranking import Candidate, Floats
from pilotage.guard.fence import suspects

BUDGET = 450  # characters of two quotes together
SENTENCES = 3  # in one quote
WORTH = 0.001  # of the best sentence's score: a sentence that has less is not quoted
_TIE = 1e-9
_CONSIDERED = 60  # quotes compared in pairs


@dataclass(frozen=True, slots=True)
class Quote:
    """Sentences `first` to `last` of a candidate's passage, verbatim."""

    candidate: int
    first: int
    last: int
    text: str
    score: float

    def overlaps(self, other: Quote) -> bool:
        same = self.candidate == other.candidate
        return self.text == other.text or (same and self.first <= other.last and other.first <= self.last)


def quotes(candidates: list[Candidate], scores: list[Floats], limit: int) -> list[Quote]:
    """The best quotes, at most `limit`, best first; none overlaps another."""
    every = sorted(_windows(candidates, scores), key=lambda quote: (-quote.score, len(quote.text)))
    chosen = best_pair(every[:_CONSIDERED])
    for quote in every:
        if len(chosen) < limit and quote.first == quote.last and not any(map(quote.overlaps, chosen)):
            chosen.append(quote)
    return sorted(chosen, key=lambda quote: -quote.score)[:limit]


def best_pair(found: list[Quote]) -> list[Quote]:
    """The one or two quotes that are worth most within BUDGET; `found` is best first."""
    best, worth = found[:1], found[0].score if found else 0.0
    for number, one in enumerate(found):
        if one.score * 2 <= worth:
            break
        for other in found[number + 1 :]:
            if one.score + other.score <= worth + _TIE:
                break
            if len(one.text) + len(other.text) <= BUDGET and not one.overlaps(other):
                best, worth = [one, other], one.score + other.score
    return best


def _windows(candidates: list[Candidate], scores: list[Floats]) -> Iterator[Quote]:
    floor = max((float(part.max()) for part in scores if len(part)), default=0.0) * WORTH
    for number, candidate in enumerate(candidates):
        text, spans = candidate.passage.text, candidate.spans
        alone = _orders(text, spans) if (scores[number] >= floor).any() else set()
        for first, (_, start, _) in enumerate(spans):
            if scores[number][first] < floor:
                continue
            for last in range(first, min(first + SENTENCES, len(spans))):
                stop = spans[last][2]
                if last > first and (
                    stop - start > BUDGET or scores[number][last] < floor or not alone.isdisjoint((first, last))
                ):
                    break
                yield Quote(number, first, last, text[start:stop], float(scores[number][first : last + 1].sum()))


def _orders(text: str, spans: Sequence[tuple[int, int, int]]) -> set[int]:
    """The sentences of a passage that read like orders; most passages have none, which one look tells."""
    if not suspects(text):
        return set()
    return {number for number, (_, start, stop) in enumerate(spans) if suspects(text[start:stop])}
