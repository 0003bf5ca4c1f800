"""Feedback: models that make one kind of mistake, put right in the second round or never accepted.

    uv run python benchmarks/bench_feedback.py [--questions 25] [--check]

Scripted models on loopback answer 25 questions on five small documents (feedback_scene.py) through whole runs of the
crew, with every check of config/tasks.yaml and the graders. Each model errs until it is told what did not hold, or for
ever. Right is an accepted answer with the figure that the document has. `--check` ends with 1 when less than 95 % are
right after the mistake is made once, or one is accepted of a model that errs for ever. The last row has no bound.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import feedback_scene  # noqa: E402
from feedback_scene import FACTS, HARD, MISTAKES, Fact, Mistake, Scene  # noqa: E402

from pilotage.outcome import Result  # noqa: E402
from pilotage.quiet import import_crewai  # noqa: E402
from pilotage.run import Runner  # noqa: E402
from pilotage.settings import load  # noqa: E402

LEAST = 0.95  # right after one mistake
CHECKS = {
    "research": ["findings", "grounding"], "verify": ["verdicts", "grounding"],
    "explain": ["citations", "grounding", "answer"],
}  # fmt: skip
ALIKE = {"model.name": "openai/gpt-4o-mini", "cache.answers": "false", "cache.calls": "false"}


@dataclass(frozen=True)
class Row:
    """What came of one model: how many answers were right, accepted, accepted with a mark, and the calls it took."""

    asked: int
    right: int
    accepted: int
    marked: int
    calls: int

    @property
    def share(self) -> float:
        return self.right / self.asked


@dataclass(frozen=True)
class Bench:
    scene: Scene
    runner: Runner
    facts: Sequence[Fact]

    def row(self, mistake: Mistake | None, *, for_ever: bool = False) -> Row:
        self.scene.mistake, self.scene.for_ever, self.scene.requests = mistake, for_ever, 0
        results = [self.runner.answer(fact.question, write=False, fresh=True) for fact in self.facts]
        right = sum(is_right(result, fact) for result, fact in zip(results, self.facts, strict=True))
        accepted = sum(result.outcome == "accepted" for result in results)
        marked = sum(bool(result.unsure) for result in results)
        return Row(len(results), right, accepted, marked, self.scene.requests)


def is_right(result: Result, fact: Fact) -> bool:
    return result.outcome == "accepted" and fact.said.rstrip(".") in (result.answer or "")


@contextmanager
def workshop(count: int) -> Iterator[Bench]:
    """A project of its own, with all checks, and the model server."""
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
    with tempfile.TemporaryDirectory() as name, feedback_scene.scene() as scene:
        root = Path(name)
        shutil.copytree(ROOT / "config", root / "config")
        feedback_scene.lay_out(root / "knowledge")
        tasks = yaml.safe_load((root / "config" / "tasks.yaml").read_text("utf-8"))
        for task, checks in CHECKS.items():
            tasks[task]["checks"] = checks
        (root / "config" / "tasks.yaml").write_text(yaml.safe_dump(tasks, sort_keys=False), "utf-8")
        settings = load(root, {"model.base_url": scene.url, **ALIKE})
        import_crewai(settings.runs)
        runner = Runner(settings)
        try:
            yield Bench(scene, runner, FACTS[:count])
        finally:
            runner.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--questions", type=int, default=len(FACTS), help="how many of the questions")
    options.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    given = options.parse_args()
    missed = []
    with workshop(given.questions) as bench:
        whole = bench.row(None)
        print(f"{whole.asked} questions, {digest()}, no chance in it\n")
        print("| the model errs by | once: right | calls a question | for ever: accepted | calls a question |")
        print("|---|---|---|---|---|")
        print(f"| nothing | {whole.right} of {whole.asked} | {whole.calls / whole.asked:.1f} | | |", flush=True)
        for name, mistake in (MISTAKES | HARD).items():
            once, ever = bench.row(mistake), bench.row(mistake, for_ever=True)
            missed += [name] if name in MISTAKES and (once.share < LEAST or ever.accepted) else []
            print(f"| {name} | {line(once, ever)} |", flush=True)
    if given.check and (missed or whole.share < LEAST):
        raise SystemExit(f"missed: {', '.join(missed) or 'the model without a mistake'}")


def line(once: Row, ever: Row) -> str:
    marked = f" ({ever.marked} marked unsure)" if ever.marked else ""
    told = [f"{once.right} of {once.asked} ({once.share:.0%})", f"{once.calls / once.asked:.1f}"]
    return " | ".join([*told, f"{ever.accepted} of {ever.asked}{marked}", f"{ever.calls / ever.asked:.1f}"])


def digest() -> str:
    """The SHA-256 of the documents and questions."""
    return f"feedback_scene.py SHA-256 {hashlib.sha256(Path(feedback_scene.__file__).read_bytes()).hexdigest()[:16]}"


if __name__ == "__main__":
    main()
