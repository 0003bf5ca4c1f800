"""The models that are asked when the one before has failed for good, and which of them have failed in this run.

One object for all doors of a run: a model that has failed is not asked again, by no agent. What is not covered: a
model that recovers while the run goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotage.guard.limits import Ended
from pilotage.model import factory
from pilotage.settings import Settings
from pilotage.spec import ModelSpec

Key = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Candidate:
    """A model that may be asked: how it is called, its object, and whether it costs nothing."""

    name: str
    llm: Any
    free: bool = False

    @property
    def key(self) -> Key:
        """One model, at one server, with one key, is the same for all agents, though each has an object of its own."""
        return factory.full_name(self.name), getattr(self.llm, "base_url", None), getattr(self.llm, "api_key", None)


class Fallbacks:
    """Further models in order, and what has failed."""

    def __init__(self, models: Sequence[Candidate] = ()) -> None:
        self.models = tuple(models)
        self._lost: dict[Key, Ended] = {}
        self._lock = threading.Lock()

    def after(self, model: Candidate) -> list[Candidate]:
        """The models in the order in which an agent whose own is `model` asks them, none of them twice."""
        return [model, *(other for other in self.models if other.key != model.key)]

    def why_lost(self, model: Candidate) -> Ended | None:
        with self._lock:
            return self._lost.get(model.key)

    def lose(self, model: Candidate, why: Ended) -> bool:
        """From now on nobody asks this model; False when that was so already."""
        with self._lock:
            is_new = model.key not in self._lost
            self._lost.setdefault(model.key, why)
            return is_new


def build(settings: Settings, question: str) -> Fallbacks:
    """The objects for model.fallbacks, none when only the reader is asked. Raises ConfigError with what is missing."""
    from pilotage.model.reader import Reader
    from pilotage.model.subclass import guarded

    models = []
    for key, spec in factory.keyed_fallbacks(settings).items():
        free = spec.name == factory.READER
        name = str(spec.name)
        llm = Reader.for_question(question) if free else _built(key, name, spec, settings, question)
        models.append(Candidate(name, guarded(llm), free))
    return Fallbacks(models)


def _built(key: str, name: str, spec: ModelSpec, settings: Settings, question: str) -> Any:
    with factory.named(key):
        return factory.build(name, spec, settings.engine.limits.call_seconds, settings, question)


def all_failed(failures: Sequence[Ended]) -> Ended:
    """The end of a run whose models have all failed: each is named, the first one's hint is the one to follow."""
    if len(failures) == 1:
        return failures[0]
    return Ended("failed", "; ".join(ended.reason for ended in failures), failures[0].hint)
