"""Findings and verdicts of a small model, by how sure it is of a yes: it tells right from wrong better than it writes.

    findings   the quotes that a search found, each by its score and by whether the model says that it holds the answer
    verdicts   each finding, by whether it answers the question when it is read in its source, and whether its claim
               stands there

Texts and examples are those of prompts.yaml (local, judge). What is not covered: findings that need several passages to
be understood, and tasks that look for something else than what the run was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotage.checks.judge import Messages, about_answer, about_claim, conversation, log_odds, on_a_line
from pilotage.evidence.choose import choose
from pilotage.model.gguf.reading import Request
from pilotage.prompts import LocalPrompts, Prompts, fill

MOST = 4  # quotes that are weighed; each takes about a second on two cores
SCORE, SURE = 1.0, 2.0  # what the logarithms of both odds count, on 60 and 30 questions that bench_crew.py does not ask
FARTHEST = 6.0  # that either may be from even
UNKNOWN = 0.3  # the score of a quote that no search has found
EVEN = 0.5
SUPPORTED, UNSUPPORTED = 0.5, 0.3  # how sure of a yes it must be, at least or under

Sure = Callable[[Messages], float]


@dataclass(frozen=True)
class Weighing:
    """What the run was asked, the words to ask the model in, and how sure it is of a yes: NaN when it says neither."""

    question: str
    texts: Prompts
    number: str
    sure: Sure

    def findings(self, request: Request) -> list[dict[str, Any]]:
        """At most two quotes that answer; [] when none is likely to."""
        quotes = [(source, quote) for source, own in request.quotes.items() for quote in own]
        quotes.sort(key=lambda pair: -request.scores.get(pair, -math.inf))
        weighed = [self._weighed(request, source, quote) for source, quote in quotes[:MOST]]
        found = choose([each for each in weighed if each.score >= EVEN])
        return [{"claim": each.quote, "quote": each.quote, "source": each.source} for each in found]

    def _weighed(self, request: Request, source: str, quote: str) -> _Weighed:
        sure = self.sure(_about_quote(self.texts.local, request.places.get(source, ""), quote, self.question))
        score = request.scores.get((source, quote), -1.0)
        score = score if score >= 0 else UNKNOWN
        odds = SCORE * log_odds(score, FARTHEST) + SURE * (0.0 if math.isnan(sure) else log_odds(sure, FARTHEST))
        return _Weighed(quote, source, 1 / (1 + math.exp(-odds)))

    def verdicts(self, request: Request) -> list[dict[str, Any]]:
        """One for each finding that was handed over."""
        return [dict(finding) | self._verdict(finding, request) for finding in request.findings]

    def _verdict(self, finding: Mapping[str, Any], request: Request) -> dict[str, str]:
        claim, quote = str(finding["claim"]), str(finding["quote"])
        read = request.texts.get(str(finding["source"]), quote)
        messages = about_answer(self.texts.judge, self.question, quote, read, self.number)
        asked = [("it answers the question", self.sure(messages))]
        if claim.split() != quote.split():
            messages = about_claim(self.texts.judge, claim, quote, self.number)
            asked.append(("the claim holds", self.sure(messages)))
        said = ", ".join(f"{what}: {_shown(sure)}" for what, sure in asked)
        return {"verdict": _verdict([sure for _, sure in asked]), "reason": f"how sure the model is that {said}"}


@dataclass(frozen=True)
class _Weighed:
    quote: str
    source: str
    score: float


def _about_quote(texts: LocalPrompts, place: str, quote: str, question: str) -> Messages:
    shots = [(_asked(texts, shot.place, shot.quote, shot.question), shot.holds) for shot in texts.examples]
    return conversation(texts.holds, shots, _asked(texts, place, quote, question))


def _asked(texts: LocalPrompts, place: str, quote: str, question: str) -> str:
    return fill(texts.holds_ask, place=" ".join(place.split()), quote=on_a_line(quote), question=on_a_line(question))


def _verdict(sure: Sequence[float]) -> str:
    if any(math.isnan(each) for each in sure):
        return "unsure"
    return "supported" if min(sure) >= SUPPORTED else "unsupported" if min(sure) < UNSUPPORTED else "unsure"


def _shown(sure: float) -> str:
    return "it would not say" if math.isnan(sure) else f"{sure:.0%}"
