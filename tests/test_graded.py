"""The graders and the rounds inside whole runs of the crew, asked of a scripted model over HTTP.

Each kind of mistake is made once and put right, or made for ever and never accepted; all of it stands in the journal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pilotage import cli
from pilotage.again import follow_up, fork
from pilotage.board import Board
from pilotage.checks.grades import Grade
from pilotage.checks.results import Explanation, Finding, Findings, Statement
from pilotage.record.journal import Event
from pilotage.record.store import open_store
from pilotage.replay.export import export_html
from pilotage.report import print_result, step_line
from pilotage.run import Runner, run_crew
from pilotage.settings import Settings
from tests.support import scripted
from tests.support.project import change, events_of, resumed
from tests.support.scripted import Turn, calls
from tests.support.server import Server, serve

Load = Callable[..., Settings]
Play = Callable[[Turn], Any]
QUESTION = "How many requests can one fault make when retries are nested?"
SAID = "One fault makes 27 requests."
ANSWER = "One fault makes 27 requests [1]."


@pytest.fixture
def graded(project: Path, one_authority: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project as it is shipped, which has all checks."""
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    return project


def good(turn: Turn) -> Any:
    """The good model of tests/support, which says no more than its quote."""
    made = scripted.good(turn)
    if isinstance(made, Findings):
        return claiming(SAID)(made)
    return saying(SAID)(made) if isinstance(made, Explanation) else made


@dataclass
class Told:
    """What came of a run: its result, its events, and the prompts of its first calls at each task."""

    result: Any
    events: list[Event]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str, **facts: Any) -> list[Event]:
        return [e for e in self.events if e.kind == kind and all(e.facts.get(k) == v for k, v in facts.items())]

    @property
    def tasks(self) -> list[str]:
        return [event.facts["task"] for event in self.of("task_started")]

    def prompts(self, task: str) -> list[str]:
        """What the model was told in the first message of the user, for each conversation at that task."""
        begun = [r for r in self.requests if turn_of(r).task == task and not turn_of(r).results]
        return [str(request["messages"][1]["content"]) for request in begun]


def turn_of(request: dict[str, Any], number: int = 0) -> Turn:
    text = str(request["messages"])
    task = "research" if "Call search_knowledge" in text else "verify" if "Give one verdict" in text else "explain"
    return Turn(number, task, request["messages"], [tool["function"]["name"] for tool in request.get("tools", [])])


@contextmanager
def model(play: Play) -> Iterator[Server]:
    """A provider whose every answer `play` decides; `turn.number` counts the conversations at its task, from 1."""
    begun: dict[str, int] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        turn = turn_of(request)
        begun[turn.task] = begun.get(turn.task, 0) + (not turn.results)
        turn.number = begun[turn.task]
        said = play(turn)
        return {"content": None, "tool_calls": said} if isinstance(said, list) else {"content": said.model_dump_json()}

    with serve(answer) as server:
        yield server


def run(load: Load, play: Play, question: str = QUESTION, *, fresh: bool = True, **settings: Any) -> Told:
    with model(play) as server:
        own = load(model__name="openai/gpt-4o-mini", model__base_url=server.url, **settings)
        result = run_crew(question, settings=own, fresh=fresh)
        return Told(result, events_of(own), server.requests)


def once(task: str, spoil: Callable[[Any], Any], times: int = 1) -> Play:
    """The good model, which spoils its results at one task in its first conversations there."""

    def play(turn: Turn) -> Any:
        said = good(turn)
        is_result = not isinstance(said, list)
        return spoil(said) if is_result and turn.task == task and turn.number <= times else said

    return play


def saying(*texts: str, cites: int = 1) -> Callable[[Explanation], Explanation]:
    return lambda made: Explanation(
        statements=[Statement(text=text, cites=[cites] if cites else []) for text in texts], citations=made.citations
    )


def claiming(claim: str) -> Callable[[Findings], Findings]:
    return lambda made: Findings(findings=[made.findings[0].model_copy(update={"claim": claim})])


FALSE = "One fault does not make 27 requests."
OFF = "A deadline stops the run after 300 seconds."


def straying(times: int = 1) -> Play:
    """The good model, whose first searches lead it to a passage about something else, which it reports faithfully."""

    def play(turn: Turn) -> Any:
        if turn.task == "research" and turn.number <= times:
            if not turn.results:
                return calls(("search_knowledge", {"query": "when does the deadline stop a run"}))
            return Findings(findings=[Finding(claim=OFF, quote=OFF, source=turn.passage(OFF)["source"])])
        made = good(turn)
        return saying(OFF)(made) if isinstance(made, Explanation) and made.citations[0].quote == OFF else made

    return play


