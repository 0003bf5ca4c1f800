"""What a model that judges is asked, and what is made of its answer: one word, yes or no, and how sure it is of it.

The texts and the examples are those of prompts.yaml (judge). No model is asked here: see judging.py.
What is not covered: a model that believes what a source orders; the source is fenced, and the answer is one word.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from pilotage.checks.grades import Grade, Verdict
from pilotage.checks.grounding.evidence import best_sentences
from pilotage.guard.fence import fence
from pilotage.prompts import JudgePrompts, fill

SHORT = 900  # characters of a source that is read whole; of a longer one the sentences that speak of the claim
SENTENCES = 4
LONGEST = 4_000  # characters of an answer, and of what it stands in
NEAREST = 1e-6  # to 0 or 1 that a probability comes, for its logarithm
EXAMPLES = "3e1f"  # the number of their fences: the same in each process, so that a cache of prompts keeps them
NO_VERDICT = "the judge gave no verdict"
# the logarithm of the odds that a claim holds, from those of the judge and of the embedded grader: fitted by
# `bench_judge.py --fit --seed 7` on 322 rows
JUDGE, EMBEDDED, BIAS = 1.15, 0.48, -0.33
FARTHEST = 4.0  # that either may be from 0: a bare word has no more weight than a probability of 0.98
UNSURE = (0.4, 0.6)  # between them nobody knows
AGAINST_A_VETO = 0.98  # what a judge must say for a sure veto to be doubted; it is never overruled

Messages = list[dict[str, str]]

_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_SAID = re.compile(r"[\W_]*(yes|no)\b(?:[\W_]*\bp=([01](?:\.\d+)?)\Z)?", re.IGNORECASE)


class Judge(Protocol):
    """Says how probable it is, 0 to 1; NaN when it would not say or could not be asked."""

    def probability(self, claim: str, evidence: str) -> float:
        """That the evidence, by itself, shows the whole claim to be true."""

    def addresses(self, question: str, answer: str, context: str = "") -> float:
        """That the answer, which stands in `context`, is one to the question. Not that it is true."""


def about_claim(texts: JudgePrompts, claim: str, evidence: str, number: str) -> Messages:
    """Whether a claim holds; `number` is that of the fences."""
    shots = [(_claim(texts, shot.claim, shot.source, EXAMPLES), shot.holds) for shot in texts.claims]
    return conversation(texts.claim, shots, _claim(texts, claim, evidence, number))


def about_answer(texts: JudgePrompts, question: str, answer: str, context: str, number: str) -> Messages:
    """Whether an answer is one to the question."""
    shots = [(_answer(texts, s.question, s.answer, s.context, EXAMPLES), s.addresses) for s in texts.answers]
    return conversation(texts.answer, shots, _answer(texts, question, answer, context, number))


def read_answer(answer: Any) -> float:
    """The probability in an answer: 1 or 0 for the word alone, NaN for what is neither.

    >>> read_answer("Yes."), read_answer("no p=0.125")
    (1.0, 0.125)
    """
    said = _SAID.match(_THOUGHT.sub("", answer)) if isinstance(answer, str) else None
    if said is None:
        return math.nan
    return float(said[2]) if said[2] else float(said[1].lower() == "yes")


def written(probability: float) -> str:
    """What `read_answer` reads: a probability as the answer that a journal keeps."""
    if math.isnan(probability):
        return "neither"
    return f"{'yes' if probability >= 0.5 else 'no'} p={min(1 - NEAREST, max(NEAREST, probability)):.6f}"


def is_by_word(probability: float) -> bool:
    """Whether it was a bare word: a probability that a model tells is never quite 0 or 1."""
    return probability in (0.0, 1.0)


def mean(votes: Sequence[float]) -> float:
    """Of the votes that were given; NaN without any."""
    given = [vote for vote in votes if not math.isnan(vote)]
    return sum(given) / len(given) if given else math.nan


def combine(embedded: Grade, probability: float) -> Grade:
    """The grade of both. Without a verdict of the judge the embedded one stands, and says so.

    What stands word for word needs no judge. A sure veto stays; a judge that is very certain makes it unsure.
    """
    if math.isnan(probability):
        return replace(embedded, reason=f"{embedded.reason}; {NO_VERDICT}".removeprefix("; "))
    if embedded.layer == "quote":
        return embedded
    if embedded.layer == "veto":
        return _doubted(embedded) if probability >= AGAINST_A_VETO else embedded
    odds = JUDGE * log_odds(probability, FARTHEST) + EMBEDDED * log_odds(embedded.score, FARTHEST) + BIAS
    score = 1 / (1 + math.exp(-odds))
    said = f"the judge says {'yes' if probability >= 0.5 else 'no'} ({probability:.0%})"
    reason = f"{said}; {embedded.reason}".removesuffix("; ")
    return replace(embedded, verdict=_verdict(score), score=score, reason=reason, layer="judge")


def log_odds(probability: float, most: float) -> float:
    """The logarithm of the odds, between -most and most.

    >>> round(log_odds(0.9, 5), 2), log_odds(1.0, 5)
    (2.2, 5.0)
    """
    held = min(1 - NEAREST, max(NEAREST, probability))
    return max(-most, min(most, math.log(held / (1 - held))))


def _verdict(score: float) -> Verdict:
    low, high = UNSURE
    return "unsupported" if score < low else "supported" if score >= high else "unsure"


def _doubted(embedded: Grade) -> Grade:
    return replace(embedded, verdict="unsure", score=0.5, reason=f"{embedded.reason}; the judge disagrees")


def conversation(rule: str, shots: Sequence[tuple[str, bool]], asked: str) -> Messages:
    """The same beginning each time: a provider, or the cache of a local model, need not read it anew."""
    messages = [{"role": "system", "content": rule}]
    for text, holds in shots:
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": "Yes" if holds else "No"})
    return [*messages, {"role": "user", "content": asked}]


def excerpt(claim: str, evidence: str) -> str:
    """What is read of a source: all of it when it is short, else its best sentences with what they need, in order."""
    if len(evidence) <= SHORT:
        return evidence.strip()
    found = best_sentences(claim, evidence, SENTENCES)
    first = found[0].context if found else ""
    parts = [first, *(one.text for one in sorted(found, key=lambda one: one.start) if one.text not in first)]
    return "\n".join(part for part in parts if part)


def _claim(texts: JudgePrompts, claim: str, evidence: str, number: str) -> str:
    return fill(texts.claim_ask, source=fence(excerpt(claim, evidence), "source", number), claim=on_a_line(claim))


def _answer(texts: JudgePrompts, question: str, answer: str, context: str, number: str) -> str:
    fenced = fence(f"{context[:LONGEST]}\n\nAnswer: {answer[:LONGEST]}".strip(), "source", number)
    return fill(texts.answer_ask, answer=fenced, question=on_a_line(question))


def on_a_line(text: str) -> str:
    """In quotes that it cannot leave."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
