"""Does an answer address the question that was asked? Vetoes first, then a small scorer, then a judge if there is one.

The score is the chance, at even odds, that the answer is to this question and not to another one. Not covered: whether
the answer is true (the grounding grader's work); who did what to whom; a question or answer in a language other than
English is never called unsupported by the scorer, only by what shows in any language.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from pilotage.checks.answering.asked import Asked, only_asked, read_asked
from pilotage.checks.answering.features import KIND, Seen, see
from pilotage.checks.answering.mentions import Words, absent
from pilotage.checks.answering.offers import CERTAIN
from pilotage.checks.answering.stems import is_english
from pilotage.checks.answering.vetoes import find_missing, without_marks
from pilotage.checks.answering.weights import ALONE, FULL, LEXICAL_ALONE, LEXICAL_FULL, SHORT, Weights
from pilotage.checks.grades import Grade, Verdict
from pilotage.evidence.terms import terms
from pilotage.language.lexicon import lexicon
from pilotage.language.words import BE, DO, HAVE, MODALS

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder

VETOED = 0.02  # the score of what a veto decides; of 600 right answers none was vetoed
SUPPORTED = 0.6  # from this chance on an answer is said to address its question
ADDRESSED = 0.45
"""The score for a gate that ends a run without an answer: 97 of 100 right ones reach it (bench_answer_grader.py)."""

EVEN = 0.5  # the score where nothing can be told
FEW = 4  # words: an answer of no more is none of its own, but completes the question …
MORE = 10  # … and one of no more than this, when it has no verb …
LITTLE = 0.34  # … and less than this share of the question's words
CERTAINTY = 0.05
"""Where the words alone are as certain as this, no vector is made, unless a word of the question is not spoken of."""
COMPLETE = 0.7  # the score of such an answer when it holds the kind asked for and nothing surrounds it
_VERBS = BE | DO | HAVE | MODALS.keys()
_JUDGE_FLOOR = 0.02  # a judge's certainty counts as no more than this and its complement


class Judge(Protocol):
    """Asked where the scorer cannot tell: the chance that the answer is one to the question; NaN for no opinion."""

    def addresses(self, question: str, answer: str, context: str) -> float: ...


def grade_answer(
    question: str, answer: str, *, embedder: Embedder | None = None, judge: Judge | None = None, context: str = ""
) -> Grade:
    """Grade one answer; `context` is the title, heading and passage around a quoted one: a name there counts.

    >>> grade_answer("When did the bridge open?", "The bridge has two lanes.").reason
    'asks when, but the answer has no date'
    """
    question = only_asked(question)
    asked, text = read_asked(question), without_marks(answer)
    if missing := find_missing(asked, answer, context):
        return Grade("unsupported", VETOED, missing.reason, answer, "veto", missing.kind)
    is_known = is_english(question) and is_english(text)
    if embedder and not (is_known and embedder.knows(question) and embedder.knows(text)):
        embedder = None
    seen, weights, score = _score(asked, text, context, None)
    is_plain = score < CERTAINTY or (score > 1 - CERTAINTY and not seen.unspoken)
    if embedder and weights not in (None, SHORT) and not is_plain:
        seen, weights, score = _score(asked, text, context, embedder)
    grade = Grade(
        _verdict(score, weights), round(score, 4), _reason(asked, seen, score, text, context), answer, "scorer"
    )
    if not is_known:
        return _doubted(grade)
    return _judged(grade, question, text, context, judge) if judge and grade.verdict == "unsure" else grade


def _score(asked: Asked, text: str, context: str, embedder: Embedder | None) -> tuple[Seen, Weights | None, float]:
    """The features, the model for what is known (None for a few words with nothing around them), and the chance."""
    seen = see(asked, text, context, embedder)
    if not _is_short(text, seen):
        with_vectors, lexical = (FULL, LEXICAL_FULL) if context else (ALONE, LEXICAL_ALONE)
        weights = with_vectors if embedder else lexical
    elif context:
        weights = SHORT
    else:
        is_complete = seen.values[KIND] > 0 and len(terms(text)) <= FEW
        return seen, None, COMPLETE if is_complete else EVEN
    return seen, weights, chance(seen, weights)


def chance(seen: Seen, weights: Weights) -> float:
    """The logistic model's answer."""
    total = weights.bias + sum(slope * seen.values[name] for name, slope in weights.slopes.items())
    return 1 / (1 + math.exp(-total))


def _is_short(text: str, seen: Seen) -> bool:
    """A few words that say little of the question again: `In 1206.`"""
    words = terms(text)
    if seen.values["own"] >= LITTLE or len(words) > MORE:
        return False
    return len(words) <= FEW or not any(word in _VERBS or lexicon().is_participle(word) for word in words)


def _verdict(score: float, weights: Weights | None) -> Verdict:
    if score >= SUPPORTED:
        return "supported"
    return "unsupported" if weights and score < weights.low else "unsure"


def _doubted(grade: Grade) -> Grade:
    """Words of another language are no evidence against an answer."""
    if grade.verdict == "supported":
        return grade
    reason = "question or answer is not in English: its words could not be compared"
    return Grade("unsure", max(grade.score, EVEN), reason, grade.evidence, "scorer")


def _reason(asked: Asked, seen: Seen, score: float, text: str, context: str) -> str:
    """What the answer does or does not speak of, in words for people."""
    if score >= SUPPORTED:
        kind = f" and says {asked.parts[0].label}" if asked.kind in CERTAIN else ""
        return f"speaks of what is asked{kind}"
    if names := absent(Words(f"{text} {context}"), asked.names):
        return f"says nothing of {' '.join(names[:3])}"
    if seen.values[KIND] < 0:
        return f"asks {asked.parts[0].label}, and the answer does not seem to say"
    if seen.unspoken:
        return "says nothing of " + ", ".join(f"“{word}”" for word in seen.unspoken[:3])
    return "speaks of the same things, but may say something else of them"


def _judged(grade: Grade, question: str, text: str, context: str, judge: Judge) -> Grade:
    """The scorer's chance and the judge's put together as independent ones."""
    told = judge.addresses(question, text, context)
    if math.isnan(told):
        return grade
    told = min(max(told, _JUDGE_FLOOR), 1 - _JUDGE_FLOOR)
    odds = grade.score / (1 - grade.score) * told / (1 - told)
    score = odds / (1 + odds)
    verdict: Verdict = "supported" if score >= SUPPORTED else "unsupported" if score < 1 - SUPPORTED else "unsure"
    reason = f"the judge gives it {told:.0%}" + ("" if verdict == "supported" else f"; {grade.reason}")
    return Grade(verdict, round(score, 4), reason, grade.evidence, "judge")