def test_a_good_answer_passes_all_graders_and_each_grade_is_on_record(graded: Path, load: Load) -> None:
    told = run(load, good)
    assert told.result.outcome == "accepted", told.result.reason
    assert told.result.answer == ANSWER
    assert [(e.facts["task"], e.facts["of"], e.facts["verdict"]) for e in told.of("grade")] == [
        ("research", "claim", "supported"), ("verify", "claim", "supported"), ("explain", "claim", "supported"),
        ("explain", "answer", "supported"),
    ]  # fmt: skip
    assert not told.of("round")


@pytest.mark.parametrize(
    ("task", "spoil"), [("research", claiming(FALSE)), ("explain", saying(FALSE))], ids=["finding", "sentence"]
)
def test_a_claim_that_its_quote_contradicts_goes_back_to_its_task_once(
    graded: Path, load: Load, task: str, spoil: Any
) -> None:
    told = run(load, once(task, spoil))
    assert told.result.outcome == "accepted", told.result.reason
    (failed,) = told.of("check", passed=False)
    assert (failed.facts["task"], failed.facts["check"]) == (task, "grounding")
    wrong = told.of("grade", verdict="unsupported")
    assert wrong[0].facts["task"] == task
    assert wrong[0].content["claim"] == FALSE
    assert FALSE in told.prompts(task)[1], "the model is told which claim"
    assert told.tasks == ["research", "verify", "explain"]


def test_what_stays_unsupported_is_taken_out_and_listed(graded: Path, load: Load) -> None:
    told = run(load, once("explain", saying(SAID, FALSE), times=9))
    assert told.result.outcome == "accepted", told.result.reason
    assert told.result.answer == ANSWER
    assert [row["sentence"] for row in told.result.unsupported] == [FALSE]
    assert "1 sentence was taken out" in told.result.reason
    assert "What did not hold" in (told.result.folder / "answer.md").read_text("utf-8")


def test_with_on_unsupported_reject_the_same_answer_is_rejected(graded: Path, load: Load) -> None:
    spoil = saying(SAID, FALSE)
    told = run(load, once("explain", spoil, times=9), checks__on_unsupported="reject")
    assert told.result.outcome == "rejected"
    assert told.result.answer is None
    assert FALSE in told.result.reason


def test_an_answer_of_nothing_but_unsupported_sentences_is_rejected(graded: Path, load: Load) -> None:
    told = run(load, once("explain", saying(FALSE), times=9))
    assert told.result.outcome == "rejected"
    assert told.result.answer is None


def test_a_verdict_that_calls_a_false_claim_supported_is_turned_down(graded: Path, load: Load) -> None:
    """The checks of the researcher are off: what it claims reaches the verifier, who waves it through for ever."""
    change(graded / "config" / "tasks.yaml", lambda tree: tree["research"].update(checks=["findings"]))
    told = run(load, once("research", claiming(FALSE), times=9))
    assert told.result.outcome == "unanswered"
    assert "no claim supported" in told.result.reason
    assert next(e.facts["task"] for e in told.of("check", check="grounding", passed=False)) == "verify"


def test_an_answer_off_the_question_sends_the_crew_back_to_its_search(graded: Path, load: Load) -> None:
    told = run(load, straying())
    assert told.result.outcome == "accepted", told.result.reason
    assert told.result.answer == ANSWER
    assert told.tasks == ["research", "verify", "explain"] * 2
    begun, over = told.of("round")
    assert (begun.facts["from_task"], begun.facts["to_task"], begun.facts["check"]) == ("explain", "research", "answer")
    assert over.facts == {"number": 2, "better": True}
    first, second = told.prompts("research")
    assert OFF not in first
    assert OFF in second
    assert "when does the deadline stop a run" in second, "the search of the round before"
    assert "another try" not in str(told.prompts("verify") + told.prompts("explain"))


def test_an_answer_that_stays_off_the_question_is_unanswered_and_says_why(graded: Path, load: Load) -> None:
    told = run(load, straying(times=9))
    assert told.result.outcome == "unanswered"
    assert "does not answer the question" in told.result.reason
    assert told.result.citations == []
    assert len(told.of("task_started", task="research")) == 2
    assert told.of("round")[-1].facts["better"] is False


def test_a_model_that_finds_nothing_searches_once_more_in_other_words(graded: Path, load: Load) -> None:
    told = run(load, once("research", lambda _made: Findings(findings=[])))
    assert told.result.outcome == "accepted", told.result.reason
    assert told.tasks == ["research", "research", "verify", "explain"]


def test_without_feedback_rounds_nothing_is_tried_again(graded: Path, load: Load) -> None:
    told = run(load, once("research", lambda _made: Findings(findings=[])), checks__feedback_rounds=0)
    assert told.result.outcome == "unanswered"
    assert told.tasks == ["research"]


