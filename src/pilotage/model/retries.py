"""Which faults a further attempt can help, how long to wait for it, and what is said when nothing helps.

The door is the one owner of retries: the factory switches those of the SDKs off, `alone` those of CrewAI (three
attempts on whatever looks like a 429, crewai 1.15 llms/retry.py), by private names that tests/model pins.
What is not covered: a waiting time that stands only in the text of an error.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import requests
from crewai.hooks import HookAborted
from crewai.llms import retry as crewai_retry
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from openai import ContentFilterFinishReasonError, LengthFinishReasonError
from pydantic import ValidationError

from pilotage.errors import PilotageError
from pilotage.guard.limits import Ended
from pilotage.model.answers import CUT, Attempt, BadAnswer, Refused, Truncated
from pilotage.model.usage import tokens_of
from pilotage.record.redact import Redactor
from pilotage.settings import CONFIG

RETRY_STATUS = frozenset({408, 409, 425, 429})  # and all from 500 on
TRANSIENT = (
    TimeoutError, ConnectionError, BadAnswer, ValidationError, json.JSONDecodeError, httpx.TransportError,
    httpx.DecodingError, requests.ConnectionError, requests.Timeout,
)  # fmt: skip
TRANSIENT_NAMES = frozenset(  # of SDKs that are not all installed; APIError without a status: a stream that breaks off
    {"APIError", "APIResponseValidationError", "ServiceRequestError", "ServiceResponseError", "HTTPClientError"}
)
TIMEOUTS = (httpx.TimeoutException, requests.Timeout)
TIMEOUT_NAMES = frozenset({"APITimeoutError", "ReadTimeoutError", "ConnectTimeoutError", "ServiceResponseTimeoutError"})
BUSY = 503  # said instead of beginning
UNSENT = (ConnectionRefusedError, httpx.ConnectError, httpx.ConnectTimeout)
QUOTA = "insufficient_quota"  # a 429 that no wait can help
LASTING = re.compile(  # in an error inside an answer with HTTP 200: it will be the same the next time
    r"invalid_request|authentication|permission|not_found|context_length|content_filter|content_policy|invalid_prompt"
)
MALFORMED = "NoneType"  # in the text of a TypeError: CrewAI's class has looked into an answer that has no such part

current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


class NoTime(Exception):
    """The wait before the next attempt does not fit into the time that is left."""

    def __init__(self, cause: BaseException, said: str) -> None:
        super().__init__(said)
        self.cause = cause


@contextmanager
def alone(attempt: Attempt) -> Iterator[None]:
    """One attempt with CrewAI's own retries off; what its class reports meanwhile goes to `attempt`."""
    inside, active = current.set(attempt), crewai_retry._active_llm_rate_limit_retry.set(True)
    try:
        yield
    finally:
        current.reset(inside)
        crewai_retry._active_llm_rate_limit_retry.reset(active)


def can_help(error: BaseException) -> bool:
    """Whether the same call may succeed when made again: time-outs, connection, 429, 5xx, an answer that is none."""
    if isinstance(error, PilotageError | HookAborted):
        return False
    links = list(chain(error))
    if any(isinstance(link, Refused | LLMContextLengthExceededError | httpx.UnsupportedProtocol) for link in links):
        return False
    status, details = status_of(error), _details(links)
    if status is not None:
        return (status in RETRY_STATUS or status >= 500) and QUOTA not in details
    if LASTING.search(details):
        return False
    throttled = crewai_retry._ThrottlingErrorClassifier.is_throttling_error(error)
    return throttled or any(_is_transient(link) for link in links)


