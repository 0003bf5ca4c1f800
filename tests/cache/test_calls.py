"""The cache of model calls: what makes two calls the same, with the classes of CrewAI's providers."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from crewai import LLM, BaseLLM
from crewai.llms.base_llm import call_stop_override
from pydantic import BaseModel

from pilotage.cache.calls import CALL as CALL_KIND
from pilotage.cache.calls import DAY, CallCache, Unfixed, cache_key, parameters_of
from pilotage.cache.figures import listed, stats
from pilotage.cache.store import Store
from pilotage.model import factory
from pilotage.model.subclass import guarded
from pilotage.record.redact import Redactor
from pilotage.spec import ModelSpec
from pilotage.tape.recall import Calls, Recall
from pilotage.tape.tape import Recorded
from tests.cache.conftest import SECRET

LOCAL = "http://127.0.0.1:9/v1"
SDKS = {
    "openai/gpt-4o-mini": "openai",
    "deepseek/deepseek-chat": "openai",
    "anthropic/claude-haiku-4-5": "anthropic",
    "gemini/gemini-2.5-flash": "google.genai",
    "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0": "boto3",
    "azure/gpt-4o-mini": "azure.ai.inference",
    "mistral/mistral-small": "litellm",
}
KEYS = ("OPENAI", "DEEPSEEK", "ANTHROPIC", "GEMINI", "AZURE", "MISTRAL")
KEY = "sk-of-the-provider-0123456789"
CALL = Recorded("20261123-084501-3f9a2c", 7, "research", "researcher", "k", "Tee: 茶", model="m", tokens=12, usd=0.5)


class Wanted(BaseModel):
    name: str


def is_there(sdk: str) -> bool:
    try:
        return importlib.util.find_spec(sdk) is not None
    except ModuleNotFoundError:  # the package around it
        return False


ALL = [
    pytest.param(name, marks=pytest.mark.skipif(not is_there(sdk), reason=f"{sdk} is not installed"))
    for name, sdk in SDKS.items()
]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def build(name: str, **spec: Any) -> Any:
    return factory.build(name, ModelSpec(**{"base_url": LOCAL} | spec), 5)


def openai(**options: Any) -> Any:
    given: dict[str, Any] = {"model": "openai/gpt-4o-mini", "api_key": KEY, "base_url": LOCAL, "temperature": 0.0}
    return LLM(**given | options)


def key_of(llm: Any, request: str = "r", **more: Any) -> str | None:
    given: dict[str, Any] = {"name": "openai/gpt-4o-mini", "agent": "researcher", "scope": ""}
    return cache_key(request, llm, **given | more)


# --- the key


@pytest.mark.parametrize("name", ALL)
def test_two_fresh_objects_of_the_same_settings_have_one_key(name: str) -> None:
    first, second = key_of(build(name)), key_of(build(name))
    assert first
    assert first == second
    assert key_of(guarded(build(name))) == first, "behind the door too"


@pytest.mark.parametrize("name", ALL)
def test_any_setting_of_a_provider_changes_the_key(name: str) -> None:
    known = {key_of(build(name))}
    for changed in ({"max_tokens": 100}, {"base_url": "http://127.0.0.1:8/v1"}):
        known.add(key_of(build(name, **changed)))
    assert None not in known
    assert len(known) == 3


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("temperature", [None, 0.1, 1.0])
def test_only_temperature_zero_is_cached(name: str, temperature: float | None) -> None:
    assert key_of(build(name, temperature=temperature)) is None


@pytest.mark.parametrize("name", ALL)
def test_no_key_of_a_provider_is_among_the_parameters(name: str) -> None:
    llm = build(name)
    assert KEY not in json.dumps(parameters_of(llm, name))
    assert key_of(llm, redactor=Redactor({"SOME_API_KEY": KEY}))


PARAMETERS: dict[str, Any] = {
    "top_p": 0.5, "max_tokens": 9, "max_completion_tokens": 9, "stop": ["END"], "seed": 7, "n": 2,
    "frequency_penalty": 0.5, "presence_penalty": 0.5, "logprobs": True, "top_logprobs": 2, "stream": True,
    "reasoning_effort": "low", "response_format": Wanted, "base_url": "http://127.0.0.1:8/v1",
    "model": "openai/gpt-4o", "api": "responses", "instructions": "be short", "builtin_tools": ["web_search"],
    "default_query": {"version": "2"}, "default_headers": {"X-Beta": "on"}, "logit_bias": {"50256": -100},
    "additional_params": {"service_tier": "flex"}, "stop_token_ids": [1], "end_token": "</s>",
}  # fmt: skip


def test_one_changed_parameter_changes_the_key() -> None:
    known = {"": key_of(openai())} | {name: key_of(openai(**{name: value})) for name, value in PARAMETERS.items()}
    assert None not in known.values()
    assert len(set(known.values())) == len(PARAMETERS) + 1, sorted(known, key=lambda name: str(known[name]))


def test_every_public_field_is_in_the_key_or_left_out_on_purpose() -> None:
    """A parameter that CrewAI adds is in the key by itself; what is left out is listed here."""
    left_out = {"timeout", "max_retries", "organization", "project", "api_key"}
    llm = openai(top_p=0.5)
    known = key_of(llm)
    for field in type(llm).model_fields:
        value = getattr(llm, field)
        changed = "changed" if not isinstance(value, bool) else not value
        vars(llm)[field] = changed
        key = key_of(llm)
        vars(llm)[field] = value
        assert key is None or (key == known) == (field in left_out), field


def test_the_rest_of_the_key_is_the_request_the_agent_the_model_and_the_scope() -> None:
    keys = [
        key_of(openai()), key_of(openai(), "other"), key_of(openai(), agent="verifier"),
        key_of(openai(), name="openai/other"), key_of(openai(), scope="tenant"),
    ]  # fmt: skip
    assert len(set(keys)) == 5
    assert key_of(openai(temperature=0)) == keys[0]


def test_what_changes_no_answer_does_not_change_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    known = key_of(openai())
    others = {"timeout": 3, "max_retries": 9, "api_key": "sk-another-0123456789abcdef", "organization": "o"}
    assert {key_of(openai(**{name: value})) for name, value in others.items()} == {known}
    headers = {"Authorization": "Bearer abcdefgh12345678XYZ", "X-Api-Key": "another-key-0123456789"}
    assert key_of(openai(default_headers=headers)) == key_of(openai(default_headers={}))


def test_a_stop_word_of_one_call_is_in_the_key() -> None:
    llm = openai()
    with call_stop_override(llm, ["Observation:"]):
        assert key_of(llm) not in (None, key_of(openai()))


def test_a_temperature_among_the_additional_parameters_is_the_one_that_counts() -> None:
    assert key_of(openai(additional_params={"temperature": 1})) is None
    assert key_of(openai(temperature=None, additional_params={"temperature": 0}))


def test_an_address_of_the_environment_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    known = key_of(openai(base_url=None))
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    assert key_of(openai(base_url=None)) not in (None, known)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:password@127.0.0.1:9/v1")
    assert key_of(openai(base_url=None)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"additional_params": {"hook": print}},
        {"additional_params": {"seen": object()}},
        {"auto_chain": True},
        {"previous_response_id": "resp_1"},
        {"additional_params": {"note": "https://user:password@example.org"}},
        {"instructions": f"use {KEY}"},
    ],
)
def test_what_has_no_fixed_form_or_holds_a_secret_is_not_cached(options: dict[str, Any]) -> None:
    assert key_of(openai(**options)) is None


def test_a_model_of_the_users_own_is_known_by_its_fields() -> None:
    class Own(BaseLLM):
        style: str = "plain"

        def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
            return "answer"

    def own(**values: Any) -> str | None:
        return key_of(Own(model="own", provider="mine", temperature=0.0, **values))

    assert own() == own()
    assert own() != own(style="rich")
    assert key_of(Own(model="own", provider="mine")) is None
    assert key_of(object()) is None
    with pytest.raises(Unfixed):
        parameters_of(object(), "x")


# --- the cache


@pytest.fixture
def cache(store: Store) -> CallCache:
    return CallCache(store, 7)


def test_a_call_comes_back_as_it_was_kept_without_its_request(cache: CallCache, opened: Callable[..., Store]) -> None:
    same: Calls = cache  # as the tape's room asks it
    call = replace(CALL, form="typed", request="the whole request", read={"a#1": {"where": "a", "sha": "0"}})
    same.put("k", call)
    assert same.get("k") == replace(call, request="")
    assert CallCache(opened(), 7).get("k") == replace(call, request="")
    assert cache.get("other") is None
    same.drop("k")
    assert cache.get("k") is None


def test_the_key_is_that_of_the_scope(store: Store) -> None:
    given = ("r", "openai/gpt-4o-mini", openai(), "researcher")
    one, other = CallCache(store, 7).key_of(*given), CallCache(store, 7, scope="tenant").key_of(*given)
    assert one
    assert other
    assert one != other


def test_a_call_that_is_too_old_is_a_miss(store: Store, cache: CallCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("k", CALL)
    later = time.time() + 3 * DAY
    monkeypatch.setattr("time.time", lambda: later)
    assert cache.get("k") == CALL
    assert CallCache(store, 2).get("k") is None, "the setting was lowered"
    later += 5 * DAY
    assert cache.get("k") is None


def test_a_fresh_cache_is_filled_and_not_asked(store: Store, cache: CallCache) -> None:
    fresh = CallCache(store, 7, fresh=True)
    fresh.put("k", CALL)
    assert fresh.get("k") is None
    assert cache.get("k") == CALL


@pytest.mark.parametrize(
    "call",
    [
        replace(CALL, failed=True),
        replace(CALL, answer=f"the key is {SECRET}"),
        replace(CALL, form="calls", answer=json.dumps([{"arguments": json.dumps({"key": f'"{SECRET}"'})}])),
    ],
)
def test_what_failed_or_holds_a_secret_is_not_kept(cache: CallCache, path: Path, call: Recorded) -> None:
    cache.put("k", call)
    assert cache.get("k") is None
    assert stats(path) == {}


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no JSON", b'{"run": "r"}'])
def test_an_entry_of_another_version_is_a_miss(store: Store, cache: CallCache, body: bytes) -> None:
    store.put("call", "k", body)
    assert cache.get("k") is None


def test_the_list_says_whose_call_it_was(cache: CallCache, path: Path) -> None:
    cache.put("k", CALL)
    (entry,) = listed(path)
    assert entry["about"] == {
        "model": "m", "agent": "researcher", "task": "research", "run": CALL.run, "tokens": 12,
    }  # fmt: skip


def test_the_number_of_the_fences_in_a_cached_answer_is_that_of_the_run_that_gets_it(store: Store) -> None:
    calls, call = CallCache(store, 7), replace(CALL, answer="as <<<data aaaa1111 from x says")
    first = Recall(Redactor({}), "aaaa1111", calls=calls)
    first.keep("research", "k", call)
    first.passed("research")
    served = Recall(Redactor({}), "bbbb2222", calls=calls).model("research", "researcher", [], "k")
    assert served is not None
    assert served.call.answer == "as <<<data bbbb2222 from x says"


@pytest.mark.parametrize("bad", [{"answer": 5}, {"usd": "y"}, {"tokens": None}, {"read": []}])
def test_an_entry_of_another_shape_is_a_miss_and_goes(store: Store, bad: dict[str, Any]) -> None:
    calls = CallCache(store, 7)
    store.put(CALL_KIND, "k", json.dumps(asdict(CALL) | bad).encode())
    assert calls.get("k") is None
    assert store.get(CALL_KIND, "k") is None
