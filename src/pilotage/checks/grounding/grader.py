"""Does the evidence hold the claim? Quoted words first, then vetoes, then a small scorer, then a judge if there is one.

A veto that is sure decides. The scorer weighs shares of words, their order, what speaks against the claim and, with a
sentence model, how near each word comes to one of the evidence; no likeness alone makes a claim supported. Not covered:
inference, arithmetic, languages other than English beyond what stands word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pilotage.checks.answering.stems import is_english
from pilotage.checks.grades import Grade, Verdict
from pilotage.checks.grounding import features
from pilotage.checks.grounding.claims import split_claims
from pilotage.checks.grounding.evidence import Candidate, best_sentences
from pilotage.checks.grounding.scorer import scorer
from pilotage.checks.grounding.vetoes import Veto, find_veto
from pilotage.checks.verbatim import stands_in
from pilotage.evidence.terms import is_foreign

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder

QUOTED, VETOED, EMPTY = 1.0, 0.05, 0.0  # scores; of 100 sure vetoes about five are wrong (bench_grounding.py)
EVEN = 0.5
CERTAIN = (0.42, 0.8)  # outside it the scorer without vectors decides: on rows left out it is right there as often
SENTENCES = 4
SHORTEST = 3  # words of a claim whose words in a row prove anything
FOREIGN = " (the scorer reads English)"
_SHOWN = 4  # words named in a reason
_MARKS = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_WORD = re.compile(r"[^\W_]+")
_EDGES = " \t\n.,;:!?\"'“”‘’„«»()"
_DOUBT = re.compile(
    r"\b(?:not?|never|n[’']t|cannot|neither|nor|false(?:ly)?|untrue|wrong(?:ly)?|den(?:y|ies|ied)|disput\w+|alleg\w+|"
    r"claim(?:s|ed)?|rumou?r\w*|myth|hoax|if|whether|unless|would|might|could|incorrect\w*|supposed\w*|reject\w*|refut\w*)\b"
    r"|n[’']t\b|\?",
    re.IGNORECASE,
)


class Judge(Protocol):
    """Asked what the rules cannot tell: the chance that the evidence shows the claim; NaN for no opinion."""

    def probability(self, claim: str, evidence: str) -> float: ...


def grade_text(text: str, evidence: str, *, embedder: Embedder | None = None, judge: Judge | None = None) -> Grade:
    """Grade each claim of a text; the worst one is the grade of all."""
    claims = split_claims(text) or [text]
    graded = [(grade(claim, evidence, embedder=embedder, judge=judge), claim) for claim in claims]
    worst, claim = min(graded, key=lambda pair: (_RANKS[pair[0].verdict], pair[0].score))
    if len(claims) == 1 or worst.verdict == "supported":
        return worst
    return Grade(worst.verdict, worst.score, f"“{claim}”: {worst.reason}", worst.evidence, worst.layer, worst.kind)


_RANKS: dict[Verdict, int] = {"unsupported": 0, "unsure": 1, "supported": 2}


def grade(claim: str, evidence: str, *, embedder: Embedder | None = None, judge: Judge | None = None) -> Grade:
    """Grade one claim against a text of any length.

    >>> grade("The hotel has 450 rooms.", "The hotel, opened in 1998, has 300 rooms.").verdict
    'unsupported'
    """
    told = " ".join(_MARKS.sub("", claim).split())
    if not _WORD.search(told):
        return Grade("unsure", EVEN, "there is no claim to judge")
    if not _WORD.search(evidence):
        return Grade("unsupported", EMPTY, "there is no evidence", layer="veto")
    sentences = best_sentences(told, evidence, SENTENCES)
    if sentence := _find_quote(told, evidence, sentences):
        return Grade("supported", QUOTED, "it stands word for word in the source", sentence, "quote")
    found = _embedded(told, evidence, sentences, embedder)
    return _judged(found, told, evidence, judge) if judge else found


def _find_quote(claim: str, evidence: str, sentences: Sequence[Candidate]) -> str:
    """The sentence that holds the claim's words in a row, and nothing that takes them back; else ""."""
    bare = claim.strip(_EDGES)
    if len(_WORD.findall(bare)) < SHORTEST and not is_foreign(bare):
        return ""
    forms = {bare, bare[:1].lower() + bare[1:], bare[:1].upper() + bare[1:]}
    for place in sentences:
        for form in forms:
            if stands_in(form, place.text) and not _DOUBT.search(place.text.replace(form, "", 1)):
                return place.text
    is_whole = is_foreign(bare) or len(split_claims(bare)) > 1
    return bare if is_whole and any(stands_in(form, evidence) for form in forms) else ""


def _embedded(claim: str, evidence: str, sentences: Sequence[Candidate], embedder: Embedder | None) -> Grade:
    veto = find_veto(claim, [each.text for each in sentences], evidence)
    if veto and veto.sure:
        return Grade("unsupported", VETOED, veto.reason, veto.evidence, "veto", veto.kind)
    best = sentences[0].text if sentences else ""
    if is_foreign(claim):
        return Grade("unsure", EVEN, f"it is not word for word in the source{FOREIGN}", best, "scorer")
    seen = features.view(claim, evidence, sentences)
    score, band, note = _score(seen, embedder)
    verdict = _verdict(score, band)
    if verdict == "unsupported" and not is_english(claim):
        verdict, score, note = "unsure", EVEN, FOREIGN
    return Grade(verdict, round(score, 4), _reason(verdict, seen, veto) + note, best, "scorer")


def _score(seen: features.View, embedder: Embedder | None) -> tuple[float, tuple[float, float], str]:
    """The chance, the band in which nobody knows, and what is to be said of how it was come by."""
    row = features.lexical(seen)
    by_words = scorer("lexical")
    score = by_words.chance(row)
    if embedder is None or not embedder.knows(seen.claim):
        return score, by_words.band, " (judged by its words alone: there is no sentence model for it)"
    model = scorer("vectors")
    if CERTAIN[0] <= score <= CERTAIN[1]:
        score = model.chance(features.with_vectors(row, seen, embedder))
    return score, model.band, ""


def _verdict(score: float, band: tuple[float, float]) -> Verdict:
    return "unsupported" if score < band[0] else "supported" if score >= band[1] else "unsure"


def _reason(verdict: Verdict, seen: features.View, veto: Veto | None) -> str:
    missing = seen.missing()
    named = ", ".join(f"“{word}”" for word in dict.fromkeys(missing[:_SHOWN]))
    if verdict == "supported":
        return f"the source says it, in other words for {named}" if missing else "all its words stand in the source"
    if veto:
        return veto.reason
    if missing:
        return f"nothing in the source {'clearly ' if verdict == 'unsure' else ''}stands for {named}"
    if verdict == "unsure":
        return "its words stand in the source, but whether they say this cannot be told"
    return "its words stand in the source, but not in this sense, as far as can be told"


def _judged(found: Grade, claim: str, evidence: str, judge: Judge) -> Grade:
    """A judge is asked unless a veto was sure; what it says is weighed against the scorer."""
    from pilotage.checks.judge import combine

    return found if found.layer == "veto" else combine(found, judge.probability(claim, evidence))
