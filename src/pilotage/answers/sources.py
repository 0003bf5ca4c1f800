"""Whether an answer still stands on its sources: the documents as they are now, the pages read again.

a document   its passage is there with the same text; when other documents have changed, its question finds nothing new
a page       fetched under today's policy, or young enough in the cache of pages; its passage is there as it was
anything else (rows, a service's answer) cannot be looked at again: such an answer is not kept at all

What is not covered: a web search that would find another page today; `cache.answer_days` bounds that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotage.answers.entry import Entry, Source
from pilotage.checks.citations import check_quote
from pilotage.errors import ToolError
from pilotage.evidence.passages import cut
from pilotage.guard.policy import PAGES, Policy, hosts_in
from pilotage.record.journal import digest
from pilotage.tools.desk import Desk

if TYPE_CHECKING:
    from pilotage.evidence.knowledge import Knowledge
    from pilotage.settings import Settings
    from pilotage.web.fetch import Fetcher

KNOWN = 40  # passages that a search finds and that are remembered, beyond those that it shows


@dataclass(frozen=True)
class Stand:
    """Whether the answer stands. One that is `dead` will not stand again."""

    reason: str = ""
    dead: bool = False

    @property
    def holds(self) -> bool:
        return not self.reason


class Sources:
    """The documents and the pages, as one project has them. `edition` names the documents as they are."""

    def __init__(self, settings: Settings, knowledge: Knowledge, fetcher: Fetcher) -> None:
        self._settings, self._knowledge, self._fetcher = settings, knowledge, fetcher

    @property
    def edition(self) -> str:
        return self._knowledge.edition

    def of(self, texts: Mapping[str, str], cited: Iterable[str]) -> list[Source] | None:
        """The cited ones of what a run has read, `texts`; None when something among it cannot be looked at again."""
        for name, text in texts.items():
            passage = self._knowledge.passage(name)
            if not Source(name, "").page and (passage is None or passage.text != text):
                return None
        return [Source(name, digest(texts[name])) for name in dict.fromkeys(cited)]

    def known(self, question: str, read: Iterable[str]) -> list[str]:
        """The passages that a search finds now, and what the run has `read`."""
        found = self._knowledge.search(question, max(KNOWN, self._settings.engine.evidence.passages))
        return list(dict.fromkeys([*(hit.passage.source for hit in found.hits), *read]))

    def look(self, entry: Entry, question: str) -> Stand:
        """Look at all sources of an answer again; `question` is the one that is asked now."""
        cited = {citation.get("source") for citation in entry.citations}
        if not cited or cited != {source.source for source in entry.sources}:
            return Stand("its sources are not what it cites", dead=True)
        texts: dict[str, str] = {}
        if not (stand := self._look_at_documents(entry, texts)).holds:
            return stand
        if entry.edition != self.edition and (new := self._new(entry)):
            return Stand(f"the documents say more now: {new}", dead=True)
        pages = [source for source in entry.sources if source.page]
        stand = self._look_at_pages(pages, question, texts)
        return _quotes_stand(entry, texts) if stand.holds else stand

    def _look_at_documents(self, entry: Entry, texts: dict[str, str]) -> Stand:
        """Look at the passages as they were read, and whether their files are still those; adds to `texts`."""
        for source in entry.sources:
            if source.page:
                continue
            passage = self._knowledge.passage(source.source)
            if passage is None or digest(passage.text) != source.sha:
                return Stand(f"{source.source} has changed", dead=True)
            if not self._knowledge.is_current(passage.path):
                return Stand(f"{passage.path} has changed since it was read")
            texts[source.source] = passage.text
        return Stand()

    def _new(self, entry: Entry) -> str:
        """A passage that a search would show now, and that was not there when the answer was made; "" for none."""
        engine, policy = self._settings.engine, self._policy("")
        desk = Desk(engine, entry.question, self._knowledge, self._fetcher, policy, _unheard)
        desk.search_knowledge(entry.question)
        return next((source for source in desk.sources if source not in entry.known), "")

    def _look_at_pages(self, sources: list[Source], question: str, texts: dict[str, str]) -> Stand:
        by_page: dict[str, list[Source]] = {}
        for source in sources:
            by_page.setdefault(source.page, []).append(source)
        until = time.monotonic() + self._settings.engine.web.seconds
        for url, cited in by_page.items():
            if time.monotonic() >= until:
                return Stand("its pages could not be looked at in time (web.seconds)")
            if not (stand := self._look_at(url, cited, question, texts)).holds:
                return stand
        return Stand()

    def _look_at(self, url: str, cited: list[Source], question: str, texts: dict[str, str]) -> Stand:
        from pilotage.reading.page import fetch_page  # the parser is loaded with the first page

        policy = self._policy(f"{question} {url}" if self._finds_pages() else question)
        try:
            page = fetch_page(url, self._fetcher, self._settings.engine.web, lambda hop: policy.denies_url(PAGES, hop))
        except ToolError as error:
            return Stand(str(error))
        texts |= {piece.passage.source: piece.passage.text for piece in cut(page.document, page.url)}
        gone = next((source.source for source in cited if digest(texts.get(source.source, "")) != source.sha), "")
        return Stand(f"{gone} has changed", dead=True) if gone else Stand()

    def _finds_pages(self) -> bool:
        """Whether agents come to pages by a web search, whose hosts nobody names."""
        return any("search_web" in spec.tools for spec in self._settings.agents.values())

    def _policy(self, text: str) -> Policy:
        """Today's rules, with the hosts that `text` and web.sites name."""
        engine = self._settings.engine
        return Policy(engine.policy, self._settings.root, {}, [*hosts_in(text), *engine.web.sites])


def _quotes_stand(entry: Entry, texts: Mapping[str, str]) -> Stand:
    for citation in entry.citations:
        if reason := check_quote(str(citation.get("quote") or ""), str(citation["source"]), texts):
            return Stand(reason, dead=True)
    return Stand()


def _unheard(tool: str, source: str, texts: list[str]) -> None:
    """Nobody reads this page as an agent would."""
