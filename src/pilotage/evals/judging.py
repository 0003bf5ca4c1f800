"""One answer held against its row: strictly, by what stands in its quotes, never by how it sounds.

A right answer is accepted, each expected string stands in a cited quote (numbers as whole numbers, several strings in
several documents), and what must never stand in it does not. What is not covered: whether the sentences say it too;
another sentence of the documents that would answer as well counts as wrong.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotage.checks.verbatim import stands_in
from pilotage.evals.questions import Question
from pilotage.guard.fence import unfence
from pilotage.outcome import Result
from pilotage.record.journal import read_events

if TYPE_CHECKING:
    from pilotage.run import Runner

TextsOf = Callable[[str], Iterator[str]]
"""The texts that a source may be."""


@dataclass(frozen=True)
class Attempt:
    """What one run came to. `right` is None when the row expects nothing, `cited` when nothing was accepted."""

    question: Question
    time: int
    outcome: str
    right: bool | None
    cited: bool | None
    seconds: float
    tokens: int
    usd: float | None

    @property
    def is_wrong(self) -> bool:
        """Accepted, though not right: the answer that harms."""
        return self.outcome == "accepted" and self.right is False


def judge(question: Question, result: Result, texts_of: TextsOf | None = None, *, time: int = 1) -> Attempt:
    """`texts_of` reads sources anew; without it nobody knows whether the quotes stand in them."""
    is_accepted = result.outcome == "accepted" and texts_of is not None
    cited = is_cited(result, texts_of) if is_accepted and texts_of else None
    right = is_right(question, result)
    return Attempt(question, time, result.outcome, right, cited, result.seconds, result.tokens, result.usd)


def is_right(question: Question, result: Result) -> bool | None:
    """Whether a result is what the row expects; None when the row expects nothing."""
    if not question.expected and not question.outcome:
        return None
    if question.never and stands_in(question.never.lower(), (result.answer or "").lower()):
        return False
    if question.expected:
        return result.outcome == "accepted" and _holds(question.expected, result.citations)
    return result.outcome == question.outcome


def is_cited(result: Result, texts_of: TextsOf) -> bool:
    """Whether there are quotes, and each stands in its source as that reads now."""
    quotes = result.citations
    return bool(quotes) and all(any(stands_in(c["quote"], text) for text in texts_of(c["source"])) for c in quotes)


def sources_of(runner: Runner, run: str) -> TextsOf:
    """A passage of the documents; of what is none of theirs, what the tools of the run have returned."""
    clean = runner.redactor.text

    def texts(source: str) -> Iterator[str]:
        passage = runner.knowledge.passage(source)
        if passage is not None:
            yield clean(passage.text)
            return
        for event in read_events(runner.engine, run):
            if event.kind == "tool_call" and not event.facts.get("failed"):
                yield from _texts_in(unfence(event.content.get("result") or ""))

    return texts


def _holds(expected: tuple[str, ...], citations: list[dict[str, Any]]) -> bool:
    """Each of the strings in a quote, no two of them in the same document."""
    homes = [{_document(c) for c in citations if stands_in(wanted, c["quote"])} for wanted in expected]
    return any(len(set(chosen)) == len(expected) for chosen in itertools.product(*homes))


def _document(citation: dict[str, Any]) -> str:
    """ "loops.md" of "loops.md#3f9a2c" """
    return str(citation["source"]).rpartition("#")[0] or str(citation["source"])


def _texts_in(text: str) -> Iterator[str]:
    """The texts of a tool's result, of JSON each by itself."""
    try:
        waiting: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        yield text
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
