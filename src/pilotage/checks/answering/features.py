"""What the scorer looks at: how much of the question an answer and its surroundings speak of, by word and by vector.

Every feature lies in 0 to 1 or -1 to 1. Names and numbers of the question weigh more than its plain words. Not covered:
who did what to whom; the words of a question are taken by themselves.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotage.checks.answering.asked import Asked
from pilotage.checks.answering.offers import offers
from pilotage.checks.answering.stems import stem_words
from pilotage.evidence.terms import STOP
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import tokenize

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder, TokenVectors

Floats = NDArray[np.float64]

LEXICAL = (
    "own",  # the question's words that stand in the answer, as stems
    "near",  # those and the ones that a synonym or a word of the same root stands for
    "share",  # of the answer's words, those of the question
    "length",  # log of the answer's words, over 5
    "names",  # names and numbers of the question that stand in the answer
    "plain",  # its other words, synonyms counting
)
WITH_VECTORS = (
    "aligned",  # mean over the question's words of the best cosine to a token of the answer
    "weakest",  # the least of them
    "plain_aligned",  # the mean without names and numbers
    "tokens",  # the mean over all tokens of the question, small words included
    "cosine",  # of question and answer
)
KIND = "offers"  # the kind of thing asked for: 1, -1, or 0 where none can be told; weighed in answers of a few words
AROUND = (
    "around",  # the question's words that stand in the answer or its context
    "names_around",  # its names and numbers there
    "plain_around",  # its other words there
)
NAME_WEIGHT = 1.5
SHARED_RANK = 4  # the ranks of a meaning that two words share, added: both use it often
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Seen:
    """The features by name, the question's words that are hardly spoken of, the worst first."""

    values: dict[str, float]
    unspoken: tuple[str, ...]


@dataclass(frozen=True)
class _Words:
    """The words of a text that carry meaning: as written, where they stand, their stems."""

    raw: list[str]
    spans: list[tuple[int, int]]
    stems: list[str]


def see(asked: Asked, answer: str, context: str, embedder: Embedder | None) -> Seen:
    """The features of an answer; those of AROUND only with a context, those of WITH_VECTORS only with an embedder."""
    wanted, said = _read(asked.text), _read(answer)
    weights = _weigh(asked, wanted)
    is_name = weights > 1
    own = _standing(wanted.stems, said.stems)
    near = np.maximum(own, [_is_near(word.lower(), _bases(answer)) for word in wanted.raw])
    values = {
        "own": _mean(own, weights),
        "near": _mean(near, weights),
        "share": _mean(_standing(said.stems, wanted.stems), np.ones(len(said.stems))),
        KIND: _offered(asked, answer),
        "length": math.log1p(len(said.raw)) / 5,
        "plain": _mean(near[~is_name], weights[~is_name]),
    }
    values["names"] = _mean(own[is_name], weights[is_name]) if is_name.any() else values["plain"]
    if context:
        values |= _around(np.maximum(own, _standing(wanted.stems, _read(context).stems)), weights)
    closeness = near
    if embedder:
        more, closeness = _aligned(asked.text, answer, wanted, weights, embedder)
        values |= more
    order = np.argsort(closeness, kind="stable")
    return Seen(values, tuple(wanted.raw[int(i)] for i in order if closeness[i] < 0.5 and near[i] < 1))


def _read(text: str) -> _Words:
    found = [match for match in _WORD.finditer(text) if match[0].lower() not in STOP]
    raw = [match[0] for match in found]
    return _Words(raw, [match.span() for match in found], stem_words([word.lower() for word in raw]))


def _weigh(asked: Asked, wanted: _Words) -> Floats:
    names = {word.lower() for name in asked.names for word in _WORD.findall(name)}
    return np.array([NAME_WEIGHT if w.lower() in names or w[0].isdigit() else 1.0 for w in wanted.raw])


def _standing(wanted: list[str], said: list[str]) -> Floats:
    there = set(said)
    return np.array([float(stem in there) for stem in wanted])


def _mean(marks: Floats, weights: Floats) -> float:
    return float(marks @ weights / weights.sum()) if len(weights) else 0.0


def _bases(answer: str) -> frozenset[str]:
    return frozenset(base for word in _WORD.findall(answer.lower()) if word not in STOP for base in _bases_of(word))


@lru_cache(maxsize=8192)
def _bases_of(word: str) -> frozenset[str]:
    return lexicon().bases(word)


def _is_near(word: str, said: frozenset[str]) -> float:
    """1 when a word of the answer is the same, shares a usual meaning or a root with this one."""
    book = lexicon()
    mine = _bases_of(word)
    if mine & said:
        return 1.0
    return float(any(book.is_root(a, b) or sum(book.rank(a, b)) <= SHARED_RANK for a in mine for b in said))


def _offered(asked: Asked, answer: str) -> float:
    found = offers(asked.kind, frozenset(token.text for token in tokenize(asked.text)), answer)
    return 0.0 if found is None else 1.0 if found else -1.0


def _around(known: Floats, weights: Floats) -> dict[str, float]:
    is_name = weights > 1
    plain = _mean(known[~is_name], weights[~is_name])
    names = _mean(known[is_name], weights[is_name]) if is_name.any() else plain
    return {"around": _mean(known, weights), "names_around": names, "plain_around": plain}


def _aligned(
    question: str, answer: str, wanted: _Words, weights: Floats, embedder: Embedder
) -> tuple[dict[str, float], Floats]:
    """The features by vector, and the best cosine of each of the question's words."""
    mine, theirs = _vectors(embedder, question), _vectors(embedder, answer)
    rows = _unit(theirs.tokens[1:-1])
    every = (_unit(mine.tokens[1:-1]) @ rows.T).max(axis=1)
    rest = [mine.of([span]) for span in wanted.spans]
    best = np.array([0.0 if v is None else float((rows @ _unit(v[None])[0]).max()) for v in rest])
    plain = weights == 1
    return {
        "aligned": _mean(best, weights),
        "weakest": float(best.min()) if len(best) else 0.0,
        "plain_aligned": _mean(best[plain], weights[plain]),
        "tokens": float(every.mean()),
        "cosine": float(mine.sentence @ theirs.sentence),
    }, best


@lru_cache(maxsize=256)
def _vectors(embedder: Embedder, text: str) -> TokenVectors:
    return embedder.embed_tokens(text)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)
