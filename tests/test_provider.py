"""The real provider path: CrewAI's OpenAI class, the door around it, a loopback server at the other end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError
from pilotage.outcome import Result
from pilotage.record.journal import read_events
from pilotage.record.store import open_store
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.model.wire import USAGE, Talk, listen
from tests.support.server import COMPLETION_TOKENS, PROMPT_TOKENS, Server, good_over_http, serve

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"
KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture(autouse=True, scope="module")
def _authorities(one_authority: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority))
        yield


def ask(load: Load, server: Server, **overrides: Any) -> Result:
    settings = load(model__name="openai/local-model", model__base_url=server.url, **overrides)
    return run_crew(QUESTION, settings=settings)


def test_a_good_model_is_accepted_with_the_right_citation(load: Load) -> None:
    with serve(good_over_http) as server:
        result = ask(load, server)
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert [c["source"].split("#")[0] for c in result.citations] == ["retries.md"]
    assert "27 requests" in result.citations[0]["quote"]
    assert result.tokens == len(server.requests) * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert len(server.requests) == 5
    assert result.usd is None, "a model that nobody prices is unpriced, not free"


def test_a_known_model_is_priced(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(good_over_http) as server:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url)
        result = run_crew(QUESTION, settings=settings)
    assert result.usd == pytest.approx(5 * (PROMPT_TOKENS * 0.15e-6 + COMPLETION_TOKENS * 0.6e-6))


def test_the_key_is_nowhere_in_what_a_run_leaves(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(lambda _request: 401) as server:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url)
        result = run_crew(f"Is {KEY} a good key?", settings=settings)
    left = b"".join(path.read_bytes() for path in settings.runs.rglob("*") if path.is_file())
    assert KEY.encode() not in left
    assert result.outcome == "failed"


@pytest.mark.parametrize(("status", "requests"), [(401, 1), (404, 1), (400, 1), (429, 3), (500, 3), (503, 3)])
def test_a_fault_is_retried_only_when_that_can_help(load: Load, status: int, requests: int) -> None:
    with serve(lambda _request: status) as server:
        result = ask(load, server)
    assert result.outcome == "failed", result.reason
    assert result.exit_code == 4
    assert str(status) in result.reason
    assert len(server.requests) == requests
    assert result.hint


def test_a_passing_fault_costs_one_more_request(load: Load) -> None:
    faults = [429, 503]

    def play(request: dict[str, Any]) -> Any:
        return faults.pop() if faults else good_over_http(request)

    with serve(play) as server:
        result = ask(load, server)
    assert result.outcome == "accepted", result.reason
    assert len(server.requests) == 7


def test_an_unreachable_provider_fails_with_its_address_named(load: Load) -> None:
    with serve(good_over_http) as server:
        pass
    result = ask(load, server, limits__retries=1)
    assert result.outcome == "failed"
    assert "cannot be reached" in result.reason
    assert "base_url" in result.hint


def test_a_hung_model_ends_with_its_call_cap(load: Load) -> None:
    with serve(lambda _request: 8.0) as server:
        began = time.monotonic()
        result = ask(load, server, limits__call_seconds=1, limits__retries=0)
    assert result.outcome == "failed"
    assert "limits.call_seconds" in result.hint
    assert time.monotonic() - began < 5


def test_a_hung_model_ends_with_the_run(load: Load) -> None:
    with serve(lambda _request: 8.0) as server:
        result = ask(load, server, limits__seconds=2)
    assert result.outcome == "limited"
    assert result.exit_code == 3
    assert result.seconds < 4, "2 s, and what a busy machine adds, against 8 s of hanging"
    assert len(server.requests) == 1


def test_a_hung_model_ends_with_its_agents_time(load: Load) -> None:
    with serve(lambda _request: 8.0) as server:
        result = ask(load, server, agents__researcher__max_execution_time=1)
    assert result.outcome == "limited", result.reason
    assert "agents.researcher.max_execution_time" in result.reason
    assert result.seconds < 3, "1 s, and what a busy machine adds, against 8 s of hanging"


@pytest.mark.parametrize(("key", "value", "requests"), [("model_calls", 3, 3), ("tokens", 700, 2)])
def test_the_caps_of_a_run_hold(load: Load, key: str, value: int, requests: int) -> None:
    with serve(good_over_http) as server:
        result = ask(load, server, **{f"limits__{key}": value})
    assert result.outcome == "limited"
    assert f"limits.{key}" in result.reason
    assert len(server.requests) == requests


def test_every_call_is_in_the_journal_with_request_and_answer(load: Load) -> None:
    with serve(good_over_http) as server:
        settings = load(model__name="openai/local-model", model__base_url=server.url)
        result = run_crew(QUESTION, settings=settings)
    calls = [e for e in read_events(open_store(settings.store, create=False), result.run) if e.kind == "model_call"]
    assert [c.facts["agent"] for c in calls] == ["researcher"] * 2 + ["verifier"] * 2 + ["explainer"]
    assert all(QUESTION in str(c.content["request"]) and c.content["answer"] for c in calls)
    assert {c.facts["usd"] for c in calls} == {"unpriced"}


# --- streams and fallbacks


def stream_of(talk: Talk) -> None:
    """The good model, in pieces."""
    message = good_over_http(talk.request)
    if message.get("tool_calls"):
        calls = [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]
        talk.stream({"tool_calls": calls}, {"finish": "tool_calls"})
    else:
        text = message["content"]
        talk.stream(*(text[n : n + 40] for n in range(0, len(text), 40)), {"finish": "stop"})


def test_a_good_model_that_streams_is_accepted_and_counted_once(load: Load) -> None:
    with listen(stream_of) as wire:
        settings = load(model__name="openai/local-model", model__base_url=wire.url, model__stream="true")
        result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert len(wire.requests) == 5
    assert result.tokens == 5 * USAGE["total_tokens"]


def test_a_stream_that_drips_ends_with_the_run_and_is_closed(load: Load) -> None:
    with listen(lambda talk: talk.stream(*["x"] * 200, every=0.05)) as wire:
        settings = load(
            model__name="openai/local-model", model__base_url=wire.url, model__stream="true", limits__seconds=1
        )
        result = run_crew(QUESTION, settings=settings)
        until = time.monotonic() + 2
        while wire.open and time.monotonic() < until:
            time.sleep(0.02)
        assert wire.open == 0, "the client has hung up"
    assert result.outcome == "limited"
    assert len(wire.requests) == 1


def test_the_second_model_answers_when_the_first_refuses_the_key(load: Load) -> None:
    with serve(lambda _request: 401) as one, serve(good_over_http) as two:
        settings = load(
            model__name="openai/first", model__base_url=one.url,
            model__fallbacks=f'[{{name: openai/second, base_url: "{two.url}"}}]',
        )  # fmt: skip
        result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert (len(one.requests), len(two.requests)) == (1, 5), "no agent asks the first one again"
    events = list(read_events(open_store(settings.store, create=False), result.run))
    (fallback,) = [e for e in events if e.kind == "fallback"]
    assert (fallback.facts["agent"], fallback.facts["model"], fallback.facts["to"]) == (
        "researcher", "openai/first", "openai/second",
    )  # fmt: skip
    assert [e.facts["model"] for e in events if e.kind == "model_call"] == ["openai/first"] + ["openai/second"] * 5


def test_a_model_that_fails_in_the_middle_is_followed_by_the_next(load: Load) -> None:
    served = 0

    def play(request: dict[str, Any]) -> Any:
        nonlocal served
        served += 1
        return good_over_http(request) if served <= 2 else 503

    with serve(play) as one, serve(good_over_http) as two:
        settings = load(
            model__name="openai/first", model__base_url=one.url, limits__retries=1,
            model__fallbacks=f'[{{name: openai/second, base_url: "{two.url}"}}]',
        )  # fmt: skip
        result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert (len(one.requests), len(two.requests)) == (4, 3)


def test_the_reader_answers_when_no_model_can_be_reached(load: Load) -> None:
    with serve(good_over_http) as server:
        pass
    settings = load(
        model__name="openai/local-model", model__base_url=server.url, model__fallbacks="[reader]", limits__retries=0
    )
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", (result.reason, result.unsupported)
    assert "27 requests" in result.citations[0]["quote"]
    events = list(read_events(open_store(settings.store, create=False), result.run))
    models = [e.facts["model"] for e in events if e.kind == "model_call"]
    assert models[0] == "openai/local-model"
    assert set(models[1:]) == {"reader"}


def test_when_all_models_have_failed_each_is_named(load: Load) -> None:
    with serve(lambda _request: 401) as one, serve(lambda _request: 404) as two:
        settings = load(
            model__name="openai/first", model__base_url=one.url,
            model__fallbacks=f'[{{name: openai/second, base_url: "{two.url}"}}]',
        )  # fmt: skip
        result = run_crew(QUESTION, settings=settings)
    assert (result.outcome, result.exit_code) == ("failed", 4)
    assert "openai/first: the provider refused the key (HTTP 401)" in result.reason
    assert "openai/second: the provider knows no such model" in result.reason


@pytest.mark.parametrize(
    "fallback",
    [
        "anthropic/claude-haiku-4-5",
        "{name: openai/b, api_key_env: NO_SUCH_KEY}",
        "{name: openai/b, base_url: nonsense}",
    ],
)
def test_a_fallback_that_cannot_work_is_told_before_anything_is_written(load: Load, fallback: str) -> None:
    settings = load(
        model__name="openai/a", model__base_url="http://127.0.0.1:9/v1", model__fallbacks=f"[openai/c, {fallback}]"
    )
    with pytest.raises(ConfigError, match=r"model\.fallbacks\[1\]"):
        run_crew(QUESTION, settings=settings)
    assert not settings.store.exists()


def test_a_server_that_reports_no_tokens_does_not_switch_the_caps_off(load: Load) -> None:
    with listen(lambda talk: talk.answer(good_over_http(talk.request), usage=None)) as wire:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=wire.url, limits__tokens=300)
        result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "limited", result.reason
    assert "limits.tokens" in result.reason
    assert result.tokens > 300
    assert result.usd


def test_a_truncated_answer_ends_with_the_key_to_raise(load: Load) -> None:
    with listen(lambda talk: talk.answer("half of an ans", "length")) as wire:
        settings = load(model__name="openai/local-model", model__base_url=wire.url, limits__retries=1)
        result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "failed"
    assert len(wire.requests) == 2
    assert "model.max_tokens" in result.hint
    assert result.tokens == 2 * USAGE["total_tokens"]
