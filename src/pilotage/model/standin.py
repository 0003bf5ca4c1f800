"""What stands in for a model in a run that is played from a tape: it has the model's name and is never asked.

CrewAI makes its prompts by what a model says of itself: whether it calls tools natively, its stop words, its window.
Those are kept on the tape, so that the prompts are those of the model without its SDK, its key or its server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crewai import BaseLLM
from pydantic import PrivateAttr

from pilotage.errors import PilotageError


@dataclass(frozen=True)
class Traits:
    """A model's name and what CrewAI asks it about itself."""

    name: str
    native: bool
    stop_words: bool
    window: int  # tokens


class StandIn(BaseLLM):
    _traits: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, traits: Traits) -> StandIn:
        made = cls(model=traits.name, provider="pilotage")
        made._traits = traits
        return made

    def supports_function_calling(self) -> bool:
        return bool(self._traits.native)

    def supports_stop_words(self) -> bool:
        return bool(self._traits.stop_words)

    def get_context_window_size(self) -> int:
        return int(self._traits.window)

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return 0

    def call(self, *_: Any, **__: Any) -> Any:
        raise PilotageError(f"{self._traits.name} was asked in a run that is played from a tape")


def traits_of(llm: Any, name: str) -> Traits:
    """Of a model as it stands behind the door."""
    return Traits(name, llm.supports_function_calling(), llm.supports_stop_words(), llm.get_context_window_size())
