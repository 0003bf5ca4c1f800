"""The grounding grader with a model that judges: who is right about the same claims, the grader, the model, or both?

    python benchmarks/bench_judge.py --model gguf:/path/to/model.gguf --data ../shared/data [--rows 400] [--check]

DIR/claims holds fever_symmetric_dev, wice_dev, fm2_dev and begin_wow_dev .jsonl with rows {"claim", "evidence",
"supported"}. An equal number of rows of each is drawn with the seed; one prompt, one threshold and one combination hold
for all (src/pilotage/checks/judge.py). What the embedded grader says is that of bench_grounding.py: of scorers that
were fitted without the row. `--fit` draws other rows than those of seed 0, and prints the weights of the combination;
BEGIN stands apart there too. `--kept FILE` keeps what the model has said, and goes on from it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from bench_grounding import Bench
from grounding_rows import APART, SETS, SOURCES, Row, digest, path_of
from sklearn.linear_model import LogisticRegression

from pilotage.checks.grades import Grade
from pilotage.checks.judge import FARTHEST, combine, log_odds
from pilotage.evidence import embedder as models
from pilotage.judging import for_settings
from pilotage.settings import load

BALANCED = 78.0  # mean of the sets, grader and judge together, in percent
MEASURED = 0  # the seed of the rows that nothing is fitted on
TREEBANK = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]"}


@dataclass(frozen=True)
class Seen:
    """A row with what the grader says, what the model says, and the seconds that it took."""

    row: Row
    embedded: Grade
    judged: float
    seconds: float

    @property
    def both(self) -> Grade:
        return combine(self.embedded, self.judged)


class Judged:
    """What the model says of claims, kept in a file when one is given."""

    def __init__(self, model: str, threads: int, kept: Path | None) -> None:
        root = Path(__file__).parent.parent
        settings = load(root, {"local.threads": str(threads), "local.memory": "fast"})
        self._judge, self._kept = for_settings(settings, model), kept
        lines = kept.read_text("utf-8").splitlines() if kept and kept.exists() else []
        self._known = {(claim, evidence): (p, seconds) for claim, evidence, p, seconds in map(json.loads, lines)}

    def all(self, rows: Sequence[Row]) -> list[tuple[float, float]]:
        """For each row the probability, and the seconds that it took."""
        if any((row.claim, row.evidence) not in self._known for row in rows):
            self._judge.probability("Warm.", "Cold.")  # loads the model and reads the examples
        found = []
        for number, row in enumerate(rows, 1):
            found.append(self._one(row))
            if sys.stderr.isatty():
                print(f"\r{number}/{len(rows)}", end="", file=sys.stderr)
        return found

    def _one(self, row: Row) -> tuple[float, float]:
        key = (row.claim, row.evidence)
        if key not in self._known:
            began = time.perf_counter()
            probability = self._judge.probability(tidy(row.claim), tidy(row.evidence))
            self._known[key] = probability, time.perf_counter() - began
            if self._kept:
                with self._kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([*key, *self._known[key]]) + "\n")
        return self._known[key]


def draw(rows: Sequence[Row], count: int, seed: int) -> list[int]:
    """The places of as many rows of each set."""
    drawn: list[int] = []
    for name in SETS:
        places = [at for at, row in enumerate(rows) if row.source == name]
        random.Random(f"{seed}-{name}").shuffle(places)
        drawn += places[: count // len(SETS)]
    return drawn


def tidy(text: str) -> str:
    """Without the brackets of the Penn Treebank, empty lines and runs of spaces."""
    for mark, bracket in TREEBANK.items():
        text = text.replace(mark, bracket)
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def balanced(pairs: Iterable[tuple[bool, float]]) -> float:
    """Balanced accuracy in percent, decided at one half; a row without a verdict is taken for unsupported."""
    told = list(pairs)
    right = {label: [(score >= 0.5) == label for of, score in told if of == label] for label in (True, False)}
    return 50 * sum(sum(found) / len(found) for found in right.values() if found)


def figures(seen: Sequence[Seen]) -> tuple[float, ...]:
    """Balanced accuracy of the grader, the judge and both; unsure in percent, right of the rest; seconds a row."""
    decided = [one for one in seen if one.both.verdict != "unsure"]
    return (
        balanced((one.row.supported, one.embedded.score) for one in seen),
        balanced((one.row.supported, one.judged) for one in seen),
        balanced((one.row.supported, one.both.score) for one in seen),
        100 * (1 - len(decided) / len(seen)),
        100 * sum((one.both.verdict == "supported") == one.row.supported for one in decided) / max(1, len(decided)),
        statistics.mean(one.seconds for one in seen),
    )


def fitted(seen: Sequence[Seen]) -> tuple[float, float, float]:
    """The weights of judge and grader, and the bias, from rows that no veto decides; each set counts the same."""
    open_ = [one for one in seen if one.embedded.layer == "scorer" and not math.isnan(one.judged)]
    open_ = [one for one in open_ if one.row.source != APART]
    kinds = [(one.row.source, one.row.supported) for one in open_]
    counts = np.array([1 / kinds.count(kind) for kind in kinds])
    table = [[log_odds(p, FARTHEST) for p in (one.judged, one.embedded.score)] for one in open_]
    model = LogisticRegression(C=10).fit(table, [one.row.supported for one in open_], counts / counts.mean())
    return float(model.coef_[0, 0]), float(model.coef_[0, 1]), float(model.intercept_[0])


def report(seen: Sequence[Seen], given: argparse.Namespace) -> int:
    name = Path(given.model.rpartition(":")[2]).name
    print(f"{name}, seed {given.seed}, {len(seen)} rows, {given.threads} thread(s); balanced accuracy in percent\n")
    print("| set | rows | embedded grader | judge | both | unsure | right of the rest | s a row |")
    print("|---|---|---|---|---|---|---|---|")
    table = {of: figures([one for one in seen if one.row.source == of]) for of in SETS}
    for of, found in table.items():
        print(f"| {of} | {sum(one.row.source == of for one in seen)} | {shown(found)} |")
    means = [statistics.mean(column) for column in zip(*table.values(), strict=True)]
    print(f"| **mean** | {len(seen)} | {shown(means)} |\n| bound | | | | at least {BALANCED:g} | | | |\n")
    for of in SETS:
        print(f"- {of}: {SOURCES[of]}, development half, SHA-256 {digest(path_of(given.data, of))}")
    print(f"\nno verdict of the judge: {sum(math.isnan(one.judged) for one in seen)} rows")
    return int(given.check and means[2] < BALANCED)


def shown(found: Iterable[float]) -> str:
    return " | ".join(f"{figure:.1f}" for figure in found)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--rows", type=int, default=400)
    options.add_argument("--seed", type=int, default=MEASURED)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--fit", action="store_true", help="print the weights of the combination")
    options.add_argument("--kept", type=Path)
    options.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    given = options.parse_args()
    if given.fit and given.seed == MEASURED:
        options.error(f"--fit needs another seed than {MEASURED}, whose rows are measured")
    folder = models.find()
    if folder is None:
        sys.exit("the sentence model is not installed")
    bench = Bench(given.data, models.Embedder(folder), 0)
    places = draw(bench.rows, given.rows, given.seed)
    if given.fit:
        places = [at for at in places if at not in set(draw(bench.rows, given.rows, MEASURED))]
    rows = [bench.rows[at] for at in places]
    judged = Judged(given.model, given.threads, given.kept).all(rows)
    grades = {
        row: grade
        for found in bench.grade_folds()[0].values()
        for row, grade in zip(found.rows, found.grades, strict=True)
    }
    seen = [Seen(row, grades[row], *told) for row, told in zip(rows, judged, strict=True)]
    if given.fit:
        print("JUDGE, EMBEDDED, BIAS = {:.2f}, {:.2f}, {:.2f}\n".format(*fitted(seen)))
    return report(seen, given)


if __name__ == "__main__":
    sys.exit(main())