def test_iterations_of_all_rounds_count_together(graded: Path, load: Load) -> None:
    """The first round uses two of three iterations: one is too few for another search and its result."""
    told = run(load, straying(times=9), agents__researcher__max_iter=3)
    assert told.result.outcome == "unanswered"
    assert told.tasks == ["research", "verify", "explain"]


def test_a_run_that_was_stopped_in_its_second_round_is_resumed_without_paying_twice(graded: Path, load: Load) -> None:
    stopped = run(load, straying(), limits__tokens=2400)
    assert stopped.result.outcome == "limited"
    assert stopped.of("round"), "the cap was reached in the second round"
    strayed = len(stopped.prompts("research"))
    with model(straying(times=0)) as server:  # the first round is on the tape
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url)
        result = resumed(settings, stopped.result.run)
    assert result.outcome == "accepted", result.reason
    assert result.answer == ANSWER
    assert strayed == 2
    assert len(stopped.requests) + len(server.requests) == 10, "two rounds of five calls"
    served = [event for event in events_of(settings) if event.kind == "model_call" and event.facts.get("served")]
    assert len(served) == len(stopped.requests)


def test_a_fork_at_the_second_round_takes_the_first_from_the_tape(graded: Path, load: Load) -> None:
    told = run(load, straying())
    with model(straying(times=0)) as server:
        runner = Runner(load(model__name="openai/gpt-4o-mini", model__base_url=server.url))
        try:
            again = fork(runner.engine, told.result.run, told.of("round")[0].seq)
            result = runner.answer(again.question, again=again)
        finally:
            runner.close()
    assert result.answer == ANSWER
    assert len(server.requests) == 5


