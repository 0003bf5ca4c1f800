"""A small model that turns features into the chance that the evidence holds the claim: a logistic and short trees.

The weights are those of weights.json, made by scripts/train_grounding.py; numpy alone is needed. The chance is meant
for claims of which half hold. What is not covered: kinds of text that are unlike those it was fitted on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotage.checks.grounding.features import LEXICAL, VECTORS

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

PATH = Path(__file__).with_name("weights.json")
NAMES = {"lexical": LEXICAL, "vectors": (*LEXICAL, *VECTORS)}
CLIP = 4.0  # standard deviations: what is farther out counts as this


@dataclass(frozen=True)
class Trees:
    """Trees in one row of nodes. `feature` is -1 at a leaf, which has its value in `threshold`."""

    roots: Places
    feature: Places
    threshold: Floats
    left: Places
    right: Places
    depth: int

    def total(self, row: Floats) -> float:
        """The sum of the leaves that the row comes to."""
        at = self.roots
        for _ in range(self.depth):
            feature = self.feature[at]
            below = np.where(row[feature] <= self.threshold[at], self.left[at], self.right[at])
            at = np.where(feature < 0, at, below)
        return float(self.threshold[at].sum())


@dataclass(frozen=True)
class Scorer:
    """`band` are the chances between which nobody knows."""

    columns: Places  # of the row, those that it was fitted on
    mean: Floats
    scale: Floats
    weights: Floats
    bias: float
    trees: Trees
    slope: float
    offset: float
    band: tuple[float, float]

    def chance(self, row: Floats) -> float:
        """0 to 1, from a row of features."""
        row = row[self.columns]
        plain = float(np.clip((row - self.mean) / self.scale, -CLIP, CLIP) @ self.weights) + self.bias
        odds = self.slope * (plain + self.trees.total(row)) / 2 + self.offset
        return 1 / (1 + math.exp(-odds))


@cache
def scorer(name: str) -> Scorer:
    """`lexical` without a sentence model, `vectors` with one."""
    return read(json.loads(PATH.read_text("utf-8"))[name], NAMES[name])


def read(data: Mapping[str, Any], names: tuple[str, ...]) -> Scorer:
    """A scorer from its JSON. ValueError when it was made for features that there are no more."""
    if unknown := set(data["features"]) - set(names):
        raise ValueError(f"weights.json was made for other features ({min(unknown)}); run scripts/train_grounding.py")
    columns = np.array([names.index(name) for name in data["features"]], dtype=np.int64)
    trees = data["trees"]
    places = {key: np.array(trees[key], dtype=np.int64) for key in ("roots", "feature", "left", "right")}
    return Scorer(
        columns, np.array(data["mean"]), np.array(data["scale"]), np.array(data["weights"]), float(data["bias"]),
        Trees(**places, threshold=np.array(trees["threshold"], dtype=np.float64), depth=int(trees["depth"])),
        float(data["slope"]), float(data["offset"]), (float(data["band"][0]), float(data["band"][1])),
    )  # fmt: skip
