"""How often a claim that was made false by one change is called supported, and a true one is not.

    python benchmarks/bench_mutations.py [--data ../shared/data] [--seed 1] [--check] [--no-embedder] [--vetoes]

300 true pairs of claim and evidence and 3,000 claims made false from them by rule (mutations.py), judged by the
grounding grader; `--vetoes` judges by the vetoes alone, where nothing that speaks against a claim means supported.
Also: how often the veto on numbers, dates and quotes is right on claims against whole web pages (WiCE), where partly
supported counts as not supported. `--check` ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mutations
from mutation_pairs import SETS

from pilotage.checks.grounding import additions, denials, opposites
from pilotage.checks.grounding.evidence import best_sentences
from pilotage.checks.grounding.vetoes import find_veto
from pilotage.evidence.embedder import Embedder, find

FALSE_CAUGHT, TRUE_HELD, VETO_RIGHT = 0.95, 0.90, 0.90
FIGURES = ("number", "date", "quote")
VERDICTS = ("supported", "unsure", "unsupported")
Judge = Callable[[str, str], str]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--check", action="store_true")
    options.add_argument("--vetoes", action="store_true", help="judge by the vetoes alone")
    options.add_argument("--no-embedder", action="store_true")
    options.add_argument("--show", choices=["true", *mutations.KINDS], help="print what was judged wrong")
    given = options.parse_args()
    check_lists()
    judge = by_vetoes if given.vetoes else by_grader(not given.no_embedder)
    print(f"seed {given.seed}, judged by {'the vetoes' if given.vetoes else 'the grader'}")
    for file in sources(given.data):
        rows = file.read_text("utf-8").count("\n")
        print(f"- {file.name}: {rows} lines, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}")
    figures = measure(given.data, given.seed, judge, given.show)
    veto = count_vetoes(given.data)
    if given.check and not (figures[0] >= FALSE_CAUGHT and figures[1] >= TRUE_HELD and veto >= VETO_RIGHT):
        raise SystemExit(1)


def sources(data: Path) -> list[Path]:
    return [
        *(data / "claims" / f"{name}_dev.jsonl" for name in SETS),
        data / "pages" / "ground-truth.json",
        *sorted((data / "qa" / "docs").glob("*.md")),
    ]


def by_vetoes(claim: str, evidence: str) -> str:
    veto = find_veto(claim, [found.text for found in best_sentences(claim, evidence)], evidence)
    return "supported" if veto is None else "unsupported" if veto.sure else "unsure"


def by_grader(with_embedder: bool) -> Judge:
    from pilotage.checks.grounding.grader import grade

    folder = find() if with_embedder else None
    embedder = Embedder(folder) if folder else None
    if with_embedder and not folder:
        print("no sentence model is installed: judged without one")
    return lambda claim, evidence: grade(claim, evidence, embedder=embedder).verdict


def check_lists() -> None:
    """The words that make claims false are none of those that the vetoes look for; negations are a closed class."""
    pairs = {pair for text in (mutations.OPPOSITES, mutations.DEGREES) for pair in text.split()}
    closed = {"most/least", "more/less"}  # of degrees there are no others
    known = {f"{one}/{other}" for one, other in opposites.DIRECTIONS}
    assert not (pairs - closed) & known, (pairs - closed) & known
    phrases = [*mutations.DENIALS, *mutations.FAILURES, *mutations.MYTHS]
    words = {word.lower() for phrase in phrases for word in phrase.split()}
    listed = (denials.TURNING | denials.NOT | additions.AFFIRMING) & words
    assert not listed, listed


def measure(data: Path, seed: int, judge: Judge, show: str | None) -> tuple[float, float]:
    """The table by kind; the shares of the false not called supported and of the true called supported."""
    pairs = mutations.true_pairs(data, seed)
    made = mutations.mutants(pairs, seed)
    told: dict[str, Counter[str]] = {kind: Counter() for kind in (*mutations.KINDS, "true")}
    seconds: list[float] = []
    rows = [(mutant.kind, mutant.claim, mutant.evidence, mutant.change) for mutant in made]
    for kind, claim, evidence, change in [*rows, *(("true", pair.claim, pair.evidence, "") for pair in pairs)]:
        began = time.process_time()
        verdict = judge(claim, evidence)
        seconds.append(time.process_time() - began)
        told[kind][verdict] += 1
        if kind == show and (verdict == "supported") != (kind == "true"):
            print(json.dumps({"verdict": verdict, "change": change, "claim": claim, "evidence": evidence[:400]}))
    print("\n| made false by | claims | supported | unsure | unsupported |\n|---|---|---|---|---|")
    for kind, counts in told.items():
        shares = " | ".join(f"{counts[verdict] / max(counts.total(), 1):.1%}" for verdict in VERDICTS)
        print(f"| {kind if kind != 'true' else 'nothing: true'} | {counts.total()} | {shares} |")
    caught = [1 - told[kind]["supported"] / max(told[kind].total(), 1) for kind in mutations.KINDS]
    every = 1 - sum(told[kind]["supported"] for kind in mutations.KINDS) / len(made)
    held = told["true"]["supported"] / len(pairs)
    cuts = statistics.quantiles(seconds, n=20)
    print(f"| **false, not called supported** | {len(made)} | **{every:.1%}** (mean of the kinds "
          f"{statistics.fmean(caught):.1%}) | at least {FALSE_CAUGHT:.0%} | |")  # fmt: skip
    print(f"| **true, called supported** | {len(pairs)} | **{held:.1%}** | at least {TRUE_HELD:.0%} | |")
    print(
        f"| processor time of a pair | {len(seconds)} | median {1000 * cuts[9]:.1f} ms "
        f"| p95 {1000 * cuts[18]:.1f} ms | |"
    )
    return every, held


def count_vetoes(data: Path) -> float:
    """How often a sure veto on numbers, dates or quotes is right on claims against whole pages."""
    lines = (data / "claims" / "wice_dev.jsonl").read_text("utf-8").splitlines()
    used, right = Counter[str](), Counter[str]()
    for row in map(json.loads, lines):
        texts = [found.text for found in best_sentences(row["claim"], row["evidence"])]
        veto = find_veto(row["claim"], texts, row["evidence"])
        if veto and veto.sure and veto.kind in FIGURES:
            used[veto.kind] += 1
            right[veto.kind] += not row["supported"]
    share = right.total() / max(used.total(), 1)
    kinds = ", ".join(f"{kind} {right[kind]} of {used[kind]}" for kind in FIGURES)
    print(f"| veto on numbers, dates, quotes, WiCE | {used.total()} uses of {len(lines)} | **{share:.1%} right** "
          f"({kinds}) | at least {VETO_RIGHT:.0%} | |")  # fmt: skip
    return share


if __name__ == "__main__":
    main()
