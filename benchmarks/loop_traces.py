"""Makes the traces that loop detectors are measured on, and writes them: loops.jsonl and honest.jsonl.

    python benchmarks/loop_traces.py --out DIR

A loop starts after 0 to 8 honest steps and goes on for 15 steps or more. `first` is the index of the first step that is
repeated later, `fifth` the index at which it has been repeated for the fifth time; both count from 0. The same seed
gives the same bytes. The traces are written by rule, not recorded: how often such loops happen is not covered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from honest_traces import FAMILIES as HONEST
from honest_traces import TOTAL
from loop_families import FAMILIES as LOOPS
from loop_families import Loop
from trace_scene import Event, Scene, domains, honest_step, message, opening, with_thoughts

Row = dict[str, Any]

SEED = 7
PER_FAMILY = 12
LONGEST_OPENING = 8
SPOKEN = 0.3  # share of traces in which something is said before each call
STRAYING = 0.3  # share of loops with an unrelated step now and then
STRAY = 0.15  # how often, there


def loop_rows(seed: int = SEED) -> Iterator[Row]:
    """All loops, by family."""
    for family, make in LOOPS.items():
        for number in range(PER_FAMILY):
            scene = _scene(seed, f"loop-{family}-{number:02d}", number + len(family))
            yield _loop_row(scene, family, f"loop-{family}-{number:02d}", make(scene, number))


def honest_rows(seed: int = SEED) -> Iterator[Row]:
    """The 200 traces that look repetitive and are not."""
    for place in range(TOTAL):
        family, number = list(HONEST)[place % len(HONEST)], place // len(HONEST)
        name = f"honest-{family}-{number:02d}"
        scene = _scene(seed, name, number + len(family))
        agent = scene.agents[0]
        events = [*opening(scene, agent, 5), *HONEST[family](scene, number)]
        if scene.rng.random() < SPOKEN:
            events = with_thoughts(scene, events)
        events.append(message(agent, scene.words("Final answer: {fact}", fact=scene.fact())))
        yield _row(name, "honest", family, None, None, events)


def _loop_row(scene: Scene, family: str, name: str, loop: Loop) -> Row:
    agent = scene.agents[0]
    is_spoken = scene.rng.random() < SPOKEN
    is_straying = loop.may_stray and scene.rng.random() < STRAYING
    events = opening(scene, agent, LONGEST_OPENING)
    first = fifth = -1
    for number, steps in enumerate(loop.rounds):
        if is_straying and number and scene.rng.random() < STRAY:
            events.append(honest_step(scene, agent))
        events += with_thoughts(scene, steps) if is_spoken else steps
        if number == 0:
            lead = (
                1 if is_spoken and steps[0]["kind"] == "tool" else 0
            )  # the thought before it is not the repeated step
            first = len(events) - _length(steps, is_spoken) + lead
        if number == loop.fifth:
            fifth = len(events) - 1
    return _row(name, "loop", family, first, fifth, events)


def _length(steps: list[Event], is_spoken: bool) -> int:
    return len(steps) + (sum(step["kind"] == "tool" for step in steps) if is_spoken else 0)


def _scene(seed: int, name: str, place: int) -> Scene:
    known = domains()
    return Scene(random.Random(f"{seed}/{name}"), known[place % len(known)])


def _row(name: str, label: str, family: str, first: int | None, fifth: int | None, events: list[Event]) -> Row:
    is_odd = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2
    half = "test" if is_odd else "tune"
    return {
        "id": name, "label": label, "family": family, "half": half, "first": first, "fifth": fifth, "events": events,
    }  # fmt: skip


def as_lines(rows: Iterable[Row]) -> bytes:
    """JSON Lines. Keys stay in order: in some loops the order of the arguments is what changes."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> None:
    options = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    options.add_argument("--out", type=Path, help="folder to write loops.jsonl and honest.jsonl to")
    options.add_argument("--seed", type=int, default=SEED)
    chosen = options.parse_args()
    for name, rows in (("loops", loop_rows(chosen.seed)), ("honest", honest_rows(chosen.seed))):
        data = as_lines(rows)
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / f"{name}.jsonl").write_bytes(data)
        print(f"{name}.jsonl  {len(data.splitlines())} rows  sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
