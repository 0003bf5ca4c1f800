"""The scorer's weights, printed by scripts/train_answering.py; see there for the data and the figures.

FULL and ALONE are for an embedder, with a context and without; LEXICAL_… for none; SHORT for answers of a few words,
which share none with their question and are judged by their kind and their context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """A logistic model over features by name. Under `low` an answer is unsupported."""

    slopes: Mapping[str, float]
    bias: float
    low: float


FULL = Weights(
    {
        "own": 1.530,
        "near": 0.708,
        "share": 3.359,
        "length": -0.949,
        "names": -1.817,
        "plain": 0.979,
        "aligned": 3.807,
        "weakest": 1.684,
        "plain_aligned": 2.702,
        "tokens": 2.938,
        "cosine": 0.609,
        "around": 2.580,
        "names_around": 1.465,
        "plain_around": -2.205,
    },
    bias=-7.863,
    low=0.123,
)
ALONE = Weights(
    {
        "own": 1.890,
        "near": 1.872,
        "share": 3.335,
        "length": -2.518,
        "names": -1.104,
        "plain": -0.234,
        "aligned": 4.601,
        "weakest": 1.517,
        "plain_aligned": 1.833,
        "tokens": 2.720,
        "cosine": 1.113,
    },
    bias=-6.014,
    low=0.097,
)
LEXICAL_FULL = Weights(
    {
        "own": 2.921,
        "near": 2.419,
        "share": 5.975,
        "length": 0.360,
        "names": -1.363,
        "plain": 2.414,
        "around": 2.550,
        "names_around": 1.530,
        "plain_around": -2.000,
    },
    bias=-5.380,
    low=0.159,
)
LEXICAL_ALONE = Weights(
    {
        "own": 3.324,
        "near": 3.895,
        "share": 6.251,
        "length": -1.210,
        "names": -0.496,
        "plain": 0.820,
    },
    bias=-3.510,
    low=0.075,
)
SHORT = Weights(
    {
        "offers": 0.946,
        "around": 7.856,
        "names_around": 0.992,
        "plain_around": 2.690,
    },
    bias=-5.529,
    low=0.322,
)
