"""Whether two questions ask the same, so that the verified answer to one may be served for the other.

Nothing is served on similarity alone: every word must have its partner, and kind of answer, tense, modality, negation,
numbers and roles must agree. What is not covered: questions in other languages, which only the same wording can hit;
what a question leaves unsaid; paraphrases too far apart for the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from pilotage.answers.differences import find_difference
from pilotage.answers.pairing import Pair, pair_words
from pilotage.answers.question import Question, is_english, read_tokens, shared_groups, wordings
from pilotage.language.capitals import find_capital_fault
from pilotage.language.content import Word
from pilotage.language.signs import has_formula, signs_of
from pilotage.language.wording import normal_form

if TYPE_CHECKING:
    from pilotage.answers.vectors import Sentences
    from pilotage.evidence.embedder import Embedder

__all__ = ["Likeness", "compare", "normal_form"]

SIMILARITY = 0.5  # of whole questions; paraphrases reach down to it, and the vetoes do the rest
LONGEST = 400  # characters: what is longer is no question but a text, and only the same wording can hit
_BELOW_ZERO = re.compile(r"(?<!\S)[-−–](?=\d+(?:[.,]\d+)? ?(?:°|degrees?\b|percent\b|%))")
EVENTS = frozenset({"take place", "happen", "occur"})


@dataclass(frozen=True)
class Likeness:
    """The verdict: served or not, the cosine of the two questions, and why in words that a person can read."""

    hit: bool
    similarity: float
    reason: str


def compare(
    a: str, b: str, embedder: Embedder | None = None, similarity: float | None = None, cosine: float | None = None
) -> Likeness:
    """Whether question `b` asks what `a` asks; without an embedder only the same wording can.

    `similarity` is the least cosine of a hit (default 0.5). Who knows the `cosine` of both questions says so: then the
    model runs only for those that nothing else tells apart.
    """
    is_same = normal_form(a).lower() == normal_form(b).lower()  # but for capitals, which come next
    if capital := find_capital_fault(a, b):
        return Likeness(False, 1.0 if is_same else 0.0, capital)
    if is_same:
        return Likeness(True, 1.0, "same words")
    if embedder is None:
        return Likeness(False, 0.0, "other words, and no embedder to judge them by")
    if max(len(a), len(b)) > LONGEST or not (is_english(a) and is_english(b)):
        return Likeness(False, 0.0, "not a question in English: only the same wording can be served")
    a, b = _spoken(a), _spoken(b)
    readings = list(_readings(a, b))
    faults = [find_difference(one, other, pair_words(one, other, _any)) for one, other in readings]
    early = find_signs(a, b) or ("" if "" in faults else faults[0])
    if early and cosine is not None:
        return Likeness(False, cosine, early)  # whatever the vectors of the words would say
    from pilotage.answers.vectors import Sentences

    sentences = Sentences(a, b, embedder)
    least = SIMILARITY if similarity is None else similarity
    if sentences.similarity < least:
        return Likeness(False, sentences.similarity, f"similarity {sentences.similarity:.2f} against {least:g}")
    if early:
        return Likeness(False, sentences.similarity, early)
    hopeful = [reading for reading, fault in zip(readings, faults, strict=True) if not fault]
    return _judged(hopeful, sentences)


def _spoken(question: str) -> str:
    """-5 °C is minus 5 °C; before a bare number the sign may be one of code."""
    return _BELOW_ZERO.sub("minus ", question)


def _readings(a: str, b: str) -> Iterator[tuple[Question, Question]]:
    """Both questions as they are put, then in the frames and with the phrases that bring them nearer."""
    for one, other in product(wordings(a), wordings(b)):
        yield read_tokens(one), read_tokens(other)
        if joins := shared_groups(one, other):
            yield read_tokens(one, joins), read_tokens(other, joins)


def _judged(readings: list[tuple[Question, Question]], sentences: Sentences) -> Likeness:
    """The first reading in which nothing differs, or what differs in the first."""
    faults = []
    for one, other in readings:
        pairs = pair_words(one, other, sentences.nearness)
        if not (fault := find_difference(one, other, pairs)):
            return Likeness(True, sentences.similarity, _explained(one, other, pairs))
        faults.append(fault)
    return Likeness(False, sentences.similarity, faults[0])


def _any(one: Word, other: Word) -> float:
    return 1.0


def find_signs(a: str, b: str) -> str:
    """Which code or signs only one question has, or ""."""
    if has_formula(a) or has_formula(b):
        return "a formula, which only the same wording can hit"
    one, other = signs_of(a), signs_of(b)
    if one == other:
        return ""
    return f"“{' '.join(one) or 'no sign'}” against “{' '.join(other) or 'no sign'}”"


def _explained(a: Question, b: Question, pairs: list[Pair]) -> str:
    told = [f"“{a.words[pair.a].raw}” for “{b.words[pair.b].raw}”" for pair in pairs if pair.why != "same"]
    return ", ".join(told) or "same words in another order or frame"
