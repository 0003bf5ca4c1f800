"""Fits the weights of the ranker (src/pilotage/evidence/weights.py) and reports held-out figures by document.

    python benchmarks/fit_ranker.py --data ../shared/data/qa

The documents are dealt to eight folds (seed 0); each fold's questions are answered with weights and bound fitted on the
other folds alone. Then everything is fitted once more on all the data and printed as it stands in weights.py.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench_search import SETTINGS, Row, load, settings
from numpy.typing import NDArray

from pilotage.evidence.quotes import best_pair, quotes
from pilotage.evidence.ranking import FEATURES, Candidate, chances, evidence, features, spread
from pilotage.evidence.weights import Weights

Floats = NDArray[np.float64]

FOLDS = 8
WITHHELD = 0.971  # of the questions without their document, on the data that is fitted: over the 95 % wanted
ANSWER = [FEATURES.index(name) for name in ("own", "whole", "cosine", "around", "before", "after")] + [len(FEATURES)]


@dataclass(frozen=True, slots=True)
class Case:
    """A question in a setting: its candidates, their features, and which sentences hold the answer."""

    row: Row
    setting: str
    candidates: list[Candidate]
    table: Floats
    right: NDArray[np.bool_]


def cases(data: Path, vectors: bool) -> list[Case]:
    """Every question in the three settings."""
    texts, rows = load(data)
    made = []
    with tempfile.TemporaryDirectory() as work:
        for setting, knowledge, asked in settings(texts, rows, Path(work)):
            for row in asked:
                question, candidates, _ = knowledge.gather(row.question)
                if not vectors:
                    question = replace(question, vector=None)
                    candidates = [candidate for candidate in candidates if candidate.bm25 > 0]
                right = [
                    row.answer in c.passage.text[start:stop] and c.passage.text in row.paragraph
                    for c in candidates
                    for _, start, stop in c.spans
                ]
                if right:
                    table = features(question, candidates)
                    made.append(Case(row, setting, candidates, table, np.array(right)))
            knowledge.close()
    return made


def fit(some: list[Case]) -> Weights:
    """Both models on these cases."""
    full = [case for case in some if case.setting == SETTINGS[0] and case.right.any()]
    rank = fit_rank(full)
    weights = Weights(tuple(rank), (0.0,) * (len(FEATURES) + 1), 0.0)
    asked = [case for case in some if case.setting != SETTINGS[2]]
    looked = np.array([evidence(case.table, spread(case.table, weights))[ANSWER] for case in asked])
    slopes, bias = fit_answer(looked, np.array([case.setting == SETTINGS[0] for case in asked], dtype=float))
    answer = np.zeros(len(FEATURES) + 1)
    answer[ANSWER] = slopes
    return Weights(tuple(rank), tuple(answer), bias)


def fit_rank(full: list[Case], steps: int = 600, decay: float = 1e-3) -> Floats:
    """Softmax over a question's sentences: Adam on the mean log chance of those that hold the answer."""
    table = np.concatenate([case.table for case in full])
    right = np.concatenate([case.right for case in full]).astype(float)
    sizes = [len(case.table) for case in full]
    starts, owner = np.cumsum([0, *sizes])[:-1], np.repeat(np.arange(len(full)), sizes)
    unit = table.std(axis=0) + 1e-9
    table = (table - table.mean(axis=0)) / unit
    weights, first, second = np.zeros(table.shape[1]), np.zeros(table.shape[1]), np.zeros(table.shape[1])
    for step in range(1, steps + 1):
        marks = table @ weights
        powers = np.exp(marks - np.maximum.reduceat(marks, starts)[owner])
        shares = powers / np.add.reduceat(powers, starts)[owner]
        wanted = powers * right / np.add.reduceat(powers * right, starts)[owner].clip(1e-30)
        slope = table.T @ (shares - wanted) / len(full) + decay * weights
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weights -= 0.05 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return np.asarray(weights / unit)


def fit_answer(looked: Floats, truth: Floats, decay: float = 1e-3) -> tuple[Floats, float]:
    """Logistic regression by Newton's method."""
    mean, unit = looked.mean(axis=0), looked.std(axis=0) + 1e-9
    table = np.c_[(looked - mean) / unit, np.ones(len(looked))]
    keep = decay * np.diag([1.0] * looked.shape[1] + [1e-6])
    weights = np.zeros(table.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-table @ weights))
        slope = table.T @ (chance - truth) / len(truth) + keep @ weights
        curve = (table.T * (chance * (1 - chance))) @ table / len(truth) + keep
        weights -= np.linalg.solve(curve, slope)
    slopes = weights[:-1] / unit
    return slopes, float(weights[-1] - slopes @ mean)


def best_score(case: Case, weights: Weights) -> float:
    return quotes(case.candidates, chances(case.table, case.candidates, weights), 1)[0].score


def bound_of(some: list[Case], weights: Weights) -> float:
    """The bound on the best score that withholds WITHHELD of the questions whose document is not there."""
    best = [best_score(case, weights) for case in some if case.setting == SETTINGS[1]]
    return float(np.quantile(best, WITHHELD))


def outcome(case: Case, weights: Weights, bound: float) -> str:
    """`withheld`, `right` or `wrong`."""
    found = quotes(case.candidates, chances(case.table, case.candidates, weights), 8)
    if max(quote.score for quote in found) < bound:
        return "withheld"
    return "right" if any(case.row.answer in quote.text for quote in best_pair(found)) else "wrong"


def held_out(every: list[Case]) -> dict[str, dict[str, float]]:
    """Shares of the outcomes by setting, each document judged with weights that have not seen it."""
    files = sorted({case.row.file for case in every})
    order = np.random.default_rng(0).permutation(len(files))
    fold = {files[number]: place % FOLDS for place, number in enumerate(order)}
    counts: dict[str, list[str]] = {setting: [] for setting in SETTINGS}
    for number in range(FOLDS):
        others = [case for case in every if fold[case.row.file] != number]
        weights = fit(others)
        bound = bound_of(others, weights)
        for case in every:
            if fold[case.row.file] == number:
                counts[case.setting].append(outcome(case, weights, bound))
    return {s: {o: kept.count(o) / len(kept) for o in ("right", "wrong", "withheld")} for s, kept in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with docs/ and questions.jsonl")
    options = parser.parse_args()
    common = 0.0
    for name, vectors in (("WITH_VECTORS", True), ("LEXICAL", False)):
        every = cases(options.data, vectors)
        print(f"# {name}, held out by document:")
        for setting, shares in held_out(every).items():
            print(f"#   {setting}: " + ", ".join(f"{outcome} {share:.1%}" for outcome, share in shares.items()))
        weights = fit(every)
        common = common or round(bound_of(every, weights), 2)
        weights = _shifted(every, weights, common)
        for field in ("rank", "answer"):
            print(f"#   {field} = ({', '.join(f'{value:.2f}' for value in getattr(weights, field))})")
        print(f"#   bias = {weights.bias:.2f}")
    print(f"ANSWERABLE = {common:.2f}")


def _shifted(every: list[Case], weights: Weights, bound: float) -> Weights:
    """The bias moved, at most by 3, until the common bound withholds what it should."""
    low, high = weights.bias - 3, weights.bias + 3
    for _ in range(25):
        weights = replace(weights, bias=(low + high) / 2)
        low, high = (low, weights.bias) if bound_of(every, weights) > bound else (weights.bias, high)
    return weights


if __name__ == "__main__":
    main()
