"""Models that answer yes or no and tell how sure they are of it, as text that checks/judge.py reads: "no p=0.12".

    gguf:               the probabilities of the first token of the answer
    OpenAI and alike    the same, by `logprobs`; a server that refuses them is asked without, which is the door's retry
    all others          the word alone

What is not covered: a model that thinks before it answers has no telling first token: its word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from crewai import BaseLLM
from pydantic import PrivateAttr

from pilotage.checks.judge import written
from pilotage.model.answers import BadAnswer
from pilotage.model.gguf.model import LocalModel, share_of_yes
from pilotage.model.retries import current, status_of

LIKELY = 10  # tokens whose probabilities are asked for
REFUSED = (400, 403, 404, 422)  # what servers answer to a parameter that they do not take

_classes: dict[type[BaseLLM], type[BaseLLM]] = {}


class YesNo(BaseLLM):
    """A GGUF file that is asked for the probability of a yes."""

    _open: Callable[[], LocalModel] = PrivateAttr()

    @classmethod
    def of(cls, name: str, open_: Callable[[], LocalModel]) -> YesNo:
        made = cls(model=name, provider="gguf", temperature=0.0)
        made._open = open_
        return made

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> str:  # fmt: skip
        attempt = current.get()
        answered = self._open().first_word(messages, go_on=attempt.go_on if attempt else lambda: None)
        self._track_token_usage_internal(answered.usage)
        return written(share_of_yes(answered.likely))


def telling(llm: BaseLLM) -> BaseLLM:
    """The same object, which tells how sure it is when its class can ask for that."""
    openai = import_module("crewai.llms.providers.openai.completion").OpenAICompletion
    made: Any = llm
    if isinstance(llm, openai) and llm.api == "completions":
        made.logprobs, made.top_logprobs = True, LIKELY
        made.__class__ = _telling(type(llm))
    return llm


def _telling(base: Any) -> type[BaseLLM]:
    if base in _classes:
        return _classes[base]

    class Telling(base):  # type: ignore[misc]
        _likely: Any = PrivateAttr(default=None)

        def call(self, *args: Any, **kwargs: Any) -> Any:
            self._likely = None
            try:
                answer = super().call(*args, **kwargs)
            except Exception as error:
                refusal = str(error)
                if not getattr(self, "logprobs", None) or status_of(error) not in REFUSED:
                    raise
            else:
                return answer if self._likely is None else written(self._likely)
            _ask_no_more(self)
            raise BadAnswer(f"asked again without logprobs: {refusal}")  # here, for no retry helps what it came of

        call._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]

        def _extract_chat_finish_reason_and_id(self, response: Any) -> Any:  # the one place that has the whole answer
            self._likely = likely_yes(response)
            return super()._extract_chat_finish_reason_and_id(response)

    Telling.__name__ = Telling.__qualname__ = f"Telling{base.__name__}"
    _classes[base] = Telling
    return Telling


def _ask_no_more(llm: Any) -> None:
    llm.logprobs = llm.top_logprobs = None


def likely_yes(response: Any) -> float | None:
    """The probability of a yes where the answer says yes or no; None when the response does not tell."""
    choices: Sequence[Any] = getattr(response, "choices", None) or ()
    told = getattr(choices[0], "logprobs", None) if choices else None
    for token in getattr(told, "content", None) or ():
        if token.token.strip(" \n\t*\"'`.").lower() in ("yes", "no"):
            others = {each.token: each.logprob for each in token.top_logprobs or ()}
            return share_of_yes(others or {token.token: token.logprob})
    return None
