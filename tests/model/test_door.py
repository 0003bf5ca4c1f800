"""The door: the one owner of retries, the one place where calls are counted, priced and recorded."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from crewai import LLM, BaseLLM
from crewai.hooks import HookAborted
from crewai.llms import retry as crewai_retry

from pilotage.guard.limits import Ended, Meter
from pilotage.model.door import Door, Stopped, open_door
from pilotage.model.prices import Prices
from pilotage.model.subclass import LEAST_CONTEXT_WINDOW
from pilotage.record.tally import call_of
from pilotage.spec import PriceSpec
from tests.model.bench import Bench, Fault, Make, Provider, RateLimit

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


def test_a_call_without_usage_is_estimated_not_free(bench: Make) -> None:
    table = bench()
    table.guard(lambda _: "x" * 399, "openai/gpt-4o-mini").call("q" * 4000)
    (event,) = table.calls()
    prompt = event.facts["prompt_tokens"]
    assert (event.facts["completion_tokens"], event.facts["estimated"]) == (100, True)
    assert 1000 < prompt < 1010
    assert table.meter.tokens == prompt + 100
    assert table.meter.usd == pytest.approx(prompt * 0.15e-6 + 100 * 0.6e-6)


def test_what_is_reported_is_not_called_an_estimate(bench: Make) -> None:
    table = bench()
    table.guard(using(100, 20), "openai/gpt-4o-mini").call("q")
    assert "estimated" not in table.calls()[0].facts


@pytest.mark.parametrize("usage", [{}, {"total_tokens": 5000}, {"prompt_tokens": -5000, "completion_tokens": 3}])
@pytest.mark.parametrize(("key", "cap"), [("tokens", 500), ("usd", 0.00005)])
def test_the_caps_hold_for_a_server_that_reports_nothing_to_be_believed(
    bench: Make, usage: dict[str, Any], key: str, cap: float
) -> None:
    def play(me: Any) -> str:
        me._track_token_usage_internal(dict(usage))
        return "an answer"

    table = bench(**{key: cap})
    llm = table.guard(play, "openai/gpt-4o-mini")
    llm.call("q" * 3000)
    with pytest.raises(Stopped, match=rf"limits\.{key}"):
        llm.call("q")
    assert table.meter.tokens >= 750


def test_tools_are_part_of_the_estimate(bench: Make) -> None:
    table = bench()
    llm = table.guard(lambda _: "x")
    llm.call("q")
    llm.call("q", tools=[{"type": "function", "function": {"name": "today", "description": "d" * 400}}])
    one, two = (event.facts["prompt_tokens"] for event in table.calls())
    assert two > one + 100


def test_an_answer_that_is_none_is_estimated_too(bench: Make) -> None:
    table = bench(retries=0)
    with pytest.raises(Stopped):
        table.guard(lambda _: "half of" * 40, finish="length").call("q" * 400)
    assert table.meter.tokens > 170


@pytest.mark.parametrize("fault", [TimeoutError("late"), Fault(500), ConnectionError("reset")])
def test_what_nobody_answered_is_not_estimated(bench: Make, fault: Exception) -> None:
    table = bench(retries=0)
    with pytest.raises(Stopped):
        table.guard(lambda _: fault).call("q" * 400)
    assert table.meter.tokens == 0


@pytest.mark.parametrize("usage", [{}, {"total_tokens": 5}, {"prompt_tokens": 5}, {"prompt_tokens": -5}])
def test_a_strict_budget_books_the_worst_case_and_no_estimate(bench: Make, usage: dict[str, int]) -> None:
    def play(me: Any) -> str:
        me._track_token_usage_internal(dict(usage))
        return "x"

    table = bench(strict_budget=True)
    table.guard(play).call("q")
    assert table.meter.tokens > 2048
    assert "estimated" not in table.calls()[0].facts


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


# --- tools that the agent does not have


IN_WORDS = "Thought: what now?\nAction: shell\nAction Input: {}"


def ask(
    table: Bench, answer: Any, tools: list[str], *, messages: Any = "q", offered: list[str] | None = None
) -> list[Any]:
    """The tool calls in the journal after one answer of a model whose agent has these tools."""
    guarded = table.guard(lambda _: answer, tools=tools)
    guarded.call(messages, tools=[{"type": "function", "function": {"name": name}} for name in offered or []] or None)
    return table.events("tool_call")


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


# --- what the agent is told


def test_nudges_follow_the_messages_and_the_agents_own_list_stays(bench: Make) -> None:
    table, said = bench(), ["You have searched this three times.", "Answer now."]
    llm = table.guard(lambda _: "x", nudges=lambda: list(said))
    messages = [{"role": "user", "content": "q"}]
    llm.call(messages)
    nudged = [*messages, {"role": "user", "content": "You have searched this three times.\n\nAnswer now."}]
    assert llm._seen == [nudged]
    assert messages == [{"role": "user", "content": "q"}]
    assert json.loads(str(table.calls()[0].content["request"]))["messages"] == nudged
    said.clear()
    llm.call(messages)
    assert llm._seen[1] == messages


def test_nudges_follow_a_question_in_words(bench: Make) -> None:
    llm = bench().guard(lambda _: "x", nudges=lambda: ["Answer now."])
    llm.call("q")
    assert llm._seen == ["q\n\nAnswer now."]


# --- why an answer ended


def test_a_truncated_answer_is_tried_again_and_charged_each_time(bench: Make) -> None:
    table = bench(retries=2)
    llm = table.guard(using(10, 5), finish="length")
    with pytest.raises(Stopped, match="cut at its longest"):
        llm.call("q")
    assert llm._calls == 3
    assert table.meter.tokens == 45
    assert table.meter.ended is not None
    assert "raise model.max_tokens" in table.meter.ended.hint


def test_a_truncated_answer_that_is_whole_the_next_time_is_taken(bench: Make) -> None:
    table = bench(retries=2)

    def play(me: Any) -> str:
        me._finish = "length" if me._calls == 1 else "stop"
        return "half" if me._calls == 1 else "whole"

    assert table.guard(play, finish="stop").call("q") == "whole"
    assert [e.facts.get("failed") for e in table.calls()] == [True, None]
    assert "Truncated" in table.calls()[0].content["error"]


def test_a_stream_that_broke_off_is_tried_again(bench: Make) -> None:
    llm = bench(retries=1).guard(lambda _: "half of", finish="", stream=True)
    with pytest.raises(Stopped, match="stream ended before the answer did"):
        llm.call("q")
    assert llm._calls == 2


def test_a_refusal_is_not_tried_again(bench: Make) -> None:
    llm = bench(retries=2).guard(lambda _: "I cannot", finish="content_filter")
    with pytest.raises(Stopped, match="refused to answer"):
        llm.call("q")
    assert llm._calls == 1


# --- a strict budget


def test_a_call_whose_worst_case_does_not_fit_is_not_made(bench: Make) -> None:
    table = bench(tokens=3000, strict_budget=True)
    llm = table.guard(using(100, 20))
    llm.call("q")
    with pytest.raises(Stopped, match=r"the next call could use .* tokens, .* are left of 3,000 \(limits\.tokens"):
        llm.call("q" * 3000)
    assert llm._calls == 1
    assert table.meter.tokens == 120


@pytest.mark.parametrize(
    ("fault", "booked"),
    [
        (Fault(503), False),
        (Fault(429), False),
        (ConnectionRefusedError("no"), False),
        (Fault(500), True),
        (Fault(502), True),
        (Fault(504), True),
        (TimeoutError("late"), True),
        (None, True),
    ],
)
def test_with_a_strict_budget_what_nobody_knows_is_booked_at_its_worst(
    bench: Make, fault: Exception | None, booked: bool
) -> None:
    table = bench(retries=0, strict_budget=True)
    llm = table.guard(lambda _: fault or "an answer without usage")
    if fault:
        with pytest.raises(Stopped):
            llm.call("q")
    else:
        llm.call("q")
    assert (table.meter.tokens > 2048) is booked
    assert sum(call_of(event.facts).tokens for event in table.calls()) == table.meter.tokens


def test_what_is_booked_stands_in_the_journal_and_in_every_sum(bench: Make) -> None:
    table = bench(retries=0, strict_budget=True)
    prices = Prices({"tests/model": [PriceSpec(input=1, output=2)]})
    with pytest.raises(Stopped):
        table.guard(lambda _: Fault(500), prices=prices).call("q")
    (event,) = table.calls()
    use = call_of(event.facts)
    assert event.facts["booked_tokens"] == use.tokens == table.meter.tokens > 2048
    assert event.facts["usd"] == use.usd == pytest.approx(table.meter.usd)
    assert use.usd > 0.004


def test_a_call_left_behind_is_booked_with_a_strict_budget_alone(bench: Make) -> None:
    for strict in (True, False):
        table = bench(retries=0, strict_budget=strict, call_seconds=0.1)
        with pytest.raises(Stopped, match=r"limits\.call_seconds"):
            table.guard(lambda _: time.sleep(0.4)).call("q")
        assert (table.meter.tokens > 2048) is strict


def test_the_reader_fits_under_any_strict_budget(bench: Make) -> None:
    table = bench(tokens=1, usd=0.0001, strict_budget=True)
    table.guard(lambda _: "x", "reader", free=True).call("q")
    assert table.meter.tokens == 0


# --- ends


def test_a_wait_between_retries_ends_with_the_run(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table = bench(retries=5)
    monkeypatch.setattr(Meter, "sleep", lambda self, _: self.end(Ended("interrupted", "stopped by SIGTERM")))
    llm = table.guard(lambda _: RateLimit())
    with pytest.raises(Stopped, match="SIGTERM"):
        llm.call("q")
    assert llm._calls == 1


def test_a_call_that_the_end_of_the_run_overtakes_is_no_fault_of_the_model(bench: Make) -> None:
    table = bench()
    began = threading.Event()

    def play(_: Any) -> str:
        began.set()
        time.sleep(1)
        return "late"

    llm = table.guard(play)
    threading.Thread(target=lambda: began.wait() and table.meter.end(Ended("interrupted", "stopped by SIGINT"))).start()
    with pytest.raises(Stopped, match="SIGINT"):
        llm.call("q")
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "interrupted"


def test_a_late_answer_into_a_sealed_journal_is_the_end_of_the_run_still(bench: Make) -> None:
    table = bench()

    def play(_: Any) -> Any:
        table.journal.append("run_ended", outcome="interrupted")
        table.meter.end(Ended("interrupted", "stopped by SIGINT"))
        return Fault(500)

    with pytest.raises(Stopped, match="SIGINT"):
        table.guard(play).call("q")


def test_a_hook_that_stops_a_call_is_neither_tried_again_nor_a_fault_of_the_model(bench: Make) -> None:
    table = bench()
    llm = table.guard(lambda _: HookAborted("no", source="a hook"))
    with pytest.raises(HookAborted, match="no"):
        llm.call("q")
    assert llm._calls == 1
    assert table.meter.ended is None
