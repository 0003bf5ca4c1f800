"""The chaos server itself: a good answer is one to the provider's own SDK, and a fault is the fault it is called."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import Any

import httpx
import pytest

from tests.support.chaos import Play, serve
from tests.support.plays import cut, drip, end_early, good, hang, reset, status, then

ASKED: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Call search_knowledge with the question."}],
    "tools": [{"type": "function", "function": {"name": "search_knowledge", "parameters": {"type": "object"}}}],
}


def ask(url: str, *, stream: bool = False, seconds: float = 5) -> httpx.Response:
    body = ASKED | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})
    return httpx.post(f"{url}/chat/completions", json=body, timeout=seconds, trust_env=False)


def sdk(url: str) -> Any:
    from openai import OpenAI

    return OpenAI(api_key="none", base_url=url, max_retries=0, timeout=5)


def test_the_sdk_reads_a_good_answer_whole_and_streamed() -> None:
    with serve(good) as server, sdk(server.url) as client:
        whole = client.chat.completions.create(**ASKED)
        chunks = list(client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    (call,) = whole.choices[0].message.tool_calls
    pieces = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert pieces[0].function.name == call.function.name == "search_knowledge"
    assert "".join(piece.function.arguments for piece in pieces) == call.function.arguments
    assert chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"


def listen(url: str, stream: bool) -> None:
    """Three pieces at most, then hang up."""
    with (
        contextlib.suppress(httpx.TransportError),
        httpx.Client(timeout=0.2, trust_env=False) as client,
        client.stream("POST", f"{url}/chat/completions", json=ASKED | {"stream": stream}) as response,
    ):
        list(itertools.islice(response.iter_raw(), 3))


@pytest.mark.parametrize(("play", "stream"), [(hang, False), (hang, True), (drip, False), (drip, True)])
def test_who_hangs_up_is_noticed(play: Play, stream: bool) -> None:
    with serve(play) as server:
        listen(server.url, stream)
        left = time.monotonic()
        while not server.requests[0].gone and time.monotonic() - left < 2:
            time.sleep(0.01)
        gone = server.requests[0].gone
    assert gone is not None
    assert gone - left < 0.5


@pytest.mark.parametrize(("play", "stream"), [(cut, False), (cut, True), (reset, False)])
def test_what_is_cut_is_an_error_of_the_transport(play: Play, stream: bool) -> None:
    with serve(play) as server, pytest.raises(httpx.TransportError):
        ask(server.url, stream=stream)


def test_a_stream_that_ends_early_is_no_error_of_the_transport() -> None:
    with serve(end_early) as server:
        text = ask(server.url, stream=True).text
    assert "data: " in text
    assert "[DONE]" not in text
    assert '"finish_reason": "' not in text


def test_plays_follow_one_another_and_retry_after_is_seconds_or_a_date() -> None:
    play = then(status(429, retry_after=0.5), status(429, retry_after=60, as_date=True), good)
    with serve(play) as server:
        answers = [ask(server.url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 200, 200]
    assert answers[0].headers["retry-after"] == "0.5"
    assert answers[1].headers["retry-after"].endswith(" GMT")


def test_no_thread_outlives_the_server() -> None:
    before = set(threading.enumerate())
    with serve(hang) as server:
        asking = threading.Thread(target=listen, args=(server.url, False))
        asking.start()
        while not server.requests:
            time.sleep(0.01)
    asking.join(2)
    assert set(threading.enumerate()) <= before
