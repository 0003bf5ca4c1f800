"""Questions are asked of the crew as often, of the models and over the folders that were named, each in a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError
from pilotage.evals import asking
from pilotage.evals.asking import ask, evaluate, with_model
from pilotage.evals.questions import Question
from pilotage.outcome import Result
from pilotage.run import Runner
from pilotage.settings import Settings
from tests.evals.made import ended
from tests.support.server import good_over_http, serve

Load = Callable[..., Settings]
NESTED = Question("nested", "How many requests can one fault make when retries are nested?", "27 requests", "accepted")
CHESS = Question("chess", "Who won the chess championship of 1972?", None, "unanswered", kind="off-topic")
OPEN = Question("open", "When does the deadline stop the run?")
QUESTIONS = [NESTED, CHESS, OPEN]
KEYS = {
    "id", "question", "outcome", "answer", "citations", "seconds", "usd", "run", "kind", "model", "time", "right",
}  # fmt: skip


class FakeRunner:
    """Answers from `script(model, question)`; what was opened and asked is kept."""

    script: Callable[[str, str], Any]
    asked: list[tuple[str, str, str | None, bool]]
    open = 0

    def __init__(self, settings: Settings, *, knowledge: Path | None, progress: object) -> None:
        FakeRunner.open += 1
        assert FakeRunner.open == 1, "one at a time"
        assert settings.engine.checks.lessons is False
        self.model, self.folder = settings.engine.model.name or "reader", knowledge
        self.redactor = self.knowledge = self.engine = self

    text = staticmethod(str)

    def passage(self, _source: str) -> None:
        return None

    def answer(self, question: str, *, write: bool, fresh: bool) -> Result:
        assert not write
        FakeRunner.asked.append((self.model, question, self.folder.name if self.folder else None, fresh))
        found: Result = FakeRunner.script(self.model, question)
        return found

    def close(self) -> None:
        FakeRunner.open -= 1


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> type[FakeRunner]:
    FakeRunner.asked, FakeRunner.open = [], 0
    FakeRunner.script = staticmethod(lambda _model, _question: ended("unanswered"))
    monkeypatch.setattr(asking, "Runner", FakeRunner)
    return FakeRunner


# --- real runs


def test_every_question_is_a_run_and_a_line(load: Load, tmp_path: Path) -> None:
    progress: list[tuple[str, int, int]] = []
    out = tmp_path / "out.jsonl"
    card = evaluate(load(), QUESTIONS, out=out, times=2, progress=lambda *step: progress.append(step))
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    told = [(row["id"], row["time"], row["outcome"], row["right"]) for row in rows]
    assert told[:3] == [
        ("nested", 1, "accepted", True),
        ("chess", 1, "unanswered", True),
        ("open", 1, "accepted", None),
    ]
    assert told[3:] == [(id, 2, outcome, right) for id, _, outcome, right in told[:3]]
    assert all(set(row) == KEYS for row in rows)
    assert (rows[1]["kind"], rows[0]["kind"], rows[0]["model"]) == ("off-topic", None, "reader")
    assert "27 requests" in rows[0]["citations"][0]["quote"]
    assert rows[1]["citations"] == []
    assert len({row["run"] for row in rows}) == 6
    assert (card.questions, card.attempts, card.judged, card.right, card.usd) == (3, 6, 4, 1.0, 0.0)
    assert card.outcomes == {"accepted": 4, "unanswered": 2}
    assert (card.shares["cited"].value, card.shares["cited"].of) == (1.0, 4)
    assert progress[-1] == ("answering", 6, 6)


def test_a_line_stands_as_soon_as_its_question_is_answered(
    load: Load, tmp_path: Path, runner: type[FakeRunner]
) -> None:
    out, lines = tmp_path / "out.jsonl", []

    def look(_what: str, done: int, _total: int) -> None:
        lines.append((done, len(out.read_text("utf-8").splitlines())))

    evaluate(load(), QUESTIONS[:2], out=out, progress=look)
    assert lines == [(1, 1), (2, 2)]


def test_a_model_and_the_reader_answer_the_same_questions_in_turn(load: Load) -> None:
    with serve(good_over_http) as server:
        settings = load(model__base_url=server.url, model__name="openai/some-model")
        asked = ask(settings, [NESTED], models=["reader", "openai/other-model"], times=2)
        named = {request["model"] for request in server.requests}
    assert named == {"other-model"}
    assert {name: len(attempts) for name, attempts in asked.attempts.items()} == {"reader": 2, "openai/other-model": 2}
    reader, other = asked.cards
    assert (reader.right, other.right) == (1.0, 1.0)
    assert (reader.tokens, other.tokens > 0, other.usd) == (0, True, None)


def test_a_row_may_name_the_documents_that_it_is_about(load: Load, project: Path) -> None:
    (project / "tests" / "tea").mkdir(parents=True)
    (project / "tests" / "tea" / "tea.md").write_text(
        "# Tea\n\nThe tea house opened in 1904 by the old bridge.\n", "utf-8"
    )
    tea = Question("tea", "When did the tea house open?", "opened in 1904", knowledge="tests/tea")
    asked = ask(load(), [NESTED, tea])
    assert [attempt.right for attempt in asked.attempts["reader"]] == [True, True]


# --- the order, the models, the end


def test_all_are_asked_once_by_every_model_before_any_is_asked_again(load: Load, runner: type[FakeRunner]) -> None:
    settings = load(model__base_url="http://127.0.0.1:9/v1")
    ask(settings, [NESTED, CHESS], models=["reader", "openai/x"], times=2)
    order = [(model, question) for model, question, _, _ in runner.asked]
    one_pass = [(m, q.question) for m in ("reader", "openai/x") for q in (NESTED, CHESS)]
    assert order == one_pass * 2
    assert all(fresh for *_, fresh in runner.asked)
    assert runner.open == 0


def test_an_interrupted_run_ends_it_with_what_was_done(load: Load, runner: type[FakeRunner]) -> None:
    ends = iter([ended("unanswered"), ended("unanswered"), ended("interrupted", exit_code=143)])
    runner.script = staticmethod(lambda _model, _question: next(ends))
    asked = ask(load(), [NESTED, CHESS], times=3)
    (card,) = asked.cards
    assert (asked.exit_code, card.interrupted, card.attempts, runner.open) == (143, True, 2, 0)


def test_a_signal_between_two_runs_ends_it_with_what_was_done(load: Load, runner: type[FakeRunner]) -> None:
    def once(_what: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    asked = ask(load(), QUESTIONS, progress=once)
    assert (asked.exit_code, asked.cards[0].attempts, runner.open) == (130, 2, 0)


def test_a_named_model_stands_for_every_agent_and_none_takes_over(load: Load) -> None:
    settings = load(
        model__name="openai/a", model__base_url="http://127.0.0.1:9/v1", model__fallbacks="['openai/b']",
        agents__verifier__llm="openai/c",
    )  # fmt: skip
    same, other = with_model(settings, "openai/d").engine.model, with_model(settings, "anthropic/e")
    assert (same.name, same.base_url, same.fallbacks) == ("openai/d", "http://127.0.0.1:9/v1", [])
    assert other.engine.model.base_url is None
    assert {agent.llm for agent in other.agents.values()} == {None}
    assert other.engine.checks.lessons is False


@pytest.mark.parametrize(
    ("questions", "more", "said"),
    [
        ([NESTED, Question("long", "x" * 9000)], {}, "9,000 characters"),
        ([NESTED, Question("lost", "q?", knowledge="nowhere")], {}, "nowhere does not exist"),
        ([NESTED], {"models": ["reader", "anthropic/claude-haiku-4-5"]}, "ANTHROPIC_API_KEY"),
        ([NESTED], {"out": Path("no/such/folder/x.jsonl")}, "cannot be written"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_first_run(
    load: Load, runner: type[FakeRunner], questions: list[Question], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        ask(load(), questions, **more)
    assert runner.asked == []


def test_orders_in_the_documents_are_not_quoted(load: Load) -> None:
    """The crew itself, with its reader, over the folder whose pages give orders."""
    golden = Path(__file__).parent
    rows = [json.loads(line) for line in (golden / "golden.jsonl").read_text("utf-8").splitlines()]
    asked = {row["id"]: row for row in rows if row.get("knowledge")}
    runner = Runner(load(), knowledge=golden / "injected")
    try:
        found = {name: runner.answer(row["question"], write=False, fresh=True) for name, row in asked.items()}
    finally:
        runner.close()
    assert {name: result.outcome for name, result in found.items()} == {
        "injected-closing": "accepted", "injected-warranty": "unanswered",
    }  # fmt: skip
    assert "16:30 on Fridays" in str(found["injected-closing"].answer)
    for name, result in found.items():
        assert asked[name]["never"] not in json.dumps(result.citations)