def test_what_ran_beside_the_task_that_fell_short_is_over_before_the_next_round(
    graded: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two searches side by side; the second is slow, the first finds nothing."""

    def twice(tree: dict[str, Any]) -> None:
        tree["second"] = tree["researcher"] | {"role": "Second"}

    change(graded / "config" / "agents.yaml", twice)
    path = graded / "config" / "tasks.yaml"
    change(path, lambda tree: tree.update(second=tree["research"] | {"agent": "second"}, verify=tree.pop("verify")))
    change(path, lambda tree: tree.update(explain=tree.pop("explain")))
    (graded / "side_by_side.py").write_text(
        "from crewai import Crew, Process\n\n\ndef crew(kit):\n"
        "    for name in ('research', 'second'):\n        kit.task(name, async_execution=True)\n"
        "    return Crew(agents=kit.agents(), tasks=kit.tasks(), process=Process.sequential)\n", "utf-8",
    )  # fmt: skip
    change(graded / "config" / "pilotage.yaml", lambda tree: tree.update(crew="side_by_side:crew"))
    monkeypatch.syspath_prepend(str(graded))

    def play(turn: Turn) -> Any:
        is_second = "You are Second" in str(turn.messages[0])
        if turn.task == "research" and "another try" not in str(turn.messages):
            if is_second:
                time.sleep(0.3)
            elif turn.results:
                return Findings(findings=[])
        return good(turn)

    told = run(load, play)
    assert told.result.outcome == "accepted", told.result.reason
    assert told.tasks == ["research", "second", "research", "second", "verify", "explain"]
    seq, again = told.of("round")[0].seq, told.of("task_started", task="second")[1].seq
    assert not [e for e in told.of("model_call", task="second") if seq < e.seq < again]


def test_the_reader_gets_no_round_for_what_it_would_find_again(graded: Path, load: Load) -> None:
    settings = load()
    result = run_crew("Who won the chess championship of 1972?", settings=settings)
    assert result.outcome == "unanswered"
    assert not [event for event in events_of(settings) if event.kind == "round"]


def test_the_quotes_of_the_reader_pass_without_an_embedder(graded: Path, load: Load) -> None:
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    grades = [event for event in events_of(settings) if event.kind == "grade"]
    assert {event.facts["layer"] for event in grades if event.facts["of"] == "claim"} == {"quote"}


def test_grades_rounds_and_reasons_are_shown(
    graded: Path, load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run(load, straying())
    assert told.result.outcome == "accepted", told.result.reason
    lines = [line for line in map(step_line, told.events) if line]
    assert any(line.startswith("round 2, from research on: what the documents say") for line in lines)
    assert any(line.startswith(f"  unsupported: {OFF} (") for line in lines)
    board = Board(clock=lambda: told.events[-1].at)
    for event in told.events:
        board.add(event)
    rows = [row.text for row in board.rows(100, 40)]
    assert "round: 2, from research on" in rows
    assert any(row.startswith(f"grade: unsupported: {OFF}") for row in rows)
    monkeypatch.chdir(graded)
    capsys.readouterr()
    assert cli.invoke(["show", told.result.run]) == 0
    shown = capsys.readouterr().out
    for words in (
        "grade ",
        "verdict=unsupported",
        f"claim: {OFF}",
        "of=answer",
        "round ",
        "to_task=research",
        "better=True",
    ):
        assert words in shown, words
    engine = open_store(load().store, create=False)
    page = export_html(engine, told.result.run)
    engine.dispose()
    for words in ("An answer of explainer is unsupported", "Round 2 begins, from research on", "Round 2 stands"):
        assert words in page, words


# --- what nobody can tell


@pytest.fixture
def doubted(graded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grounding grader that can tell nothing of what is not copied word for word."""
    unsure = Grade("unsure", 0.5, "“makes” has no counterpart", layer="scorer")
    monkeypatch.setattr("pilotage.checks.grading.Graders._grade", lambda *_, **__: unsure)
    return graded


def test_a_sentence_that_is_unsure_is_delivered_and_marked_everywhere(
    doubted: Path, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(load, good)
    assert told.result.outcome == "accepted", told.result.reason
    assert told.result.answer == ANSWER
    assert told.result.as_json()["unsure"] == [
        {"sentence": SAID, "reason": "“makes” has no counterpart", "score": 0.5}
    ]  # fmt: skip
    print_result(told.result)
    written = (told.result.folder / "answer.md").read_text("utf-8")
    for shown in (capsys.readouterr().out, written):
        assert f"{ANSWER.removesuffix('.')} (unsure)." in shown
        assert "“makes” has no counterpart, 0.50" in shown
    (ended,) = told.of("run_ended")
    assert SAID in (ended.content["unsure"] or "")
    assert [e.content["reason"] for e in told.of("decision", what="said")] == [
        "cited, unsure: “makes” has no counterpart"
    ]  # fmt: skip


def test_an_unsure_answer_is_not_served_again_and_a_sure_one_is(
    graded: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsure = Grade("unsure", 0.5, "nobody knows", layer="scorer")
    sure = Grade("supported", 0.9, "it says so", layer="scorer")
    with model(good) as server:
        runner = Runner(load(model__name="openai/gpt-4o-mini", model__base_url=server.url, cache__answers=True))
        served = []
        try:
            for grade in (unsure, sure, sure):
                monkeypatch.setattr("pilotage.checks.grading.Graders._grade", lambda *_, _g=grade, **__: _g)
                served.append(runner.answer(QUESTION).served_from is not None)
        finally:
            runner.close()
    assert served == [False, False, True]


def test_a_follow_up_carries_the_quote_of_an_unsure_sentence_and_not_the_sentence(doubted: Path, load: Load) -> None:
    run(load, good)
    engine = open_store(load().store, create=False)
    try:
        (exchange,) = follow_up(engine, "last", "And with four owners?").earlier
    finally:
        engine.dispose()
    (finding,) = exchange.findings
    assert finding.claim == finding.quote


OFF_GRADE = Grade("unsure", 0.3, "says nothing of “nested”", layer="scorer")


def test_quotes_that_are_probably_to_another_question_are_no_answer(
    graded: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotage.checks.answering.grader.grade_answer", lambda *_, **__: OFF_GRADE)
    result = run_crew(QUESTION, settings=load())
    assert result.outcome == "unanswered"
    assert "says nothing of “nested”" in result.reason


@pytest.mark.parametrize("finds", [True, False])
def test_an_answer_in_other_words_that_may_be_to_another_question_is_given_with_a_mark_when_no_round_is_better(
    graded: Path, load: Load, monkeypatch: pytest.MonkeyPatch, finds: bool
) -> None:
    monkeypatch.setattr("pilotage.checks.answering.grader.grade_answer", lambda *_, **__: OFF_GRADE)

    def play(turn: Turn) -> Any:
        is_vain = turn.task == "research" and turn.number > 1 and bool(turn.results)
        return Findings(findings=[]) if is_vain and not finds else good(turn)

    told = run(load, play)
    assert told.result.outcome == "accepted", told.result.reason
    assert told.result.answer == ANSWER
    assert [row["sentence"] for row in told.result.unsure] == [SAID]
    assert told.tasks[:4] == ["research", "verify", "explain", "research"]
    assert told.of("round")[-1].facts["better"] is finds


def test_a_claim_that_is_probably_wrong_goes_back_once_and_is_then_delivered_as_unsure(
    graded: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsure = Grade("unsure", 0.3, "nobody knows", layer="scorer")
    monkeypatch.setattr("pilotage.checks.grading.Graders._grade", lambda *_, **__: unsure)
    told = run(load, good)
    assert told.result.outcome == "accepted", told.result.reason
    assert [row["sentence"] for row in told.result.unsure] == [SAID]
    assert [e.facts["task"] for e in told.of("check", check="grounding", passed=False)] == ["research", "explain"]
    assert not told.of("round")
