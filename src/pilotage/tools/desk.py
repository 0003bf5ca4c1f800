"""What the tools of one run share: the documents, the pages, and every source that was read in this run.

A source is a text with a name: a passage of a document or page, the rows of a query, the answer of a service. What an
agent quotes is checked against the sources that stand here, whatever it says that it read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilotage.cache.served import listening
from pilotage.errors import ToolError
from pilotage.evidence.around import LONG, around
from pilotage.evidence.hits import Shown, place, told
from pilotage.evidence.knowledge import Knowledge
from pilotage.evidence.pages import Pages
from pilotage.evidence.passages import Passage
from pilotage.guard.hosts import hosts_in
from pilotage.guard.policy import KNOWLEDGE_TOOLS, PAGES, Policy
from pilotage.record.journal import digest
from pilotage.spec import EngineSpec

if TYPE_CHECKING:
    from pilotage.reading.page import Page
    from pilotage.web.fetch import Fetcher

SHARE = 0.6  # of limits.result_chars: what the passages of a page may take
ASIDE = 0.15  # what its links may take; the rest is for its names and fields
MOST_LINKS = 30
LONGEST_FIELD = 500  # characters


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
    quoted: Callable[[str], list[str]] = lambda _source: []  # what the findings quote from a source
    shown: dict[str, Shown] = field(default_factory=dict)  # by agent, what its conversation holds
    of_today: bool = False  # what is put back of the documents must stand in them today

    def __post_init__(self) -> None:
        self._pages: Pages | None = None
        self._owed: list[str] = []  # pages that an earlier run has read: searched from the next search on
        self._lock, self._closed = threading.Lock(), False

    def search_knowledge(self, query: str) -> dict[str, Any]:
        """Search the documents: passages, their best quotes as [start, end, score]."""
        return self._search(query, Shown())

    def search_as(self, agent: str) -> Callable[[str], dict[str, Any]]:
        """The search of an agent that can open what it is not shown: see evidence/hits.py."""

        def search_knowledge(query: str) -> dict[str, Any]:
            """Search the documents: the best passages, their quotes as [start, end, score], and quotes of others."""
            return self._search(query, self.shown.setdefault(agent, Shown()), self.spec.evidence.full_passages)

        return search_knowledge

    def forget(self, agent: str) -> None:
        """The agent's next conversation holds nothing yet."""
        self.shown.pop(agent, None)

    def _search(self, query: str, shown: Shown, most: int | None = None) -> dict[str, Any]:
        self._read_owed()
        allowed = self._may_find if self.policy.rule("search_knowledge").folders is not None else None
        found = self.knowledge.search(query, self.spec.evidence.passages, pages=self._pages, allowed=allowed)
        self.searches += 1
        entries, before = told(found.hits, shown.at(query), most)
        fitting = _fitting([entry for _, entry in entries], self._room(1 - ASIDE))
        shown.add(fitting)
        kept = entries[: max(1, len(fitting))]
        for passage, _ in kept:
            self._read(passage)
        left_out = len(entries) - len(kept)
        notes = [*found.notes, *([f"{left_out} more do not fit (limits.result_chars)"] if left_out else [])]
        return {
            "passages": [entry for _, entry in kept],
            **({"shown_before": ", ".join(before)} if before else {}),
            **({"notes": notes} if notes else {}),
        }

    def read_source(self, source: str) -> dict[str, Any]:
        """Open one source by its id, such as caps.md#3f9a2c."""
        self._read_owed()
        passage = self.knowledge.passage(source) or (self._pages.passage(source) if self._pages else None)
        if passage is None and source in self.sources:
            return {"source": source, "where": self.where[source]} | self._shown(source)
        name, _, start = source.rpartition("@")
        if passage is None and name in self.sources and start.isascii() and start.isdigit():
            return {"source": source} | self._shown(name, int(start))
        if passage is None or not self._may_open(passage.path):
            return {"source": source, "error": "there is no such source"}
        self._read(passage)
        return {"source": source, "where": place(passage), "title": passage.title, "text": passage.text}

    def _shown(self, source: str, start: int | None = None) -> dict[str, Any]:
        """The text of a source, of a long one what is asked for: from `start` on, or around what is quoted from it."""
        text = self.sources[source]
        part = around(text, self.quoted(source)) if start is None else text[start : start + LONG]
        if start is None and part == text:
            return {"text": text}
        more = f"{source}@0" if start is None else f"{source}@{start + LONG}"
        rest = start is None or start + LONG < len(text)
        return {"text": part} | ({"more": f"{len(text):,} characters: read_source {more}"} if rest else {})

    def read_page(self, url: str, looking_for: str = "") -> dict[str, Any]:
        """Read a web page. Returns its passages with their source ids, and its links.

        Of a long page, the passages are returned that fit what you are looking for (default: the question).
        """
        page = self._fetch(url)
        self.suspect(PAGES, page.url, [text.partition(": ")[2] for text in page.hidden])  # without its kind
        pages = self._open_pages()
        passages = pages.add(page)
        shown = self._best(pages, page.url, passages, looking_for or self.question)
        for passage in shown:
            self._read(passage)
        return self._told(page, passages, shown)

    def add(self, name: str, text: str, where: str) -> str:
        """Make a text a source that can be cited; returns its id."""
        source = f"{name}#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.sources[source], self.where[source] = text, where
        return source

    def about(self, source: str) -> str:
        """What a source is about: title and heading of a passage, where another one stands."""
        passage = self.knowledge.passage(source)
        names = [passage.title, passage.heading] if passage else [self.where.get(source, "")]
        return ", ".join(dict.fromkeys(filter(None, names)))

    def read_in(self, result: Any) -> dict[str, Any]:
        """The sources of this run that a tool's result names, with the digest of each text."""
        named = dict.fromkeys(str(entry["source"]) for entry in _entries(result))
        return {
            source: {"where": self.where[source], "sha": digest(self.sources[source])}
            for source in named
            if source in self.sources
        }

    def put_back(self, tool: str, arguments: Mapping[str, Any], result: str, read: Mapping[str, Any]) -> bool:
        """Make the sources of an earlier call sources of this run; False when one of them is not to be had any more."""
        try:
            shown = json.loads(result)
        except ValueError:
            shown = {}
        texts = {str(entry["source"]): str(entry.get("text", "")) for entry in _entries(shown)}
        if self.of_today and tool in KNOWLEDGE_TOOLS:
            texts = {source: text for source, text in texts.items() if "://" in source}
        found = {source: self._text_of(source, fact["sha"], texts.get(source, "")) for source, fact in read.items()}
        if None in found.values():
            return False
        for source, text in found.items():
            self.sources[source], self.where[source] = str(text), read[source]["where"]
        self.searches += tool == "search_knowledge"
        if tool == PAGES:
            self._owed.append(str(arguments.get("url", "")))
        if tool == "search_web":
            self.policy.name_hosts(host for hit in shown.get("results", []) for host in hosts_in(hit["link"])[:1])
        return True

    def _text_of(self, source: str, sha: str, shown: str) -> str | None:
        """The text of that digest: as the result shows it, else as it stands in the documents, or was put back, now."""
        passage = None if digest(shown) == sha else self.knowledge.passage(source)
        texts = (shown, passage.text if passage else "", self.sources.get(source, ""))
        return next((text for text in texts if digest(text) == sha), None)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._pages is not None:
                self._pages.close()

    def _open_pages(self) -> Pages:
        """The pages of this run; a tool that was left behind when the run ended opens none."""
        with self._lock:
            if self._closed:
                raise ToolError("the run has ended")
            self._pages = self._pages or Pages.beside(self.knowledge)
            return self._pages

    def _fetch(self, url: str) -> Page:
        from pilotage.reading.page import fetch_page  # the parser is loaded with the first page

        return fetch_page(url, self.fetcher, self.spec.web, lambda hop: self.policy.denies_url(PAGES, hop))

    def _read_owed(self) -> None:
        """Read the pages of an earlier run, most likely from the cache; one that is gone is not searched."""
        with self._lock:
            owed, self._owed = self._owed, []
        for url in owed:
            with contextlib.suppress(ToolError), listening():  # not what this tool was asked for
                self._open_pages().add(self._fetch(url))

    def _best(self, pages: Pages, url: str, passages: list[Passage], wanted: str) -> list[Passage]:
        """All passages in order when they fit, else the best for what is wanted, in order."""
        room, sizes = self._room(SHARE), {p.source: _size(_as_passage(p)) for p in passages}
        if sum(sizes.values()) <= room:
            return passages
        found = pages.search(wanted, limit=50, allowed=lambda path: path == url)
        ranked = list(dict.fromkeys([hit.passage.source for hit in found.hits] + [p.source for p in passages]))
        kept = set(ranked[:1])
        room -= sizes[ranked[0]]
        for source in ranked[1:]:
            if sizes[source] <= room:
                room -= sizes[source]
                kept.add(source)
        return [p for p in passages if p.source in kept]

    def _told(self, page: Page, passages: list[Passage], shown: list[Passage]) -> dict[str, Any]:
        """What the agent gets of a page."""
        facts = {"url": page.url, "title": page.title, "author": page.author, "published": page.published}
        fields = {name: _short(value) for name, value in page.fields.items()}
        left_out = len(passages) - len(shown)
        links = [{"text": link.text, "url": link.url} for link in page.links[:MOST_LINKS]]
        return {
            **{name: value for name, value in facts.items() if value},
            **({"fields": fields} if fields else {}),
            "sha256": page.sha256,
            "read_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(page.read_at)),
            "passages": [_as_passage(passage) for passage in shown],
            **({"left_out": f"{left_out} passages: search_knowledge or looking_for finds them"} if left_out else {}),
            "links": _fitting(links, self._room(ASIDE)),
        }

    def _room(self, share: float) -> int:
        return int(self.spec.limits.result_chars * share)

    def _may_find(self, path: str) -> bool:
        return "://" in path or self.policy.within("search_knowledge", self.knowledge.folder / path)

    def _may_open(self, path: str) -> bool:
        """What search_knowledge may not find is not opened either; a rule of read_source's own narrows it further."""
        is_page = "://" in path
        return is_page or (self._may_find(path) and self.policy.within("read_source", self.knowledge.folder / path))

    def _read(self, passage: Passage) -> None:
        self.sources[passage.source] = passage.text
        is_page = "://" in passage.path  # its address stands in the source id
        place = [passage.title or passage.path, passage.heading] if is_page else [passage.path, passage.where]
        self.where[passage.source] = ", ".join(dict.fromkeys(filter(None, place)))


def _entries(result: Any) -> Iterator[dict[str, Any]]:
    """Whatever in a result names a source."""
    if isinstance(result, dict):
        if "source" in result:
            yield result
        for value in result.values():
            yield from _entries(value)
    elif isinstance(result, list):
        for value in result:
            yield from _entries(value)


def _as_passage(passage: Passage) -> dict[str, Any]:
    return {"source": passage.source, "text": passage.text}


def _fitting(entries: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The first entries that together need no more than `room` characters of JSON."""
    for number, entry in enumerate(entries):
        if (room := room - _size(entry)) < 0:
            return entries[:number]
    return entries


def _size(entry: dict[str, Any]) -> int:
    return len(json.dumps(entry, ensure_ascii=False)) + 2  # and the comma behind it


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_FIELD else f"{text[: LONGEST_FIELD - 1]}…"
