"""What the tools of one run share: the documents, the pages, and every source that was read in this run.

A source is a text with a name: a passage of a document or page, the rows of a query, the answer of a service. What an
agent quotes is checked against the sources that stand here, whatever it says that it read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilotage.evidence.knowledge import Knowledge
from pilotage.evidence.pages import Pages
from pilotage.evidence.passages import Passage
from pilotage.guard.policy import PAGES, Policy
from pilotage.settings import EngineSpec

if TYPE_CHECKING:
    from pilotage.evidence.page import Page
    from pilotage.web.fetch import Fetcher

MOST_LINKS = 30
SHARE = 0.6  # of limits.result_chars: what one page may take; the rest is for names, links and fields


@dataclass
class Desk:
    """The built-in tools that read, bound to one run."""

    spec: EngineSpec
    question: str
    knowledge: Knowledge
    fetcher: Fetcher
    policy: Policy
    suspect: Callable[[str, str, list[str]], None]  # tool, source, texts from places that no reader sees
    sources: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    searches: int = 0

    def __post_init__(self) -> None:
        self._pages: Pages | None = None

    def search_knowledge(self, query: str) -> dict[str, Any]:
        """Search the documents. Returns passages: source id, best quote, score from 0 to 1, text."""
        found = self.knowledge.search(query, self.spec.evidence.passages, pages=self._pages, allowed=self._may_see)
        self.searches += 1
        passages = []
        for hit in found.hits:
            self._read(hit.passage)
            passages.append(
                {"source": hit.passage.source, "where": hit.passage.where, "score": round(hit.score, 3),
                 "quote": hit.quote, "text": hit.passage.text}
            )  # fmt: skip
        return {"passages": passages} | ({"notes": found.notes} if found.notes else {})

    def read_source(self, source: str) -> dict[str, Any]:
        """Open one source by its id, such as caps.md#3f9a2c, and return its text as it stands there."""
        passage = self.knowledge.passage(source) or (self._pages.passage(source) if self._pages else None)
        if passage is None or not (self._may_see(passage.path) or source in self.sources):
            if source in self.sources:
                return {"source": source, "where": self.where[source], "text": self.sources[source]}
            return {"source": source, "error": "there is no such source"}
        self._read(passage)
        return {"source": source, "where": passage.where, "title": passage.title, "text": passage.text}

    def read_page(self, url: str, looking_for: str = "") -> dict[str, Any]:
        """Read a web page. Returns its passages with their source ids, and its links.

        Of a long page, the passages are returned that fit what you are looking for (default: the question).
        """
        from pilotage.evidence.page import fetch_page  # the parser is loaded with the first page

        page = fetch_page(url, self.fetcher, self.spec.web, lambda hop: self.policy.denies_url(PAGES, hop))
        self.suspect(PAGES, page.url, [text.partition(": ")[2] for text in page.hidden])  # without its kind
        if self._pages is None:
            self._pages = Pages.beside(self.knowledge)
        passages = self._pages.add(page)
        shown = self._fitting(page, passages, looking_for or self.question)
        for passage in shown:
            self._read(passage)
        facts = {"url": page.url, "title": page.title, "author": page.author, "published": page.published}
        left_out = len(passages) - len(shown)
        return {
            **{name: value for name, value in facts.items() if value},
            **({"fields": page.fields} if page.fields else {}),
            "sha256": page.sha256,
            "read_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "passages": [{"source": p.source, "text": p.text} for p in shown],
            **({"left_out": f"{left_out} passages: search_knowledge finds them"} if left_out else {}),
            "links": [{"text": link.text, "url": link.url} for link in page.links[:MOST_LINKS]],
        }

    def add(self, name: str, text: str, where: str) -> str:
        """Make a text a source that can be cited; returns its id."""
        source = f"{name}#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.sources[source], self.where[source] = text, where
        return source

    def close(self) -> None:
        if self._pages is not None:
            self._pages.close()

    def _fitting(self, page: Page, passages: list[Passage], wanted: str) -> list[Passage]:
        """All passages in order when they fit, else the best for what is wanted, in order."""
        room = int(self.spec.limits.result_chars * SHARE)
        if sum(len(p.text) for p in passages) <= room or self._pages is None:
            return passages
        found = self._pages.search(wanted, limit=50, allowed=lambda path: path == page.url)
        best = list(dict.fromkeys([hit.passage.source for hit in found.hits] + [p.source for p in passages]))
        sizes, kept = {p.source: len(p.text) for p in passages}, set()
        for source in best:
            if (room := room - sizes[source]) < 0:
                break
            kept.add(source)
        return [p for p in passages if p.source in kept]

    def _may_see(self, path: str) -> bool:
        return "://" in path or self.policy.within("search_knowledge", self.knowledge.folder / path)

    def _read(self, passage: Passage) -> None:
        self.sources[passage.source] = passage.text
        place = [passage.title, passage.heading] if "://" in passage.path else [passage.where]
        self.where[passage.source] = ", ".join(filter(None, [passage.path, *place]))
