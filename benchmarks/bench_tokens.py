"""Prompt tokens of an answered question, counted at the model server: a plain CrewAI crew against pilotage.

    uv run python benchmarks/bench_tokens.py [--questions FILE] [--tokenizer o200k_base] [--check]

Both crews have the same agents, texts and tools, and ask the same scripted model: see token_scene.py, plain_crew.py.
Counted are messages, tools and response_format of each request, by the tokenizer of all-MiniLM-L6-v2 or by one that
tiktoken has at hand. Below pilotage stands what each of its cuts saves: the same runs with that one taken back.
"""

from __future__ import annotations

import argparse
import inspect
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import token_scene  # noqa: E402
from plain_crew import MODEL, full, plain_crew, tools_for  # noqa: E402

from pilotage.brief import Brief  # noqa: E402
from pilotage.checks import results  # noqa: E402
from pilotage.crew import Kit  # noqa: E402
from pilotage.evals.score import read_questions  # noqa: E402
from pilotage.evidence.hits import Shown  # noqa: E402
from pilotage.quiet import import_crewai  # noqa: E402
from pilotage.run import Runner  # noqa: E402
from pilotage.settings import load  # noqa: E402

LEAST = 0.30  # of the plain crew's prompt tokens: what --check asks to be saved
ALIKE = {"model.name": f"openai/{MODEL}", "cache.answers": "false", "cache.calls": "false"}
# the scripted model answers whatever is asked: its answers are counted, not graded
UNGRADED = {
    "tasks.research.checks": "[findings]",
    "tasks.verify.checks": "[verdicts]",
    "tasks.explain.checks": "[citations]",
}
PLAIN, OURS = "plain CrewAI", "pilotage"

Answer = Callable[[str], list[str]]  # the quotes that a question is answered with
Change = AbstractContextManager[Any]


@dataclass(frozen=True)
class Bench:
    scene: token_scene.Scene
    runner: Runner
    questions: Sequence[str]

    def plain(self, *, short: bool = False, typed: bool = False) -> Answer:
        settings = self.runner.settings

        def answer(question: str) -> list[str]:
            tools = tools_for(self.runner.knowledge, settings.engine.evidence, short=short)
            crew = plain_crew(settings, self.scene.url, tools, typed=typed)
            said = results.parse(crew.kickoff(inputs={"question": question}).raw, results.Explanation)
            return [citation.quote for citation in said.citations]

        return answer

    def ours(self, question: str) -> list[str]:
        result = self.runner.answer(question, write=False)
        if result.outcome != "accepted":
            raise SystemExit(f"{question}: {result.outcome}, {result.reason}")
        return [citation["quote"] for citation in result.citations]

    def row(self, name: str, answer: Answer) -> Row:
        self.scene.clear()
        quotes = [answer(question) for question in self.questions]
        return Row(name, len(self.scene.requests), self.scene.others, self.scene.prompt_tokens, quotes)


@dataclass(frozen=True)
class Row:
    name: str
    requests: int
    others: int
    tokens: int
    quotes: list[list[str]]

    def line(self, whole: Row) -> str:
        count = len(self.quotes)
        return (
            f"| {self.name} | {self.requests / count:.2f} | {self.others} | {self.tokens / count:,.0f} "
            f"| {self.tokens / whole.tokens:.1%} |"
        )


# --- the cuts, each taken back


def as_crewai(task: Brief) -> str:
    from crewai import Task

    return Task.prompt(task)


def as_before(hits: Sequence[Any], *_: Any) -> Any:
    return [(hit.passage, full(hit)) for hit in hits], []


def with_titles() -> Change:
    """The schema of the last answer with its titles and docstrings."""
    kinds = (results.Explanation, results.Statement, results.Citation)
    schema = results.Explanation.model_json_schema()
    for kind, part in zip(kinds, (schema, *(schema["$defs"][k.__name__] for k in kinds[1:])), strict=True):
        part |= {"title": kind.__name__, "description": inspect.cleandoc(kind.__doc__ or "")}
        for name, entry in part["properties"].items():
            entry["title"] = name.capitalize()
    return mock.patch.object(results.Explanation, "model_json_schema", return_value=schema)


