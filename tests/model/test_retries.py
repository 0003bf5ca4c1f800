"""Which faults a retry can help, how long the wait is, and what is said in the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest
import requests
from crewai.hooks import HookAborted
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from pilotage.checks.results import Findings
from pilotage.errors import ConfigError
from pilotage.guard.limits import Meter
from pilotage.model.answers import CutOff, EmptyAnswer, Refused, Truncated
from pilotage.model.door import Stopped
from pilotage.model.retries import (
    RETRY_STATUS,
    NoTime,
    asked_wait,
    can_help,
    is_timeout,
    known_fault,
    provider_failure,
    status_of,
    used_nothing,
)
from pilotage.record.redact import Redactor
from tests.model.bench import Fault, Make, RateLimit

REQUEST = httpx.Request("POST", "http://127.0.0.1:9/v1/chat/completions")


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
@pytest.mark.parametrize(
    ("status", "helps"),
    [(400, False), (401, False), (403, False), (404, False), (405, False), (413, False), (422, False),
     (408, True), (409, True), (425, True), (429, True), (500, True), (502, True), (503, True), (504, True),
     (529, True)],
)  # fmt: skip
def test_a_status_decides_wherever_it_stands(status: int, helps: bool, where: str) -> None:
    assert status_of(with_status(status, where)) == status
    assert can_help(with_status(status, where)) is helps
    assert helps is (status in RETRY_STATUS or status >= 500)


def test_the_status_is_read_in_the_forms_of_all_sdks() -> None:
    bedrock: Any = RuntimeError("Bedrock API error (503)")
    bedrock.__cause__ = type("ClientError", (Exception,), {})()
    bedrock.__cause__.response = {"ResponseMetadata": {"HTTPStatusCode": 503, "HTTPHeaders": {"retry-after": "2"}}}
    assert status_of(bedrock) == 503
    assert asked_wait(bedrock) == 2
    gemini: Any = type("ClientError", (Exception,), {"code": 429})()
    assert status_of(gemini) == 429
    slug: Any = type("APIError", (Exception,), {"code": "model_not_found"})()
    assert status_of(slug) is None


@pytest.mark.parametrize(
    ("error", "helps"),
    [(TimeoutError("t"), True), (ConnectionResetError("c"), True), (EmptyAnswer("e"), True), (Truncated("t"), True),
     (CutOff("c"), True), (Refused("r"), False), (json.JSONDecodeError("m", "d", 0), True), (ValueError("v"), False),
     (httpx.RemoteProtocolError("peer closed"), True), (httpx.ReadError("r"), True), (httpx.DecodingError("d"), True),
     (httpx.UnsupportedProtocol("u"), False), (requests.ConnectionError("r"), True), (PermissionError("p"), False),
     (KeyError("k"), False), (HookAborted("h", source="s"), False), (ConfigError("c"), False)],
)  # fmt: skip
def test_without_a_status_the_kind_of_error_decides(error: Exception, helps: bool) -> None:
    assert can_help(error) is helps


@pytest.mark.parametrize(
    ("answer", "look"), [("<html>", lambda a: a.choices), ([], lambda a: a[0]), (None, lambda a: a[0])]
)
def test_an_answer_without_its_parts_can_be_tried_again(answer: Any, look: Callable[[Any], Any]) -> None:
    with pytest.raises((AttributeError, IndexError, TypeError)) as caught:
        look(answer)
    assert can_help(caught.value)


def test_a_fault_of_our_own_is_not_tried_again() -> None:
    assert not can_help(TypeError("create() got an unexpected keyword argument 'x'"))


def test_an_answer_that_is_not_of_its_type_can_be_tried_again() -> None:
    with pytest.raises(ValidationError) as caught:
        Findings.model_validate({})
    assert can_help(caught.value)


def test_a_longer_request_than_the_model_reads_is_not_tried_again() -> None:
    error = LLMContextLengthExceededError("maximum context length is 8192 tokens")
    error.__cause__ = Fault(500)
    assert not can_help(error)


def test_a_quota_that_is_used_up_is_not_waited_for() -> None:
    assert not can_help(Fault(429, body={"code": "insufficient_quota", "message": "You exceeded your current quota"}))
    assert can_help(Fault(429, body={"code": "rate_limit_exceeded", "message": "see your account/billing"}))


def inside_a_200(body: dict[str, Any], kind: Any = openai.APIStatusError) -> Exception:
    error: Exception = kind("upstream", response=httpx.Response(200, request=REQUEST), body=body)
    return error


@pytest.mark.parametrize(
    ("error", "status", "helps"),
    [
        (inside_a_200({"code": 503}, openai.InternalServerError), 503, True),
        (inside_a_200({"code": "429"}, openai.RateLimitError), 429, True),
        (inside_a_200({"code": 400}, openai.BadRequestError), 400, False),
        (inside_a_200({"error": {"type": "overloaded_error"}}), None, True),
        (inside_a_200({"error": {"type": "invalid_request_error"}}), None, False),
        (openai.APIResponseValidationError(httpx.Response(200, request=REQUEST), {}), None, True),
        (openai.APIError("the stream broke", REQUEST, body={"type": "server_error"}), None, True),
        (openai.APIError("too long", REQUEST, body={"code": "context_length_exceeded"}), None, False),
    ],
)
def test_an_error_inside_an_answer_with_status_200(error: Exception, status: int | None, helps: bool) -> None:
    assert status_of(error) == status
    assert can_help(error) is helps


def completion(finish: str, **more: Any) -> ChatCompletion:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": '{"fin'}}
    return ChatCompletion.model_validate(
        {"id": "x", "created": 1, "model": "m", "object": "chat.completion", "choices": [choice], **more}
    )


def test_a_truncated_typed_answer_keeps_its_tokens() -> None:
    usage = {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = openai.LengthFinishReasonError(completion=completion("length", usage=usage))
    counted: Counter[str] = Counter()
    assert isinstance(known_fault(wrapped, counted), Truncated)
    assert (counted["prompt_tokens"], counted["completion_tokens"]) == (70, 30)
    known_fault(wrapped, counted)
    assert counted["prompt_tokens"] == 70, "counted once"
    assert isinstance(known_fault(openai.LengthFinishReasonError(completion=completion("length")), counted), Truncated)
    assert isinstance(known_fault(openai.ContentFilterFinishReasonError(), counted), Refused)
    other = ValueError("v")
    assert known_fault(other, counted) is other


def test_time_outs_of_the_sdks_are_known() -> None:
    wrapped = ConnectionError("Failed to connect to OpenAI API: Request timed out.")
    wrapped.__cause__ = openai.APITimeoutError(REQUEST)
    assert is_timeout(wrapped)
    assert is_timeout(httpx.ReadTimeout("r"))
    assert is_timeout(requests.ReadTimeout())
    assert not is_timeout(ConnectionError("refused"))


def test_what_stands_inside_a_200_may_be_billed_whatever_it_says() -> None:
    answered = SimpleNamespace(status_code=200, headers={})
    for status in (429, 503):
        assert not used_nothing(Fault(status, response=answered))
        error: Any = openai.APIError("overloaded", REQUEST, body={"code": status})
        assert status_of(error) == status
        assert not used_nothing(error)
    client_error: Any = RuntimeError("x")
    client_error.response = {"ResponseMetadata": {"HTTPStatusCode": 429}}
    assert used_nothing(client_error)


def test_what_no_provider_bills() -> None:
    refused = ConnectionError("cannot connect")
    refused.__cause__ = httpx.ConnectError("refused")
    assert used_nothing(refused)
    assert all(used_nothing(Fault(status)) for status in (400, 401, 404, 408, 413, 429, 503))
    assert not any(used_nothing(Fault(status)) for status in (500, 502, 504, 529))
    assert all(used_nothing(Fault(status), strict=False) for status in (500, 502, 504, 529))
    assert not used_nothing(httpx.ReadTimeout("nobody knows"))
    assert not used_nothing(Truncated("billed"))


# --- the wait


def asking(**headers: str) -> Exception:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(429, response=SimpleNamespace(status_code=429, headers=httpx.Headers(named)))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry_after": "3"}, 3.0), ({"Retry_After": "0.5"}, 0.5), ({"retry_after_ms": "1500"}, 1.5),
     ({"retry_after_ms": "20", "retry_after": "7"}, 0.02), ({"retry_after": "soon"}, None),
     ({"retry_after": "-1"}, None), ({"retry_after": "nan"}, None), ({"retry_after": "inf"}, None), ({}, None)],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(asking(**headers)) == seconds


def test_a_date_to_wait_for() -> None:
    at = datetime.now(UTC) + timedelta(seconds=30)
    assert asked_wait(asking(retry_after=format_datetime(at, usegmt=True))) == pytest.approx(30, abs=2)
    assert asked_wait(asking(retry_after="Wed, 21 Oct 2015 07:28:00 GMT")) == 0
    assert asked_wait(asking(retry_after="Wed, 21 Oct 2015 07:28:00")) == 0


def test_the_wait_is_found_down_the_chain() -> None:
    wrapped = ConnectionError("x")
    wrapped.__cause__ = asking(retry_after="4")
    assert asked_wait(wrapped) == 4


def count_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(Meter, "sleep", lambda _self, seconds: slept.append(seconds))
    return slept


def test_the_wait_that_the_server_asks_for_is_kept(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table, slept = bench(retries=1, seconds=300), count_sleep(monkeypatch)
    with pytest.raises(Stopped):
        table.guard(lambda _: asking(retry_after="70")).call("q")
    assert slept == [70.0]


def test_a_wait_that_does_not_fit_is_not_begun(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table, slept = bench(retries=3, seconds=4), count_sleep(monkeypatch)
    llm = table.guard(lambda _: asking(retry_after="60"))
    with pytest.raises(Stopped, match=r"asks to wait 60 s, [34][.\d]* s are left \(limits\.seconds\)"):
        llm.call("q")
    assert (slept, llm._calls) == ([], 1)
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "failed"


def test_the_agents_own_deadline_counts_too(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table, slept = bench(retries=3, seconds=100), count_sleep(monkeypatch)
    table.meter.begin_turn("agent", "task", 5, 10)
    with pytest.raises(Stopped, match=r"asks to wait 60 s, \d[.\d]* s are left \(agents\.agent\.max_execution_time\)"):
        table.guard(lambda _: asking(retry_after="60")).call("q")
    assert slept == []


def test_after_the_last_attempt_no_wait_is_reckoned(bench: Make) -> None:
    table = bench(retries=0, seconds=4)
    with pytest.raises(Stopped) as caught:
        table.guard(lambda _: asking(retry_after="60")).call("q")
    assert "to wait" not in str(caught.value)


def test_the_wait_grows_and_stays_within_eight_seconds(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table, slept = bench(retries=10), count_sleep(monkeypatch)
    with pytest.raises(Stopped):
        table.guard(lambda _: RateLimit()).call("q")
    assert len(slept) == 10
    assert slept[0] <= 0.5
    assert max(slept) <= 8


# --- what is said


REDACTOR = Redactor({})


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (with_status(401, "error"), "refused the key", ".env"),
        (with_status(403, "error"), "refused the key", ".env"),
        (with_status(404, "error"), "no such model", "base_url"),
        (with_status(500, "error"), "HTTP 500", "show last"),
        (Truncated("the answer was cut"), "was cut", "raise model.max_tokens"),
        (Refused("the provider refused"), "refused", "show last"),
        (LLMContextLengthExceededError("8192"), "longer than the model can read", "limits.result_chars"),
        (Fault(400, body={"code": "context_length_exceeded"}), "longer than the model can read", "limits.result_chars"),
        (TimeoutError("no answer within 3 s (writer.limits.call_seconds)"), "3 s", "raise writer.limits.call_seconds"),
        (ConnectionRefusedError("x"), "cannot be reached", "base_url"),
        (httpx.ReadError("x"), "cannot be reached", "base_url"),
        (ValueError("odd"), "ValueError: odd", "show last"),
        (NoTime(with_status(429, "error"), "it asks to wait 60 s, 4 s are left"), "HTTP 429", "try again later"),
    ],
)
def test_a_providers_fault_says_what_to_do(error: Exception, said: str, hint: str) -> None:
    ended = provider_failure(error, "openai/x", REDACTOR)
    assert (ended.outcome, ended.exit_code) == ("failed", None)
    assert ended.reason.startswith("openai/x: ")
    assert said in ended.reason
    assert hint in ended.hint


def test_a_providers_fault_holds_no_key_and_one_line() -> None:
    error = ValueError("bad key sk-test-0123456789abcdefghij\n" + "long " * 500)
    reason = provider_failure(error, "openai/x", REDACTOR).reason
    assert "sk-test" not in reason
    assert "\n" not in reason
    assert len(reason) < 400
