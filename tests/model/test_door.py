"""The door: the one owner of retries, the one place where calls are counted, priced and recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crewai import LLM, BaseLLM
from crewai.hooks import HookAborted
from crewai.llms import retry as crewai_retry
from pydantic import PrivateAttr, ValidationError

from pilotage.checks.results import Findings
from pilotage.guard.limits import Ended, Meter
from pilotage.model.door import (
    LEAST_CONTEXT_WINDOW,
    LONGEST_RETRY_AFTER,
    RETRY_STATUS,
    Door,
    EmptyAnswer,
    Stopped,
    can_help,
    open_door,
    pack,
    provider_failure,
    status_of,
    tokens_of,
    wanted_tools,
)
from pilotage.model.prices import price
from pilotage.record.journal import Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.spec import LimitSpec


class Provider(BaseLLM):
    """A provider whose every call a function answers."""

    _play: Any = PrivateAttr(default=None)
    _calls: int = PrivateAttr(default=0)

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> Any:  # fmt: skip
        self._calls += 1
        answer = self._play(self)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def of_its_own(self) -> str:
        return "kept"


class RateLimit(Exception):
    """As providers raise it: a status and the words that CrewAI looks for."""

    status_code = 429

    def __init__(self, text: str = "rate limit exceeded, too many requests") -> None:
        super().__init__(text)


class Bench:
    def __init__(self, journal: Journal, **limits: Any) -> None:
        self.meter = Meter(LimitSpec(**limits), journal)
        self.journal = journal

    def guard(self, play: Callable[[Any], Any], name: str = "tests/model", free: bool = False) -> Any:
        llm = Provider(model="m", provider="tests")
        llm._play = play
        return open_door(llm, Door("agent", name, self.meter, self.journal, free=free))

    def calls(self) -> list[Any]:
        return [e for e in read_events(self.journal.engine, self.journal.run) if e.kind == "model_call"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    monkeypatch.setattr(Meter, "sleep", lambda _self, _seconds: None)
    engine = open_store(tmp_path / "journal.sqlite")
    yield lambda **limits: Bench(Journal(engine, Redactor({})), **limits)
    engine.dispose()


Make = Callable[..., Bench]


# --- the class


def test_the_object_stays_what_it_was(bench: Make) -> None:
    llm = bench().guard(lambda _: "x")
    assert isinstance(llm, Provider)
    assert isinstance(llm, BaseLLM)
    assert type(llm).__name__ == "GuardedProvider"
    assert (llm.model, llm.provider, llm.of_its_own()) == ("m", "tests", "kept")


def test_two_objects_of_one_class_share_the_subclass_and_not_the_door(bench: Make) -> None:
    table = bench()
    one, two = table.guard(lambda _: "1"), table.guard(lambda _: "2")
    assert type(one) is type(two)
    assert one._door is not two._door
    assert (one.call("q"), two.call("q")) == ("1", "2")


def test_a_real_providers_class_stays_its_own(bench: Make) -> None:
    llm = LLM(model="openai/gpt-4o-mini", api_key="not-needed", base_url="http://127.0.0.1:9/v1")
    kind = type(llm)
    table = bench()
    guarded = open_door(llm, Door("agent", "openai/gpt-4o-mini", table.meter, table.journal))
    assert guarded is llm
    assert isinstance(guarded, kind)
    assert guarded.supports_function_calling() is True


def test_the_context_window_is_never_smaller_than_what_crewai_needs(bench: Make) -> None:
    assert bench().guard(lambda _: "x").get_context_window_size() >= LEAST_CONTEXT_WINDOW == 32_768


def test_acall_goes_through_the_same_door(bench: Make) -> None:
    table = bench(model_calls=1)
    llm = table.guard(lambda _: "x")
    assert asyncio.run(llm.acall("q")) == "x"
    with pytest.raises(Stopped):
        asyncio.run(llm.acall("q"))
    assert len(table.calls()) == 1


# --- retries have one owner


def test_the_private_names_of_crewai_that_the_door_uses_still_exist(bench: Make) -> None:
    assert crewai_retry._active_llm_rate_limit_retry.get() is False
    guarded = type(bench().guard(lambda _: "x"))
    for method in ("call", "acall"):
        assert guarded.__dict__[method]._crewai_rate_limit_wrapped is True
    wrapped: Any = Provider.call
    assert wrapped._crewai_rate_limit_wrapped is True, "CrewAI still wraps what a provider overrides, under this name"


def test_without_the_door_crewai_would_retry_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, CrewAI has given its retries up or renamed them, and the two names can go."""
    monkeypatch.setattr("crewai.llms.retry.time.sleep", lambda _seconds: None)
    monkeypatch.setattr(crewai_retry, "get_retry_delay_seconds", lambda **_: 0.0)
    llm: Any = Provider(model="m", provider="tests")
    llm._play = lambda _: RateLimit()
    with pytest.raises(RateLimit):
        llm.call("q")
    assert llm._calls == 3


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_a_rate_limit_is_tried_exactly_as_often_as_the_settings_say(bench: Make, retries: int) -> None:
    table = bench(retries=retries)
    llm = table.guard(lambda _: RateLimit())
    with pytest.raises(Stopped):
        llm.call("q")
    assert llm._calls == retries + 1
    assert table.meter.model_calls == retries + 1
    assert [e.facts["attempt"] for e in table.calls()] == list(range(1, retries + 2))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "failed"
    assert "429" in table.meter.ended.reason