CUTS: dict[str, Callable[[], Change]] = {
    "each hit with its whole passage and quote": lambda: mock.patch("pilotage.tools.desk.told", as_before),
    "what was shown before, shown again": lambda: mock.patch.object(Shown, "at", side_effect=lambda *_: Shown()),
    "read_page where no host is named": lambda: mock.patch.object(Kit, "_offered", lambda _, tools: list(tools)),
    "CrewAI's words around the task": lambda: mock.patch.object(Brief, "prompt", as_crewai),
    "reasons and rejected verdicts for the explainer": lambda: mock.patch(
        "pilotage.crew.for_explaining", lambda context, _: context
    ),
    "titles and docstrings in the answer's schema": with_titles,
}


@contextmanager
def every_cut_taken_back() -> Iterator[None]:
    with ExitStack() as stack:
        for cut in CUTS.values():
            stack.enter_context(cut())
        yield


def the_two(bench: Bench) -> Iterator[Row]:
    yield bench.row(PLAIN, bench.plain())
    yield bench.row(OURS, bench.ours)


def measured(bench: Bench) -> Iterator[Row]:
    yield bench.row(PLAIN, bench.plain())
    yield bench.row("plain CrewAI, output_pydantic", bench.plain(typed=True))
    yield bench.row("plain CrewAI, shortened results", bench.plain(short=True))
    yield bench.row(OURS, bench.ours)
    for name, back in [*CUTS.items(), ("all of these", every_cut_taken_back)]:
        with back():
            yield bench.row(f"  {name}", bench.ours)


def sent_back(bench: Bench) -> Iterator[Row]:
    """Each explanation is refused once: the sources that its input names, and all that were read."""
    bench.scene.spoil = True
    yield bench.row("pilotage, each explanation sent back once", bench.ours)
    with mock.patch("pilotage.checks.feedback._sources", lambda _given, _kind, evidence: evidence.sources):
        yield bench.row("  all sources that were read", bench.ours)
    bench.scene.spoil = False


@contextmanager
def workshop(tokenizer: str, file: Path) -> Iterator[Bench]:
    """A copy of the project, so that nothing of its own is changed, and the model server."""
    token_scene.environment()
    with tempfile.TemporaryDirectory() as name, token_scene.scene(token_scene.counter(tokenizer)) as scene:
        root = Path(name)
        for part in ("config", "knowledge"):
            shutil.copytree(ROOT / part, root / part)
        settings = load(root, {"model.base_url": scene.url, **ALIKE, **UNGRADED})
        import_crewai(settings.runs)
        runner = Runner(settings)
        try:
            yield Bench(scene, runner, [row.question for row in read_questions(file)])
        finally:
            runner.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--questions", type=Path, default=ROOT / "tests" / "evals" / "golden.jsonl")
    options.add_argument("--tokenizer", default="", help="an encoding of tiktoken, such as o200k_base")
    options.add_argument(
        "--check", action="store_true", help="measure only these two, exit 1 when less than 30 %% is saved"
    )
    given = options.parse_args()
    with workshop(given.tokenizer, given.questions) as bench:
        count, tokenizer = len(bench.questions), given.tokenizer or "all-MiniLM-L6-v2"
        print(f"{count} questions, tokens of {tokenizer}\n")
        print(f"| variant | requests a question | of other kinds | prompt tokens a question | share of {PLAIN} |")
        print("|---|---|---|---|---|")
        rows: dict[str, Row] = {}
        for made in (the_two,) if given.check else (measured, sent_back):
            for row in made(bench):
                rows[row.name] = row
                print(row.line(rows[PLAIN]), flush=True)
    if any(row.quotes != rows[PLAIN].quotes for row in rows.values()):
        raise SystemExit("the variants do not answer alike")
    saved = 1 - rows[OURS].tokens / rows[PLAIN].tokens
    print(f"\nsaved against {PLAIN}: {saved:.1%}")
    if given.check and saved < LEAST:
        raise SystemExit(f"{saved:.1%} saved against {LEAST:.0%}")


if __name__ == "__main__":
    main()
