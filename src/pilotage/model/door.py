"""The door: every model call of a run goes through here, and nowhere else.

    caps -> provider, in a thread with a deadline -> journal -> price        again on a fault that a retry can help

It is a generated subclass of the provider's own class, so `isinstance` and every other method stay as they were.
It is the only owner of retries: the SDK's own are switched off by the factory, CrewAI's own (three attempts on
whatever looks like a 429, crewai 1.15 llms/retry.py) by three private names that tests/model/test_door.py pins.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from crewai import BaseLLM
from crewai.hooks import HookAborted
from crewai.llms import retry as crewai_retry
from pydantic import BaseModel, PrivateAttr, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pilotage.errors import LimitExceeded, PilotageError
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.model.prices import price
from pilotage.names import tool_name
from pilotage.record.journal import Journal
from pilotage.settings import AGENTS

LEAST_CONTEXT_WINDOW = 32_768  # tokens; CrewAI assumes 8,192 for models it does not know and defers tool results
LONGEST_RETRY_AFTER = 60.0  # seconds; a server that asks for more is not waited for
RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

ACTION = re.compile(r"^\s*Action\s*:\s*([^\n]*[^\s*`\"'])", re.MULTILINE)
DELEGATION = ("Delegate work to coworker", "Ask question to coworker")  # what CrewAI adds with allow_delegation
TOKENS = ("prompt_tokens", "completion_tokens", "cached_prompt_tokens")

_usage: contextvars.ContextVar[Counter[str]] = contextvars.ContextVar("usage", default=Counter())  # noqa: B039
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("inside_the_door", default=False)


class Stopped(HookAborted):
    """The run has ended; CrewAI lets this exception through everywhere."""


class EmptyAnswer(Exception):
    """The provider answered with nothing."""


class Door:
    """What stands between one agent and its model."""

    def __init__(
        self, agent: str, name: str, meter: Meter, journal: Journal, *, free: bool = False, text_tools: bool = False,
        tools: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.agent, self.name, self.meter, self.journal = agent, name, meter, journal
        self.free, self.text_tools, self.tools = free, text_tools, frozenset(tools)

    def through(self, request: dict[str, Any], attempt: Callable[[], Any]) -> Any:
        """Make the call, with retries; returns the provider's answer or raises Stopped."""
        retrying = Retrying(
            stop=stop_after_attempt(self.meter.limits.retries + 1),
            wait=_wait,
            retry=retry_if_exception(can_help),
            sleep=self.meter.sleep,
            reraise=True,
        )
        tries = iter(range(self.meter.limits.retries + 1))
        try:
            return retrying(lambda: self._once(request, attempt, next(tries)))
        except (RunEnded, LimitExceeded) as error:
            raise Stopped(str(error), source="pilotage") from None
        except Exception as error:
            ended = self.meter.end(provider_failure(error, self.name, self.journal))
            raise Stopped(ended.reason, source="pilotage") from None

    def _once(self, request: dict[str, Any], attempt: Callable[[], Any], number: int) -> Any:
        self.meter.before_model_call(self.agent, retry=number > 0)
        usage: Counter[str] = Counter()
        started, key = time.monotonic(), "limits.call_seconds"
        try:
            answer = self.meter.within(self.agent, self.meter.limits.call_seconds, key, lambda: _alone(attempt, usage))
            if answer is None or (isinstance(answer, str) and not answer.strip()):
                raise EmptyAnswer("the model answered with nothing")
        except Exception as error:
            self._record(request, started, number, usage, error=f"{type(error).__name__}: {error}")
            raise
        packed = pack(answer)
        self._record(request, started, number, usage, answer=packed)
        self._note_unknown(request, packed)
        return answer

    def _note_unknown(self, request: dict[str, Any], answer: str) -> None:
        """Journal calls of tools that the agent does not have: CrewAI refuses them without a word to us."""
        offered = {tool_name(tool["function"]["name"]) for tool in request["tools"] or []}
        known = {tool_name(name) for name in (*self.tools, *DELEGATION)} | offered
        in_words = not offered and "Action Input:" in str(request["messages"])  # the ReAct prompt
        for name in wanted_tools(answer, in_words=in_words):
            if tool_name(name) not in known:
                rule = f"{AGENTS}: {self.agent}.tools"
                said = f"{name} was denied: {self.agent} does not have it ({rule})"
                self.journal.append(
                    "tool_call", {"arguments": answer, "result": said},
                    agent=self.agent, task=self.meter.task_of(self.agent), tool=name, denied=rule, failed=True,
                )  # fmt: skip

    def _record(
        self, request: dict[str, Any], started: float, number: int, usage: Counter[str], **outcome: str
    ) -> None:  # fmt: skip
        prompt, completion, cached = (usage[name] for name in TOKENS)
        usd = 0.0 if self.free else price(self.name, prompt, completion, cached) if prompt + completion else None
        if "error" not in outcome or prompt + completion:
            self.meter.charge(prompt + completion, usd)
        self.journal.append(
            "model_call", {"request": request, **outcome},
            agent=self.agent, task=self.meter.task_of(self.agent), model=self.name, attempt=number + 1,
            prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached or None,
            usd="unpriced" if usd is None else round(usd, 9), seconds=round(time.monotonic() - started, 4),
            failed="error" in outcome or None,
        )  # fmt: skip