def _is_transient(error: BaseException) -> bool:
    """An answer without its parts is a fault of the provider, though it shows as one of CrewAI's own."""
    if isinstance(error, TypeError):
        return MALFORMED in str(error)
    malformed = isinstance(error, AttributeError | IndexError)
    return malformed or isinstance(error, TRANSIENT) or bool(_names(error) & TRANSIENT_NAMES)


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a fault somewhere in the chain of causes; of a fault inside a 200, the one it names."""
    for link in chain(error):
        body = getattr(link, "body", None)
        candidates = (
            getattr(link, "status_code", None), _answered(link)[0], getattr(link, "code", None),
            body.get("code") if isinstance(body, Mapping) else None,
        )  # fmt: skip
        for value in candidates:
            if str(value).isdigit() and 400 <= int(str(value)) < 600:
                return int(str(value))
    return None


def _status_line(error: BaseException) -> int | None:
    """The HTTP status that the answer itself had, whatever is said inside it."""
    found = (_answered(link)[0] for link in chain(error))
    return next((status for status in found if isinstance(status, int)), None)


def is_timeout(error: BaseException) -> bool:
    return any(isinstance(link, TIMEOUTS) or _names(link) & TIMEOUT_NAMES for link in chain(error))


def used_nothing(error: BaseException, *, strict: bool = True) -> bool:
    """Whether no provider bills the attempt: it was refused before any work on it, or never reached anybody.

    Of a 500, 502 or 504, and of a fault inside a 200, nobody knows what was used before it; where the budget is not
    `strict`, an HTTP error counts as nothing.
    """
    if isinstance(error, HookAborted) or any(isinstance(link, UNSENT) for link in chain(error)):
        return True
    status = _status_line(error)
    return status is not None and status >= 400 and (status < 500 or status == BUSY or not strict)


def known_fault(error: Exception, usage: Counter[str], *, typed: bool = False) -> Exception:
    """The error, or what it means: the SDK of OpenAI refuses a truncated `typed` answer by itself, with its tokens."""
    for link in chain(error):
        if isinstance(link, LengthFinishReasonError):
            if link.completion.usage and not usage:
                usage.update(tokens_of(link.completion.usage.model_dump()))
            return Truncated(CUT)
        if isinstance(link, ContentFilterFinishReasonError):
            return Refused("the provider refused to answer (content_filter)")
    if typed and type(error) in (ValueError, AssertionError) and status_of(error) is None:
        return BadAnswer(f"the answer is not of its type: {error}")
    return error


def asked_wait(error: BaseException) -> float | None:
    """The seconds that the server asks to wait: retry-after-ms, or Retry-After in seconds or as a date."""
    for link in chain(error):
        headers = {str(name).lower(): str(value) for name, value in _answered(link)[1].items()}
        milliseconds = _number(headers.get("retry-after-ms", ""))
        if milliseconds is not None:
            return milliseconds / 1000
        if "retry-after" in headers:
            return _seconds(headers["retry-after"])
    return None


def provider_failure(error: BaseException, model: str, redactor: Redactor) -> Ended:
    """A provider's fault as the end of the run: what happened and what to do next."""
    if isinstance(error, PilotageError):
        return Ended("failed", str(error), error.hint, error.exit_code)
    if isinstance(error, NoTime):
        before = provider_failure(error.cause, model, redactor)
        return Ended("failed", f"{before.reason}; {error}", f"try again later; {before.hint}")
    text = redactor.text(" ".join(str(error).split()))[:300]
    reason, hint = _said(error, text)
    return Ended("failed", f"{model}: {reason}", hint)


def _said(error: BaseException, text: str) -> tuple[str, str]:
    status, links = status_of(error), list(chain(error))
    if any(isinstance(link, LLMContextLengthExceededError) for link in links) or "context_length" in _details(links):
        return f"the request is longer than the model can read: {text}", f"lower limits.result_chars in {CONFIG}"
    if status in (401, 403):
        return f"the provider refused the key (HTTP {status})", "check the key in .env"
    if status == 404:
        return "the provider knows no such model or address (HTTP 404)", "check MODEL and model.base_url"
    if status is not None:
        return f"the provider answered HTTP {status}: {text}", "see `pilotage show last`"
    if isinstance(error, Truncated):
        return text, f"raise model.max_tokens in {CONFIG}"
    if isinstance(error, BadAnswer | Refused):
        return text, "see `pilotage show last`"
    if isinstance(error, TimeoutError):
        key = re.search(r"\((\S+)\)$", text)
        return text, f"raise {key[1] if key else 'limits.call_seconds'}"
    if any(isinstance(link, ConnectionError | httpx.TransportError) for link in links):
        return f"the provider cannot be reached: {text}", "check the network and model.base_url"
    return f"{type(error).__name__}: {text}", "see `pilotage show last`"


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, each once: such chains can be circles."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _details(links: list[BaseException]) -> str:
    """What the providers put into the body of an error, as text."""
    return " ".join(str(getattr(link, "body", None) or getattr(link, "code", None) or "") for link in links)


def _answered(error: BaseException) -> tuple[Any, Mapping[Any, Any]]:
    """Status and headers of the answer that an error carries: httpx's, requests' or, in a mapping, botocore's."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        told = response.get("ResponseMetadata", {})
        status, headers = told.get("HTTPStatusCode"), told.get("HTTPHeaders")
    else:
        status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
        headers = getattr(response, "headers", None) or getattr(error, "headers", None)
    return status, headers if isinstance(headers, Mapping) else {}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _seconds(text: str) -> float | None:
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
