"""The whole crew with a real model, beside the built-in reader and beside the same crew with its checks switched off.

    uv run --extra local python benchmarks/bench_crew.py --data DIR --model gguf:/path/to/model.gguf [--check]

DIR is that of bench_qa.py. Asked are questions drawn with a fixed seed over all documents, and others over a folder
without the documents that they are about. `right`: accepted, and a cited quote holds the answer; `said so too`: its own
words hold it as well, letter by letter. A run of a model takes long: with --out each answer is kept as a line, and
what stands there is not asked again; with --kept as well nothing is asked, and the table is that of what stands there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench_qa import Row, digest, home, workshop

from pilotage.checks.verbatim import stands_in
from pilotage.outcome import Result
from pilotage.run import Runner
from pilotage.settings import Settings

RIGHT, WRONG, INVENTED = 0.80, 0.02, 0  # of the questions; accepted answers that are wrong; quotes not in their source
ACCEPTED_REMOVED = 0.06  # of the questions whose document is gone
REMOVED_DOCUMENTS = 6


@dataclass(frozen=True)
class Answer:
    """What came of one question."""

    way: str
    folder: str
    id: str
    outcome: str
    right: bool
    invented: int
    seconds: float
    tokens: int
    answer: str
    said: bool = False  # whether the words of the answer hold it too


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path("../shared/data/qa"))
    options.add_argument("--model", default="reader", help="as in model.name; a key comes from the environment")
    options.add_argument("--questions", type=int, default=100)
    options.add_argument("--removed", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--ways", default="reader,crew,unchecked")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further settings")
    options.add_argument("--out", type=Path, help="keep each answer here, and go on from it")
    options.add_argument("--kept", action="store_true", help="only the table of what --out has kept")
    options.add_argument("--check", action="store_true", help="exit 1 when the crew misses a bound")
    given = options.parse_args()
    rows = [json.loads(line) for line in (given.data / "questions.jsonl").read_text("utf-8").splitlines()]
    known = read(given.out)
    print(f"data: sha256 {digest(given.data)[:16]}, seed {given.seed}, model {Path(given.model).name}\n")
    asked = (answer for way in given.ways.split(",") for answer in ask_all(way, given, rows, known))
    answers = list(known.values() if given.kept else asked)
    table(answers)
    if given.check and not holds_bounds(answers):
        sys.exit(1)


def ask_all(way: str, given: Any, rows: list[Row], known: dict[Any, Answer]) -> Iterator[Answer]:
    """The answers of one way over both folders."""
    overrides = dict(pair.split("=", 1) for pair in given.set)
    if way != "reader" and given.model != "reader":
        overrides["model.name"] = given.model
    with workshop(given.data, overrides) as (settings, docs):
        gone, asked, removed = draw(rows, docs, given)
        yield from ask(way, "all", settings, docs, asked, given.out, known)
        for document in gone:
            (docs / f"{document}.md").unlink()
        yield from ask(way, "removed", settings, docs, removed, given.out, known)


def draw(rows: list[Row], docs: Path, given: Any) -> tuple[list[str], list[Row], list[Row]]:
    """Documents to take away, questions over all of them, and others about those taken away."""
    chance = random.Random(given.seed)
    gone = chance.sample(sorted(file.stem for file in docs.glob("*.md")), REMOVED_DOCUMENTS)
    asked = chance.sample(rows, given.questions)
    others = [row for row in rows if row not in asked and home(row, docs).stem in gone]
    return gone, asked, chance.sample(others, min(given.removed, len(others)))


def ask(
    way: str, folder: str, settings: Settings, docs: Path, rows: list[Row], out: Path | None, known: dict[Any, Answer]
) -> Iterator[Answer]:  # fmt: skip
    texts = "\n".join(file.read_text("utf-8") for file in sorted(docs.glob("*.md")))
    with switched_off(way == "unchecked"), runner_of(settings, docs) as runner:
        for number, row in enumerate(rows, 1):
            answer = known.get((way, folder, row["id"]))
            if answer is None:
                began = time.perf_counter()
                result = runner.answer(row["question"], write=False, fresh=True)
                answer = judged(way, folder, row, result, time.perf_counter() - began, texts)
                if out:
                    with out.open("a", encoding="utf-8") as stream:
                        print(json.dumps(answer.__dict__, ensure_ascii=False), file=stream)
                print(f"{way} {folder} {number}/{len(rows)} {answer.outcome}", file=sys.stderr, flush=True)
            yield answer


@contextmanager
def runner_of(settings: Settings, docs: Path) -> Iterator[Runner]:
    runner = Runner(settings, knowledge=docs)
    try:
        yield runner
    finally:
        runner.close()


@contextmanager
def switched_off(wanted: bool) -> Iterator[None]:
    """Nothing that an agent returns is checked but its form, and nothing is asked for in another round."""
    if not wanted:
        yield
        return
    with (
        patch("pilotage.checks.gate.Gate._run", lambda *_: []),
        patch("pilotage.checks.gate.Gate._look_at_the_whole", lambda *_: None),
        patch("pilotage.checks.rounds.Rounds.has_another", lambda *_: False),
    ):
        yield


def judged(way: str, folder: str, row: Row, result: Result, seconds: float, texts: str) -> Answer:
    quotes = [citation["quote"] for citation in result.citations]
    right = result.outcome == "accepted" and any(stands_in(row["answer"], quote) for quote in quotes)
    return Answer(
        way, folder, row["id"], result.outcome, right, sum(not stands_in(quote, texts) for quote in quotes),
        round(seconds, 3), result.tokens, result.answer or result.reason,
        right and stands_in(row["answer"], result.answer or ""),
    )  # fmt: skip


def read(out: Path | None) -> dict[Any, Answer]:
    """What an earlier run of this benchmark has kept."""
    if out is None or not out.is_file():
        return {}
    found = [Answer(**json.loads(line)) for line in out.read_text("utf-8").splitlines()]
    return {(answer.way, answer.folder, answer.id): answer for answer in found}


def table(answers: list[Answer]) -> None:
    print("| questions | answered by | asked | right | said so too | accepted but wrong | quotes not in their source "
          "| unanswered | other | s, median | tokens, median |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for folder, shown in (("all", "on the documents"), ("removed", "on documents that were removed")):
        ways = by_way(answers, folder)
        rows = [(shown, way, found) for way, found in ways.items()]
        every = set.intersection(*({answer.id for answer in found} for found in ways.values())) if ways else set()
        if every and any(len(found) > len(every) for found in ways.values()):
            shown = f"{len(every)} asked each way"
            rows += [(shown, way, [one for one in found if one.id in every]) for way, found in ways.items()]
        for row in rows:
            print(row_of(*row))


def by_way(answers: list[Answer], folder: str) -> dict[str, list[Answer]]:
    ways: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.folder == folder:
            ways.setdefault(answer.way, []).append(answer)
    return ways


def row_of(shown: str, way: str, found: list[Answer]) -> str:
    accepted = [answer for answer in found if answer.outcome == "accepted"]
    right, unanswered = sum(answer.right for answer in found), sum(a.outcome == "unanswered" for a in found)
    names = {"reader": "the built-in reader", "crew": "the crew", "unchecked": "the crew, checks off"}
    said = sum(answer.said for answer in found)
    cells = (
        shown, names[way], len(found), right, said, len(accepted) - right, sum(a.invented for a in accepted),
        unanswered, len(found) - len(accepted) - unanswered, f"{statistics.median(a.seconds for a in found):.2f}",
        f"{statistics.median(a.tokens for a in found):,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def holds_bounds(answers: list[Answer]) -> bool:
    crew = [answer for answer in answers if answer.way == "crew"]
    whole = [answer for answer in crew if answer.folder == "all"]
    removed = [answer for answer in crew if answer.folder == "removed"]
    wrong = sum(answer.outcome == "accepted" and not answer.right for answer in whole)
    return (
        sum(answer.right for answer in whole) >= RIGHT * len(whole)
        and wrong <= WRONG * len(whole)
        and sum(answer.invented for answer in crew if answer.outcome == "accepted") <= INVENTED
        and sum(answer.outcome == "accepted" for answer in removed) <= ACCEPTED_REMOVED * len(removed)
    )


if __name__ == "__main__":
    main()
