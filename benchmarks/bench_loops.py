"""Measures loop detectors: how many loops they stop, how soon, and how often they stop honest work.

    python benchmarks/bench_loops.py                                  generated traces
    python benchmarks/bench_loops.py --data ../shared/data/loops      and real ones that failed for other reasons
    python benchmarks/bench_loops.py --seeds 10                       and ours on sets of further seeds
    python benchmarks/bench_loops.py --failures                       what ours gets wrong in the tune half

A loop counts as stopped when the verdict falls after its first step; one before that is a false alarm, counted apart.
Prints Markdown tables, or JSON with --json. What a detector does to a run, such as a warning, is not covered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loop_rules import RULES, Rule
from loop_traces import as_lines, honest_rows, loop_rows

from pilotage.guard.loops import find_loop

Row = dict[str, Any]
FURTHER = 1000  # the first of the further seeds

OURS = "Pilotage"
REAL = "whoandwhen_dev.jsonl"
SOURCE = "ag2ai/Agents_Failure_Attribution, MIT, development half"
CAVEAT = "its messages hold tool output, such as tracebacks, which a rule on repeated text of the model would not see"
HALVES = ("tune", "test")
STEPS = 1000  # of the trace that is timed


@dataclass(frozen=True)
class Share:
    """`count` of `total`."""

    count: int
    total: int

    def __str__(self) -> str:
        return f"{self.count}/{self.total} ({100 * self.count / self.total:.1f} %)" if self.total else "–"


def ours(events: list[Row]) -> int | None:
    verdict = find_loop(events)
    return verdict.stopped_at if verdict else None


def is_stopped(row: Row, stop: int | None) -> bool:
    return stop is not None and stop > row["first"]


def is_in_time(row: Row, stop: int | None) -> bool:
    return stop is not None and row["first"] < stop <= row["fifth"]


def is_early(row: Row, stop: int | None) -> bool:
    return stop is not None and stop <= row["first"]


def share(rows: Iterable[Row], stops: dict[str, int | None], test: Callable[[Row, int | None], bool]) -> Share:
    found = [test(row, stops[row["id"]]) for row in rows]
    return Share(sum(found), len(found))


def measure(rule: Rule, loops: list[Row], honest: list[Row], real: list[Row]) -> dict[str, Any]:
    """All shares of one rule."""
    stops = {row["id"]: rule(row["events"]) for row in (*loops, *honest, *real)}
    figures: dict[str, Any] = {}
    for half in HALVES:
        of_half = [row for row in loops if row["half"] == half]
        figures[f"recall {half}"] = share(of_half, stops, is_stopped)
        figures[f"by the 5th {half}"] = share(of_half, stops, is_in_time)
    figures["before the loop"] = share(loops, stops, is_early)
    for half in HALVES:
        of_half = [row for row in honest if row["half"] == half]
        figures[f"false alarms {half}"] = share(of_half, stops, lambda _row, stop: stop is not None)
    figures["false alarms Who&When"] = share(real, stops, lambda _row, stop: stop is not None)
    figures["families"] = _by_family(loops, stops, is_stopped)
    figures["false alarms by family"] = _by_family(honest, stops, lambda _row, stop: stop is not None)
    return figures


def _by_family(
    rows: list[Row], stops: dict[str, int | None], test: Callable[[Row, int | None], bool]
) -> dict[str, Share]:
    tested = [row for row in rows if row["half"] == "test"]
    names = dict.fromkeys(row["family"] for row in tested)
    return {name: share((row for row in tested if row["family"] == name), stops, test) for name in names}


def read_real(data: Path | None) -> tuple[list[Row], str]:
    """The real traces and a line about them."""
    path = data / REAL if data else None
    if path is None or not path.is_file():
        return [], f"Who&When: skipped, no {REAL} in {data or 'the folder that --data names'}"
    raw = path.read_bytes()
    rows = [json.loads(line) for line in raw.decode().splitlines()]
    return rows, f"Who&When: {len(rows)} traces, {SOURCE}, sha256 {hashlib.sha256(raw).hexdigest()}; {CAVEAT}"


def mixed_trace(rows: list[Row]) -> list[Row]:
    """One trace of 1,000 steps out of all families; verdicts fall in it, and watching goes on."""
    shuffled = random.Random(7).sample(rows, len(rows))
    return [event for row in shuffled for event in row["events"]][:STEPS]


def time_steps(rows: list[Row]) -> dict[str, float]:
    """Microseconds that ours takes for a step of the mixed trace, reading the row included."""
    from pilotage.guard.loops import Watch
    from pilotage.guard.steps import step_of_row

    watch, taken = Watch(), []
    for number, event in enumerate(mixed_trace(rows)):
        began = time.perf_counter_ns()
        watch.step(step_of_row(event, number))
        taken.append((time.perf_counter_ns() - began) / 1000)
    first, last = statistics.median(taken[:100]), statistics.median(taken[-100:])
    p99 = statistics.quantiles(taken, n=100)[98]
    return {"median": statistics.median(taken), "p99": p99, "first 100": first, "last 100": last}


def failures(loops: list[Row], honest: list[Row]) -> list[str]:
    """What ours gets wrong in the tune half, a line for each trace."""
    lines = []
    for row in (row for row in (*loops, *honest) if row["half"] == "tune"):
        verdict = find_loop(row["events"])
        stop = verdict.stopped_at if verdict else None
        said = f"stopped at {stop} ({verdict.kind})" if verdict else "not stopped"
        if row["label"] == "honest" and verdict:
            lines.append(f"false alarm  {row['id']}: {said} of {len(row['events'])} steps")
        elif row["label"] == "loop" and not is_in_time(row, stop):
            what = "late" if is_stopped(row, stop) else "early" if is_early(row, stop) else "missed"
            lines.append(f"{what:<11}  {row['id']}: {said}, first {row['first']}, fifth {row['fifth']}")
    return lines


def show(figures: dict[str, dict[str, Any]], note: str, times: dict[str, float], sizes: str) -> str:
    """The tables."""
    columns = [name for name in figures[OURS] if "famil" not in name]
    head = ["", *columns]
    lines = [sizes, note, "", _line(head), _line(["---"] * len(head))]
    lines += [_line([rule, *(str(of_rule[column]) for column in columns)]) for rule, of_rule in figures.items()]
    for title, table in (("Loops stopped", "families"), ("False alarms", "false alarms by family")):
        head = [f"{title}, test half", *figures]
        lines += ["", _line(head), _line(["---"] * len(head))]
        for family in figures[OURS][table]:
            shares = [of_rule[table][family] for of_rule in figures.values()]
            lines.append(_line([family, *(f"{one.count}/{one.total}" for one in shares)]))
    shown = ", ".join(f"{name} {value:.0f}" for name, value in times.items())
    return "\n".join([*lines, "", f"Microseconds for a step of ours, on one trace of {STEPS:,} steps: {shown}"])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def further(seeds: range) -> str:
    """Ours on sets that nobody has looked at: other scenes, words and orders of the same families."""
    loops = [row for seed in seeds for row in loop_rows(seed)]
    honest = [row for seed in seeds for row in honest_rows(seed)]
    stops = [(row, find_loop(row["events"])) for row in loops]
    stopped = [(row, verdict) for row, verdict in stops if verdict and verdict.stopped_at > row["first"]]
    by_fifth = sum(verdict.stopped_at <= row["fifth"] for row, verdict in stopped)
    alarms = sum(find_loop(row["events"]) is not None for row in honest)
    return (
        f"\nSeeds {seeds.start} to {seeds.stop - 1}, ours: {len(stopped)} of {len(loops)} loops stopped"
        f" ({len(stopped) / len(loops):.1%}), {by_fifth} by the 5th repetition ({by_fifth / len(loops):.1%});"
        f" {alarms} of {len(honest)} honest traces ({alarms / len(honest):.1%})"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    options.add_argument("--data", type=Path, help=f"folder that holds {REAL}")
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options.add_argument("--seeds", type=int, default=0, metavar="N", help="ours also on N sets of other seeds")
    options.add_argument("--failures", action="store_true", help="list what ours gets wrong in the tune half")
    chosen = options.parse_args()
    loops, honest = list(loop_rows()), list(honest_rows())
    if chosen.failures:
        print("\n".join(failures(loops, honest)))
        return
    real, note = read_real(chosen.data)
    hashes = [hashlib.sha256(as_lines(rows)).hexdigest() for rows in (loops, honest)]
    sizes = f"Generated: {len(loops)} loops, sha256 {hashes[0]}; {len(honest)} honest, sha256 {hashes[1]}"
    figures = {name: measure(rule, loops, honest, real) for name, rule in {OURS: ours, **RULES}.items()}
    times = time_steps([*loops, *honest])
    if chosen.json:
        plain = {"sets": sizes, "real": note, "rules": figures, "microseconds": times}
        print(json.dumps(plain, default=asdict, indent=2, ensure_ascii=False))
    else:
        print(show(figures, note, times, sizes))
    if chosen.seeds:
        print(further(range(FURTHER, FURTHER + chosen.seeds)))


if __name__ == "__main__":
    main()
