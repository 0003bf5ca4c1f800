"""The model of weights.json: it fits the features, and reads its trees as they were written."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from pilotage.checks.grounding.scorer import NAMES, PATH, read, scorer

MOST = 60_000  # bytes of weights.json


def data() -> dict[str, Any]:
    """A scorer of two features: a logistic that looks at the first, a tree that looks at both."""
    trees = {
        "roots": [0], "feature": [1, -1, 0, -1, -1], "threshold": [0.5, -2.0, 0.25, 1.0, 3.0],
        "left": [1, 0, 3, 0, 0], "right": [2, 0, 4, 0, 0], "depth": 2,
    }  # fmt: skip
    return {"features": ["a", "b"], "mean": [0.5, 0.0], "scale": [0.5, 1.0], "weights": [2.0, 0.0], "bias": 0.0,
            "trees": trees, "slope": 1.0, "offset": 0.5, "band": [0.4, 0.6]}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "odds"),
    [((0.5, 0.5), -2.0), ((0.25, 1.0), -1.0 + 1.0), ((1.0, 1.0), 2.0 + 3.0), ((99.0, 0.0), 2.0 * 4.0 - 2.0)],
)
def test_the_chance_is_that_of_logistic_and_trees(row: tuple[float, float], odds: float) -> None:
    model = read(data(), ("a", "b"))
    assert model.chance(np.array(row)) == pytest.approx(1 / (1 + math.exp(-(odds / 2 + 0.5))))


def test_weights_for_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="made for other features"):
        read(data(), ("a", "c"))


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_that_are_shipped_fit_the_features(name: str) -> None:
    model = scorer(name)
    assert len(model.mean) == len(model.scale) == len(model.weights) == len(NAMES[name])
    assert model.trees.feature.max() < len(NAMES[name]) == len(model.columns)
    assert 0.3 < model.band[0] < 0.5 < model.band[1] < 0.7
    assert 0.0 < model.chance(model.mean) < 1.0


def test_weights_json_is_small_and_says_what_it_was_made_of() -> None:
    made = json.loads(PATH.read_text("utf-8"))["made"]
    assert PATH.stat().st_size < MOST
    assert len(made["data"]) == 3
    assert not any("BEGIN" in each for each in made["data"])
