"""A follow-up question: the earlier questions of its conversation, and what of the answers still stands.

Only what an accepted answer has cited is carried, at most EXCHANGES questions and FINDINGS findings, the newest first.
Each is checked anew: its source is opened through the guard, a page is read again, and its quote must stand there word
for word. What is not covered: a source that nobody can open twice (rows of a query, the answer of a service) is
dropped; so is a quote whose passage was changed beside it, which the crew finds again by searching.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from pilotage.checks.citations import check_quote
from pilotage.checks.results import Finding, Solution
from pilotage.errors import PilotageError
from pilotage.guard.hosts import hosts_in
from pilotage.guard.policy import PAGES, USER
from pilotage.model.earlier import block
from pilotage.record.journal import Event, read_page
from pilotage.record.store import events
from pilotage.tape.line import FOLLOW_UP, first_event

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pilotage.crew import Kit

EXCHANGES = 5
FINDINGS = 12  # each of another source costs a tool call
OPEN = "read_source"


@dataclass(frozen=True)
class Exchange:
    """An earlier question, and what its answer cited: each finding is a sentence of it with a quote."""

    run: str
    question: str
    findings: tuple[Finding, ...] = ()
    urls: tuple[str, ...] = ()


class Conversation:
    """The earlier exchanges of one run. `carry` finds out which of their findings still stand."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.exchanges = tuple(exchanges)
        self._standing: list[list[Finding]] = [[] for _ in exchanges]

    def carry(self, kit: Kit) -> bool:
        """Check every finding anew, each a decision in the journal; False when the run has ended meanwhile."""
        opened: dict[str, str] = {}
        for exchange, standing in zip(self.exchanges, self._standing, strict=True):
            for finding in exchange.findings:
                try:
                    problem = _reopen(kit, finding.source, opened)
                    problem = problem or check_quote(finding.quote, finding.source, kit.evidence.sources)
                    _decide(kit, exchange, finding, problem)
                except PilotageError:  # a cap, Ctrl-C, or a journal that cannot be written: the run has ended already
                    return False
                standing += [] if problem else [finding]
        return kit.meter.ended is None

    def told(self, number: str, *, with_findings: bool) -> str:
        """What a task's prompt says of it."""
        found = self._standing if with_findings else [[] for _ in self.exchanges]
        return block([exchange.question for exchange in self.exchanges], found, number)


def before(engine: Engine, started: Event) -> tuple[Exchange, ...]:
    """The exchanges before the run that began with this event; () when it follows none up."""
    parent = _asked_before(engine, started)
    return exchanges(engine, parent) if parent else ()


def exchanges(engine: Engine, run: str) -> tuple[Exchange, ...]:
    """That of the run and those before it, oldest first, without those whose question was erased."""
    found: list[Exchange] = []
    known: set[tuple[str, str]] = set()
    for name in islice(_line(engine, run), EXCHANGES):
        if exchange := _exchange(engine, name, known):
            found.append(exchange)
            known.update((finding.source, finding.quote) for finding in exchange.findings)
    return tuple(reversed(found))


def hosts_of(exchanges: Sequence[Exchange]) -> list[Any]:
    """The hosts that the user has named in the conversation: pages of theirs may be read again."""
    return list(hosts_in(" ".join(text for e in exchanges for text in (e.question, *e.urls))))


def _line(engine: Engine, run: str | None) -> Iterator[str]:
    """The run, and the one that it follows up, and so on."""
    seen: set[str] = set()
    while run and run not in seen:
        yield run
        seen.add(run)
        started = first_event(engine, run)
        run = _asked_before(engine, started) if started else None


def _asked_before(engine: Engine, started: Event) -> str | None:
    """The run whose answer this one follows up. A resumed or forked run stands in the place of its parent."""
    seen = {started.run}
    while started.facts.get("how") != FOLLOW_UP:
        parent = started.facts.get("parent")
        found = first_event(engine, parent) if parent and parent not in seen else None
        if found is None:
            return None
        started = found
        seen.add(started.run)
    return started.facts.get("parent")


def _exchange(engine: Engine, run: str, known: Collection[tuple[str, str]]) -> Exchange | None:
    """The question of a run and what its answer found besides what is known; None when the question was erased."""
    first, last = _ends(engine, run)
    if first is None or last is None or not (question := first.content.get("question")):
        return None
    urls = tuple(json.loads(first.content.get("urls") or "[]"))
    new = [finding for finding in _findings(last) if (finding.source, finding.quote) not in known]
    return Exchange(run, question, tuple(new[: FINDINGS - len(known)]), urls)


def _ends(engine: Engine, run: str) -> tuple[Event | None, Event | None]:
    """The first and the last event of a run."""
    with engine.connect() as connection:
        last = connection.execute(select(func.max(events.c.seq)).where(events.c.run == run)).scalar() or 0
    found = [*read_page(engine, run, 0, 1), *read_page(engine, run, last - 1, 1)]
    return (found[0], found[-1]) if found else (None, None)


def _findings(ended: Event) -> list[Finding]:
    """What the accepted answer of a run has cited; [] when there is none, or when it was erased.

    Of a sentence that is unsure its quotes are carried, not what it says of them.
    """
    answer, citations = ended.content.get("answer"), ended.content.get("citations")
    if ended.facts.get("outcome") != "accepted" or not answer or not citations:
        return []
    said = Solution.model_validate({"answer": answer, "citations": json.loads(citations)})
    cited = {citation.n: citation for citation in said.citations}
    unsure = {_bare(str(row["sentence"])) for row in json.loads(ended.content.get("unsure") or "[]")}
    found: dict[tuple[str, str], Finding] = {}
    for sentence in said.sentences():
        for citation in (cited[n] for n in sentence.cites if n in cited):
            claim = citation.quote if _bare(sentence.text) in unsure else sentence.text
            finding = Finding(claim=claim, quote=citation.quote, source=citation.source)
            found.setdefault((citation.source, citation.quote), finding)
    return list(found.values())


def _bare(sentence: str) -> str:
    """Without its end, which a mark may have cut off."""
    return sentence.rstrip(".!?。！？ ")


def _reopen(kit: Kit, source: str, opened: dict[str, str]) -> str:
    """Open a source again, a page's after reading the page; "" or why it is not to be had. `opened` is what was."""
    page = source.rpartition("#")[0] if "://" in source else ""
    problem = _call(kit, PAGES, "url", page, opened) if page else ""
    problem = problem or _call(kit, OPEN, "source", source, opened)
    return problem or ("" if source in kit.evidence.sources else f"there is no source {source} any more")


def _call(kit: Kit, tool: str, argument: str, value: str, opened: dict[str, str]) -> str:
    if value not in opened:
        function = kit.desk.read_page if tool == PAGES else kit.desk.read_source
        said, is_read = kit.guard.call(tool, function, USER, {argument: value})
        opened[value] = "" if is_read else said
    return opened[value]


def _decide(kit: Kit, exchange: Exchange, finding: Finding, problem: str) -> None:
    reason = problem or f"its quote stands in its source as it did in run {exchange.run}"
    because = [{"source": finding.source, "quote": finding.quote}]
    content = {"text": finding.claim, "reason": reason, "because": because}
    kit.journal.append("decision", content, who="pilotage", what="dropped" if problem else "carried")
