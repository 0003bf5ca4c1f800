"""What is kept of an accepted answer: the answer, what it cites, and what tells later whether it still stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """A source that an answer cites, and the SHA-256 of its text as it was read."""

    source: str
    sha: str

    @property
    def page(self) -> str:
        """The address of the page that it stands on; "" for a document."""
        url = self.source.rpartition("#")[0]
        return url if "://" in url else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted answer. `known` are the passages that a search for its question found then; `at` is in unix seconds.

    `edition` names the documents as they were when its sources were last looked at. `usd` is None when unpriced.
    """

    scope: str
    question: str
    answer: str
    citations: list[dict[str, Any]]
    sources: list[Source]
    known: list[str]
    edition: str
    run: str
    at: float
    model: str
    usd: float | None
    tokens: int
    seconds: float
    id: int = 0
    hits: int = 0
    used: float | None = None
