"""By which keys a request to a model is known: on the tape of an earlier run, and in the cache of calls."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from pydantic import BaseModel

from pilotage.model.fallbacks import Candidate
from pilotage.tape.recall import Recall


class Known:
    """The keys of one request of `agent` to one model; `kind` is the type that is wanted of the answer."""

    def __init__(
        self, request: dict[str, Any], kind: type[BaseModel] | None, model: Candidate, agent: str, recall: Recall
    ) -> None:
        schema = {} if kind is None else {"schema": _schema_of(kind)}
        self.key, self._is_changed = recall.model_key(request | schema)
        self._model, self._agent, self._recall = model, agent, recall

    @cached_property
    def cached(self) -> str | None:
        """Its key in the cache of calls; None when it is never served from there."""
        if self._model.free or self._is_changed:
            return None
        return self._recall.cache_key(self.key, self._model.name, self._model.llm, self._agent)


@cache
def _schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    return kind.model_json_schema()
