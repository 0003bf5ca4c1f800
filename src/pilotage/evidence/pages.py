"""The pages that one run has read: searched, named and cited like documents, kept in memory and gone with the run.

A page's passages are ranked together with the documents', by the same measure. Beyond EMBEDDED sentences a run's pages
are found by full text alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotage.evidence.embedder import Embedder
from pilotage.evidence.index import Index
from pilotage.evidence.knowledge import Knowledge
from pilotage.evidence.passages import Passage, cut
from pilotage.evidence.sync import add, embedding_text
from pilotage.evidence.terms import is_foreign
from pilotage.evidence.vectors import Vectors, signs_of

if TYPE_CHECKING:
    from pilotage.reading.page import Page

EMBEDDED = 600  # sentences of all pages of a run that get a vector: some 4 ms each
SAMPLE = 5  # passages that tell the language of a page


class Pages(Knowledge):
    """Knowledge whose documents are pages; made beside the knowledge whose embedder it shares."""

    def __init__(self, index: Index, embedder: Embedder | None, warnings: list[str]) -> None:
        super().__init__(index, embedder, warnings)
        self._added: dict[str, list[Passage]] = {}

    @classmethod
    def beside(cls, knowledge: Knowledge) -> Pages:
        return cls(_InMemory(), knowledge._embedder, [])

    def add(self, page: Page) -> list[Passage]:
        """Make a page's passages findable, and return them in order; a page read again replaces itself."""
        cuts = cut(page.document, page.url)
        passages = [piece.passage for piece in cuts]
        with self._lock:
            if self._added.get(page.url) != passages:
                add(self._index, page.url, page.title, cuts)
                self._added[page.url] = passages
                self._embed(page.url, passages)
        return passages

    def _embed(self, path: str, passages: list[Passage]) -> None:
        """Vectors for the page's sentences, as far as there is room; those of an earlier reading give theirs up."""
        there = np.array([number for (number,) in self._index.db.execute("select id from sentence")], np.int64)
        kept = np.isin(self._vectors.ids, there)
        ids, rows = self._vectors.ids[kept], self._vectors.rows[kept]
        texts = self._texts(path, passages, EMBEDDED - len(ids))
        if self._embedder is not None and texts:
            made = self._embedder.embed([embedding_text(text) for text in texts.values()])
            ids, rows = np.concatenate([ids, np.array(list(texts), np.int64)]), np.concatenate([rows, made])
        self._vectors = Vectors(ids, signs_of(rows), rows)

    def _texts(self, path: str, passages: list[Passage], most: int) -> dict[int, str]:
        """The page's sentences by their number, at most so many; none of a page in a language without vectors."""
        sample = " ".join(passage.text for passage in passages[:SAMPLE])
        if self._embedder is None or most <= 0 or not self._embedder.knows(sample):
            return {}
        found = self._index.db.execute(
            "select s.id, substr(p.text, s.start + 1, s.stop - s.start) from sentence s "
            "join passage p on p.id = s.passage join file f on f.id = p.file where f.path = ? order by s.id limit ?",
            (path, most),
        )
        return {number: text for number, text in found if not is_foreign(text)}

    def _map(self) -> None:
        """The vectors are in memory already."""


class _InMemory(Index):
    """An index whose figures can be asked for while a page is added: a search over documents and pages does so.

    Otherwise SQLite ends the query with "query aborted": the vocabulary changes under it, on the same connection.
    """

    def __init__(self) -> None:
        self._busy = threading.RLock()
        super().__init__(Path(":memory:"), Path("pages"))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._busy, super().transaction():
            yield

    def state(self) -> tuple[int, int, int, int]:
        with self._busy:
            return super().state()

    def frequency(self, stem: str) -> int:
        with self._busy:
            return super().frequency(stem)
