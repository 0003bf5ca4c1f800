"""Fits the scorer of the grounding grader: a logistic and short trees, the two calibrated together on rows left out.

Each set counts the same, and in each set those that hold as much as those that do not. Nothing is learnt from the set
that stands apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from grounding_rows import FOLDS, TRAINED, Row, fold_of
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from pilotage.checks.grounding.scorer import CLIP, NAMES, Scorer, read

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COUNTS = {"other": 0.5, "light": 0.2, "mixed": 0.2, "true": 1.5, "mutant": 2.5}  # what made rows count; real ones 1
STRENGTH = 0.02  # of the logistic: the inverse of its penalty
BAND = (0.46, 0.63)  # chances between which nobody knows; to call a claim supported that is not costs more
TREES = {
    "n_estimators": 100, "learning_rate": 0.07, "max_leaf_nodes": 6, "min_samples_leaf": 30, "subsample": 0.7,
    "max_features": 0.3,
}  # fmt: skip
COVERAGE = ("one", "two", "whole", "likeness", "mean", "least_two", "all_mean")
PART = 0.5  # of the logistic on these alone
DIGITS = 5  # significant digits of a weight


def fit(rows: Sequence[Row], table: Floats, name: str, seed: int, calibrate: bool = True) -> dict[str, Any]:
    """The scorer as JSON, of the features `name`; without calibration the chance is the plain one."""
    keep = [at for at, row in enumerate(rows) if row.source in TRAINED or row.source in COUNTS]
    rows, table = [rows[at] for at in keep], table[keep]
    data = _fit(rows, table, name, seed)
    if calibrate:
        real = np.array([row.source in TRAINED for row in rows])
        left_out = _left_out(rows, table, name, seed)
        data |= _calibrated(left_out[real], [row for row, is_real in zip(rows, real, strict=True) if is_real])
    return data


def odds_of(data: dict[str, Any], name: str, table: Floats) -> Floats:
    """The logarithm of the odds of each row."""
    model = read(data, NAMES[name])
    return np.array([_odds(model, row) for row in table])


def _odds(model: Scorer, row: Floats) -> float:
    chance = min(1 - 1e-9, max(1e-9, model.chance(row)))
    return float(np.log(chance / (1 - chance)))


def _fit(rows: Sequence[Row], table: Floats, name: str, seed: int) -> dict[str, Any]:
    truth = np.array([row.supported for row in rows])
    counts = _counts(rows, truth)
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    weights, bias = _logistic(np.clip((table - mean) / scale, -CLIP, CLIP), truth, counts, NAMES[name])
    boosted = GradientBoostingClassifier(**TREES, random_state=seed)
    boosted.fit(table.astype(np.float32), truth, sample_weight=counts)
    return {
        "features": list(NAMES[name]), "mean": _short(mean), "scale": _short(scale), "weights": _short(weights),
        "bias": _short([bias + _prior(truth, counts)])[0], "trees": _trees(boosted),
        "slope": 1.0, "offset": 0.0, "band": list(BAND),
    }  # fmt: skip


def _logistic(table: Floats, truth: Bools, counts: Floats, names: Sequence[str]) -> tuple[Floats, float]:
    """The weights of a logistic on all features, and a part of one that knows only how much is covered.

    The second is the better of the two on texts that are unlike those it was fitted on.
    """
    columns = [names.index(name) for name in COVERAGE if name in names]
    every = LogisticRegression(C=STRENGTH, max_iter=2000).fit(table, truth, sample_weight=counts)
    few = LogisticRegression(C=STRENGTH, max_iter=2000).fit(table[:, columns], truth, sample_weight=counts)
    weights = every.coef_[0].copy()
    weights[columns] += PART * few.coef_[0]
    return weights, float(every.intercept_[0] + PART * few.intercept_[0])


def _counts(rows: Sequence[Row], truth: Bools) -> Floats:
    """What each row counts: the rows of a set that hold make one share, those that do not another."""
    kinds = [(row.source, bool(holds)) for row, holds in zip(rows, truth, strict=True)]
    sizes = {kind: kinds.count(kind) for kind in set(kinds)}
    found = np.array([COUNTS.get(kind[0], 1.0) / sizes[kind] for kind in kinds])
    return np.asarray(found / found.mean())


def _prior(truth: Bools, counts: Floats) -> float:
    """What the trees start from; it is written with the bias of the logistic, for the two are added."""
    share = float(counts[truth].sum() / counts.sum())
    return float(np.log(share / (1 - share)))


def _trees(boosted: GradientBoostingClassifier) -> dict[str, Any]:
    """All trees in one row of nodes, the values of the leaves scaled by the rate."""
    found: dict[str, list[Any]] = {key: [] for key in ("roots", "feature", "threshold", "left", "right")}
    depth = 0
    for (each,) in boosted.estimators_:
        tree, start = each.tree_, len(found["feature"])
        depth = max(depth, int(tree.max_depth))
        found["roots"].append(start)
        is_leaf = tree.children_left < 0
        found["feature"] += np.where(is_leaf, -1, tree.feature).tolist()
        values = np.where(is_leaf, tree.value[:, 0, 0] * boosted.learning_rate, tree.threshold)
        found["threshold"] += _short(values)
        found["left"] += np.where(is_leaf, 0, tree.children_left + start).tolist()
        found["right"] += np.where(is_leaf, 0, tree.children_right + start).tolist()
    return found | {"depth": depth}


def _short(values: Sequence[float] | Floats) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def _left_out(rows: Sequence[Row], table: Floats, name: str, seed: int) -> Floats:
    """The plain odds of each row by a scorer that was fitted without its fold."""
    folds = np.array([fold_of(row.group) for row in rows])
    found = np.zeros(len(rows))
    for fold in range(FOLDS):
        inside = np.flatnonzero(folds != fold)
        data = _fit([rows[int(at)] for at in inside], table[inside], name, seed)
        found[folds == fold] = odds_of(data, name, table[folds == fold])
    return found


def _calibrated(odds: Floats, rows: Sequence[Row]) -> dict[str, Any]:
    """Slope and offset (Platt)."""
    truth = np.array([row.supported for row in rows])
    model = LogisticRegression(C=1e6)
    model.fit(odds[:, None], truth, sample_weight=_counts(rows, truth))
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return {"slope": _short([slope])[0], "offset": _short([offset])[0]}
