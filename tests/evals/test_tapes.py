"""Golden questions on tapes: the shipped ones play as recorded, and whatever changes is shown as a difference."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.checks import gate
from pilotage.checks.citations import Fault
from pilotage.cli import invoke
from pilotage.errors import ConfigError
from pilotage.evals.offline import no_network
from pilotage.evals.playing import Change, Played, play_all, record_all
from pilotage.evals.score import Question, read_questions
from pilotage.evals.tapes import NUMBER, path_of, read_tape, tapes_in
from pilotage.record.journal import list_runs
from pilotage.record.store import open_store
from pilotage.settings import Settings
from tests.conftest import ROOT
from tests.support.project import change, events_of
from tests.support.server import good_over_http, serve

Load = Callable[..., Settings]
SHIPPED = ROOT / "tests" / "evals" / "tapes"
NESTED = Question("nested", "How many requests can one fault make when retries are nested?", "27 requests", "accepted")
CHESS = Question("chess", "Who won the chess championship of 1972?", None, "unanswered")
BOTH = [NESTED, CHESS]


@pytest.fixture
def tapes(load: Load, project: Path) -> Path:
    """The tapes of two questions, recorded with the reader."""
    assert record_all(load(), project / "tapes", BOTH) == []
    return project / "tapes"


def only(played: Played) -> Change:
    assert len(played.changes) == 1, played.changes
    return played.changes[0]


# --- the shipped tapes


def test_the_shipped_tapes_play_as_recorded(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config", "knowledge"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    code = invoke(["eval", "--tapes", str(SHIPPED), "--json"])
    played = json.loads(capsys.readouterr().out)
    assert (code, played["changes"], played["untaped"], played["unasked"]) == (0, [], [], [])
    assert played["card"]["questions"] == len(tapes_in(SHIPPED)) >= 5


@pytest.mark.parametrize("path", tapes_in(SHIPPED), ids=lambda path: path.stem)
def test_a_shipped_tape_is_small_and_says_nothing_of_the_machine_that_made_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.encode()) < 60_000
    assert not [
        word for word in ("/tmp", "/home", "/work", "127.0.0.1", "localhost", "api_key", '"pid"') if word in text
    ]
    assert read_tape(path).head.outcome in ("accepted", "unanswered")


def test_the_shipped_tapes_answer_golden_questions() -> None:
    golden = {question.id: question for question in read_questions(ROOT / "tests" / "evals" / "golden.jsonl")}
    for question in read_questions(SHIPPED / "questions.jsonl"):
        asked = golden[question.id]
        assert (asked.question, asked.answer) == (question.question, question.answer)
        assert question.outcome == asked.outcome or question.answer


# --- playing


def test_a_recorded_tape_plays_without_a_change(load: Load, tapes: Path) -> None:
    played = play_all(load(), tapes, BOTH)
    assert played.is_whole, played
    assert played.card is not None
    assert (played.card.right, played.card.outcomes) == (1.0, {"accepted": 1, "unanswered": 1})


def test_recording_twice_gives_the_same_bytes(load: Load, tapes: Path) -> None:
    before = {path.name: path.read_bytes() for path in tapes_in(tapes)}
    record_all(load(), tapes, BOTH)
    assert {path.name: path.read_bytes() for path in tapes_in(tapes)} == before
    assert set(before) == {"nested.jsonl", "chess.jsonl"}


def test_a_played_run_leaves_nothing_in_the_journal(load: Load, tapes: Path) -> None:
    settings = load()
    before = len(list_runs(open_store(settings.store, create=False)))
    play_all(settings, tapes, BOTH)
    assert len(list_runs(open_store(settings.store, create=False))) == before == 2


def test_a_tape_of_a_real_provider_plays_without_its_server_its_key_and_a_network(load: Load, project: Path) -> None:
    folder = project / "tapes"
    with serve(good_over_http) as server:
        settings = load(model__name="openai/some-model", model__base_url=server.url)
        assert record_all(settings, folder, [NESTED]) == []
        asked = len(server.requests)
    played = play_all(load(), folder, [NESTED])
    assert played.is_whole, played
    assert asked == len(server.requests) == 5
    head = read_tape(path_of(folder, "nested")).head
    assert {traits.name for traits in head.models.values()} == {"openai/some-model"}
    text = path_of(folder, "nested").read_text("utf-8")
    assert server.url not in text
    assert NUMBER in text


def test_calls_in_words_play_too(load: Load, project: Path) -> None:
    folder = project / "tapes"
    with serve(in_words) as server:
        settings = load(model__name="openai/some-model", model__base_url=server.url, model__tool_calls="text")
        assert record_all(settings, folder, [NESTED]) == []
        assert not any("tools" in request for request in server.requests)
    assert read_tape(path_of(folder, "nested")).head.tool_calls == "text"
    played = play_all(load(), folder, [NESTED])
    assert played.is_whole, played


def in_words(request: dict[str, Any]) -> dict[str, Any]:
    """The good model as one without native tool calls."""
    said = "\n".join(str(message["content"]) for message in request["messages"])
    observed = re.findall(r"<<<data (\w+) from [^\n]*>>>\n(.*?)\n<<<end \1>>>", said, re.DOTALL)
    results = [{"role": "tool", "content": text} for _, text in observed]
    if "response_format" in request:
        return good_over_http(request)
    answer = good_over_http({**request, "messages": [*request["messages"], *results]})
    if not answer.get("tool_calls"):
        return {"content": f"Thought: I know.\nFinal Answer: {answer['content']}"}
    call = answer["tool_calls"][0]["function"]
    return {"content": f"Thought: I look.\nAction: {call['name']}\nAction Input: {call['arguments']}"}


def test_a_round_of_feedback_with_several_sources_plays_too(load: Load, project: Path) -> None:
    """The sources stand in the feedback in one order, whether a search has found them or the tape."""
    folder, wrong = project / "tapes", ["27 requests", "28 requests"]
    (project / "knowledge" / "writing.md").write_text(
        "# Again\n\nWho owns nested retries is asked again and again.\n", "utf-8"
    )

    def corrects_itself(request: dict[str, Any]) -> dict[str, Any]:
        answer = good_over_http(request)
        if "Call search_knowledge" in str(request["messages"]) and answer["content"] and len(wrong) == 2:
            answer["content"] = answer["content"].replace(wrong.pop(0), wrong[0])
        return answer

    with serve(corrects_itself) as server:
        settings = load(model__name="openai/some-model", model__base_url=server.url)
        assert record_all(settings, folder, [NESTED]) == []
        assert len(server.requests) > 5
    assert path_of(folder, "nested").read_text("utf-8").count("<<<data") > 3
    played = play_all(load(), folder, [NESTED])
    assert played.is_whole, played


def test_nothing_is_connected_or_looked_up_while_a_tape_is_played() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with no_network():
            with pytest.raises(OSError, match="no network"), socket.socket() as mine:
                mine.connect(server.getsockname())
            with pytest.raises(OSError, match="no network"):
                socket.create_connection(("example.org", 80))
            left, right = socket.socketpair()
            left.close()
            right.close()
        socket.create_connection(server.getsockname()).close()


# --- what has changed is shown


def test_an_edited_prompt_is_shown_as_the_line_that_changed(load: Load, project: Path, tapes: Path) -> None:
    change(project / "config" / "tasks.yaml", lambda tree: tree["verify"].update(description="Judge each finding."))
    found = only(play_all(load(), tapes, BOTH))
    assert found.id == "nested"
    assert "verifier at verify, call 1: its request is not the recorded one" in found.what
    assert "+Current Task: Judge each finding." in found.diff
    assert "-Current Task: Call read_source once for each source" in found.diff
    assert "You are" not in found.diff  # what is the same is not shown


def test_an_edited_document_is_shown_where_its_passage_is_read(load: Load, project: Path, tapes: Path) -> None:
    document = project / "knowledge" / "retries.md"
    document.write_text(document.read_text("utf-8").replace("27 requests", "28 requests"), "utf-8")
    found = only(play_all(load(), tapes, [NESTED]))
    assert "researcher at research, call 2" in found.what
    assert re.search(r"^-.*27 requests", found.diff, re.MULTILINE)
    assert re.search(r"^\+.*28 requests", found.diff, re.MULTILINE)


def test_a_document_that_was_not_read_changes_nothing(load: Load, project: Path, tapes: Path) -> None:
    (project / "knowledge" / "bread.md").write_text("# Bread\n\nSourdough rises by wild yeast.\n", "utf-8")
    assert play_all(load(), tapes, BOTH).is_whole


def test_a_tool_that_was_taken_away_is_shown(load: Load, project: Path, tapes: Path) -> None:
    change(project / "config" / "agents.yaml", lambda tree: tree["researcher"]["tools"].remove("read_source"))
    changes = play_all(load(), tapes, BOTH).changes
    assert [found.id for found in changes] == ["nested", "chess"]
    assert "-[tool read_source]" in changes[0].diff
    assert "researcher at research, call 1" in changes[0].what


def test_a_stricter_check_is_shown_as_the_call_that_it_causes(
    load: Load, tapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_explanation", lambda *_: [Fault("27", "numbers are not wanted")])
    found = only(play_all(load(), tapes, [NESTED]))
    assert found.what == "explainer at explain, call 2: one more than was recorded"
    assert "numbers are not wanted" in found.diff


def test_a_check_that_ends_the_run_is_shown_as_another_outcome(
    load: Load, tapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_explanation", lambda *_: [Fault("27", "numbers are not wanted")])
    played = play_all(load(checks__feedback_rounds=0), tapes, [NESTED])
    assert only(played).what.startswith("it ended as rejected: explain: “27”: numbers are not wanted")
    assert played.card is not None
    assert played.card.right == 0.0


def test_another_type_of_answer_is_shown(load: Load, project: Path, tapes: Path) -> None:
    change(project / "config" / "tasks.yaml", lambda tree: tree["explain"].update(output_pydantic="Solution"))
    found = only(play_all(load(), tapes, [NESTED]))
    assert "-answer: Explanation" in found.diff
    assert "+answer: Solution" in found.diff


def test_a_changed_answer_is_shown(load: Load, tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.outcome.Explanation.answer", property(lambda _: "Something else."), raising=False)
    monkeypatch.setattr("pilotage.checks.results.Explanation.answer", property(lambda _: "Something else."))
    found = only(play_all(load(), tapes, [NESTED]))
    assert found.what == "the answer is another one"
    assert "+Something else." in found.diff


def test_a_question_that_was_reworded_is_shown(load: Load, tapes: Path) -> None:
    reworded = Question("chess", "Who was chess champion in 1972?", None, "unanswered")
    found = only(play_all(load(), tapes, [NESTED, reworded]))
    assert found.what == "the question is another one"
    assert "+Who was chess champion in 1972?" in found.diff


def test_a_difference_is_clipped(load: Load, project: Path, tapes: Path) -> None:
    text = "\n".join(f"Rule {n}: be careful." for n in range(500))
    change(project / "config" / "tasks.yaml", lambda tree: tree["research"].update(description=text))
    found = play_all(load(), tapes, [NESTED]).changes[0]
    assert len(found.diff.splitlines()) <= 61
    assert re.search(r"… \d+ more lines$", found.diff)


# --- the command


def test_the_command_says_what_changed_and_exits_with_1(
    project: Path, tapes: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    questions = project / "q.jsonl"
    questions.write_text(json.dumps({"id": "nested", "question": NESTED.question, "answer": NESTED.answer}), "utf-8")
    assert invoke(["eval", "--tapes", "tapes", "--questions", "q.jsonl"]) == 1
    assert "no question: chess.jsonl" in capsys.readouterr().out
    (tapes / "chess.jsonl").unlink()
    assert invoke(["eval", "--tapes", "tapes", "--questions", "q.jsonl"]) == 0
    assert "unchanged   1 of 1" in capsys.readouterr().out
    change(project / "config" / "tasks.yaml", lambda tree: tree["verify"].update(description="Judge each finding."))
    assert invoke(["eval", "--tapes", "tapes", "--questions", "q.jsonl"]) == 1
    said = capsys.readouterr()
    assert "changed: nested: verifier at verify, call 1" in said.out
    assert "+Current Task: Judge each finding." in said.out
    assert "--update" in said.err
    assert invoke(["eval", "--tapes", "tapes", "--questions", "q.jsonl", "--update"]) == 0
    assert invoke(["eval", "--tapes", "tapes", "--questions", "q.jsonl"]) == 0


def test_a_question_without_a_tape_is_named(load: Load, tapes: Path) -> None:
    played = play_all(load(), tapes, [*BOTH, Question("open", "When does the deadline stop the run?")])
    assert (played.untaped, played.is_whole) == (["open"], False)


def test_the_questions_of_a_folder_are_its_own(project: Path, tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    rows = [{"id": q.id, "question": q.question, "outcome": q.outcome} for q in BOTH]
    (tapes / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert invoke(["eval", "--tapes", "tapes"]) == 0


@pytest.mark.parametrize(
    "arguments", [["--update"], ["--tapes", "nowhere"], ["--tapes", "tapes", "--out", "x.jsonl"]], ids=" ".join
)
def test_a_wrong_use_exits_with_2(
    project: Path, tapes: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(project)
    (project / "q.jsonl").write_text('{"question": "a?"}', "utf-8")
    assert invoke(["eval", "--questions", "q.jsonl", *arguments]) == 2


# --- what makes no tape


def test_a_run_that_failed_makes_no_tape(load: Load, project: Path) -> None:
    with serve(lambda _request: 500) as server:
        settings = load(model__name="openai/some-model", model__base_url=server.url, limits__retries=0)
        found = record_all(settings, project / "tapes", [NESTED])
    assert found[0].what.startswith("not recorded: the run ended as failed")
    assert not tapes_in(project / "tapes")


def test_an_answer_with_a_secret_makes_no_tape(load: Load, project: Path) -> None:
    found = record_all(load(record__redact="['27 requests']"), project / "tapes", [NESTED])
    assert "record.redact" in found[0].what
    assert not tapes_in(project / "tapes")


# --- the file


def test_a_tape_holds_calls_alone_and_nothing_of_the_moment(load: Load, tapes: Path) -> None:
    events = events_of(load())  # of chess, the last one recorded
    lines = [json.loads(line) for line in (tapes / "chess.jsonl").read_text("utf-8").splitlines()]
    assert {line["kind"] for line in lines[1:]} == {"model_call", "tool_call"}
    assert not {"seconds", "usd", "host", "pid", "at", "hash"} & {name for line in lines[1:] for name in line["facts"]}
    assert [line["facts"]["key"] for line in lines[1:]] == [e.facts["key"] for e in events if "key" in e.facts]
    assert list(lines[1]) == sorted(lines[1])


def test_what_was_packed_is_read_as_it_was_recorded(load: Load, tapes: Path) -> None:
    recorded = [e for e in events_of(load()) if e.kind == "model_call"]
    read = [e for e in read_tape(tapes / "chess.jsonl").events if e.kind == "model_call"]
    assert len(read) == len(recorded) == 2
    for one, other in zip(recorded, read, strict=True):
        before, after = json.loads(str(one.content["request"])), json.loads(str(other.content["request"]))
        assert [m["role"] for m in before["messages"]] == [m["role"] for m in after["messages"]]
        assert before["tools"] == after["tools"]
        assert before["messages"][0] == after["messages"][0]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: "", r":1: no tape"),
        (lambda text: "[]", r":1: no tape"),
        (lambda text: text.replace('"tape": 1', '"tape": 2'), r":1: a tape of format 2, this version reads 1"),
        (lambda text: text.replace('"question"', '"asked"', 1), r":1: no tape: question"),
        (lambda text: text[: len(text) // 2], r":\d+: damaged"),
        (lambda text: text.replace('"facts"', '"fact"'), r":2: damaged: KeyError"),
        (lambda text: text.replace("\n", "\n" + "[" * 100_000 + "\n", 1), r":2: damaged: RecursionError"),
    ],
)
def test_a_file_that_is_no_tape_is_the_failure_of_its_question_alone(
    load: Load, tapes: Path, spoil: Callable[[str], str], said: str
) -> None:
    path = tapes / "nested.jsonl"
    path.write_text(spoil(path.read_text("utf-8")), "utf-8")
    played = play_all(load(), tapes, BOTH)
    assert re.search(re.escape(str(path)) + said, only(played).what)
    assert (only(played).id, played.damaged, played.is_whole) == ("nested", ["nested"], False)
    assert played.card is not None
    assert (played.card.questions, played.unchanged) == (1, 1), "the other one was played"


def test_a_tape_may_hold_what_other_files_end_a_line_with(load: Load, project: Path) -> None:
    asked = Question("nested", NESTED.question.replace(" make", "\u2028make"), NESTED.answer)
    assert record_all(load(), project / "tapes", [asked]) == []
    assert "\u2028" in (project / "tapes/nested.jsonl").read_text("utf-8")
    assert play_all(load(), project / "tapes", [asked]).is_whole


def test_an_id_of_any_kind_names_a_file(tmp_path: Path) -> None:
    assert path_of(tmp_path, "../../etc/passwd").parent == tmp_path
    assert path_of(tmp_path, "a/b c") != path_of(tmp_path, "a_b c")
    with pytest.raises(ConfigError, match="holds the questions"):
        path_of(tmp_path, "questions")