@pytest.mark.parametrize("name", ["ThrottlingException", "RateLimitError", "ResourceExhausted"])
def test_a_throttling_error_without_a_status_is_retried_too(bench: Make, name: str) -> None:
    llm = bench(retries=2).guard(lambda _: type(name, (Exception,), {})("Rate limit: too many requests"))
    with pytest.raises(Stopped):
        llm.call("q")
    assert llm._calls == 3


@pytest.mark.parametrize("answer", [None, "", "  \n"])
def test_an_empty_answer_is_tried_again_and_then_fails(bench: Make, answer: Any) -> None:
    table = bench(retries=1)
    llm = table.guard(lambda _: answer)
    with pytest.raises(Stopped, match="answered with nothing"):
        llm.call("q")
    assert llm._calls == 2


def test_a_passing_fault_is_over_after_one_retry(bench: Make) -> None:
    table = bench()
    llm = table.guard(lambda me: ConnectionError("reset") if me._calls == 1 else "fine")
    assert llm.call("q") == "fine"
    assert [e.facts.get("failed") for e in table.calls()] == [True, None]
    assert table.meter.ended is None


@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("x"), PermissionError("no")])
def test_what_a_retry_cannot_help_is_tried_once(bench: Make, error: Exception) -> None:
    llm = bench().guard(lambda _: error)
    with pytest.raises(Stopped):
        llm.call("q")
    assert llm._calls == 1


def test_a_retry_is_checked_against_the_caps_like_the_first(bench: Make) -> None:
    table = bench(model_calls=2, retries=5)
    llm = table.guard(lambda _: RateLimit())
    with pytest.raises(Stopped, match=r"limits\.model_calls"):
        llm.call("q")
    assert llm._calls == 2
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "limited"


def test_after_the_end_of_the_run_no_call_is_made(bench: Make) -> None:
    table = bench()
    llm = table.guard(lambda _: "x")
    table.meter.end(Ended("interrupted", "stopped by SIGINT"))
    with pytest.raises(Stopped, match="SIGINT"):
        llm.call("q")
    assert llm._calls == 0


def test_stopped_is_what_crewai_lets_through() -> None:
    assert issubclass(Stopped, HookAborted)


# --- which faults a retry can help


def circle() -> Exception:
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def test_circular_chains_of_causes_end() -> None:
    own = ValueError("own")
    own.__cause__ = own
    for error in (circle(), own):
        began = time.monotonic()
        assert status_of(error) is None
        assert can_help(error) is False
        assert time.monotonic() - began < 1


