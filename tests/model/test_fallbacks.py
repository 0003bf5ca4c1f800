"""Fallbacks: the next model when one has failed for good, and nobody asks the failed one again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from crewai import LLM
from crewai.llms.base_llm import call_stop_override

from pilotage.errors import ConfigError, StoreError
from pilotage.guard.limits import Ended
from pilotage.model import fallbacks as fallbacks_module
from pilotage.model.door import Stopped
from pilotage.model.factory import check, keyed_fallbacks
from pilotage.model.fallbacks import Candidate, Fallbacks
from pilotage.settings import Settings
from tests.model.bench import Bench, Fault, Make, RateLimit, fallbacks, provider

Load = Callable[..., Settings]
LOCAL = "http://127.0.0.1:9/v1"


def asked(table: Bench) -> list[tuple[str, int, bool]]:
    return [(e.facts["model"], e.facts["attempt"], bool(e.facts.get("failed"))) for e in table.calls()]


# --- when the next model is asked


def test_after_the_retries_the_next_model_gets_the_same_request(bench: Make) -> None:
    table = bench(retries=1)
    others = fallbacks(b=lambda _: "from b")
    llm = table.guard(lambda _: RateLimit(), "tests/a", fallbacks=others)
    messages = [{"role": "user", "content": "the question"}]
    assert llm.call(messages) == "from b"
    assert asked(table) == [("tests/a", 1, True), ("tests/a", 2, True), ("tests/b", 1, False)]
    assert others.models[0].llm._seen == [messages]
    (event,) = table.events("fallback")
    assert (event.facts["agent"], event.facts["model"], event.facts["to"]) == ("agent", "tests/a", "tests/b")
    assert "HTTP 429" in event.content["reason"]
    assert table.meter.ended is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_fault_that_no_retry_can_help_goes_to_the_next_model_at_once(bench: Make, status: int) -> None:
    table = bench(retries=3)
    llm = table.guard(lambda _: Fault(status), "tests/a", fallbacks=fallbacks(b=lambda _: "from b"))
    assert llm.call("q") == "from b"
    assert [name for name, *_ in asked(table)] == ["tests/a", "tests/b"]


def test_retries_count_per_model(bench: Make) -> None:
    table = bench(retries=1)
    others = fallbacks(b=lambda _: RateLimit(), c=lambda me: "c" if me._calls == 2 else RateLimit())
    assert table.guard(lambda _: RateLimit(), "tests/a", fallbacks=others).call("q") == "c"
    assert [(name, attempt) for name, attempt, _ in asked(table)] == [
        ("tests/a", 1), ("tests/a", 2), ("tests/b", 1), ("tests/b", 2), ("tests/c", 1), ("tests/c", 2),
    ]  # fmt: skip
    assert [(e.facts["model"], e.facts["to"]) for e in table.events("fallback")] == [
        ("tests/a", "tests/b"), ("tests/b", "tests/c"),
    ]  # fmt: skip


def test_one_request_is_one_iteration_however_many_models_are_asked(bench: Make) -> None:
    table = bench(retries=1)
    table.meter.begin_turn("agent", "task", max_iter=1, seconds=60)
    llm = table.guard(lambda _: RateLimit(), "tests/a", fallbacks=fallbacks(b=lambda _: "from b"))
    assert llm.call("q") == "from b"
    with pytest.raises(Stopped, match=r"agent\.max_iter"):
        llm.call("q")


def test_a_failed_model_is_asked_by_no_agent_again(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(b=lambda _: "from b")
    one = table.guard(lambda _: Fault(401), "tests/a", fallbacks=others)
    two = table.guard(lambda _: "from a", "tests/a", fallbacks=others)
    assert [one.call("q"), one.call("q"), two.call("q")] == ["from b"] * 3
    assert (one._calls, two._calls) == (1, 0)
    assert len(table.events("fallback")) == 1


def test_a_model_that_works_keeps_its_agents(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(b=lambda _: "from b")
    other = table.guard(lambda _: "from c", "tests/c", fallbacks=others)
    table.guard(lambda _: Fault(401), "tests/a", fallbacks=others).call("q")
    assert other.call("q") == "from c"


def test_when_all_have_failed_the_run_fails_and_names_each(bench: Make) -> None:
    table = bench(retries=0)
    others = fallbacks(b=lambda _: ConnectionRefusedError("no"))
    with pytest.raises(Stopped):
        table.guard(lambda _: Fault(401), "tests/a", fallbacks=others).call("q")
    ended = table.meter.ended
    assert ended is not None
    assert ended.outcome == "failed"
    assert ended.reason.startswith("tests/a: the provider refused the key (HTTP 401); tests/b: ")
    assert "cannot be reached" in ended.reason
    assert ended.hint == "check the key in .env"


def test_a_cap_reached_over_failing_models_says_what_failed_last(bench: Make) -> None:
    table = bench(retries=1, model_calls=3)
    others = fallbacks(b=lambda _: Fault(503), c=lambda _: "from c")
    with pytest.raises(Stopped):
        table.guard(lambda _: Fault(500), "tests/a", fallbacks=others).call("q")
    ended = table.meter.ended
    assert ended is not None
    assert ended.outcome == "limited"
    assert ended.reason.startswith("Run stopped: 3 model calls against the limit of 3 (limits.model_calls); before: ")
    assert ended.reason.endswith("tests/b: the provider answered HTTP 503: status 503")
    assert "raise limits.model_calls" in ended.hint


def test_a_cap_reached_without_a_fault_names_none(bench: Make) -> None:
    table = bench(model_calls=2)
    llm = table.guard(lambda me: Fault(503) if me._calls == 1 else "x", "tests/a")
    assert llm.call("q") == "x"
    with pytest.raises(Stopped):
        llm.call("q")
    assert table.meter.ended is not None
    assert "before" not in table.meter.ended.reason


# --- a model that stands twice


def twin(table: Bench, others: Fallbacks, name: str = "tests/a") -> Any:
    return table.guard(lambda _: Fault(401), name, fallbacks=others)


def test_a_model_is_not_its_own_fallback(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(a=lambda _: "from a", b=lambda _: "from b")
    assert twin(table, others).call("q") == "from b"
    (event,) = table.events("fallback")
    assert (event.facts["model"], event.facts["to"]) == ("tests/a", "tests/b")
    assert others.models[0].llm._calls == 0


def test_a_model_whose_only_fallback_is_itself_has_none(bench: Make) -> None:
    table = bench(retries=0)
    with pytest.raises(Stopped):
        twin(table, fallbacks(a=lambda _: "from a")).call("q")
    assert table.events("fallback") == []
    assert table.meter.ended is not None
    assert table.meter.ended.reason.count("tests/a") == 1


def test_an_agent_with_a_model_of_its_own_falls_back_to_that_of_the_run(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(a=lambda _: "from a")
    assert twin(table, others, "tests/own").call("q") == "from a"


def test_one_model_with_two_keys_is_two_models(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(a=lambda _: "with the other key")
    others.models[0].llm.api_key = "other"
    assert twin(table, others).call("q") == "with the other key"
    (event,) = table.events("fallback")
    assert (event.facts["model"], event.facts["to"]) == ("tests/a", "tests/a")


def test_a_cap_of_the_run_is_no_fault_of_the_model(bench: Make) -> None:
    table = bench(retries=5, model_calls=2)
    others = fallbacks(b=lambda _: "from b")
    with pytest.raises(Stopped, match=r"limits\.model_calls"):
        table.guard(lambda _: RateLimit(), "tests/a", fallbacks=others).call("q")
    assert others.models[0].llm._calls == 0
    assert table.events("fallback") == []


def test_after_the_end_of_the_run_no_fallback_is_asked(bench: Make) -> None:
    table = bench(retries=0)

    def play(_: Any) -> Any:
        table.meter.end(Ended("interrupted", "stopped by SIGINT"))
        return Fault(401)

    others = fallbacks(b=lambda _: "from b")
    with pytest.raises(Stopped, match="SIGINT"):
        table.guard(play, "tests/a", fallbacks=others).call("q")
    assert others.models[0].llm._calls == 0


def test_a_journal_that_cannot_be_written_is_no_fault_of_the_model(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    table, others = bench(), fallbacks(b=lambda _: "from b")

    def fail(*_: Any, **__: Any) -> Any:
        raise StoreError("The journal cannot be written: disk full")

    llm = table.guard(lambda _: "x", "tests/a", fallbacks=others)
    monkeypatch.setattr(type(table.journal), "_write", fail)
    with pytest.raises(Stopped, match="disk full"):
        llm.call("q")
    assert others.models[0].llm._calls == 0


def test_a_wait_that_does_not_fit_goes_to_the_next_model(bench: Make) -> None:
    table = bench(retries=3, seconds=5)
    asks = Fault(429)
    asks.headers = {"Retry-After": "60"}  # type: ignore[attr-defined]
    assert table.guard(lambda _: asks, "tests/a", fallbacks=fallbacks(b=lambda _: "b")).call("q") == "b"
    assert len(table.calls()) == 2


def test_a_model_is_priced_by_its_own_name(bench: Make) -> None:
    def used(me: Any) -> str:
        me._track_token_usage_internal({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000})
        return "x"

    table = bench(retries=0)
    others = fallbacks(b=used)
    known = Fallbacks([Candidate("openai/gpt-4o-mini", others.models[0].llm)])
    table.guard(lambda _: Fault(401), "tests/unpriced", fallbacks=known).call("q")
    assert table.meter.usd == pytest.approx(1000 * 0.15e-6)


def test_what_only_one_provider_understands_is_not_sent_to_another(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(b=lambda _: "from b")
    message = {"role": "assistant", "content": None, "tool_calls": [], "raw_tool_call_parts": [object()]}
    llm = table.guard(lambda _: Fault(500), "tests/a", fallbacks=others)
    llm.call([message])
    assert llm._seen == [[message]]
    assert others.models[0].llm._seen == [[{"role": "assistant", "content": None, "tool_calls": []}]]


def test_the_stop_words_in_force_hold_for_the_next_model(bench: Make) -> None:
    table, others = bench(retries=0), fallbacks(b=lambda _: "from b")
    llm = table.guard(lambda _: Fault(500), "tests/a", fallbacks=others)
    with call_stop_override(llm, ["\nObservation:"]):
        llm.call("q")
    assert (llm._stops, others.models[0].llm._stops) == ([["\nObservation:"]], [["\nObservation:"]])


def test_many_threads_lose_a_model_once(bench: Make) -> None:
    table, others = bench(retries=0, model_calls=1000), fallbacks(b=lambda _: "from b")
    start, answers = threading.Barrier(8), []

    def work() -> None:
        llm = table.guard(lambda _: Fault(401), "tests/a", fallbacks=others)
        start.wait()
        answers.append(llm.call("q"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["from b"] * 8
    assert len(table.events("fallback")) == 1


# --- what model.fallbacks says


def test_a_fallback_of_the_same_provider_keeps_the_server_and_its_key(load: Load) -> None:
    settings = load(
        model__name="openai/a", model__base_url=LOCAL, model__api_key_env="MY_KEY",
        model__fallbacks='[openai/b, anthropic/c, {name: openai/d, base_url: "http://127.0.0.1:8/v1"},'
        " {name: anthropic/e, api_key_env: OTHER_KEY}]",
    )  # fmt: skip
    assert [(spec.name, spec.base_url, spec.api_key_env) for spec in keyed_fallbacks(settings).values()] == [
        ("openai/b", LOCAL, "MY_KEY"), ("anthropic/c", None, None), ("openai/d", "http://127.0.0.1:8/v1", None),
        ("anthropic/e", None, "OTHER_KEY"),
    ]  # fmt: skip
    assert {(spec.max_tokens, spec.stream) for spec in keyed_fallbacks(settings).values()} == {(2048, False)}


def test_the_keys_of_the_fallbacks_are_checked_before_a_run(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(model__name="openai/a", model__base_url=LOCAL, model__fallbacks="[anthropic/c]")
    with pytest.raises(ConfigError, match=r"^model\.fallbacks\[0\]: No key for the model anthropic/c") as caught:
        check(settings)
    assert caught.value.hint == "put ANTHROPIC_API_KEY=... into .env, or take it out of model.fallbacks"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    check(settings)


def test_the_key_that_a_fallback_names_is_called_by_its_place(load: Load) -> None:
    named = "[openai/b, {name: openai/c, api_key_env: OTHER_KEY}]"
    settings = load(model__name="openai/a", model__base_url=LOCAL, model__fallbacks=named)
    with pytest.raises(ConfigError, match=r"^OTHER_KEY is not set \(model\.fallbacks\[1\]\.api_key_env\)$") as caught:
        check(settings)
    assert caught.value.hint == "put OTHER_KEY=... into .env, or take it out of model.fallbacks"


ADDRESSES = [
    "nonsense",
    "ftp://127.0.0.1/v1",
    "http://",
    "http:///v1",
    "127.0.0.1:8000/v1",
    "http://[::1",
    "http://a:b",
]


@pytest.mark.parametrize("url", [*ADDRESSES, "http://sk-secret-0123456789@:99999"])
def test_an_address_that_is_none_is_refused_before_a_run(
    load: Load, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:  # fmt: skip
    for key, more in (
        ("model.base_url", {"model__base_url": url}),
        ("model.fallbacks[1].base_url", {"model__fallbacks": f'[openai/b, {{name: openai/c, base_url: "{url}"}}]'}),
    ):
        with pytest.raises(ConfigError) as caught:
            check(load(**{"model__name": "openai/a", "model__base_url": LOCAL} | more))
        assert str(caught.value) == f"{key} is no http(s) address"
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ConfigError, match=r"^OPENAI_BASE_URL is no http"):
        check(load(model__name="openai/a"))


@pytest.mark.parametrize("url", [LOCAL, "https://example.org", "HTTP://localhost:1/", "http://[::1]:8000/v1"])
def test_an_address_that_is_one_is_taken(load: Load, url: str) -> None:
    check(load(model__name="openai/a", model__base_url=url, model__fallbacks="[openai/b]"))


def test_a_fallback_that_stands_twice_is_there_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "x")
    settings = load(
        model__name="openai/a", model__base_url=LOCAL,
        model__fallbacks="[openai/b, openai/b, b, openai/c, {name: openai/b, api_key_env: OTHER_KEY},"
        f' {{name: openai/b, base_url: "{LOCAL}/2"}}, openai/c]',
    )  # fmt: skip
    assert list(keyed_fallbacks(settings)) == [f"model.fallbacks[{number}]" for number in (0, 3, 4, 5)]
    assert len(keyed_fallbacks(settings)) == len(fallbacks_module.build(settings, "q").models) == 4


def test_the_reader_alone_needs_no_fallback(load: Load) -> None:
    settings = load(model__fallbacks="[anthropic/c]")
    check(settings)
    assert keyed_fallbacks(settings) == {}
    assert fallbacks_module.build(settings, "q").models == ()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [({"model__fallbacks": "[reader, openai/b]"}, "nothing comes after the reader"),
     ({"model__fallbacks": "[reader]", "model__tool_calls": "text"}, r"model\.tool_calls")],
)  # fmt: skip
def test_a_reader_that_cannot_help_is_refused(load: Load, overrides: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(load(model__name="openai/a", model__base_url=LOCAL, **overrides))


def test_the_objects_of_the_fallbacks_are_built_before_the_run(load: Load) -> None:
    settings = load(model__name="openai/a", model__base_url=LOCAL, model__fallbacks="[openai/b, reader]")
    built = fallbacks_module.build(settings, "the question").models
    assert [(model.name, model.free) for model in built] == [("openai/b", False), ("reader", True)]
    assert isinstance(built[0].llm, type(LLM(model="openai/b", custom_openai=True, base_url=LOCAL, api_key="x")))
    assert built[0].llm.base_url == LOCAL
    with pytest.raises(ConfigError, match=r"^model\.fallbacks\[0\]: Model requests are switched off"):
        fallbacks_module.build(load(model__name="openai/a", model__base_url=LOCAL, model__fallbacks="[ollama/x]"), "q")


def test_one_model_on_two_servers_is_two_models() -> None:
    here, there = (LLM(model="openai/a", custom_openai=True, base_url=u, api_key="x") for u in (LOCAL, LOCAL + "/2"))
    others = Fallbacks()
    others.lose(Candidate("openai/a", here), Ended("failed", "x"))
    assert others.why_lost(Candidate("openai/a", here)) is not None
    assert others.why_lost(Candidate("openai/a", there)) is None


def test_no_object_of_one_agent_is_needed_to_know_a_model() -> None:
    others = Fallbacks()
    assert others.lose(Candidate("tests/a", provider(lambda _: 1)), Ended("failed", "x"))
    assert not others.lose(Candidate("tests/a", provider(lambda _: 2)), Ended("failed", "y"))
    why = others.why_lost(Candidate("tests/a", provider(lambda _: 3)))
    assert why is not None
    assert why.reason == "x"
