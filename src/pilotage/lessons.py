"""Lessons: what runs on the same documents have found out, kept in runs/lessons.sqlite for the next (checks.lessons).

    a page that is not there, a search that found nothing, a call that was refused, a result of the wrong form

Each is kept once for a folder of documents and a provider of models: at most MOST, for DAYS days. A run is told at most
TOLD, in a fence: those that touch its question by a host or by words, and those about the form of a call or a result.
One that goes on from a tape is told what the recorded run was told, a fresh one nothing, a played one neither learns.
What is not covered: whether a lesson still holds. That a server did not answer in time is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pilotage.errors import PilotageError, shortened
from pilotage.guard.fence import EARLIER_RUNS, fence
from pilotage.guard.hosts import hosts_in
from pilotage.guard.policy import PAGES
from pilotage.model import factory
from pilotage.model.earlier import content_words
from pilotage.prompts import RoundsPrompts, fill

if TYPE_CHECKING:
    from pilotage.crew import Kit
    from pilotage.record.journal import Event, Journal
    from pilotage.tape.tape import Tape

NAME = "lessons.sqlite"
MOST, TOLD = 20, 5
DAYS = 30
DAY = 86_400
LONGEST = 240  # characters of a lesson
SHARE = 0.5  # of the words of a question that a lesson must have in common with it
SEARCHES = {"search_knowledge": "passages", "search_web": "results"}  # and where each shows what it has found
GONE = re.compile(r"answered (?:400|401|403|404|405|406|410|414|415|451)\b|not found|no such host|has no text to read")
TABLE = """create table if not exists lesson(
    scope text not null, about text not null, subject text not null, text text not null, task text not null,
    words text not null, edition text not null, at real not null, primary key(scope, about, subject, task))"""


@dataclass(frozen=True)
class Lesson:
    """One lesson. `about` is source or tool; `task` whose form it is about, "" for a note to all.

    `words` are those of the question it was learned at; with an `edition`, it holds for these documents or rules only.
    """

    about: str
    subject: str
    text: str
    task: str = ""
    words: str = ""
    edition: str = ""


@dataclass(frozen=True)
class Now:
    """The question of a run, and the editions of its documents and of its rules for tools."""

    question: str = ""
    documents: str = ""
    rules: str = ""


class Book:
    """The lessons of one folder of documents and one provider. A file that cannot be used holds none."""

    def __init__(self, path: Path, scope: str) -> None:
        self._path, self._scope = path, scope

    def put(self, lesson: Lesson) -> None:
        """Keep a lesson; the oldest go, by their age and by their number."""
        now = time.time()
        with contextlib.suppress(sqlite3.Error), self._open() as connection:
            row = (self._scope, *astuple(lesson), now)
            connection.execute("insert or replace into lesson values(?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("delete from lesson where at < ?", (now - DAYS * DAY,))
            connection.execute(
                "delete from lesson where scope = ?1 and rowid not in "
                "(select rowid from lesson where scope = ?1 order by at desc limit ?2)",
                (self._scope, MOST),
            )

    def lessons(self) -> list[Lesson]:
        """The newest first."""
        if not self._path.exists():
            return []
        wanted = (
            "select about, subject, text, task, words, edition from lesson where scope = ? and at >= ? order by at desc"
        )
        with contextlib.suppress(sqlite3.Error), self._open() as connection:
            return [Lesson(*row) for row in connection.execute(wanted, (self._scope, time.time() - DAYS * DAY))]
        return []

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=1.0)
        try:
            with connection:
                connection.execute(TABLE)
                yield connection
        finally:
            connection.close()


class Lessons:
    """The lessons of one run: what it is told, and what it learns. Without a `book` it learns nothing."""

    def __init__(
        self, journal: Journal, number: str, prompts: RoundsPrompts, book: Book | None = None, now: Now | None = None
    ) -> None:
        self._journal, self._number, self._prompts, self._book = journal, number, prompts, book
        self._now = now or Now()
        self._told: list[Lesson] = []
        self._learned: set[Lesson] = set()
        if book:
            journal.listen(self._learn)

    def touching(self, text: str) -> list[Lesson]:
        """At most TOLD lessons for a question and the addresses given with it, in an order that stays."""
        editions = {"", self._now.documents, self._now.rules}
        kept = self._book.lessons() if self._book else []
        found = [one for one in kept if one.edition in editions and _touches(one, text)][:TOLD]
        return sorted(found, key=astuple)

    def tell(self, lessons: Sequence[Lesson]) -> None:
        """Tell the run these, on record."""
        self._told = list(lessons)
        for lesson in lessons:
            self._note(lesson, "told")

    def block(self, task: str, *, is_first: bool) -> str:
        """What a task's prompt says of them."""
        lines = [one.text for one in self._told if one.task == task or (is_first and not one.task)]
        text = fence("\n".join(f"- {line}" for line in lines), EARLIER_RUNS, self._number)
        return fill(self._prompts.lessons, lessons=text) if lines else ""

    def _learn(self, event: Event) -> None:
        """Called by whatever thread has journalled the event, and again for what is journalled here."""
        lesson = _lesson_of(event, self._now)
        if lesson is None or lesson in self._learned or self._book is None:
            return
        self._learned.add(lesson)
        self._book.put(lesson)
        with contextlib.suppress(PilotageError):  # the run has ended, or ends over it by itself
            self._note(lesson, "learned")

    def _note(self, lesson: Lesson, what: str) -> None:
        content = {"subject": lesson.subject, "text": lesson.text}
        self._journal.append("lesson", content, about=lesson.about, what=what, of_task=lesson.task or None)