def test_a_status_in_a_circular_chain_is_found() -> None:
    error = circle()
    error.__cause__.__cause__ = RateLimit()  # type: ignore[union-attr]
    error.__cause__.__cause__.__cause__ = error  # type: ignore[union-attr]
    assert status_of(error) == 429
    assert can_help(error)


def with_status(status: int, where: str) -> Exception:
    error: Any = RuntimeError("x")
    if where == "error":
        error.status_code = status
    else:
        error.response = SimpleNamespace(status_code=status, headers={})
    wrapped = ValueError("wrapped")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize("where", ["error", "response"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529])
def test_a_status_decides_wherever_it_stands(status: int, where: str) -> None:
    assert status_of(with_status(status, where)) == status
    assert can_help(with_status(status, where)) is (status in RETRY_STATUS)
    assert (status in RETRY_STATUS) is (status in (408, 409, 425, 429) or status >= 500)


@pytest.mark.parametrize(
    ("error", "helps"),
    [(TimeoutError("t"), True), (ConnectionResetError("c"), True), (EmptyAnswer("e"), True),
     (json.JSONDecodeError("m", "d", 0), True), (ValueError("v"), False), (HookAborted("h", source="s"), False)],
)  # fmt: skip
def test_without_a_status_the_kind_of_error_decides(error: Exception, helps: bool) -> None:
    assert can_help(error) is helps


def test_an_answer_that_is_not_of_its_type_can_be_tried_again() -> None:
    with pytest.raises(ValidationError) as caught:
        Findings.model_validate({})
    assert can_help(caught.value)


@pytest.mark.parametrize(("asked", "waited"), [("3", 3.0), ("0.5", 0.5), ("600", LONGEST_RETRY_AFTER)])
def test_the_wait_that_the_server_asks_for_is_kept_up_to_a_bound(
    bench: Make, monkeypatch: pytest.MonkeyPatch, asked: str, waited: float
) -> None:
    slept: list[float] = []
    table = bench(retries=1)
    monkeypatch.setattr(Meter, "sleep", lambda _self, seconds: slept.append(seconds))
    error: Any = RateLimit()
    error.response = SimpleNamespace(status_code=429, headers={"retry-after": asked})
    with pytest.raises(Stopped):
        table.guard(lambda _: error).call("q")
    assert slept == [waited]


def test_the_wait_grows_and_stays_within_eight_seconds(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    table = bench(retries=10)
    monkeypatch.setattr(Meter, "sleep", lambda _self, seconds: slept.append(seconds))
    with pytest.raises(Stopped):
        table.guard(lambda _: RateLimit()).call("q")
    assert len(slept) == 10
    assert slept[0] <= 0.5
    assert max(slept) <= 8


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [(401, "refused the key", ".env"), (403, "refused the key", ".env"), (404, "no such model", "base_url"),
     (500, "HTTP 500", "show last")],
)  # fmt: skip
def test_a_providers_fault_says_what_to_do(bench: Make, status: int, said: str, hint: str) -> None:
    ended = provider_failure(with_status(status, "error"), "openai/x", bench().journal)
    assert (ended.outcome, ended.exit_code) == ("failed", None)
    assert ended.reason.startswith("openai/x: ")
    assert said in ended.reason
    assert hint in ended.hint


def test_a_providers_fault_holds_no_key_and_one_line(bench: Make) -> None:
    error = ValueError("bad key sk-test-0123456789abcdefghij\n" + "long " * 500)
    reason = provider_failure(error, "openai/x", bench().journal).reason
    assert "sk-test" not in reason
    assert "\n" not in reason
    assert len(reason) < 400


# --- what is counted and recorded


def using(prompt: int, completion: int, **more: int) -> Callable[[Any], Any]:
    def play(me: Any) -> str:
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        me._track_token_usage_internal({**usage, **more})
        return "x"

    return play


def test_usage_is_counted_charged_and_recorded_per_call(bench: Make) -> None:
    table = bench()
    llm = table.guard(using(100, 20), "openai/gpt-4o-mini")
    llm.call("q")
    llm.call("q")
    assert table.meter.tokens == 240
    assert table.meter.usd == pytest.approx(2 * (100 * 0.15e-6 + 20 * 0.6e-6))
    assert [(e.facts["prompt_tokens"], e.facts["completion_tokens"]) for e in table.calls()] == [(100, 20)] * 2


