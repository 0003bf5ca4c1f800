"""What of a search an agent is told: the best passages in whole, of the others a quote, nothing twice.

    {"source": "caps.md#3f9a2c", "where": "Caps", "text": "…", "quotes": [[0, 84, 0.93], [85, 140, 0.02]]}
    {"source": "loops.md#77aa01", "where": "Cycles", "score": 0.04, "quote": "…"}

The quotes of a passage in whole are stretches of its text with their scores. What is not covered: a passage that an
agent has opened by itself comes once more when a search finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotage.evidence.knowledge import Hit
from pilotage.evidence.passages import Passage
from pilotage.guard.fence import clean

Entry = dict[str, Any]
WORTH = 0.1  # of the best score: a passage that has less does not come in whole


@dataclass
class Shown:
    """What the conversation of an agent holds by now: passages in whole, and single quotes."""

    whole: set[str] = field(default_factory=set)
    quotes: set[tuple[str, str]] = field(default_factory=set)
    _asked: dict[str, Shown] = field(default_factory=dict)

    def at(self, query: str) -> Shown:
        """As it was when this was first asked: the same search gets the same answer, else no loop would be seen."""
        return self._asked.setdefault(query, Shown(set(self.whole), set(self.quotes)))

    def holds(self, hit: Hit) -> bool:
        source = hit.passage.source
        return source in self.whole or (source, clean(hit.quote)) in self.quotes

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if "text" in entry:
                self.whole.add(entry["source"])
            else:
                self.quotes.add((entry["source"], entry["quote"]))


def told(hits: Sequence[Hit], shown: Shown, most: int | None = None) -> tuple[list[tuple[Passage, Entry]], list[str]]:
    """The entries for an agent, each with its passage, and the sources of what it has been shown before.

    `most` passages come in whole, None: all.
    """
    best = _best(hits, most)
    whole: dict[str, Entry] = {}
    entries, before = [], []
    for hit in hits:
        source = hit.passage.source
        if source in best - shown.whole and source not in whole:
            whole[source] = _head(hit.passage) | {"text": clean(hit.passage.text), "quotes": []}
            entries.append((hit.passage, whole[source]))
        if source in whole and (span := _span(hit, whole[source]["text"])):
            whole[source]["quotes"].append([*span, _score(hit)])
        elif shown.holds(hit):
            before.append(source)
        else:
            entries.append((hit.passage, _head(hit.passage) | {"score": _score(hit), "quote": clean(hit.quote)}))
    return entries, list(dict.fromkeys(before))


def quoted(entry: Entry) -> Iterator[tuple[str, float]]:
    """The quotes of an entry with their scores."""
    if "quote" in entry:
        yield entry["quote"], entry["score"]
    for start, end, score in entry.get("quotes", ()):
        yield entry["text"][start:end], score


def place(passage: Passage) -> str:
    """What an agent is told of where a passage stands: its lines say nothing to it."""
    return passage.place or passage.heading


def _best(hits: Sequence[Hit], most: int | None) -> set[str]:
    if most is None:
        return {hit.passage.source for hit in hits}
    ranked = dict.fromkeys(hit.passage.source for hit in hits if hit.score >= WORTH * hits[0].score)
    return set(list(ranked)[:most])


def _head(passage: Passage) -> Entry:
    where = place(passage)
    return {"source": passage.source} | ({"where": where} if where else {})


def _score(hit: Hit) -> float:
    """Three digits that count: which of two small scores is larger decides what is quoted."""
    return float(f"{hit.score:.3g}")


def _span(hit: Hit, text: str) -> tuple[int, int] | None:
    quote = clean(hit.quote)
    start = text.find(quote)
    return (start, start + len(quote)) if start >= 0 else None
