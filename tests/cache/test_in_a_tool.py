"""read_page through the guard: the same result from the cache as from the server, and the journal says which it was."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.cache.pages import PageCache
from pilotage.cache.served import listening, note
from pilotage.cache.store import Store
from pilotage.evidence.knowledge import Knowledge
from pilotage.guard.fence import unfence
from pilotage.guard.limits import Meter
from pilotage.guard.policy import Policy
from pilotage.record.journal import Event, Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.spec import EngineSpec, LimitSpec
from pilotage.tape.recall import Recall
from pilotage.tools.desk import Desk
from pilotage.tools.guarded import Guard
from pilotage.web import Fetcher
from tests.support.web import Reply, Server, web

PAGE = b"<html><body><main><h1>Tea</h1><p>Tea is drunk hot in the harbour of the old town.</p></main></body></html>"
AGENT = "researcher"


class Run:
    """One run that may read pages: its guard, its desk and its journal."""

    def __init__(self, root: Path, store: Store, server: Server, *, fresh: bool = False) -> None:
        tree: dict[str, Any] = {"web": {"delay": 0.0, "robots": False, "extractor": "bs4"}}
        spec = EngineSpec.model_validate(tree | {"policy": {"allow_private_hosts": [server.host]}})
        self.journal = Journal(open_store(root / "journal.sqlite"), Redactor({}))
        policy = Policy(spec.policy, root, {AGENT: ["read_page", "search_knowledge"]}, [])
        fetcher = Fetcher(spec.web, private_hosts=spec.policy.allow_private_hosts)
        fetcher = fetcher.caching(PageCache(store, 3600, fresh=fresh))
        self.knowledge = Knowledge.open(root / "knowledge", root / "index.sqlite")
        self.desk = Desk(spec, "Who drinks tea?", self.knowledge, fetcher, policy, lambda *_: None)
        recall = Recall(self.journal.redactor, "9f3a61c2")
        self.guard = Guard(Meter(LimitSpec(), self.journal), self.journal, policy, recall, "9f3a61c2", shelf=self.desk)

    def read_page(self, url: str) -> dict[str, Any]:
        text = self.guard.call("read_page", self.desk.read_page, AGENT, {"url": url})[0]
        found: dict[str, Any] = json.loads(unfence(text))
        return found

    def last(self) -> Event:
        return list(read_events(self.journal.engine, self.journal.run))[-1]

    def close(self) -> None:
        self.desk.close()
        self.knowledge.close()
        self.journal.engine.dispose()


@pytest.fixture
def server() -> Iterator[Server]:
    def answer(asked: Any) -> Reply:
        if "if-none-match" in asked.headers:
            return Reply(304, {"ETag": '"1"'})
        return Reply(200, {"Content-Type": "text/html; charset=utf-8", "ETag": '"1"'}, PAGE)

    with web({"/tea": answer}) as running:
        yield running


@pytest.fixture
def runs(tmp_path: Path, store: Store, server: Server) -> Iterator[Any]:
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "a.md").write_text("# Tea\n\nTea is a drink.\n", "utf-8")
    made: list[Run] = []

    def make(**options: Any) -> Run:
        made.append(Run(tmp_path, store, server, **options))
        return made[-1]

    yield make
    for run in made:
        run.close()


def test_the_next_run_gets_the_same_result_to_the_letter_and_the_journal_says_so(
    runs: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runs()
    said = first.read_page(server.url("/tea"))
    assert "cached" not in first.last().facts

    later = time.time() + 1800
    monkeypatch.setattr("time.time", lambda: later)
    second = runs()
    assert second.read_page(server.url("/tea")) == said
    assert second.last().facts["cached"] == "fresh"
    assert second.desk.sources == first.desk.sources
    later += 3600
    third = runs()
    assert third.read_page(server.url("/tea")) == said
    assert third.last().facts["cached"] == "renewed"
    assert len(server.requests) == 2


def test_a_fresh_run_reads_the_page_again(runs: Any, server: Server) -> None:
    runs().read_page(server.url("/tea"))
    fresh = runs(fresh=True)
    fresh.read_page(server.url("/tea"))
    assert "cached" not in fresh.last().facts
    assert len(server.requests) == 2


def test_notes_reach_the_innermost_listener_only() -> None:
    note("nobody hears it")
    with listening() as outer:
        note("a")
        with listening() as inner:
            note("b")
        note("c")
    assert (outer, inner) == (["a", "c"], ["b"])