def test_the_usage_of_a_call_in_several_parts_adds_up(bench: Make) -> None:
    table = bench()

    def play(me: Any) -> Any:
        using(10, 1)(me)
        return using(5, 2)(me)

    table.guard(play).call("q")
    assert table.meter.tokens == 18


def test_tokens_of_a_call_that_failed_are_charged_too(bench: Make) -> None:
    table = bench(retries=0)

    def play(me: Any) -> Any:
        using(50, 0)(me)
        return ValueError("unparsable")

    with pytest.raises(Stopped):
        table.guard(play).call("q")
    assert table.meter.tokens == 50


def test_a_call_without_usage_is_unpriced_not_free(bench: Make) -> None:
    table = bench()
    table.guard(lambda _: "x", "openai/gpt-4o-mini").call("q")
    assert table.meter.unpriced
    assert table.calls()[0].facts["usd"] == "unpriced"


def test_the_reader_is_free(bench: Make) -> None:
    table = bench()
    table.guard(lambda _: "x", "reader", free=True).call("q")
    assert (table.meter.usd, table.meter.unpriced) == (0.0, False)


def test_the_tokens_of_a_call_left_behind_are_not_those_of_its_retry(bench: Make) -> None:
    table = bench(call_seconds=0.4, retries=1)

    def play(me: Any) -> Any:
        late = me._calls == 1
        time.sleep(0.5 if late else 0.2)
        return using(1000 if late else 10, 0)(me)

    assert table.guard(play).call("q") == "x"
    assert table.calls()[1].facts["prompt_tokens"] == 10


def test_request_and_answer_are_recorded(bench: Make) -> None:
    table = bench()
    table.guard(lambda _: "the answer").call([{"role": "user", "content": "the question"}])
    (event,) = table.calls()
    assert json.loads(str(event.content["request"]))["messages"][0]["content"] == "the question"
    assert event.content["answer"] == "the answer"


@pytest.mark.parametrize(
    ("answer", "packed"),
    [("words", "words"), (Findings(findings=[]), '{"findings":[]}'), ([{"id": "c"}], '[{"id": "c"}]'), (3, "3")],
)
def test_an_answer_of_any_kind_is_packed_as_text(answer: Any, packed: str) -> None:
    assert pack(answer) == packed


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, (7, 3)),
        ({}, (0, 0)),
    ],
)
def test_usage_of_any_provider_is_read(usage: dict[str, Any], tokens: tuple[int, int]) -> None:
    found = tokens_of(usage)
    assert (found.get("prompt_tokens", 0), found.get("completion_tokens", 0)) == tokens


# --- prices


def test_a_known_model_has_its_price_with_and_without_its_provider() -> None:
    expected = pytest.approx(1000 * 0.15e-6 + 500 * 0.6e-6)
    assert price("openai/gpt-4o-mini", 1000, 500) == expected
    assert price("gpt-4o-mini", 1000, 500) == expected


@pytest.mark.parametrize("name", ["openai/no-such-model", "nobody/nothing", "", "openai/"])
def test_an_unknown_model_is_none_never_zero(name: str) -> None:
    assert price(name, 1000, 500) is None


@pytest.mark.parametrize("name", ["ollama/llama3.2", "ollama_chat/x", "hosted_vllm/y"])
def test_a_server_of_ones_own_costs_nothing(name: str) -> None:
    assert price(name, 1_000_000, 1_000_000) == 0.0


def test_cached_tokens_cost_less() -> None:
    full, cached = price("openai/gpt-4o-mini", 1000, 0), price("openai/gpt-4o-mini", 1000, 0, 1000)
    assert full is not None
    assert cached is not None
    assert cached == pytest.approx(1000 * 0.075e-6)
    assert cached < full


def test_no_price_list_means_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.model.prices._catalogue", dict)
    assert price("openai/gpt-4o-mini", 1, 1) is None


