"""Fits the weights of the grounding grader and writes src/pilotage/checks/grounding/weights.json.

    python scripts/train_grounding.py --data ../shared/data --seed 0

Reads fever_symmetric, wice and fm2, and rows made of them; never BEGIN. The same data, seed and machine give the same
file, byte for byte. Needs the dependency group `bench` and the sentence model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from grounding_fit import fit
from grounding_rows import SOURCES, TRAINED, digest, load, make, path_of, tables

from pilotage.checks.grounding.scorer import PATH
from pilotage.evidence.embedder import Embedder, find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PATH)
    args = parser.parse_args()
    folder = find()
    if folder is None:
        sys.exit("the sentence model is not installed")
    rows = load(args.data, TRAINED)
    rows += make(args.data, rows, args.seed)
    plain, near = tables(rows, Embedder(folder))
    made = {
        "by": "scripts/train_grounding.py", "seed": args.seed, "rows": len(rows),
        "data": [f"{SOURCES[name]}, SHA-256 {digest(path_of(args.data, name))}" for name in TRAINED],
    }  # fmt: skip
    found = {"made": made, "lexical": fit(rows, plain, "lexical", args.seed),
             "vectors": fit(rows, near, "vectors", args.seed)}  # fmt: skip
    args.out.write_text(json.dumps(found, separators=(",", ":")) + "\n", "utf-8")
    bands = {name: found[name]["band"] for name in ("lexical", "vectors")}
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, {len(rows):,} rows, bands {bands}")


if __name__ == "__main__":
    main()
