"""Quotes, numbers and source ids altered on their way from agent to agent: 100 of 100 are rejected or corrected.

A seeded generator alters what one task hands to the next, in whole crew runs with the built-in reader. Altered once, at
CrewAI's own hook, the next try sees the truth in the gate's feedback; altered always, in every message that the model
sees, no try ever does. Either way no altered quote, number or source may stand in an answer that is accepted.
"""

from __future__ import annotations

import importlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pilotage.checks.results import Explanation, Findings, Verdict, Verdicts, parse
from pilotage.checks.verbatim import normalise
from pilotage.outcome import Result
from pilotage.run import Runner
from pilotage.settings import load

DOCUMENTS = {
    "retries.md": """# Retries

## One owner

Retries must have one owner, because nested retries multiply. With three owners of three attempts each, one fault
makes 27 requests. The owner of retries in this project is the door.

## Waiting

The door does not wait longer than 60 seconds between two attempts. The first wait is 0.5 seconds on average.
""",
    "costs.md": """# Costs

## Price of a run

A run of the standard crew on Mistral Small makes 1,024 calls and costs $3.50 at the list price of 2025.

## Budget

The budget is checked before each call, not after it. A run whose budget of 20 dollars is spent ends as limited.
""",
    "deadlines.md": """# Deadlines

## The deadline of a run

A deadline stops the run after 300 seconds. Nothing starts after the deadline, and no agent can move it.

## The deadline of an agent

Anna Lindqvist proposed the cap of 120 seconds for each agent in March 2019.
""",
}
QUESTIONS = [
    "How many requests can one fault make when retries are nested?",
    "What does a run of the standard crew on Mistral Small cost?",
    "After how many seconds does the deadline stop the run?",
    "Who proposed the cap of 120 seconds for each agent?",
    "When is the budget checked?",
]
COUNT, SEED = 100, 20261123
HALVES = [range(COUNT // 2), range(COUNT // 2, COUNT)]  # so that no single test is long on a busy machine
Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """What an alteration may draw on: passages by source id, and which of them a run has retrieved."""

    passages: dict[str, str]
    retrieved: list[str]

    def others(self, row: Row) -> list[str]:
        return [s for s in self.retrieved if s != row["source"]]


def pick(rng: random.Random, text: str, pattern: str) -> re.Match[str] | None:
    found = list(re.finditer(pattern, text))
    return rng.choice(found) if found else None


def put(row: Row, match: re.Match[str], text: str) -> None:
    row["quote"] = row["quote"][: match.start()] + text + row["quote"][match.end() :]


def swap_a_digit(rng: random.Random, row: Row, _world: World) -> None:
    if digit := pick(rng, row["quote"], r"\d"):
        put(row, digit, rng.choice([d for d in "0123456789" if d != digit.group()]))


def change_a_number(rng: random.Random, row: Row, _world: World) -> None:
    if number := pick(rng, row["quote"], r"\d[\d,.]*\d|\d"):
        put(row, number, str(rng.randrange(2, 5000)))


def truncate_a_number(rng: random.Random, row: Row, _world: World) -> None:
    if number := pick(rng, row["quote"], r"\d[\d,.]*\d"):
        put(row, number, number.group()[:-1] if rng.random() < 0.5 else number.group()[1:])


def change_a_number_word(rng: random.Random, row: Row, _world: World) -> None:
    if word := pick(rng, row["quote"], r"\b(one|two|three|each)\b"):
        put(row, word, "seven")


def drop_or_add_not(rng: random.Random, row: Row, _world: World) -> None:
    if found := pick(rng, row["quote"], r" (not|no)\b"):
        put(row, found, "")
    elif verb := pick(rng, row["quote"], r"\b(makes|must|is|costs|stops|can|proposed)\b"):
        put(row, verb, f"{verb.group()} not")


def swap_two_words(rng: random.Random, row: Row, _world: World) -> None:
    words = row["quote"].split(" ")
    one, two = rng.sample(range(len(words)), 2)
    words[one], words[two] = words[two], words[one]
    row["quote"] = " ".join(words)


def change_a_name(rng: random.Random, row: Row, _world: World) -> None:
    names = {"Mistral": "Mixtral", "Anna": "Hanna", "Lindqvist": "Lindquist", "door": "gate", "deadline": "timeline",
             "March": "May", "budget": "limit", "owner": "master", "crew": "team"}  # fmt: skip
    if name := pick(rng, row["quote"], "|".join(names)):
        put(row, name, names[name.group()])


def insert_a_word(rng: random.Random, row: Row, _world: World) -> None:
    if space := pick(rng, row["quote"], r"(?<=\w) (?=\w)"):
        put(row, space, f" {rng.choice(['never', 'always', 'almost', 'about', 'hardly'])} ")


def swap_case(rng: random.Random, row: Row, _world: World) -> None:
    if letter := pick(rng, row["quote"], r"[A-Za-z]"):
        put(row, letter, letter.group().swapcase())


def change_one_letter(rng: random.Random, row: Row, _world: World) -> None:
    if letter := pick(rng, row["quote"], r"[a-z]"):
        put(row, letter, rng.choice([c for c in "abcdefghijklmnopqrstuvwxyz" if c != letter.group()]))


def name_another_retrieved_source(rng: random.Random, row: Row, world: World) -> None:
    row["source"] = rng.choice(world.others(row))


def name_a_source_never_retrieved(rng: random.Random, row: Row, world: World) -> None:
    path, _, name = row["source"].partition("#")
    row["source"] = f"{path}#{name[::-1]}" if rng.random() < 0.5 else f"unread-{path}#{name}"


def name_garbage(rng: random.Random, row: Row, _world: World) -> None:
    row["source"] = rng.choice(
        ["", "n/a", "source", "../../etc/passwd", row["source"].upper(), row["source"][:-1], "１"]
    )


def quote_another_passage(rng: random.Random, row: Row, world: World) -> None:
    row["quote"] = world.passages[rng.choice(world.others(row))].split(". ")[0]


KINDS: list[Callable[[random.Random, Row, World], None]] = [
    swap_a_digit, change_a_number, truncate_a_number, change_a_number_word, drop_or_add_not, swap_two_words,
    change_a_name, insert_a_word, swap_case, change_one_letter, name_another_retrieved_source,
    name_a_source_never_retrieved, name_garbage, quote_another_passage,
]  # fmt: skip


@dataclass
class Alteration:
    """One alteration of one hand-over: the same rows are altered the same way each time they are seen."""

    number: int
    world: World
    kind: str = ""
    seen: int = 0

    @property
    def altered(self) -> type[Findings | Verdicts]:
        """Every other one is made on the way to the verifier, the rest on the way to the explainer."""
        return Findings if self.number % 2 == 0 else Verdicts

    @property
    def reader(self) -> type[BaseModel]:
        """What the task returns that reads the altered rows."""
        return Verdicts if self.number % 2 == 0 else Explanation

    def apply(self, text: str) -> str:
        """`text` with one row of its findings (or verdicts) altered; as it is when it holds none."""
        try:
            parsed = parse(text, self.altered)
        except ValueError:
            return text
        whole: Row = parsed.model_dump()
        rows: list[Row] = whole["findings" if self.altered is Findings else "verdicts"]
        if not rows:
            return text
        row = rows[self.number % len(rows)]
        true = dict(row)
        rng = random.Random(SEED + self.number)
        for offset in range(len(KINDS)):  # a kind that finds nothing to alter here leaves it to the next
            kind = KINDS[(self.number + offset) % len(KINDS)]
            for _ in range(5):
                kind(rng, row, self.world)
                if self._differs(row, true):
                    break
            if self._differs(row, true):
                break
        assert self._differs(row, true), "each of the hundred is an alteration"
        if row["claim"] == true["quote"]:
            row["claim"] = row["quote"]
        self.kind, self.seen = kind.__name__, self.seen + 1
        start = text.index("{", text.index(parsed_start(text, self.altered)))
        end = start + json.JSONDecoder(strict=False).raw_decode(text[start:])[1]
        return text[:start] + json.dumps(whole, ensure_ascii=False) + text[end:]

    @staticmethod
    def _differs(row: Row, true: Row) -> bool:
        return normalise(row["quote"]) != normalise(true["quote"]) or row["source"] != true["source"]


def parsed_start(text: str, kind: type[Any]) -> str:
    """The text from where `parse` read its result."""
    for match in re.finditer(r"\{", text):
        try:
            kind.model_validate(json.JSONDecoder(strict=False).raw_decode(text[match.start() :])[0])
        except ValueError:
            continue
        return text[match.start() :]
    raise AssertionError("parse found one")


@dataclass
class Crew:
    """One runner, the true answers, and the alteration in force."""

    runner: Runner
    passages: dict[str, str]
    truth: dict[str, Result]
    alteration: Alteration | None = None

    def ask(self, number: int) -> tuple[Result, Alteration]:
        question = QUESTIONS[number % len(QUESTIONS)]
        self.alteration = Alteration(number, World(self.passages, list(self.passages)))
        try:
            return self.runner.answer(question, write=False), self.alteration
        finally:
            self.alteration = None

    def alter(self, text: str) -> str:
        return self.alteration.apply(text) if self.alteration else text


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    import shutil

    root = tmp_path_factory.mktemp("alterations")
    shutil.copytree(Path(__file__).parents[2] / "config", root / "config")
    (root / "knowledge").mkdir()
    for name, text in DOCUMENTS.items():
        (root / "knowledge" / name).write_text(text, "utf-8")
    runner = Runner(load(root, {"cache.answers": "false", "cache.calls": "false"}))
    passages = {
        hit.passage.source: hit.passage.text
        for question in QUESTIONS
        for hit in runner.knowledge.search(question, limit=50).hits
    }
    truth = {question: runner.answer(question, write=False) for question in QUESTIONS}
    yield Crew(runner, passages, truth)
    runner.close()


def unaltered(result: Result, crew: Crew) -> None:
    """The result says nothing that the run without an alteration did not say."""
    truth = crew.truth[result.question]
    true = {(c["source"], normalise(c["quote"])) for c in truth.citations}
    for citation in result.citations:
        assert (citation["source"], normalise(citation["quote"])) in true
    assert result.answer == truth.answer


def judge(crew: Crew, numbers: range) -> Counter[str]:
    """Make a run for each number, with an alteration of its own; what came of them."""
    outcomes: Counter[str] = Counter()
    for number in numbers:
        result, alteration = crew.ask(number)
        assert alteration.seen, f"alteration {number} never reached a model: {result.reason}"
        if result.outcome == "accepted":
            unaltered(result, crew)
            outcomes["corrected"] += 1
        else:
            assert result.outcome in ("rejected", "unanswered"), (alteration.kind, result.reason)
            assert not result.citations
            outcomes[result.outcome] += 1
    return outcomes


def test_without_an_alteration_every_question_is_answered_and_cited(crew: Crew) -> None:
    assert [r.outcome for r in crew.truth.values()] == ["accepted"] * len(QUESTIONS)
    for result in crew.truth.values():
        for citation in result.citations:
            assert normalise(citation["quote"]) in normalise(crew.passages[citation["source"]])
    assert len(crew.passages) >= 5


def test_every_kind_of_alteration_is_among_the_hundred(crew: Crew) -> None:
    seen: Counter[str] = Counter()
    for number in range(COUNT):
        truth = crew.truth[QUESTIONS[number % len(QUESTIONS)]]
        rows = [{"claim": c["quote"], "quote": c["quote"], "source": c["source"]} for c in truth.citations]
        whole = {"findings": rows} if number % 2 == 0 else {
            "verdicts": [row | {"verdict": "supported", "reason": "r"} for row in rows]
        }  # fmt: skip
        alteration = Alteration(number, World(crew.passages, list(crew.passages)))
        assert alteration.apply(f"Context:\n{json.dumps(whole)}\nend") != f"Context:\n{json.dumps(whole)}\nend"
        seen[alteration.kind] += 1
    assert set(seen) == {kind.__name__ for kind in KINDS}, seen


@pytest.mark.parametrize("numbers", HALVES, ids=str)
def test_altered_once_on_their_way_100_of_100_are_corrected_or_rejected(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, numbers: range
) -> None:
    from crewai.hooks import InterceptionPoint

    dispatch = importlib.import_module("crewai.hooks.dispatch")

    register = dispatch.register_scoped

    def and_alter(point: Any, hook: Any) -> Any:
        registered = register(point, hook)
        if point is InterceptionPoint.PRE_STEP:
            register(point, alter)
        return registered

    def alter(context: Any) -> None:
        if isinstance(context.payload, str):
            context.payload = crew.alter(context.payload)

    monkeypatch.setattr(dispatch, "register_scoped", and_alter)
    outcomes = judge(crew, numbers)
    assert outcomes.total() == len(numbers)
    assert outcomes["corrected"] == len(numbers), (
        f"the feedback holds the truth, so that the next try is right: {outcomes}"
    )


@pytest.mark.parametrize("numbers", HALVES, ids=str)
def test_altered_always_on_their_way_100_of_100_are_rejected(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, numbers: range
) -> None:
    """Two in four runs have a verifier who calls whatever it is given supported, and never opens a source."""
    from pilotage.model import reader
    from pilotage.model.reader import Reader

    judge_honestly = reader._judge

    def judge_one(finding: Any, opened: dict[str, str]) -> Verdict:
        if crew.alteration and crew.alteration.number % 4 > 1:
            return Verdict(**finding.model_dump(), verdict="supported", reason="it must be so")
        return judge_honestly(finding, opened)

    monkeypatch.setattr(reader, "_judge", judge_one)
    play = Reader._play

    def deceived(self: Reader, messages: Any, tools: Any, wanted: Any) -> Any:
        if crew.alteration and crew.alteration.reader is wanted:
            messages = [m | {"content": crew.alter(str(m["content"]))} if m["role"] == "user" else m for m in messages]
        return play(self, messages, tools, wanted)

    monkeypatch.setattr(Reader, "_play", deceived)
    outcomes = judge(crew, numbers)
    assert outcomes.total() == len(numbers)
    assert outcomes["corrected"] == 0
    assert outcomes["rejected"] >= 0.9 * len(numbers), outcomes


def test_a_quote_that_begins_behind_a_minus_sign_is_refused() -> None:
    from pilotage.checks.citations import check_quote

    assert check_quote("40 degrees is the lower bound.", "t.md#1", {"t.md#1": "-40 degrees is the lower bound."})