def test_a_model_of_an_unknown_provider_does_not_take_openais_price() -> None:
    assert price("myproxy/gpt-4o-mini", 1000, 500) is None


# --- tools that the agent does not have


NATIVE = (
    '[{"function": {"name": "shell", "arguments": "{}"}}, {"name": "today", "input": {}}, {"name": "lens", "args": {}}]'
)
IN_WORDS = "Thought: what now?\nAction: shell\nAction Input: {}"


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (NATIVE, ["shell", "today", "lens"]),
        ('[{"name": "Alice"}, {"function": "mean"}, {"function": null}, 5, null, ["x"], {"name": 1, "input": {}}]', []),
        ("[not JSON", []), ("[]", []), ("", []), ('{"function": {"name": "shell", "arguments": "{}"}}', []),
        (IN_WORDS, []),
    ],
)  # fmt: skip
def test_the_tools_that_an_answer_calls_natively(answer: str, names: list[str]) -> None:
    assert wanted_tools(answer) == names


def test_the_tools_that_an_answer_calls_in_words() -> None:
    assert wanted_tools(IN_WORDS, in_words=True) == ["shell"]
    assert wanted_tools("  Action : `word count`\nAction Input: {}", in_words=True)[0].strip("`") == "word count"
    assert wanted_tools("I know it.\nFinal Answer: 5", in_words=True) == []
    assert wanted_tools(NATIVE, in_words=True) == []


def ask(
    table: Bench, answer: Any, tools: list[str], *, messages: Any = "q", offered: list[str] | None = None
) -> list[Any]:
    """The tool calls in the journal after one answer of a model whose agent has these tools."""
    llm = Provider(model="m", provider="tests")
    llm._play = lambda _: answer
    guarded: Any = open_door(llm, Door("agent", "tests/model", table.meter, table.journal, tools=tools))
    guarded.call(messages, tools=[{"type": "function", "function": {"name": name}} for name in offered or []] or None)
    return [e for e in read_events(table.journal.engine, table.journal.run) if e.kind == "tool_call"]


def test_a_call_of_a_tool_that_the_agent_does_not_have_is_journalled_as_denied(bench: Make) -> None:
    calls = [{"id": "1", "function": {"name": name, "arguments": '{"a": 1}'}} for name in ("today", "run_shell")]
    (event,) = ask(bench(), calls, ["today"], offered=["today"])
    assert (event.facts["tool"], event.facts["agent"], event.facts["failed"]) == ("run_shell", "agent", True)
    assert event.facts["denied"] == "config/agents.yaml: agent.tools"
    assert event.content["result"] == "run_shell was denied: agent does not have it (config/agents.yaml: agent.tools)"
    assert "run_shell" in event.content["arguments"]


@pytest.mark.parametrize(
    ("answer", "tools", "offered"),
    [
        ([{"function": {"name": "Word_Count", "arguments": "{}"}}], ["word count"], ["word_count"]),
        ([{"function": {"name": "delegate_work_to_coworker", "arguments": "{}"}}], [], []),
        ([{"function": {"name": "made_by_crewai", "arguments": "{}"}}], [], ["made_by_crewai"]),
        ("Action: restart the server, then wait.", ["today"], ["today"]),
        ("Action: restart the server, then wait.", ["today"], []),
        ('[{"name": "Alice"}]', [], []),
        ("plain words", [], []),
    ],
)
def test_no_other_answer_is_journalled_as_a_denied_call(
    bench: Make, answer: Any, tools: list[str], offered: list[str]
) -> None:
    assert ask(bench(), answer, tools, offered=offered) == []


def test_a_call_in_words_is_journalled_where_the_model_was_asked_for_words(bench: Make) -> None:
    prompt = [{"role": "user", "content": "Use this form:\nAction: the tool\nAction Input: its input"}]
    (event,) = ask(bench(), IN_WORDS, ["today"], messages=prompt)
    assert event.facts["tool"] == "shell"
    table = bench()
    assert ask(table, IN_WORDS, ["shell"], messages=prompt) == []
