"""By which keys a request to a model is known: on the tape of an earlier run, and in the cache of calls."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from pydantic import BaseModel

from pilotage.model.answers import Call
from pilotage.model.fallbacks import Candidate
from pilotage.tape.recall import Recall


class Known:
    """The keys of one request of `agent` to one model, `call` as the journal keeps it.

    On the tape a call is known without its nudges: tools that are called at once end in another order each time, and
    the detection of loops may see a repetition in one order that it does not see in another.
    """

    def __init__(self, request: dict[str, Any], call: Call, model: Candidate, agent: str, recall: Recall) -> None:
        if call.nudged and isinstance(call.messages, list):
            request = request | {"messages": call.messages[:-1]}
        schema = {} if call.response_model is None else {"schema": _schema_of(call.response_model)}
        self.key, self._is_changed = recall.model_key(request | schema)
        self._call, self._model, self._agent, self._recall = call, model, agent, recall

    @cached_property
    def cached(self) -> str | None:
        """Its key in the cache of calls; None when it is never served from there."""
        if self._model.free or self._is_changed or self._call.nudged:
            return None
        return self._recall.cache_key(self.key, self._model.name, self._model.llm, self._agent)


@cache
def _schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    return kind.model_json_schema()
