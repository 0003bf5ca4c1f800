"""Lessons: what is learned from a run's events, how long it is kept, which runs are told, and what stays off."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotage.lessons import DAYS, MOST, TOLD, Book, Lesson, Lessons, Now
from pilotage.prompts import defaults
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.project import events_of, resumed
from tests.support.scripted import Turn, calls, good
from tests.test_graded import model, run

Load = Callable[..., Settings]
NOW = Now("Who owns the retries of a crew?", documents="edition 1", rules="rules 1")
DEAD = "https://docs.example.org/old/retries?token=abc#top"


def tool_call(tool: str, result: Any, arguments: dict[str, Any], **facts: Any) -> tuple[str, dict[str, Any], Any]:
    return "tool_call", {"arguments": arguments, "result": result}, {"tool": tool, "agent": "researcher"} | facts


def read_page(said: str, **facts: Any) -> tuple[str, dict[str, Any], Any]:
    return tool_call("read_page", f"read_page failed: {DEAD} {said}", {"url": DEAD}, failed=True, **facts)


NOTHING = tool_call("search_knowledge", {"passages": []}, {"query": "zeppelin mooring"})
DENIED = tool_call(
    "read_page", "read_page was denied: example.org is not allowed (policy.tools.read_page.domains)",
    {"url": "https://example.org/a"}, failed=True, denied="policy.tools.read_page.domains",
)  # fmt: skip
MALFORMED = ("check", {"faults": [{"text": "x", "reason": "not the Findings asked for: its JSON is broken"}]})


class Desk:
    """The lessons of one run, with a book beside its journal."""

    def __init__(self, engine: Engine, folder: Path, now: Now = NOW, redactor: Redactor | None = None) -> None:
        self.book = Book(folder / "lessons.sqlite", "openai documents")
        self.journal = Journal(engine, redactor or Redactor({}))
        self.lessons = Lessons(self.journal, "beef", defaults().rounds, self.book, now)

    def sees(self, kind: str, content: dict[str, Any], facts: dict[str, Any]) -> list[Lesson]:
        """What is in the book after an event."""
        self.journal.append(kind, content, **facts)
        return self.book.lessons()

    def events(self, what: str) -> list[Any]:
        events = read_events(self.journal.engine, self.journal.run)
        return [event for event in events if event.kind == "lesson" and event.facts["what"] == what]


@pytest.fixture
def desk(store: Engine, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


# --- what is a lesson


@pytest.mark.parametrize(
    ("event", "about", "subject", "text"),
    [
        (read_page("answered 404"), "source", "https://docs.example.org/old/retries", "answered 404"),
        (NOTHING, "source", "zeppelin mooring", "search_knowledge finds nothing for “zeppelin mooring”"),
        (DENIED, "tool", "read_page https://example.org/a", "was denied: example.org is not allowed"),
        (tool_call("add", "add was not called: b is missing", {}, failed=True), "tool", "add", "b is missing"),
        ((*MALFORMED, {"check": "form", "task": "research", "passed": False}), "tool", "research: form", "broken"),
    ],
)
def test_what_went_wrong_is_learned_once_and_on_record(
    desk: Desk, event: Any, about: str, subject: str, text: str
) -> None:
    desk.sees(*event)
    (lesson,) = desk.sees(*event)
    assert (lesson.about, lesson.subject) == (about, subject)
    assert text in lesson.text
    (learned,) = desk.events("learned")
    assert (learned.facts["about"], learned.content["subject"], learned.content["text"]) == (
        about, subject, lesson.text,
    )  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        read_page("answered 503"), read_page("took longer than 20 seconds (web.seconds)"),
        read_page("answered 404", served="tape"), read_page("answered 404", stopped=True),
        tool_call("search_knowledge", {"passages": [{"source": "a", "text": "b"}]}, {"query": "q"}),
        tool_call("search_knowledge", {"passages": [], "shown_before": "a"}, {"query": "q"}),
        tool_call("query_db", "query_db failed: no such table", {"sql": "select"}, failed=True),
        (*MALFORMED, {"check": "citations", "task": "explain", "passed": False}),
    ],
)  # fmt: skip
def test_what_may_be_otherwise_next_time_is_no_lesson(desk: Desk, event: Any) -> None:
    assert desk.sees(*event) == []
    assert desk.events("learned") == []


def test_no_part_of_an_address_that_may_be_secret_is_kept(desk: Desk) -> None:
    (lesson,) = desk.sees(*read_page("answered 404"))
    assert "token" not in str(lesson)
    assert "abc" not in str(lesson)


def test_what_redaction_takes_out_is_in_no_lesson(store: Engine, tmp_path: Path) -> None:
    desk = Desk(store, tmp_path, redactor=Redactor({"A_KEY": "sk-very-secret-value-12345"}))
    event = tool_call("search_knowledge", {"passages": []}, {"query": "where is sk-very-secret-value-12345 used"})
    (lesson,) = desk.sees(*event)
    assert "very-secret" not in str(lesson)


# --- the book


def test_the_same_lesson_is_kept_once_with_its_newest_words(tmp_path: Path) -> None:
    book = Book(tmp_path / "b.sqlite", "s")
    book.put(Lesson("source", "url", "answered 404"))
    book.put(Lesson("source", "url", "answered 410"))
    assert [lesson.text for lesson in book.lessons()] == ["answered 410"]


def test_of_more_lessons_than_fit_the_oldest_go(tmp_path: Path) -> None:
    book = Book(tmp_path / "b.sqlite", "s")
    for number in range(MOST + 3):
        book.put(Lesson("source", f"url {number}", "gone"))
    subjects = [lesson.subject for lesson in book.lessons()]
    assert subjects == [f"url {number}" for number in range(MOST + 2, 2, -1)]


def test_a_lesson_is_forgotten_after_its_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, now = Book(tmp_path / "b.sqlite", "s"), time.time()
    book.put(Lesson("source", "url", "gone"))
    monkeypatch.setattr("pilotage.lessons.time.time", lambda: now + (DAYS + 1) * 86_400)
    assert book.lessons() == []
    book.put(Lesson("source", "other", "gone"))
    with sqlite3.connect(tmp_path / "b.sqlite") as connection:
        assert connection.execute("select count(*) from lesson").fetchone() == (1,)


def test_each_folder_and_provider_has_lessons_of_its_own(tmp_path: Path) -> None:
    Book(tmp_path / "b.sqlite", "openai a").put(Lesson("source", "url", "gone"))
    assert Book(tmp_path / "b.sqlite", "openai b").lessons() == []


def test_a_file_that_is_no_database_holds_no_lessons_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.sqlite").write_text("not a database, and long enough to be looked at as one" * 99, "utf-8")
    book = Book(tmp_path / "b.sqlite", "s")
    book.put(Lesson("source", "url", "gone"))
    assert book.lessons() == []


# --- who is told


@pytest.mark.parametrize(
    ("question", "is_told"),
    [
        ("Who owns the retries of a crew?", True), ("What does https://docs.example.org/new say?", True),
        ("Which crew owns retries?", True), ("When does the deadline stop a run?", False),
        ("What does https://example.com/ say about deadlines?", False),
    ],
)  # fmt: skip
def test_a_question_is_told_of_its_host_and_of_its_own_words_only(desk: Desk, question: str, is_told: bool) -> None:
    desk.sees(*read_page("answered 404"))
    assert bool(desk.lessons.touching(question)) is is_told


def test_a_run_is_told_few_lessons_in_an_order_that_stays(desk: Desk) -> None:
    for number in range(TOLD + 3):
        desk.book.put(Lesson("tool", f"tool {9 - number}", "it wants a date"))
    told = desk.lessons.touching("anything")
    assert len(told) == TOLD
    assert [lesson.subject for lesson in told] == sorted(lesson.subject for lesson in told)


@pytest.mark.parametrize(("event", "part"), [(NOTHING, "documents"), (DENIED, "rules")])
def test_when_documents_or_rules_have_changed_what_was_learned_of_them_is_not_told(
    desk: Desk, store: Engine, tmp_path: Path, event: Any, part: str
) -> None:
    desk.sees(*event)
    question = "zeppelin mooring at https://example.org/b"
    assert desk.lessons.touching(question)
    later = Now(NOW.question, **({"documents": NOW.documents, "rules": NOW.rules} | {part: "changed"}))
    assert Desk(store, tmp_path, later).lessons.touching(question) == []


def test_lessons_stand_in_a_fence_and_those_on_a_form_before_their_own_task_only(desk: Desk) -> None:
    desk.lessons.tell([Lesson("source", "url", "url answered 404"), Lesson("tool", "v", "broken", task="verify")])
    first, other = desk.lessons.block("research", is_first=True), desk.lessons.block("verify", is_first=False)
    assert "url answered 404" in first
    assert first.index("<<<data beef") < first.index("url answered 404") < first.index("<<<end beef>>>")
    assert "broken" not in first
    assert "broken" in other
    assert desk.lessons.block("explain", is_first=False) == ""
    assert [event.content["text"] for event in desk.events("told")] == ["url answered 404", "broken"]


# --- whole runs


@pytest.fixture
def searched(project: Path, one_authority: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    monkeypatch.setattr("pilotage.evidence.embedder.find", lambda: None)  # a search without its words finds nothing
    return project


def vainly(turn: Turn) -> Any:
    """The good model, which first searches for something that the documents do not hold."""
    if turn.task == "research" and not turn.results:
        wanted = ("search_knowledge", {"query": "zeppelin mooring"}), ("search_knowledge", {"query": "nested retries"})
        return calls(*wanted)
    return good(turn)


def test_the_next_run_on_the_same_documents_is_told(searched: Path, load: Load) -> None:
    first = run(load, vainly, fresh=False)
    assert first.result.outcome == "accepted", first.result.reason
    assert "finds nothing" not in first.prompts("research")[0]
    second = run(load, good, fresh=False)
    assert "finds nothing for “zeppelin mooring”" in second.prompts("research")[0]
    assert "finds nothing" not in str(second.prompts("verify"))
    assert [event.facts["what"] for event in second.of("lesson")] == ["told"]


def test_a_fresh_run_is_told_nothing(searched: Path, load: Load) -> None:
    run(load, vainly, fresh=False)
    assert not run(load, good, fresh=True).of("lesson")


def test_switched_off_nothing_is_written_and_nothing_read(searched: Path, load: Load) -> None:
    run(load, vainly, checks__lessons=False, fresh=False)
    assert not (searched / "runs" / "lessons.sqlite").exists()
    run(load, vainly, fresh=False)
    assert not run(load, good, checks__lessons=False, fresh=False).of("lesson")


def test_a_resumed_run_is_told_what_the_one_before_was_told(searched: Path, load: Load) -> None:
    run(load, vainly, fresh=False)
    stopped = run(load, good, limits__model_calls=2, fresh=False)
    assert stopped.result.outcome == "limited"
    assert len(stopped.of("lesson")) == 1
    book = sqlite3.connect(searched / "runs" / "lessons.sqlite")
    book.execute("delete from lesson")
    book.commit()
    book.close()
    with model(good) as server:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url)
        result = resumed(settings, stopped.result.run)
        assert result.outcome == "accepted", result.reason
        assert len(server.requests) == 3, "the two calls that were made are on the tape"
    told = [event for event in events_of(settings) if event.kind == "lesson"]
    assert [event.content["text"] for event in told] == [e.content["text"] for e in stopped.of("lesson")]


def test_the_reader_learns_too(searched: Path, load: Load) -> None:
    settings = load()
    run_crew("zeppelin mooring", settings=settings)
    run_crew("zeppelin mooring", settings=settings)
    assert [e.facts["what"] for e in events_of(settings) if e.kind == "lesson"] == ["told", "learned"]
