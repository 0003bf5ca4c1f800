"""Runs that are answered with what an earlier run has answered and verified, and all the reasons why one is not."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.answers import store as module
from pilotage.answers.scope import scope_of
from pilotage.answers.sources import Sources
from pilotage.answers.store import NAME
from pilotage.checks.results import Citation, Explanation, Finding, Findings, Statement, Verdict, Verdicts
from pilotage.cli import invoke
from pilotage.evidence.knowledge import Knowledge
from pilotage.record.audit import audit
from pilotage.record.journal import read_events
from pilotage.record.store import open_store
from pilotage.run import Runner
from pilotage.settings import Settings
from tests.answers.kept import OTHER, PARAPHRASE, QUESTION, all_alike, ask, events, is_served, kept
from tests.support.project import change, events_of
from tests.support.scripted import Turn, calls, good, read
from tests.support.web import Asked, Reply, html, web

Load = Callable[..., Settings]


@pytest.fixture
def settings(load: Load) -> Settings:
    return load(cache__answers=True)


def document(settings: Settings) -> Path:
    return settings.knowledge / "retries.md"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


# --- served


def test_the_same_question_is_served_with_the_same_answer_for_nothing(settings: Settings) -> None:
    first = ask(settings)
    second = ask(settings, f"  {QUESTION.upper()} ")
    assert is_served(settings)
    assert (second.outcome, second.exit_code) == ("accepted", 0)
    assert (second.answer, second.citations) == (first.answer, first.citations)
    assert (second.usd, second.tokens) == (0.0, 0)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    assert second.reason == f"answered before on {day}, same sources (run {first.run})"
    assert second.run != first.run


def test_the_journal_and_the_files_are_those_of_a_whole_run(settings: Settings) -> None:
    first = ask(settings)
    second = ask(settings)
    assert [event.kind for event in events_of(settings)] == ["run_started", "answered", "run_ended"]
    served = events(settings, "answered")[0]
    assert served.facts["of_run"] == first.run
    assert served.facts["similarity"] == 1.0
    assert abs(served.facts["at"] - time.time()) < 60
    assert served.content["question"] == QUESTION
    ended = events(settings, "run_ended")[0].facts
    assert (ended["outcome"], ended["model_calls"], ended["tool_calls"]) == ("accepted", 0, 0)
    assert audit(open_store(settings.store, create=False), second.run).ok
    assert second.folder is not None
    assert json.loads((second.folder / "result.json").read_text("utf-8")) == second.as_json()
    assert str(second.answer).splitlines()[0] in (second.folder / "answer.md").read_text("utf-8")


def test_a_question_in_other_words_is_served_when_the_likeness_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(settings)
    all_alike(monkeypatch)
    second = ask(settings, PARAPHRASE)
    assert is_served(settings)
    assert second.answer == first.answer
    assert second.question == PARAPHRASE
    assert 0.5 < events(settings, "answered")[0].facts["similarity"] < 1
    assert kept(settings)[0].hits == 1


def test_a_question_that_is_not_the_same_makes_a_run_and_the_journal_says_why(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(settings)
    all_alike(monkeypatch, hit=False)
    assert ask(settings, PARAPHRASE).outcome == "accepted"
    assert not is_served(settings)
    refused = events(settings, "cache")[0]
    assert refused.facts["what"] == "no_hit"
    assert refused.facts["similarity"] > 0.7
    assert refused.content == {"question": QUESTION, "reason": "says the test"}


def test_a_question_about_something_else_is_not_told_of(settings: Settings) -> None:
    ask(settings)
    ask(settings, OTHER)
    assert events(settings, "cache") == []


def test_show_prints_it_in_a_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ask(settings)
    ask(settings)
    monkeypatch.chdir(settings.root)
    assert invoke(["show", "last"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "answered " in line)
    assert f"of_run={first.run}" in line
    assert time.strftime("at=%Y-%m-%dT", time.localtime()) in line


def test_the_command_serves_and_says_so_and_fresh_asks_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PILOTAGE_CACHE_ANSWERS", "true")
    monkeypatch.chdir(settings.root)
    for arguments, served in (([], False), ([], True), (["--fresh"], False), ([], True)):
        assert invoke(["run", QUESTION, *arguments]) == 0
        assert is_served(settings) == served
        assert ("answered before in run" in capsys.readouterr().err) == served
    assert len(kept(settings)) == 1, "the fresh answer took the place of the old one"


def test_a_repeated_question_does_not_import_crewai(settings: Settings) -> None:
    ask(settings)
    code = (
        "import sys; from pilotage.cli import invoke; "
        "assert invoke(['run', sys.argv[1]]) == 0; print([m for m in ('crewai', 'onnxruntime') if m in sys.modules])"
    )
    environment = {**os.environ, "PILOTAGE_CACHE_ANSWERS": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, QUESTION], cwd=settings.root, env=environment, capture_output=True, text=True,
        timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert is_served(settings)


def test_a_repeated_question_takes_a_twentieth_of_the_time(settings: Settings, scripted: Any) -> None:
    def slowly(turn: Turn) -> Any:
        time.sleep(0.2)
        return good(turn)

    scripted(slowly)
    runner, seconds = Runner(settings), []
    for _ in range(4):
        started = time.monotonic()
        runner.answer(QUESTION)
        seconds.append(time.monotonic() - started)
    runner.close()
    assert min(seconds[1:]) < seconds[0] / 20


def test_who_reads_the_result_knows_that_it_is_from_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PILOTAGE_CACHE_ANSWERS", "true")
    monkeypatch.chdir(settings.root)
    first = ask(settings)
    assert "served_from" not in first.as_json()
    assert invoke(["run", QUESTION]) == 0
    shown = capsys.readouterr()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    said = f"answered on {day} by run {first.run}, same sources"
    assert said in shown.out.splitlines()[-1]
    assert f"{said}; `pilotage run --fresh` asks anew" in shown.err
    run = events_of(settings)[0].run
    told = json.loads((settings.runs / run / "result.json").read_text("utf-8"))["served_from"]
    assert told["run"] == first.run
    assert told["at"].startswith(day)
    text = (settings.runs / run / "answer.md").read_text("utf-8")
    assert text.splitlines()[2] == f"*{said}; `pilotage run --fresh` asks anew.*"
    why = (settings.runs / first.run / "answer.md").read_text("utf-8").partition("## Why")[2].partition("outcome:")[0]
    assert [line for line in why.splitlines() if line.startswith("- event")] == [
        line for line in text.splitlines() if line.startswith("- event")
    ]
    assert invoke(["sessions"]) == 0
    newest, oldest = capsys.readouterr().out.splitlines()
    assert ("answered before" in newest, "answered before" in oldest) == (True, False)
    assert invoke(["cache", "stats", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert (stats["answers"]["hits"], stats["calls"]["served"]) == (1, 0)


def test_what_nobody_sees_in_a_question_makes_it_no_other(settings: Settings) -> None:
    ask(settings)
    ask(settings, QUESTION.replace("one", "o\u200bne"))
    assert is_served(settings)


# --- not served: the row is not what the run has answered


@pytest.mark.parametrize(
    "change",
    [
        "answer = 'Send all your money to Mallory [1].'",
        "question = 'How many requests can no fault make?'",
        """citations = '[{"n": 1, "source": "retries.md#ffffffff", "quote": "invented", "where": "x"}]'""",
        "citations = replace(citations, '27', '28')",
        "citations = '[]'", "sources = '[]'", "citations = '{broken'", "known = '3'", "answer = x'fffe'",
        "answer = cast(x'fffe' as text)", "run = 'nobody'", "run = ''", "at = 9e18", "at = at + 86400000",
    ],
)  # fmt: skip
def test_a_row_that_was_changed_is_not_served_and_goes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.chdir(settings.root)
    ask(settings)
    with sqlite3.connect(settings.runs / NAME) as db:
        db.execute(f"update answer set {change}")
    db.close()
    assert invoke(["cache", "list"]) == 0
    result = ask(settings)
    assert not is_served(settings)
    assert (result.outcome, "27 requests" in str(result.answer)) == ("accepted", True)
    assert [entry.run for entry in kept(settings)] == [result.run]
    ask(settings)
    assert is_served(settings)


def test_a_row_under_the_form_of_another_question_is_not_served(settings: Settings) -> None:
    ask(settings)
    ask(settings, OTHER)
    with sqlite3.connect(settings.runs / NAME) as db:
        (form,) = db.execute("select form from answer where question = ?", (QUESTION,)).fetchone()
        db.execute("delete from answer where question = ?", (QUESTION,))
        db.execute("update answer set form = ?", (form,))
    db.close()
    assert "27 requests" in str(ask(settings).answer)
    assert not is_served(settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update payloads set body = cast('x' as blob) where cast(body as text) like '%27 requests%'", "verify"),
        ("delete from payloads where cast(body as text) like '%27 requests%'", "erased"),
        ("""update events set facts = replace(facts, '"accepted"', '"Accepted"')""", "verify"),
        ("delete from events where kind = 'run_ended'", "no run"),
    ],
)  # fmt: skip
def test_an_answer_that_the_journal_does_not_vouch_for_is_not_served(
    settings: Settings, change: str, said: str
) -> None:
    ask(settings)
    with sqlite3.connect(str(settings.store).removeprefix("sqlite:///")) as db:
        assert db.execute(change).rowcount > 0
    db.close()
    ask(settings)
    assert not is_served(settings)
    assert said in str(events(settings, "cache")[0].content["reason"])


# --- not served: a fault of our own


@pytest.mark.parametrize(
    "place",
    [
        "serving.normal_form",
        "serving.differs",
        "sources.Sources.look",
        "serving.Answers._is_secret",
        "store.Store.literal",
        "store.Store.same",
    ],
)
def test_a_programming_error_costs_a_hit_and_never_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    ask(settings)

    def fail(*_: Any) -> Any:
        raise AttributeError("of nobody")

    monkeypatch.setattr(f"pilotage.answers.{place}", fail)
    other_case = QUESTION.replace("How", "how")  # the same wording, not the same letters
    assert ask(settings, other_case if "same" in place or "form" in place else QUESTION).outcome == "accepted"
    assert not is_served(settings)
    warnings = str(events(settings, "run_started")[0].content["warnings"])
    assert warnings.count("The kept answers could not be used: AttributeError: of nobody") == 1


@pytest.mark.parametrize("place", ["serving.decisions_of", "store.Store.count_hit"])
def test_one_after_the_answer_was_found_leaves_it_standing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    first = ask(settings)

    def fail(*_: Any) -> Any:
        raise AttributeError("of nobody")

    monkeypatch.setattr(f"pilotage.answers.{place}", fail)
    assert ask(settings).answer == first.answer
    assert is_served(settings)


# --- not served: the sources


def test_a_document_that_changes_while_the_runner_is_open_is_a_miss(settings: Settings) -> None:
    runner = Runner(settings)
    runner.answer(QUESTION)
    edit(document(settings), "27 requests", "28 requests")
    runner.answer(QUESTION)
    runner.close()
    assert not is_served(settings)
    assert "has changed since it was read" in str(events(settings, "cache")[0].content["reason"])
    assert "28 requests" in str(ask(settings).answer)


def test_an_edited_document_ends_the_entry(settings: Settings) -> None:
    ask(settings)
    edit(document(settings), "27 requests", "28 requests")
    result = ask(settings)
    assert not is_served(settings)
    assert "28 requests" in str(result.answer)
    assert "has changed" in str(events(settings, "cache")[0].content["reason"])
    assert [entry.run for entry in kept(settings)] == [result.run]
    ask(settings)
    assert is_served(settings)


def test_a_document_that_is_gone_ends_the_entry(settings: Settings) -> None:
    ask(settings)
    (settings.knowledge / "other.md").write_text("# Tea\n\nTea is drunk hot.\n", "utf-8")
    document(settings).unlink()
    assert ask(settings).outcome == "unanswered"
    assert kept(settings) == []


def test_an_edit_of_what_the_search_does_not_show_leaves_the_answer_standing(settings: Settings, scripted: Any) -> None:
    scripted(good)
    for n in range(8):
        text = f"# Note {n}\n\nA request of kind {n} may be nested, and its fault is retried.\n"
        (settings.knowledge / f"note{n}.md").write_text(text, "utf-8")
    tea = settings.knowledge / "tea.md"
    tea.write_text("# Tea\n\nTea is drunk hot, with milk or without.\n", "utf-8")
    ask(settings)
    edition = kept(settings)[0].edition
    edit(tea, "milk", "lemon and milk")
    ask(settings)
    assert is_served(settings)
    assert kept(settings)[0].edition != edition, "it was searched for once more, and remembers that"


def test_a_touched_folder_is_looked_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(settings)
    os.utime(document(settings), (1, 1))
    ask(settings)
    assert is_served(settings)
    monkeypatch.setattr(Knowledge, "search", lambda *_args, **_more: pytest.fail("the same edition was searched"))
    ask(settings)
    assert is_served(settings)


def test_a_new_document_that_says_more_ends_the_entry(settings: Settings) -> None:
    ask(settings)
    (settings.knowledge / "more.md").write_text(
        "# More\n\nWhen retries are nested four deep, one fault can make 81 requests.\n", "utf-8"
    )
    ask(settings)
    assert not is_served(settings)
    assert "the documents say more now: more.md#" in str(events(settings, "cache")[0].content["reason"])


def page_says(text: str) -> Reply:
    return html(f"<html><head><title>Tea</title></head><body><article><p>{text}</p></article></body></html>")


STEEP = "Green tea is steeped for two minutes at seventy degrees, or it becomes bitter and cloudy."


def reads_page(url: str) -> Callable[[Turn], Any]:
    """A model that reads the page and quotes its first passage."""

    def play(turn: Turn) -> Any:
        if turn.task == "research":
            if not turn.results:
                return calls(("read_page", {"url": url}))
            passage = turn.results[0]["passages"][0]
            return Findings(findings=[Finding(claim="Tea.", quote=passage["text"], source=passage["source"])])
        if turn.task == "verify":
            finding = read(turn, Findings).findings[0]
            if not turn.results:
                return calls(("read_source", {"source": finding.source}))
            return Verdicts(verdicts=[Verdict(**finding.model_dump(), verdict="supported", reason="it says so")])
        checked = read(turn, Verdicts).verdicts[0]
        citation = Citation(n=1, source=checked.source, quote=checked.quote)
        return Explanation(statements=[Statement(text=checked.quote, cites=[1])], citations=[citation])

    return play


def test_a_page_is_looked_at_again_and_its_change_ends_the_entry(load: Load, scripted: Any) -> None:
    said = [STEEP]

    def answer(_asked: Asked) -> Reply:
        return page_says(said[0]) if said else Reply(503)

    with web({"/tea": answer}) as server:
        host = f'["{server.host}"]'
        settings = load(
            cache__answers=True,
            cache__page_seconds=0,
            policy__allow_private_hosts=host,
            web__robots=False,
            web__delay=0,
        )
        scripted(reads_page(server.url("/tea")))
        question = f"How long is green tea steeped, by {server.url('/tea')}?"
        assert ask(settings, question).outcome == "accepted"
        before = len(server.requests)
        ask(settings, question)
        assert is_served(settings)
        assert len(server.requests) == before + 1, "it was asked for again"
        broken, said[:] = said[:], []
        ask(settings, question)
        assert not is_served(settings)
        assert "503" in str(events(settings, "cache")[0].content["reason"])
        assert len(kept(settings)) == 1, "a page that cannot be reached has not changed"
        said[:] = [broken[0].replace("two minutes", "three minutes")]
        ask(settings, question)
        assert not is_served(settings)
        assert "has changed" in str(events(settings, "cache")[0].content["reason"])
        ask(settings, question)
        assert is_served(settings)


# --- not served: other bounds


def test_each_tenant_has_its_own_answers(load: Load) -> None:
    ask(load(cache__answers=True, cache__tenant="a"))
    settings = load(cache__answers=True, cache__tenant="b")
    ask(settings)
    assert not is_served(settings)
    ask(settings)
    assert is_served(settings)
    assert len({entry.scope for entry in kept(settings)}) == 2


@pytest.mark.parametrize(
    "overrides",
    [
        {"policy__strict": True}, {"model__name": "openai/other"}, {"evidence__passages": 5},
        {"checks__feedback_rounds": 0}, {"agents__researcher__goal": "Find."}, {"tasks__explain__expected_output": "x"},
        {"cache__tenant": "x"}, {"model__base_url": "http://127.0.0.1:9/v1"}, {"agents__verifier__llm": "openai/other"},
    ],
    ids=lambda overrides: next(iter(overrides)),
)  # fmt: skip
def test_what_decides_an_answer_is_a_scope_of_its_own(load: Load, overrides: dict[str, Any]) -> None:
    plain, other = load(), load(**overrides)
    assert scope_of(plain, plain.knowledge, "m") == scope_of(load(limits__seconds=9), plain.knowledge, "m")
    assert scope_of(plain, plain.knowledge, "m") != scope_of(other, plain.knowledge, "m")


def test_another_server_is_another_scope(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(model__name="openai/some-model")
    before = scope_of(settings, settings.knowledge, "m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert scope_of(settings, settings.knowledge, "m") != before


def test_another_folder_or_embedder_is_another_scope(load: Load, tmp_path: Path) -> None:
    settings = load()
    scopes = {
        scope_of(settings, folder, name) for folder in (settings.knowledge, tmp_path) for name in ("MiniLM", "none")
    }
    assert len(scopes) == 4


def test_a_changed_policy_or_agent_asks_anew(settings: Settings, load: Load) -> None:
    ask(settings)
    ask(load(cache__answers=True, policy__strict=False, evidence__passages=5))
    assert not is_served(settings)
    change(settings.root / "config/agents.yaml", lambda tree: tree["explainer"].update(goal="Answer in one sentence."))
    ask(load(cache__answers=True))
    assert not is_served(settings)


def test_an_old_answer_is_not_served(load: Load) -> None:
    settings = load(cache__answers=True, cache__answer_days=1)
    ask(settings)
    with sqlite3.connect(settings.runs / NAME) as db:
        db.execute("update answer set at = at - 100000")
    db.close()
    ask(settings)
    assert not is_served(settings)
    assert "older than 1 days (cache.answer_days)" in str(events(settings, "cache")[0].content["reason"])
    assert time.time() - kept(settings)[0].at < 60


def test_switched_off_nothing_is_served_or_kept(settings: Settings, load: Load) -> None:
    ask(load(cache__answers=False))
    assert not (settings.runs / NAME).exists()
    ask(settings)
    ask(load(cache__answers=False))
    assert not is_served(settings)


def test_a_run_with_pages_of_the_user_has_no_place(load: Load) -> None:
    with web({"/tea": page_says(STEEP)}) as server:
        settings = load(
            cache__answers=True, policy__allow_private_hosts=f'["{server.host}"]', web__robots=False, web__delay=0
        )
        assert ask(settings, urls=[server.url("/tea")]).outcome == "accepted"
        assert kept(settings) == []
        ask(settings)
        ask(settings, urls=[server.url("/tea")])
        assert not is_served(settings)


# --- not kept


def test_only_accepted_answers_are_kept(settings: Settings, scripted: Any) -> None:
    assert ask(settings, "Who won the chess championship of 1972?").outcome == "unanswered"
    assert kept(settings) == []
    scripted(lambda _turn: "Thought: I am not sure")
    assert ask(settings).outcome not in ("accepted", "unanswered")
    assert kept(settings) == []


def test_what_a_tool_of_ones_own_said_is_not_kept(settings: Settings, load: Load, scripted: Any) -> None:
    change(settings.root / "config/agents.yaml", lambda tree: tree["researcher"]["tools"].append("today"))

    def play(turn: Turn) -> Any:
        if turn.task == "research" and not any(message["role"] == "tool" for message in turn.messages):
            return calls(("today", {}))
        return good(turn)

    scripted(play)
    assert ask(load(cache__answers=True)).outcome == "accepted"
    assert kept(settings) == []


def test_an_answer_that_rests_on_rows_is_not_kept(load: Load, project: Path, scripted: Any) -> None:
    with sqlite3.connect(project / "shop.sqlite") as db:
        db.execute("create table price(name text, usd int)")
        db.execute("insert into price values('tea', 3)")
    db.close()
    change(project / "config/agents.yaml", lambda tree: tree["researcher"]["tools"].append("query_db"))
    databases = {"shop": {"url": "sqlite:///shop.sqlite"}}
    change(project / "config/pilotage.yaml", lambda tree: tree.update(databases=databases))

    def play(turn: Turn) -> Any:
        rows = [message for message in turn.messages if message.get("name") == "query_db"]
        if turn.task == "research" and not rows:
            return calls(("query_db", {"sql": "select * from price"}))
        turn.messages = [message for message in turn.messages if message not in rows]
        return good(turn)

    scripted(play)
    settings = load(cache__answers=True)
    assert ask(settings).outcome == "accepted"
    assert kept(settings) == []


def test_a_secret_in_the_question_keeps_it_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "retries are nested")
    result = ask(settings)
    assert result.outcome == "accepted"
    assert kept(settings) == []


def test_a_secret_in_the_answer_keeps_it_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "one fault makes 27 requests")
    assert ask(settings).outcome == "accepted"
    assert kept(settings) == []
    assert b"27 requests" not in b"".join(path.read_bytes() for path in settings.runs.glob("answers.sqlite*"))


def test_what_would_be_redacted_today_is_not_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(settings)
    monkeypatch.setenv("SHOP_TOKEN", "one fault makes 27 requests")
    ask(settings)
    assert not is_served(settings)
    assert "would be redacted" in str(events(settings, "cache")[0].content["reason"])


def test_documents_that_change_during_the_run_keep_its_answer_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    editions = iter(f"edition {n}" for n in range(100))
    monkeypatch.setattr(Knowledge, "edition", property(lambda _self: next(editions)))
    assert ask(settings).outcome == "accepted"
    assert kept(settings) == []


# --- files that cannot be used


def test_a_file_that_is_no_database_costs_a_hit_and_is_said_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(settings)
    (settings.runs / NAME).write_bytes(b"no database" * 1000)
    for beside in settings.runs.glob(f"{NAME}-*"):
        beside.unlink()
    runner = Runner(settings)
    results = [runner.answer(QUESTION) for _ in range(3)]
    runner.close()
    assert [result.outcome for result in results] == ["accepted"] * 3
    assert is_served(settings), "begun anew, filled by the first, served to the others"
    engine = open_store(settings.store, create=False)
    told = [str(next(iter(read_events(engine, result.run))).content["warnings"]) for result in results]
    assert ["begun anew" in text for text in told] == [True, False, False]
    assert capsys.readouterr().err == ""


def test_a_locked_file_costs_a_hit_and_never_the_run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    ask(settings)
    with sqlite3.connect(settings.runs / NAME, isolation_level=None) as other:
        other.execute("begin exclusive")
        served = ask(settings)
        fresh = ask(settings, OTHER)
        other.execute("rollback")
    other.close()
    assert (served.outcome, fresh.outcome) == ("accepted", "accepted")
    assert capsys.readouterr().err.count("locked by another process") == 2, "once a command"


def test_a_disk_that_is_full_costs_the_entry_and_not_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(settings)
    open_file = module._open

    def full(path: Path) -> sqlite3.Connection:
        db = open_file(path)
        db.execute(f"pragma max_page_count={db.execute('pragma page_count').fetchone()[0]}")
        return db

    monkeypatch.setattr(module, "_open", full)
    monkeypatch.setattr(Sources, "known", lambda *_: ["a long name of a passage"] * 500)
    assert ask(settings, OTHER).outcome == "accepted"
    assert "database or disk is full" in capsys.readouterr().err
    assert [entry.question for entry in kept(settings)] == [QUESTION]
    ask(settings)
    assert is_served(settings)


def test_an_index_that_fails_meanwhile_costs_the_entry_and_not_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Sources, "known", fail)
    assert ask(settings).outcome == "accepted"
    assert "disk I/O error" in capsys.readouterr().err
    assert kept(settings) == []


# --- several at once


def test_processes_that_ask_at_the_same_time_all_get_an_answer(settings: Settings) -> None:
    ask(settings)
    environment = {**os.environ, "PILOTAGE_CACHE_ANSWERS": "true"}
    command = [sys.executable, "-m", "pilotage", "run", QUESTION, "--json"]
    started = [
        subprocess.Popen(
            command, cwd=settings.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=50) for process in started]
    answers = [json.loads(out) for out, _ in told]
    assert all(answer["reason"].startswith("answered before") for answer in answers), told
    assert kept(settings)[0].hits == 3
