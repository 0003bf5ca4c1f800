"""A provider whose every call a function answers, behind a door with a meter and a journal of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crewai import BaseLLM
from crewai.llms.base_llm import llm_call_context
from pydantic import PrivateAttr

from pilotage.guard.limits import Meter
from pilotage.model.door import Door, open_door
from pilotage.model.fallbacks import Candidate, Fallbacks
from pilotage.model.subclass import guarded
from pilotage.record.journal import Journal, read_events
from pilotage.spec import LimitSpec


class Provider(BaseLLM):
    """Answers what `_play(self)` returns, raises it when it is an error; `_finish` is why the answer ended."""

    _play: Any = PrivateAttr(default=None)
    _calls: int = PrivateAttr(default=0)
    _finish: Any = PrivateAttr(default=None)
    _seen: list[Any] = PrivateAttr(default_factory=list)
    _stops: list[Any] = PrivateAttr(default_factory=list)

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> Any:  # fmt: skip
        self._calls += 1
        self._seen.append(messages)
        self._stops.append(list(self.stop_sequences))
        answer = self._play(self)
        if isinstance(answer, BaseException):
            raise answer
        if self._finish is not None:
            with llm_call_context():
                kind: Any = "llm_call"
                self._emit_call_completed_event(answer, kind, finish_reason=self._finish or None)
        return answer

    def of_its_own(self) -> str:
        return "kept"


class RateLimit(Exception):
    """As providers raise it: a status and the words that CrewAI looks for."""

    status_code = 429

    def __init__(self, text: str = "rate limit exceeded, too many requests") -> None:
        super().__init__(text)


class Fault(Exception):
    """A fault with any HTTP status."""

    def __init__(self, status: int, **more: Any) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        vars(self).update(more)


def provider(play: Callable[[Any], Any], finish: str | None = None, stream: bool = False) -> Any:
    llm = Provider(model="m", provider="tests", stream=stream)
    llm._play, llm._finish = play, finish
    return llm


class Bench:
    def __init__(self, journal: Journal, **limits: Any) -> None:
        self.meter = Meter(LimitSpec(**limits), journal)
        self.journal = journal

    def guard(
        self, play: Callable[[Any], Any], name: str = "tests/model", *, finish: str | None = None,
        stream: bool = False, **more: Any,
    ) -> Any:  # fmt: skip
        """A model of the agent "agent" behind its door; `more` goes to the door."""
        return open_door(provider(play, finish, stream), Door("agent", name, self.meter, self.journal, **more))

    def events(self, kind: str) -> list[Any]:
        return [e for e in read_events(self.journal.engine, self.journal.run) if e.kind == kind]

    def calls(self) -> list[Any]:
        return self.events("model_call")


def fallbacks(**plays: Callable[[Any], Any]) -> Fallbacks:
    """`fallbacks(b=play)` is one further model, tests/b."""
    return Fallbacks([Candidate(f"tests/{name}", guarded(provider(play))) for name, play in plays.items()])


Make = Callable[..., Bench]