def for_run(kit: Kit, knowledge: Path, documents: str) -> Lessons:
    """The lessons of a run on the documents in that folder, of that edition; with checks.lessons off it has none."""
    settings, prompts = kit.settings, kit.settings.prompts.rounds
    if not settings.engine.checks.lessons:
        return Lessons(kit.journal, kit.guard.number, prompts)
    family = factory.provider_of(factory.full_name(factory.model_name(settings)))
    book = Book(settings.runs / NAME, f"{family} {knowledge.resolve()}")
    rules = hashlib.sha256(settings.engine.policy.model_dump_json().encode()).hexdigest()[:16]
    return Lessons(kit.journal, kit.guard.number, prompts, book, Now(kit.graders.question, documents, rules))


def teach(kit: Kit, urls: Sequence[str], tape: Tape | None, *, fresh: bool) -> None:
    """Tell the run what others have learned; one that goes on from a tape, what was told there."""
    if tape:
        kit.lessons.tell(told_on(tape.lessons))
    elif not fresh:
        kit.lessons.tell(kit.lessons.touching(" ".join([kit.graders.question, *urls])))


def told_on(events: Sequence[Event]) -> list[Lesson]:
    """What a recorded run was told."""
    told = [event for event in events if event.kind == "lesson" and event.facts.get("what") == "told"]
    return [
        Lesson(e.facts["about"], e.content.get("subject") or "", e.content["text"] or "", e.facts.get("of_task", ""))
        for e in told
        if e.content.get("text")
    ]


def _touches(lesson: Lesson, text: str) -> bool:
    """By a host that the question names, or by at least half of its words."""
    if not lesson.words:
        return True
    if set(hosts_in(lesson.subject)) & set(hosts_in(text)):
        return True
    wanted = set(content_words(text))
    return bool(wanted) and len(wanted & set(lesson.words.split())) >= SHARE * len(wanted)


def _lesson_of(event: Event, now: Now) -> Lesson | None:
    """What there is to be learned from one event: it was redacted already."""
    facts, content = event.facts, event.content
    if event.kind == "check" and facts.get("check") == "form" and not facts.get("passed"):
        reason = str(_first(content.get("faults")).get("reason", ""))
        return Lesson("tool", f"{facts.get('task')}: form", _line(reason), task=str(facts.get("task") or ""))
    if event.kind != "tool_call" or facts.get("served") or facts.get("stopped"):
        return None
    tool, result = str(facts.get("tool")), content.get("result") or ""
    arguments = _read(content.get("arguments"))
    if not facts.get("failed"):
        return _of_search(tool, arguments, _read(result), now)
    address = str(arguments.get("url", ""))
    url = _bare(address)
    result = result.replace(address, url) if url else result
    words = " ".join(content_words(f"{now.question} {url}"))
    if facts.get("denied"):
        subject = f"{tool} {url}".strip()
        return Lesson("tool", subject, _line(result), words=words if url else "", edition=now.rules)
    if result.startswith(f"{tool} was not called"):
        return Lesson("tool", tool, _line(result))
    return Lesson("source", url, _line(result), words=words) if tool == PAGES and GONE.search(result) else None


def _of_search(tool: str, arguments: dict[str, Any], result: dict[str, Any], now: Now) -> Lesson | None:
    """A search that found nothing, and not because all of it was shown before."""
    found, query = SEARCHES.get(tool, ""), str(arguments.get("query", ""))
    if not query or result.get(found) != [] or result.get("shown_before"):
        return None
    words = " ".join(content_words(f"{now.question} {query}"))
    edition = now.documents if tool == "search_knowledge" else ""
    return Lesson("source", query, _line(f"{tool} finds nothing for “{query}”"), words=words, edition=edition)


def _first(text: str | None) -> dict[str, Any]:
    try:
        rows = json.loads(text or "[]")
    except ValueError:
        return {}
    return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}


def _read(text: str | None) -> dict[str, Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _bare(url: str) -> str:
    """An address without a user name, a query or a fragment, any of which may hold what is nobody's business."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else ""


def _line(text: str) -> str:
    return shortened(" ".join(text.split()), LONGEST)
