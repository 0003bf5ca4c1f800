"""What a scorer looks at in a claim and the sentences of the evidence that speak of it: shares, order, likeness.

LEXICAL needs nothing; VECTORS are added when a sentence model is there: how near each word of the claim, in its
context, comes to some word of the evidence. What is not covered: what follows from the evidence by inference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotage.checks.grounding.alignment import SAME, Match, align
from pilotage.checks.grounding.evidence import Candidate
from pilotage.checks.grounding.tokens import Word, read_bases, read_words
from pilotage.checks.grounding.vetoes import SIGNALS, signals

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder

Floats = NDArray[np.float64]

WINDOW = 3  # sentences that the words of a claim may be spread over
LONGEST = 420  # characters of them whose words get vectors: these cost about 0.15 ms a word
_COMMON, _NAME = 1.0, 1.3  # what a content word weighs; a name or number more
_FAR = 10.0  # spread of the matches when there are none

LEXICAL = (
    "one", "two", "window", "whole",  # share of the content words in the best sentence, the best two, three, anywhere
    "likeness",  # the same with partners by WordNet
    "partners",  # how well the words that are not there are stood for by others
    "missing", "missing_weight",
    "names", "numbers", "names_anywhere", "numbers_anywhere", "has_names", "has_numbers",
    "opposites", "small",
    "pairs", "run", "inverted", "spread",  # order of the matches: neighbours kept, longest run, swaps, how far apart
    *SIGNALS,
)  # fmt: skip
VECTORS = (
    "cosine", "mean", "least", "least_two", "quartile",  # of the content words' nearest words
    "missing_mean", "same_mean", "name_least",  # of those without and with the same word, of names
    "all_mean", "back_mean",  # of all words; of the evidence's words against the claim
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """A claim and the window of the evidence, read once for all features."""

    claim: str
    words: list[Word]
    content: list[int]  # places of the words that carry meaning
    window: str
    others: list[Word]
    matches: list[Match]
    inside: list[frozenset[str]]  # the base forms of each sentence of the window, best first
    whole: frozenset[str]  # of the whole evidence
    sentences: Sequence[Candidate]
    evidence: str

    def missing(self) -> list[str]:
        """The content words of the claim that stand nowhere in the evidence, as they are written."""
        absent = [self.words[at] for at in self.content if not self.words[at].bases & self.whole]
        return [self.claim[word.start : word.end] for word in absent]


def view(claim: str, evidence: str, sentences: Sequence[Candidate]) -> View:
    """`sentences` of the evidence, best first."""
    words = read_words(claim)
    content = [at for at, word in enumerate(words) if not word.is_small] or list(range(len(words)))
    chosen = sentences[:WINDOW]
    window = " ".join(each.text for each in chosen)
    others = read_words(window)
    inside = [read_bases(each.text) for each in chosen]
    return View(
        claim, words, content, window, others, align(words, others), inside, read_bases(evidence), sentences, evidence
    )


def lexical(seen: View) -> Floats:
    """The features named LEXICAL."""
    told = signals(seen.claim, [each.text for each in seen.sentences], seen.evidence)
    values = [*_coverage(seen), *_kinds(seen), *_order(seen), *(told[key] for key in SIGNALS)]
    return np.array(values, dtype=np.float64)


def _weigh(word: Word) -> float:
    return _NAME if _is_telling(word) else _COMMON


def _coverage(seen: View) -> list[float]:
    words = [seen.words[at] for at in seen.content]
    weights = np.array([_weigh(word) for word in words]) if words else np.ones(1)
    there = np.array([[bool(word.bases & inside) for word in words] for inside in seen.inside], dtype=float)
    there = there if there.size else np.zeros((1, len(weights)))
    total = weights.sum()
    ones = there @ weights / total
    best = int(ones.argmax())
    two = float((np.maximum(there[best], there) @ weights).max() / total)
    anywhere = np.array([bool(word.bases & seen.whole) for word in words], dtype=float) if words else np.zeros(1)
    strengths = np.array([seen.matches[at].strength for at in seen.content]) if words else np.zeros(1)
    left = strengths < SAME
    return [
        float(ones[best]), two, float(there.max(axis=0) @ weights / total), float(anywhere @ weights / total),
        float(strengths @ weights / total), _mean(strengths[left]), float(left.sum()), float(weights[left].sum()),
    ]  # fmt: skip


def _mean(values: Floats, default: float = 1.0) -> float:
    return float(values.mean()) if values.size else default


def _kinds(seen: View) -> list[float]:
    names = [at for at in seen.content if seen.words[at].is_name]
    numbers = [at for at in seen.content if seen.words[at].is_number]
    small = [match.at >= 0 for word, match in zip(seen.words, seen.matches, strict=True) if word.is_small]
    return [
        _share([seen.matches[at].strength == SAME for at in names]),
        _share([seen.matches[at].strength == SAME for at in numbers]),
        _share([bool(seen.words[at].bases & seen.whole) for at in names]),
        _share([bool(seen.words[at].bases & seen.whole) for at in numbers]),
        float(bool(names)), float(bool(numbers)),
        float(any(seen.matches[at].is_opposite for at in seen.content)),
        _share(small),
    ]  # fmt: skip


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 1.0


def _is_telling(word: Word) -> bool:
    return word.is_name or word.is_number


def _order(seen: View) -> list[float]:
    places = [match.at if match.strength == SAME else -1 for match in seen.matches]
    kept, run, longest = 0, 0, 0
    for before, at in pairwise([-2, *places]):
        follows = at >= 0 and at == before + 1
        run = run + 1 if follows else int(at >= 0)
        kept, longest = kept + follows, max(longest, run)
    matched = [seen.matches[at].at for at in seen.content if seen.matches[at].at >= 0]
    inverted = sum(after < before for before, after in pairwise(matched)) / max(1, len(matched) - 1)
    spread = (max(matched) - min(matched) + 1) / len(matched) if matched else _FAR
    return [kept / max(1, len(places) - 1), longest / max(1, len(places)), inverted, math.log(spread)]


def with_vectors(row: Floats, seen: View, embedder: Embedder) -> Floats:
    """The row of LEXICAL features with those named VECTORS behind it."""
    return np.concatenate([row, vectors(seen, embedder)])


def vectors(seen: View, embedder: Embedder) -> Floats:
    """The features named VECTORS."""
    window = seen.window[:LONGEST]
    claim, other = embedder.embed_tokens(seen.claim), embedder.embed_tokens(window)
    mine = _of_words(claim.tokens, claim.spans, seen.words)
    theirs = _of_words(other.tokens, other.spans, [word for word in seen.others if word.end <= LONGEST])
    if not len(mine) or not len(theirs):
        return np.zeros(len(VECTORS))
    small = [word.is_small for word in seen.others[: len(theirs)]]
    table = mine @ theirs.T
    return np.array([float(claim.sentence @ other.sentence), *_nearest(seen, table, np.array(small))])


def _nearest(seen: View, table: Floats, small: NDArray[np.bool_]) -> list[float]:
    telling = table if small.all() else table[:, ~small]
    near = telling.max(axis=1)[seen.content]
    same = np.array([seen.matches[at].strength == SAME for at in seen.content])
    names = np.array([seen.words[at].is_name for at in seen.content])
    weights = np.array([_weigh(seen.words[at]) for at in seen.content])
    ordered = np.sort(near)
    return [
        float(near @ weights / weights.sum()), float(ordered[0]), _mean(ordered[:2]), float(np.quantile(near, 0.25)),
        _mean(near[~same]), _mean(near[same]), _least(near[names]),
        float(table.max(axis=1).mean()), float(telling.max(axis=0).mean()),
    ]  # fmt: skip


def _least(values: Floats) -> float:
    return float(values.min()) if values.size else 1.0


def _of_words(tokens: NDArray[np.float32], spans: Sequence[tuple[int, int]], words: Sequence[Word]) -> Floats:
    """A vector of length 1 for each word: the mean of its tokens."""
    found = np.zeros((len(words), tokens.shape[1] if tokens.ndim == 2 else 0))
    at = 0
    for row, word in enumerate(words):
        while at < len(spans) and spans[at][1] <= word.start:
            at += 1
        last = at
        while last < len(spans) and spans[last][0] < word.end:
            last += 1
        if last > at:
            found[row] = tokens[at:last].mean(axis=0)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1.0))
