"""A generated subclass of a provider's class: its calls go through a door, and the door sees how an answer ended.

The overrides are of methods that CrewAI 1.15 calls for each piece of a stream and at the end of a call; nothing
public tells why an answer ended in the thread that asked. tests/model/test_subclass.py pins each name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from crewai import BaseLLM
from crewai.llms.base_llm import call_stop_override
from pydantic import BaseModel, PrivateAttr

from pilotage.checks.results import parse
from pilotage.model.answers import Attempt, BadAnswer, Call, check, check_message
from pilotage.model.retries import alone, current
from pilotage.model.usage import as_block, block_of, tokens_of

LEAST_CONTEXT_WINDOW = 32_768  # tokens; CrewAI assumes 8,192 for models it does not know and defers tool results
CLOSED_SDKS = ("openai", "anthropic")  # the others' clients would come back with retries of their own

_subclasses: dict[type[BaseLLM], type[BaseLLM]] = {}


def guarded(llm: BaseLLM) -> Any:
    """The same object, its class replaced by a subclass of its own class."""
    made: Any = llm
    if type(llm) not in _subclasses.values():
        made.__class__ = _subclass(type(llm))
        made._door, made._under_way = None, set()
    return made


def _subclass(base: Any) -> type[BaseLLM]:
    if base in _subclasses:
        return _subclasses[base]

    class Guarded(base):  # type: ignore[misc]
        _door: Any = PrivateAttr(default=None)
        _under_way: Any = PrivateAttr(default=None)

        def call(
            self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
            from_task: Any = None, from_agent: Any = None, response_model: Any = None,
        ) -> Any:  # fmt: skip
            if current.get():  # LiteLLM's class calls itself again
                rest = (tools, callbacks, available_functions, from_task, from_agent, response_model)
                return base.call(self, messages, *rest)
            stop = tuple(self.stop_sequences)
            return self._door.through(
                self, Call(messages, tools, callbacks, available_functions, from_task, from_agent, response_model, stop)
            )

        call._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]

        async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(self.call, messages, *args, **kwargs)

        acall._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]

        def ask_once(self, call: Call, attempt: Attempt) -> Any:
            """One request to the provider, past the door."""
            with (
                _noted(self._under_way, id(attempt)),
                alone(attempt),
                call_stop_override(self, list(call.stop) or None),
            ):
                if self.is_litellm and call.response_model is not None:
                    return _typed(base, self, call, call.response_model, attempt)
                return base.call(
                    self, call.messages, call.tools, call.callbacks, call.available_functions, call.from_task,
                    call.from_agent, call.response_model,
                )  # fmt: skip

        def hang_up(self, attempt: Attempt) -> None:
            """Close the connection of an attempt that is left behind; not when another one is under way on it."""
            client: Any = getattr(self, "_client", None)
            if self._under_way == {id(attempt)} and type(client).__module__.split(".")[0] in CLOSED_SDKS:
                self._client = None  # CrewAI's class makes a new one for the next call
                client.close()

        def supports_function_calling(self) -> bool:
            can = getattr(super(), "supports_function_calling", None)  # a class of one's own may not say
            return bool(can and can()) and not (self._door and self._door.text_tools)

        def get_context_window_size(self) -> int:
            return max(int(super().get_context_window_size()), LEAST_CONTEXT_WINDOW)

        def _track_token_usage_internal(self, usage_data: dict[str, Any]) -> None:
            report = usage_data if isinstance(usage_data, dict) else as_block(usage_data)  # LiteLLM's is an object
            tokens = tokens_of(report)  # first: it leaves CrewAI nothing to stumble over
            super()._track_token_usage_internal(report)
            if attempt := current.get():
                block, attempt.block = attempt.block, {}
                attempt.usage.update(tokens_of(block) if block else tokens)

        # what CrewAI makes of a usage block lacks parts of it: OpenAI's written tokens, Anthropic's that are kept for
        # an hour, Gemini's of tools, all details of Azure's
        def _extract_openai_token_usage(self, response: Any) -> Any:
            _note_usage(response)
            return super()._extract_openai_token_usage(response)

        def _extract_responses_token_usage(self, response: Any) -> Any:
            _note_usage(response)
            return super()._extract_responses_token_usage(response)

        def _extract_anthropic_token_usage(self, response: Any) -> Any:
            _note_usage(response)
            return super()._extract_anthropic_token_usage(response)

        def _extract_token_usage(self, response: Any) -> Any:  # Gemini's
            _note_usage(response)
            return super()._extract_token_usage(response)

        def _extract_azure_token_usage(self, response: Any) -> Any:
            _note_usage(response)
            return super()._extract_azure_token_usage(response)

        def _extract_finish_reason_and_id(self, response: Any) -> Any:  # for each piece of a stream of Azure's
            _note_usage(response)
            return super()._extract_finish_reason_and_id(response)

        def _emit_call_completed_event(self, *args: Any, **kwargs: Any) -> None:
            _note_end(kwargs)
            super()._emit_call_completed_event(*args, **kwargs)

        def _handle_emit_call_events(self, *args: Any, **kwargs: Any) -> None:  # the same in LiteLLM's class
            _note_end(kwargs)
            super()._handle_emit_call_events(*args, **kwargs)

        def _get_sync_client(self) -> Any:  # asked for right before a request: one left behind is not sent any more
            _go_on()
            client = super()._get_sync_client()
            if type(client).__module__.split(".")[0] == "openai":
                _part_usage(client)
            return client

        def _emit_stream_chunk_event(self, *args: Any, **kwargs: Any) -> None:
            _go_on()
            super()._emit_stream_chunk_event(*args, **kwargs)

        def _emit_thinking_chunk_event(self, *args: Any, **kwargs: Any) -> None:
            _go_on()
            super()._emit_thinking_chunk_event(*args, **kwargs)

        def _extract_finish_reason_and_response_id(self, response: Any) -> Any:  # LiteLLM's, for each piece
            _go_on()
            return super()._extract_finish_reason_and_response_id(response)

        def _extract_chat_finish_reason_and_id(self, response: Any) -> Any:  # OpenAI's, for a whole answer
            check_message(response)
            return super()._extract_chat_finish_reason_and_id(response)

    Guarded.__name__ = Guarded.__qualname__ = f"Guarded{base.__name__}"
    _subclasses[base] = Guarded
    return Guarded


@contextmanager
def _noted(under_way: set[int], attempt: int) -> Iterator[None]:
    under_way.add(attempt)
    try:
        yield
    finally:
        under_way.discard(attempt)


def _note_end(facts: dict[str, Any]) -> None:
    attempt = current.get()
    if attempt and "finish_reason" in facts:
        attempt.completed(facts["finish_reason"])


def _note_usage(response: Any) -> None:
    attempt = current.get()
    if attempt and (block := block_of(response)):
        attempt.block = block


def _part_usage(client: Any) -> None:
    """Let a stream of OpenAI's client tell the usage in a piece of its own.

    CrewAI 1.15 passes over whatever else stands in a piece with `usage`: DeepSeek, Mistral and vLLM put it on the last
    piece of the answer, or on each.
    """
    completions = client.chat.completions
    create = completions.create
    if isinstance(create, partial):  # done before
        return
    completions.create = partial(_create, create)


def _create(create: Any, **asked: Any) -> Any:
    answer = create(**asked)
    return _parted(answer) if asked.get("stream") else answer


def _parted(stream: Any) -> Iterator[Any]:
    with stream:
        for piece in stream:
            if piece.usage and piece.choices:
                yield piece.model_copy(update={"usage": None})
                yield piece.model_copy(update={"choices": []})
            else:
                yield piece


def _go_on() -> None:
    if attempt := current.get():
        attempt.go_on()


def _typed(base: Any, llm: Any, call: Call, kind: type[BaseModel], attempt: Attempt) -> Any:
    """A typed answer of LiteLLM's class, asked for in words.

    For typed answers CrewAI 1.15 leaves out the address, the key and the time-out of this class, and asks three times.
    """
    schema = json.dumps(kind.model_json_schema(), ensure_ascii=False)
    order = f"Answer with one JSON object that follows this JSON Schema, and nothing else:\n{schema}"
    messages = [{"role": "user", "content": call.messages}] if isinstance(call.messages, str) else call.messages
    messages = [*messages, {"role": "user", "content": order}]
    answer = base.call(llm, messages, None, call.callbacks, None, call.from_task, call.from_agent, None)
    check(answer, attempt, kind)
    try:
        return parse(str(answer), kind)
    except ValueError as error:
        raise BadAnswer(f"the answer is not of its type: {error}") from None