def open_door(llm: BaseLLM, door: Door) -> BaseLLM:
    """The same object, its class replaced by a subclass of its own class whose calls go through `door`."""
    llm.__class__ = _subclass(type(llm))
    llm._door = door
    return llm


_subclasses: dict[type[BaseLLM], type[BaseLLM]] = {}


def _subclass(base: Any) -> type[BaseLLM]:
    if base in _subclasses:
        return _subclasses[base]

    class Guarded(base):  # type: ignore[misc]
        _door: Any = PrivateAttr(default=None)

        def call(
            self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
            from_task: Any = None, from_agent: Any = None, response_model: Any = None,
        ) -> Any:  # fmt: skip
            def attempt() -> Any:
                rest = (tools, callbacks, available_functions, from_task, from_agent, response_model)
                return base.call(self, messages, *rest)

            if _inside.get():  # LiteLLM's class calls itself again
                return attempt()
            request = {"model": self._door.name, "messages": messages, "tools": tools or None}
            if response_model is not None:
                request["response_model"] = response_model.__name__
            return self._door.through(request, attempt)

        call._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]

        async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(self.call, messages, *args, **kwargs)

        acall._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]

        def supports_function_calling(self) -> bool:
            return bool(super().supports_function_calling()) and not self._door.text_tools

        def get_context_window_size(self) -> int:
            return max(int(super().get_context_window_size()), LEAST_CONTEXT_WINDOW)

        def _track_token_usage_internal(self, usage_data: dict[str, Any]) -> None:
            super()._track_token_usage_internal(usage_data)
            _usage.get().update(tokens_of(usage_data))

    Guarded.__name__ = Guarded.__qualname__ = f"Guarded{base.__name__}"
    _subclasses[base] = Guarded
    return Guarded


def tokens_of(usage: dict[str, Any]) -> dict[str, int]:
    """Prompt, completion and cached tokens from a usage block of any provider."""
    from crewai.types.usage_metrics import UsageMetrics

    metrics = UsageMetrics.from_provider_dict(usage)
    return {name: int(getattr(metrics, name)) for name in TOKENS} if metrics else {}


def pack(answer: Any) -> str:
    """An answer of any kind as text: words as they are, tool calls and typed results as JSON."""
    if isinstance(answer, BaseModel):
        return answer.model_dump_json()
    if isinstance(answer, list):
        return json.dumps([a.model_dump() if hasattr(a, "model_dump") else a for a in answer], default=str)
    return str(answer)


