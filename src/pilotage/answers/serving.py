"""The cache of verified answers as a run uses it: look before the crew is built, enter after it was accepted.

An answer is served when the question asks the same (likeness.py, and a model's word where one is set), the entry is
young enough and what its run has answered (original.py), nothing in it would be redacted today and all its sources
stand as they did. It is kept when the run was accepted and nothing else than documents and pages has gone into it.
Nothing here ends a run: what fails, a fault of our own too, is said once and is a miss.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pilotage.answers.confirm import confirm, confirming
from pilotage.answers.embedding import Embedding
from pilotage.answers.entry import Entry
from pilotage.answers.likeness import Likeness, compare, normal_form
from pilotage.answers.nearest import Nearest, padded
from pilotage.answers.original import decisions_of, differs
from pilotage.answers.scope import scope_of
from pilotage.answers.sources import Sources
from pilotage.answers.store import NAME, Store
from pilotage.errors import PilotageError, ToolError
from pilotage.guard.fence import clean
from pilotage.guard.policy import KNOWLEDGE_TOOLS, PAGES
from pilotage.model.factory import model_name
from pilotage.names import DELEGATION
from pilotage.report import warn

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pilotage.crew import Kit
    from pilotage.evidence.knowledge import Knowledge
    from pilotage.evidence.vectors import Floats
    from pilotage.outcome import Result
    from pilotage.record.journal import Event, Journal
    from pilotage.record.redact import Redactor
    from pilotage.settings import Settings
    from pilotage.web.fetch import Fetcher

NEAR = 10  # entries that are compared, the nearest first
TOLD = 0.7  # cosine from which the journal says why the nearest one was not served
DAY = 86_400
AHEAD = 300.0  # seconds that another machine's clock may be
READING = frozenset(
    [*KNOWLEDGE_TOOLS, PAGES, "search_web", "check_data", *DELEGATION]
)  # what they read is checked again


@dataclass(frozen=True)
class Hit:
    """An answer that may be served. With `same` words there is nothing left to ask a model."""

    entry: Entry
    likeness: Likeness
    same: bool

    @property
    def reason(self) -> str:
        """Why it is accepted, for the result."""
        day = time.strftime("%Y-%m-%d", time.gmtime(self.entry.at))
        return f"answered before on {day}, same sources (run {self.entry.run})"


@dataclass(frozen=True)
class Refusal:
    """The entry that came nearest to being served, and why it was not."""

    question: str
    similarity: float
    reason: str


@dataclass(frozen=True)
class Look:
    """What was found for a question, and what entering its answer needs later."""

    question: str
    form: str
    edition: str
    vector: Floats | None = None
    hit: Hit | None = None
    refusal: Refusal | None = None


class Answers:
    """The verified answers of one project. `take_warnings` are for the start of the next run."""

    def __init__(
        self, settings: Settings, knowledge: Knowledge, fetcher: Fetcher, redactor: Redactor, engine: Engine
    ) -> None:
        self.settings, self.redactor, self.engine = settings, redactor, engine
        self.store = Store(settings.runs / NAME)
        self.embedding = Embedding.of(settings, knowledge.embedder)
        self.sources = Sources(settings, knowledge, fetcher)
        self.scope = scope_of(settings, knowledge.folder, self.embedding.title)
        self.warnings: list[str] = []
        self._said: set[str] = set()
        self._nearest: Nearest | None = None
        self._asks = confirming(settings) if settings.engine.cache.confirm else None

    def look(self, question: str, *, fresh: bool = False) -> Look | None:
        """The best answer that stands; None where this question has no place here. A `fresh` look finds nothing."""
        if not self.settings.engine.cache.answers:
            return None
        try:
            if self._is_secret(question):
                return None
            edition = self.sources.edition
            found = None if fresh else self.store.literal(self.scope, question)  # without the lexicon of a normal form
            hit = Hit(found, Likeness(True, 1.0, "the same question"), same=True) if found else None
            reason = self._refuses(hit, question) if hit else ""
            if hit and not reason:
                return Look(question, "", edition, hit=hit)
            form = _form(question)
            refused = [Refusal(question, 1.0, reason)] if hit else []
            return Look(question, form, edition) if fresh else self._search(question, form, edition, refused)
        except Exception as error:
            self._say(_fault(error))
            return None

    def take_warnings(self) -> list[str]:
        """What was not told yet."""
        told, self.warnings = self.warnings, []
        return told

    def sure(self, look: Look | None) -> Hit | None:
        """What is served without asking a model."""
        hit = look.hit if look else None
        return hit if hit and (hit.same or self._asks is None) else None

    def agreed(self, look: Look | None, kit: Kit) -> Hit | None:
        """What is served because a model agrees; the journal says why nothing is, when it was close."""
        try:
            hit, refusal = (look.hit, look.refusal) if look else (None, None)
            if look and hit and self._asks:
                if not (reason := confirm(kit, self._asks, hit.entry.question, look.question)):
                    return hit
                refusal = Refusal(hit.entry.question, hit.likeness.similarity, reason)
            if refusal and kit.meter.ended is None:
                content = {"question": refusal.question, "reason": refusal.reason}
                kit.journal.append("cache", content, what="no_hit", similarity=round(refusal.similarity, 4))
        except Exception as error:  # of the journal, which then ends the run by itself, or a fault of our own
            warn(self._new([_fault(error)]))
        return None

    def serve(self, hit: Hit, journal: Journal) -> None:
        """Journal what is served, and count it: its sources were looked at just now."""
        entry = hit.entry
        journal.append(
            "answered", {"question": entry.question, "reason": hit.likeness.reason},
            entry=entry.id, of_run=entry.run, similarity=round(hit.likeness.similarity, 4), at=round(entry.at, 3),
            saved_usd=entry.usd, saved_tokens=entry.tokens, saved_seconds=entry.seconds,
        )  # fmt: skip
        try:
            self.store.count_hit(entry.id, self.sources.edition)
        except Exception as error:
            warn(self._new([_fault(error)]))

    def decisions(self, hit: Hit) -> list[dict[str, Any]]:
        """Why each sentence of it stands, by the events of the run that has given it."""
        try:
            return decisions_of(self.engine, hit.entry.run)
        except Exception as error:
            warn(self._new([_fault(error)]))
            return []

    def watch(self, journal: Journal) -> set[str]:
        """The tools that the run calls, as they come."""
        tools: set[str] = set()

        def note(event: Event) -> None:
            if event.kind == "tool_call" and not event.facts.get("denied"):
                tools.add(event.facts["tool"])

        journal.listen(note)
        return tools

    def enter(self, look: Look, tools: Collection[str], kit: Kit, result: Result) -> bool:
        """Keep the answer of an accepted run that has called `tools`; False when it has no place here."""
        try:
            if not READING.issuperset(tools) or not self._may_enter(kit, result):
                return False
            sources = self.sources.of(kit.desk.sources, [str(c["source"]) for c in result.citations])
            if not sources or look.edition != self.sources.edition:
                return False
            self._enter(look, sources, kit, result)
        except Exception as error:
            warn(self._new([_fault(error)]))
            return False
        return True

    def close(self) -> None:
        self.store.close()

    def _search(self, question: str, form: str, edition: str, refusals: list[Refusal]) -> Look:
        if (same := self.store.same(self.scope, form)) is not None:
            hit = Hit(same, Likeness(True, 1.0, "the same question"), same=True)
            if not (reason := self._refuses(hit, question)):
                return Look(question, form, edition, hit=hit)
            refusals.append(Refusal(same.question, 1.0, reason))
        vector = self._vector(question)
        for hit in self._alike(question, vector) if vector is not None else ():
            reason = self._refuses(hit, question) if hit.likeness.hit else hit.likeness.reason
            if not reason:
                return Look(question, form, edition, vector, hit)
            refusals.append(Refusal(hit.entry.question, hit.likeness.similarity, reason))
        told = next((refusal for refusal in refusals if refusal.similarity >= TOLD), None)
        return Look(question, form, edition, vector, refusal=told)

    def _alike(self, question: str, vector: Floats) -> Iterator[Hit]:
        """The nearest entries, each with its likeness, the nearest first."""
        near = [pair for pair in self._index(vector).find(vector, NEAR) if pair[1] >= self.embedding.least]
        entries = self.store.entries([number for number, _ in near])
        form = _form(question)
        for number, cosine in near:
            entry = entries.get(number)
            if entry is not None and _form(entry.question) != form:  # that one was looked at already
                yield Hit(entry, self._likeness(entry.question, question, cosine), same=False)

    def _likeness(self, old: str, new: str, cosine: float) -> Likeness:
        """What decides is the same for all embedders; a provider's cosine is only the first gate."""
        return replace(compare(clean(old), clean(new), self.embedding.local, cosine=cosine), similarity=cosine)

    def _refuses(self, hit: Hit, question: str) -> str:
        """Why it is not served, "" when it is; an answer whose sources have changed is dropped."""
        entry, days = hit.entry, self.settings.engine.cache.answer_days
        if hit.same and entry.question != question and _form(entry.question) != _form(question):
            return self._drop(entry, "it is kept under another question")
        if entry.at > time.time() + AHEAD:
            return self._drop(entry, "its date lies in the future")
        if entry.at < time.time() - days * DAY:
            return f"it is older than {days:g} days (cache.answer_days)"
        if self._is_secret([entry.question, entry.answer, entry.citations]):
            return "something in it would be redacted today"
        if reason := differs(self.engine, entry):
            return self._drop(entry, reason)
        stand = self.sources.look(entry, question)
        return self._drop(entry, stand.reason) if stand.dead else stand.reason

    def _drop(self, entry: Entry, reason: str) -> str:
        """Forget an entry that will not be served again; why."""
        self.store.drop(entry.id)
        return reason

    def _may_enter(self, kit: Kit, result: Result) -> bool:
        """Whether an accepted answer is sure, nothing but documents and pages has gone in, and nothing is secret."""
        answer = kit.evidence.answer
        if result.outcome != "accepted" or result.unsure or result.results or result.parent or answer is None:
            return False
        raw = [kit.question, answer.answer, [citation.model_dump() for citation in answer.citations]]
        return not self._is_secret(raw)

    def _enter(self, look: Look, sources: list[Any], kit: Kit, result: Result) -> None:
        vector = look.vector if look.vector is not None else self._vector(look.question)
        started = time.time()
        entry = Entry(
            self.scope, look.question, result.answer or "", result.citations, sources,
            self.sources.known(look.question, kit.desk.sources), look.edition, result.run, started,
            model_name(self.settings), result.usd, result.tokens, result.seconds,
        )  # fmt: skip
        self.store.drop_before(started - self.settings.engine.cache.answer_days * DAY)
        self.store.put(entry, look.form, None if vector is None else padded(vector).tobytes())
        if vector is not None:
            self._index(vector).tidy()

    def _vector(self, question: str) -> Floats | None:
        try:
            return self.embedding.vector(question)
        except ToolError as error:
            self._say(f"{error}: questions are compared word by word")
            return None

    def _index(self, vector: Floats) -> Nearest:
        if self._nearest is None or self._nearest.given != len(vector):
            self._nearest = Nearest(self.store, self.scope, len(vector))
        return self._nearest

    def _is_secret(self, value: Any) -> bool:
        return bool(self.redactor.tree(value) != value)

    def _say(self, text: str) -> None:
        self.warnings += self._new([text])

    def _new(self, texts: list[str]) -> list[str]:
        """What was not said yet."""
        new = [text for text in texts if text not in self._said]
        self._said.update(new)
        return new


def _form(question: str) -> str:
    """By which the same question is found, whatever nobody sees in it."""
    return normal_form(clean(question))


def _fault(error: Exception) -> str:
    """What is said of it: a sentence of ours, or what it is and says."""
    if isinstance(error, PilotageError):
        return str(error)
    said = " ".join(str(error).split())[:300]
    return f"The kept answers could not be used: {type(error).__name__}: {said}"
