"""Which words of two questions have no partner, and whether that tells the questions apart.

What may stand alone: light verbs beside the nouns of the other wording, `usually` and `now` where nothing else is
meant, the noun of what an amount is. What is not covered: words that a reader leaves out because the subject says them.
"""

from __future__ import annotations

from pilotage.answers.pairing import NOWHERE, Pair
from pilotage.answers.question import Question
from pilotage.language.content import Word
from pilotage.language.words import (
    BLAND,
    DESIGNATORS,
    DIMENSIONS,
    EMPHASES,
    EVENTS,
    HABITS,
    HANDING,
    LIGHT,
    MAGNITUDES,
    MEASURING,
    NOWADAYS,
    SPANS,
    SUMS,
)  # fmt: skip


def find_alone(a: Question, b: Question, pairs: list[Pair]) -> str:
    """The first word without a partner that tells, or ""."""
    mine = _left(a, {pair.a for pair in pairs}, b)
    theirs = _left(b, {pair.b for pair in pairs}, a)
    if a.names_kind and b.names_kind and not any(pair.a == 0 for pair in pairs):
        return f"“{a.words[0].raw}” against “{b.words[0].raw}”"
    if any(pair.why == "again" for pair in pairs):
        mine, theirs = ([word for word in words if word.text != "again"] for words in (mine, theirs))
    if _is_measure_of(a, b, mine + theirs) or _is_handed_in(a, b, mine + theirs):
        return ""
    light = LIGHT | BLAND | (SPANS if "duration" in (a.kind, b.kind) else frozenset())
    heavy = [word for words, question in ((mine, a), (theirs, b)) for word in words if _weighs(word, question, light)]
    if not heavy and not (mine and theirs):
        return ""
    return _stands_alone(mine, theirs, (heavy or mine)[0])


def _is_measure_of(a: Question, b: Question, alone: list[Word]) -> bool:
    """how high is the rate, what is the rate; how much is the fee, what is the fee"""
    if a.kind != "what" or len(alone) != 1:
        return False
    if alone[0].text in ("how high", "how large", "how long"):
        return any(word.bases & (MAGNITUDES | SUMS) for word in a.words)
    return alone[0].text == "cost" and _is_sum(a) and _is_sum(b)


def _is_handed_in(a: Question, b: Question, alone: list[Word]) -> bool:
    """when is the form due, by when must I submit the form"""
    is_due = a.kind == b.kind == "when" and "must" in a.modals and "must" in b.modals
    return is_due and len(alone) == 1 and bool(alone[0].bases & HANDING)


def _weighs(word: Word, question: Question, light: frozenset[str]) -> bool:
    """Whether its absence from the other question tells: not that of a light verb; a case fan is no fan of any kind."""
    if word.kind != "word" or word.degree or not word.bases & light:
        return True
    place = question.words.index(word)
    is_modifier = place + 1 < len(question.words) and question.words[place + 1].follows
    return is_modifier and bool(word.bases & BLAND) and not word.bases & EVENTS


def _is_sum(question: Question) -> bool:
    """Whether the noun that is asked about, behind the inserted `cost` if there is one, is a sum of money."""
    words = [word for word in question.words if word.text != "cost" or word.spans != (NOWHERE,)]
    for place, word in enumerate(words[:4]):
        ends = place + 1 == len(words) or words[place + 1].marker or words[place + 1].kind != "word"
        if ends:
            return bool(word.bases & SUMS)
    return False


def _stands_alone(mine: list[Word], theirs: list[Word], word: Word) -> str:
    numbers = [[word.raw for word in words if word.kind == "number"] for words in (mine, theirs)]
    if all(numbers):
        return f"number {numbers[0][0]} against {numbers[1][0]}"
    return f"“{word.raw}” has no counterpart" if word.kind == "word" else f"“{word.raw}” in one only"


def _left(question: Question, paired: set[int], other: Question) -> list[Word]:
    return [
        word
        for i, word in enumerate(question.words)
        if i not in paired and not _is_idle(question, i) and not _is_said(question, i, other)
    ]


def _is_said(question: Question, place: int, other: Question) -> bool:
    """`company` where the other asks who; `usually` and `now` where nothing else is meant; `weighing` before 5 kg."""
    word = question.words[place]
    if place == 0 and question.kind == "what" and other.kind in ("who", "duration"):
        return True
    if word.text in HABITS or word.text in EMPHASES:
        return question.kind != "polar" and word.kind in ("word", "closed")
    if word.text in NOWADAYS:
        return question.tense == other.tense == "present" and not (question.tells_past or other.tells_past)
    after = question.words[place + 1] if place + 1 < len(question.words) else None
    if after is None or after.kind != "number" or "amount" not in after.text:
        return False
    is_dimension = after.marker == "of" and bool(word.bases & DIMENSIONS)
    return is_dimension or (not after.marker and word.text.endswith("ing") and bool(word.bases & MEASURING))


def _is_idle(question: Question, place: int) -> bool:
    """`city` of which city is the capital; `code` of status code 404; `this` of this error."""
    words = question.words
    after = words[place + 1] if place + 1 < len(words) else None
    if words[place].kind == "closed":
        return words[place].text == "this" and not (after and after.kind == "number")
    if place == 0:
        return question.names_kind and words[place].kind == "word"
    return bool(words[place].bases & DESIGNATORS and after and (after.kind == "number" or after.is_name))
