"""Measures the embedded grounding grader on public claims: right verdicts, verdicts withheld, vetoes, time.

    python benchmarks/bench_grounding.py --data ../shared/data [--check] [--seed 0]

Sets that the weights are fitted on are graded in five folds, each by a scorer fitted on the other four (a fold takes
all rows that share a claim or an evidence); BEGIN is fitted on nowhere. Beside it the share of a claim's words that
stand in the evidence, with one threshold chosen on the other folds. Prints Markdown; --check ends with 1 below a bound.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from grounding_fit import fit
from grounding_rows import APART, FOLDS, SETS, SOURCES, TRAINED, Row, digest, fold_of, load, make, path_of, tables
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pilotage.checks.grades import Grade
from pilotage.checks.grounding import grader
from pilotage.checks.grounding.features import LEXICAL
from pilotage.checks.grounding.scorer import NAMES, Scorer, read
from pilotage.evidence import embedder as models

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MEAN, UNSURE, RIGHT, VETO, MEDIAN, SLOW = 70.0, 25.0, 80.0, 90.0, 5.0, 30.0
FIGURES = ("number", "date", "quote")
EVEN = 0.5
AVERAGE = (12, 45)  # words of a claim and its evidence together, in the middle half of the short sets
TIMED = 300


@dataclass(frozen=True)
class Result:
    """The grades of one set's rows, and what the word-overlap checker says of them."""

    rows: list[Row]
    grades: list[Grade]
    overlap: Bools

    @property
    def truth(self) -> Bools:
        return np.array([row.supported for row in self.rows])

    @property
    def scores(self) -> Floats:
        return np.array([grade.score for grade in self.grades])

    @property
    def decided(self) -> Bools:
        return np.array([grade.verdict != "unsure" for grade in self.grades])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    folder = models.find()
    if folder is None:
        sys.exit("the sentence model is not installed")
    with patch.object(models, "THREADS", 1):
        bench = Bench(args.data, models.Embedder(folder), args.seed)
        missed = bench.report()
    if missed and args.check:
        sys.exit("below the bound: " + "; ".join(missed))


class Bench:
    """The rows with their features, computed once."""

    def __init__(self, data: Path, embedder: models.Embedder, seed: int) -> None:
        self.data, self.embedder, self.seed = data, embedder, seed
        self.rows = load(data, SETS)
        self.made = make(data, [row for row in self.rows if row.source in TRAINED], seed)
        self.every = [*self.rows, *self.made]
        self.plain, self.near = tables(self.every, embedder)

    def report(self) -> list[str]:
        results, alone = self.grade_folds()
        apart = {name: balanced(*self.grade_without(name)) for name in TRAINED}
        missed = print_sets(results, alone, apart)
        missed += print_vetoes(results["wice"])
        missed += print_times(self.times())
        print(f"\nseed {self.seed}, {len(self.made):,} made rows; data:\n")
        for name in SETS:
            print(f"- {SOURCES[name]}, development half, SHA-256 {digest(path_of(self.data, name))}")
        return missed

    def grade_folds(self) -> tuple[dict[str, Result], dict[str, Result]]:
        """Each row graded by scorers that were fitted without its fold, BEGIN by those fitted on all others.

        With the sentence model and without it.
        """
        grades: dict[int, Grade] = {}
        alone: dict[int, Grade] = {}
        overlap = np.zeros(len(self.rows), dtype=bool)
        for fold in (*range(FOLDS), None):
            inside = [at for at, row in enumerate(self.rows) if _fold(row) == fold]
            outside = [at for at, row in enumerate(self.every) if row.source != APART and fold_of(row.group) != fold]
            with self.fitted(outside):
                grades |= {at: self.grade(self.rows[at]) for at in inside}
                alone |= {at: self.grade(self.rows[at], with_model=False) for at in inside}
            edge = best_edge(self.share(outside), self.truth(outside), outside, len(self.rows))
            overlap[inside] = self.share(inside) >= edge
        return self._results(grades, overlap), self._results(alone, overlap)

    def _results(self, grades: dict[int, Grade], overlap: Bools) -> dict[str, Result]:
        found = {}
        for name in SETS:
            places = [at for at, row in enumerate(self.rows) if row.source == name]
            found[name] = Result([self.rows[at] for at in places], [grades[at] for at in places], overlap[places])
        return found

    def grade_without(self, name: str) -> tuple[Bools, Bools]:
        """Truth and verdict of a whole set by scorers fitted on the others, and on rows made of those."""
        ours = {row.group for row in self.rows if row.source == name}
        outside = [at for at, row in enumerate(self.every) if row.source != APART and row.group not in ours]
        inside = [row for row in self.rows if row.source == name]
        with self.fitted(outside):
            said = np.array([self.grade(row).score >= EVEN for row in inside])
        return np.array([row.supported for row in inside]), said

    @contextmanager
    def fitted(self, places: Sequence[int]) -> Iterator[None]:
        """The grader with scorers fitted on these rows."""
        rows, chosen = [self.every[at] for at in places], list(places)
        scorers: dict[str, Scorer] = {}
        for name, table in (("lexical", self.plain), ("vectors", self.near)):
            scorers[name] = read(fit(rows, table[chosen], name, self.seed), NAMES[name])
        with patch.object(grader, "scorer", scorers.__getitem__):
            yield

    def grade(self, row: Row, with_model: bool = True) -> Grade:
        return grader.grade(row.claim, row.evidence, embedder=self.embedder if with_model else None)

    def share(self, places: Sequence[int]) -> Floats:
        return np.asarray(self.plain[list(places), LEXICAL.index("whole")])

    def truth(self, places: Sequence[int]) -> Bools:
        return np.array([self.every[at].supported for at in places])

    def times(self) -> list[float]:
        """Milliseconds of processor time, one thread, of pairs of average length."""
        pairs = [row for row in self.rows if AVERAGE[0] <= len(f"{row.claim} {row.evidence}".split()) <= AVERAGE[1]]
        pairs = [pairs[at] for at in np.random.default_rng(self.seed).permutation(len(pairs))[:TIMED]]
        self.grade(pairs[0])
        found = []
        for row in pairs:
            began = time.process_time()
            self.grade(row)
            found.append(1000 * (time.process_time() - began))
        return found


