"""The pages that one run has read: searched, named and cited like documents, kept in memory and gone with the run.

A page's passages are ranked together with the documents', by the same measure. Beyond EMBEDDED sentences a run's pages
are found by full text alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotage.evidence.embedder import Embedder
from pilotage.evidence.index import Index
from pilotage.evidence.knowledge import Knowledge
from pilotage.evidence.passages import Cut, Passage, cut
from pilotage.evidence.sync import add, embedding_text
from pilotage.evidence.terms import is_foreign
from pilotage.evidence.vectors import SIZE, Vectors, signs_of

if TYPE_CHECKING:
    from pilotage.evidence.page import Page

EMBEDDED = 600  # sentences of all pages of a run that get a vector: some 4 ms each


class Pages(Knowledge):
    """Knowledge whose documents are pages; made beside the knowledge whose embedder it shares."""

    @classmethod
    def beside(cls, knowledge: Knowledge) -> Pages:
        return cls(Index(Path(":memory:"), Path("pages")), knowledge._embedder, [])

    def add(self, page: Page) -> list[Passage]:
        """Make a page's passages findable, and return them in order; a page read again replaces itself."""
        cuts = cut(page.document, page.url)
        with self._lock:
            add(self._index, page.url, page.title, cuts)
            self._words.clear()
            if self._embedder is not None:
                self._embed(self._embedder, cuts)
        return [piece.passage for piece in cuts]

    def _embed(self, embedder: Embedder, cuts: list[Cut]) -> None:
        known = Vectors.empty() if not len(self._vectors) else self._vectors
        room = EMBEDDED - len(known)
        sample = " ".join(piece.passage.text for piece in cuts[:5])
        if room <= 0 or not embedder.knows(sample):
            return
        rows = self._index.db.execute(
            "select s.id, substr(p.text, s.start + 1, s.stop - s.start) "
            "from sentence s join passage p on p.id = s.passage where s.id > ? order by s.id limit ?",
            (int(known.ids[-1]) if len(known) else 0, room),
        ).fetchall()
        rows = [(number, text) for number, text in rows if not is_foreign(text)]
        if not rows:
            return
        made = embedder.embed([embedding_text(text) for _, text in rows])
        ids = np.concatenate([known.ids, np.array([number for number, _ in rows], np.int64)])
        every = np.concatenate([known.rows.reshape(-1, SIZE), made])
        self._vectors = Vectors(ids, signs_of(every), every)

    def _map(self) -> None:
        """The vectors are in memory already."""