def wanted_tools(answer: str, *, in_words: bool = False) -> list[str]:
    """The names of the tools that an answer calls: native calls as JSON, or `in_words` the `Action:` lines of ReAct.

    >>> wanted_tools('[{"function": {"name": "shell", "arguments": "{}"}}]')
    ['shell']
    >>> wanted_tools("Thought: what day is it?\\nAction: today\\nAction Input: {}", in_words=True)
    ['today']
    """
    if in_words:
        return ACTION.findall(answer)
    try:
        calls = json.loads(answer) if answer.startswith("[") else []
    except ValueError:
        calls = []
    return [name for call in calls if (name := _called(call))]


def _called(call: Any) -> str:
    """The name in one native call of any provider; "" for an object of a list that is no call."""
    inner = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(inner, dict) or not {"arguments", "input", "args"} & inner.keys():
        return ""
    return inner["name"] if isinstance(inner.get("name"), str) else ""


def can_help(error: BaseException) -> bool:
    """Whether the same call may succeed when made again: time-outs, connection, 429, 5xx, empty or unparsable."""
    if isinstance(error, PilotageError | HookAborted):
        return False
    status = status_of(error)
    if status is not None:
        return status in RETRY_STATUS
    transient = (TimeoutError, ConnectionError, EmptyAnswer, ValidationError, json.JSONDecodeError)
    throttled = crewai_retry._ThrottlingErrorClassifier.is_throttling_error(error)
    return throttled or any(isinstance(link, transient) for link in _chain(error))


def status_of(error: BaseException) -> int | None:
    """The HTTP status somewhere in the chain of causes, if there is one."""
    for link in _chain(error):
        for holder in (link, getattr(link, "response", None)):
            status = getattr(holder, "status_code", None)
            if isinstance(status, int):
                return status
    return None


def provider_failure(error: BaseException, model: str, journal: Journal) -> Ended:
    """A provider's fault as the end of the run: what happened and what to do next."""
    if isinstance(error, PilotageError):
        return Ended("failed", str(error), error.hint, error.exit_code)
    status, text = status_of(error), journal.redactor.text(" ".join(str(error).split()))[:300]
    if status in (401, 403):
        return Ended("failed", f"{model}: the provider refused the key (HTTP {status})", "check the key in .env")
    if status == 404:
        return Ended(
            "failed",
            f"{model}: the provider knows no such model or address (HTTP 404)",
            "check MODEL and model.base_url",
        )
    if status is not None:
        return Ended("failed", f"{model}: the provider answered HTTP {status}: {text}", "see `pilotage show last`")
    if isinstance(error, TimeoutError):
        return Ended("failed", f"{model}: {text}", "raise limits.call_seconds in config/pilotage.yaml")
    if any(isinstance(link, ConnectionError) for link in _chain(error)):
        return Ended(
            "failed", f"{model}: the provider cannot be reached: {text}", "check the network and model.base_url"
        )
    return Ended("failed", f"{model}: {type(error).__name__}: {text}", "see `pilotage show last`")


def _alone(attempt: Callable[[], Any], usage: Counter[str]) -> Any:
    """One attempt with CrewAI's own retries off; `usage` gets its tokens, and those of no other attempt."""
    inside, active = _inside.set(True), crewai_retry._active_llm_rate_limit_retry.set(True)
    _usage.set(usage)
    try:
        return attempt()
    finally:
        _inside.reset(inside)
        crewai_retry._active_llm_rate_limit_retry.reset(active)


def _wait(state: RetryCallState) -> float:
    """Retry-After when the server says so, else exponential back-off with full jitter (0.5 to 8 s)."""
    error = state.outcome.exception() if state.outcome else None
    for link in _chain(error) if error else ():
        headers = getattr(getattr(link, "response", None), "headers", None)
        value = headers.get("retry-after") if headers is not None else None
        if value and value.replace(".", "", 1).isdigit():
            return min(float(value), LONGEST_RETRY_AFTER)
    return wait_random_exponential(multiplier=0.5, max=8)(state)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, each once: such chains can be circles."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
