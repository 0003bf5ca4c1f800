"""The generated subclass: each name of CrewAI's that it overrides or sets is still there, and still called."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from crewai import LLM, BaseLLM
from crewai.llms.providers.openai.completion import OpenAICompletion

from pilotage.model.answers import Attempt, LeftBehind
from pilotage.model.door import Door, open_door
from pilotage.model.retries import alone
from pilotage.model.subclass import guarded
from tests.model.bench import Make, Provider, provider

OF_ALL = ("_emit_call_completed_event", "_emit_stream_chunk_event", "_emit_thinking_chunk_event",
          "_track_token_usage_internal")  # fmt: skip
OF_LITELLM = ("_handle_emit_call_events", "_extract_finish_reason_and_response_id")
OF_OPENAI = ("_extract_chat_finish_reason_and_id", "_get_sync_client")


@pytest.mark.parametrize(
    ("kind", "names"), [(BaseLLM, OF_ALL), (LLM, (*OF_ALL, *OF_LITELLM)), (OpenAICompletion, (*OF_ALL, *OF_OPENAI))]
)
def test_the_private_names_of_crewai_that_are_overridden_still_exist(kind: Any, names: tuple[str, ...]) -> None:
    assert [name for name in names if not callable(getattr(kind, name, None))] == []
    assert "finish_reason" in inspect.signature(kind._emit_call_completed_event).parameters


def test_the_end_of_a_call_is_noted_by_the_attempt_that_made_it() -> None:
    llm, attempt = guarded(provider(lambda _: "x", finish="length")), Attempt()
    with alone(attempt):
        Provider.call(llm, "q")
    assert (attempt.reported, attempt.finish) == (True, "length")


@pytest.mark.parametrize("method", ["_emit_stream_chunk_event", "_emit_thinking_chunk_event"])
def test_a_piece_for_nobody_ends_the_stream(method: str) -> None:
    llm, attempt = guarded(provider(lambda _: "x")), Attempt(left=True)
    with alone(attempt), pytest.raises(LeftBehind):
        getattr(llm, method)(chunk="x")


def test_an_object_is_guarded_once() -> None:
    llm = guarded(provider(lambda _: "x"))
    kind, under_way = type(llm), llm._under_way
    assert guarded(llm) is llm
    assert type(llm) is kind
    assert llm._under_way is under_way


def test_a_fallback_has_no_door_of_its_own_and_can_call_tools() -> None:
    llm = guarded(LLM(model="openai/gpt-4o-mini", api_key="x", base_url="http://127.0.0.1:9/v1"))
    assert llm._door is None
    assert llm.supports_function_calling() is True


def test_an_agent_that_calls_tools_in_words_gets_no_native_calls(bench: Make) -> None:
    table = bench()
    for text_tools in (True, False):
        llm = LLM(model="openai/gpt-4o-mini", api_key="x", base_url="http://127.0.0.1:9/v1")
        door = Door("agent", "openai/gpt-4o-mini", table.meter, table.journal, text_tools=text_tools)
        opened: Any = open_door(llm, door)
        assert opened.supports_function_calling() is not text_tools
