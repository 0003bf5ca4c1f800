"""Whether two questions ask the same, so that the verified answer to one may be served for the other.

Nothing is served on similarity alone: every word must have its partner, and kind of answer, tense, modality, negation,
numbers and roles must agree. What is not covered: questions in other languages, which only the same wording can hit;
what a question leaves unsaid; two paraphrases too far apart for the lexicon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotage.answers.content import Word
from pilotage.answers.order import Roles
from pilotage.answers.pairing import Pair, pair_words
from pilotage.answers.question import Question, is_english, read_question
from pilotage.answers.wording import normal_form
from pilotage.answers.words import BLAND, DESIGNATORS, LIGHT, SPANS

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder

__all__ = ["Likeness", "compare", "normal_form"]

ABILITY = frozenset({"can", "may", "able"})
SIMILARITY = 0.7
LONGEST = 600  # characters: what is longer is no question but a text, and only the same wording can hit


@dataclass(frozen=True)
class Likeness:
    """The verdict: served or not, the cosine of the two questions, and why in words that a person can read."""

    hit: bool
    similarity: float
    reason: str


def compare(a: str, b: str, embedder: Embedder | None = None, similarity: float | None = None) -> Likeness:
    """Whether question `b` asks what `a` asks; without an embedder only the same wording can.

    `similarity` is the least cosine of a hit (default 0.7).
    """
    if normal_form(a) == normal_form(b):
        return Likeness(True, 1.0, "same words")
    if embedder is None:
        return Likeness(False, 0.0, "other words, and no embedder to judge them by")
    if max(len(a), len(b)) > LONGEST or not (is_english(a) and is_english(b)):
        return Likeness(False, 0.0, "not a question in English: only the same wording can be served")
    from pilotage.answers.vectors import Sentences

    sentences = Sentences(a, b, embedder)
    one, other = read_question(a), read_question(b)
    pairs = pair_words(one, other, sentences.nearness)
    if fault := _fault(one, other, pairs):
        return Likeness(False, sentences.similarity, fault)
    least = SIMILARITY if similarity is None else similarity
    if sentences.similarity < least:
        return Likeness(False, sentences.similarity, f"similarity {sentences.similarity:.2f} against {least:g}")
    return Likeness(True, sentences.similarity, _explained(one, other, pairs))


def _fault(a: Question, b: Question, pairs: list[Pair]) -> str:
    return (
        _kinds(a, b)
        or _alone(a, b, pairs)
        or _times(a, b, pairs)
        or _modals(a, b, pairs)
        or _persons(a, b)
        or Roles(a, b, pairs).fault()
    )


def _kinds(a: Question, b: Question) -> str:
    kinds = {a.kind, b.kind}
    if len(kinds) == 1 or kinds in ({"when", "year"}, {"when", "day"}):
        return ""
    if a.alternatives and b.alternatives and "polar" in kinds and kinds & {"what", "who"}:
        return ""  # is it 30 or 50: which of both
    return f"one asks {a.kind}, the other {b.kind}"


def _alone(a: Question, b: Question, pairs: list[Pair]) -> str:
    mine = [word for i, word in enumerate(a.words) if i not in {pair.a for pair in pairs} and not _is_idle(a, i)]
    theirs = [word for i, word in enumerate(b.words) if i not in {pair.b for pair in pairs} and not _is_idle(b, i)]
    if any(pair.why == "again" for pair in pairs):
        mine, theirs = ([word for word in words if word.text != "again"] for words in (mine, theirs))
    spans = SPANS if a.kind == "duration" else frozenset()
    if a.kind == b.kind == "what" and not (mine and theirs) and [word.text for word in mine + theirs] == ["how high"]:
        return ""  # how high is the rate: what is the rate
    heavy = [word for word in mine + theirs if not _is_light(word) and not word.bases & spans]
    if not heavy and not (mine and theirs):
        return ""
    numbers = [[word.raw for word in words if word.kind == "number"] for words in (mine, theirs)]
    if all(numbers):
        return f"number {numbers[0][0]} against {numbers[1][0]}"
    word = (heavy or mine)[0]
    return f"“{word.raw}” in one only" if word.kind != "word" else f"“{word.raw}” has no counterpart"


def _is_idle(question: Question, place: int) -> bool:
    """`code` of status code 404; `this` of this error."""
    words = question.words
    if place == 0 and question.kind == "what" and question.names_kind and words[place].kind == "word":
        return True  # which city is the capital
    if words[place].kind == "closed":
        return words[place].text == "this" and not any(c.kind == "number" for c in words[place + 1 : place + 2])
    after = words[place + 1] if place + 1 < len(words) else None
    return (
        bool(words[place].bases & DESIGNATORS)
        and place > 0
        and after is not None
        and (after.kind == "number" or after.is_name)
    )


def _is_light(word: Word) -> bool:
    return word.kind == "word" and bool(word.bases & (LIGHT | BLAND)) and not word.degree


def _times(a: Question, b: Question, pairs: list[Pair]) -> str:
    if any(pair.why == "agent" for pair in pairs):
        return ""  # the inventor is one who invented
    if a.tense == b.tense or ({a.kind, b.kind} <= {"when", "day"} and "past" not in (a.tense, b.tense)):
        return ""  # what is planned stands in the present or the future
    return f"{a.tense} against {b.tense}"


def _modals(a: Question, b: Question, pairs: list[Pair]) -> str:
    """In a yes-or-no question a modal is what is asked; elsewhere `can` and `should` may be left out."""
    free = ABILITY | {"should"} if a.kind != "polar" else frozenset()
    if any(pair.why in ("root", "same") and a.words[pair.a].text.endswith("ly") != b.words[pair.b].text.endswith("ly")
           and "safe" in a.words[pair.a].bases | b.words[pair.b].bases for pair in pairs):  # fmt: skip
        free = ABILITY  # is it safe to, can it be done safely
    if a.kind == "duration":
        free |= {"must"}  # how long does it take, how long must it
    if any(a.words[pair.a].text in ("at-most", "at-least") for pair in pairs):
        free = ABILITY  # it may have at most, it is limited to
    both_named = (a.modals & free) and (b.modals & free) and a.kind != "how"
    one, other = (a.modals, b.modals) if both_named else (a.modals - free, b.modals - free)
    if {"may", "able"} - one - other:  # `can` is either
        one, other = ({"can" if name in ABILITY else name for name in names} for names in (one, other))
    if one == other:
        return ""
    return f"“{' '.join(sorted(a.modals)) or 'no modal'}” against “{' '.join(sorted(b.modals)) or 'no modal'}”"


def _persons(a: Question, b: Question) -> str:
    """`Can you …` is anybody, unless it stands beside `my`: then you and I are two."""
    one, other = [p for p in a.pronouns], [p for p in b.pronouns]
    if one == other:
        return ""
    for persons in (one, other):
        subjects = [p for p in persons if p in ("I", "you")]
        if ("me" in persons and subjects) or ("you" in persons and ("me" in persons or "my" in persons)):
            return f"“{' '.join(one)}” against “{' '.join(other)}”"
    return "" if ("me" in one) == ("me" in other) else "“me” in one only"


def _explained(a: Question, b: Question, pairs: list[Pair]) -> str:
    told = [f"“{a.words[p.a].raw}” for “{b.words[p.b].raw}”" for p in pairs if p.why != "same"]
    return ", ".join(told) or "same words in another order or frame"