def _fold(row: Row) -> int | None:
    return None if row.source == APART else fold_of(row.group)


def best_edge(shares: Floats, truth: Bools, places: Sequence[int], real: int) -> float:
    """The threshold with the best balanced accuracy on the real rows."""
    is_real = np.array(places) < real
    edges = [0.3 + step / 100 for step in range(71)]
    return max(edges, key=lambda edge: balanced(truth[is_real], shares[is_real] >= edge))


def balanced(truth: Bools, said: Bools) -> float:
    return 50 * float(said[truth].mean() + (~said[~truth]).mean())


def print_sets(results: dict[str, Result], alone: dict[str, Result], apart: dict[str, float]) -> list[str]:
    heads = ("set", "rows", "balanced accuracy", "AUROC", "unsure", "right on the rest", "balanced there",
             "fitted without the set", "without sentence model", "word overlap")  # fmt: skip
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    table = []
    for name, found in results.items():
        said, truth, sure = found.scores >= EVEN, found.truth, found.decided
        right = 100 * float((said == truth)[sure].mean())
        bare = alone[name]
        table.append([
            balanced(truth, said), 100 * float(roc_auc_score(truth, found.scores)), 100 * float((~sure).mean()), right,
            balanced(truth[sure], said[sure]), apart.get(name, balanced(truth, said)),
            balanced(truth, bare.scores >= EVEN), balanced(truth, found.overlap),
        ])  # fmt: skip
        print(_line(name, len(truth), table[-1]))
    means = [statistics.fmean(column) for column in zip(*table, strict=True)]
    print(_line("**mean**", sum(len(found.rows) for found in results.values()), means))
    print(f"| bound | | at least {MEAN:g} | | at most {UNSURE:g} % | at least {RIGHT:g} % | | | | |")
    missed = [f"balanced accuracy {means[0]:.1f} of {MEAN:g}"] if means[0] < MEAN else []
    missed += [f"unsure {means[2]:.1f} % of {UNSURE:g} %"] if means[2] > UNSURE else []
    return missed + ([f"right on the rest {means[3]:.1f} % of {RIGHT:g} %"] if means[3] < RIGHT else [])


def _line(name: str, rows: int, values: Sequence[float]) -> str:
    marks = ("", "", " %", " %", "", "", "", "")
    return f"| {name} | {rows:,} | " + " | ".join(f"{v:.1f}{m}" for v, m in zip(values, marks, strict=True)) + " |"


def print_vetoes(found: Result) -> list[str]:
    pairs = [(grade, row) for grade, row in zip(found.grades, found.rows, strict=True) if grade.layer == "veto"]
    figures = [not row.supported for grade, row in pairs if grade.kind in FIGURES]
    every = [not row.supported for _, row in pairs]
    share = 100 * sum(figures) / max(len(figures), 1)
    right = 100 * sum(every) / max(len(every), 1)
    print(f"\nVetoes on WiCE: {len(every)} of {len(found.rows)} rows, {right:.1f} % right; "
          f"on numbers, dates and quotes {len(figures)}, {share:.1f} % right (at least {VETO:g} %).")  # fmt: skip
    return [f"vetoes right {share:.1f} % of {VETO:g} %"] if share < VETO else []


def print_times(times: Sequence[float]) -> list[str]:
    median, slow = statistics.median(times), statistics.quantiles(times, n=20)[18]
    print(f"\nA pair of average length, one thread: median {median:.1f} ms (under {MEDIAN:g}), "
          f"95th percentile {slow:.1f} ms (under {SLOW:g}).")  # fmt: skip
    missed = [f"median {median:.1f} ms of {MEDIAN:g}"] if median >= MEDIAN else []
    return missed + ([f"95th percentile {slow:.1f} ms of {SLOW:g}"] if slow >= SLOW else [])


if __name__ == "__main__":
    main()
