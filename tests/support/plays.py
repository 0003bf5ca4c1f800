"""Plays for tests/support/chaos.py: a good model, each fault of a provider, each way in which a model goes astray.

then(status(429, retry_after=0.05), good)        the first request, the second; the last part stays
during("research", hang, otherwise=good)         one task of the crew
endless(lambda n: ("search_knowledge", {"query": f"retries {n}"}))
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from time import time
from typing import Any

from tests.support.chaos import Exchange, Message, Play
from tests.support.scripted import calls
from tests.support.server import good_over_http

Wanted = tuple[str, dict[str, Any]]  # a tool and its arguments

DRIP = 0.05  # seconds between two drops
HUGE = 5_000_000  # characters

# --- composing


def then(*plays: Play) -> Play:
    """Each play answers one request, the last one all that follow."""
    number = itertools.count()
    return lambda exchange: plays[min(next(number), len(plays) - 1)](exchange)


def times(count: int, play: Play, after: Play) -> Play:
    return then(*[play] * count, after)


def during(task: str, play: Play, otherwise: Play | None = None) -> Play:
    """`play` for the requests of one task."""
    return lambda exchange: (play if exchange.task == task else otherwise or good)(exchange)


def by_model(**plays: Play) -> Play:
    """A play for each model, by its name with `-` written as `_`."""
    return lambda exchange: plays[exchange.json["model"].replace("-", "_")](exchange)


# --- models that behave


def good(exchange: Exchange) -> None:
    exchange.say(good_over_http(exchange.json))


def say(text: str, finish: str | None = None) -> Play:
    return lambda exchange: exchange.say({"content": text}, finish)


def use(*wanted: Wanted) -> Play:
    """Native tool calls, all in one answer."""
    return lambda exchange: exchange.say({"content": None, "tool_calls": calls(*wanted)})


def use_raw(name: str, arguments: str) -> Play:
    """A native tool call whose arguments stand as given, JSON or not."""
    call = {"id": "c0", "type": "function", "function": {"name": name, "arguments": arguments}}
    return lambda exchange: exchange.say({"content": None, "tool_calls": [call]})


# --- faults of the transport


def hang(exchange: Exchange) -> None:
    """Not a byte, until the client gives up or the server stops."""
    while exchange.wait(1.0):
        pass


def hang_after_headers(exchange: Exchange) -> None:
    if exchange.stream:
        exchange.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    else:
        exchange.begin(200, {"Content-Type": "application/json", "Content-Length": "1000"})
    hang(exchange)


def drip(exchange: Exchange) -> None:
    """A byte, or a chunk of a stream, every 50 ms for ever: no time-out between two bytes is ever reached."""
    if not exchange.stream:
        exchange.begin(200, {"Content-Type": "application/json", "Content-Length": "1000000"})
        while exchange.wait(DRIP):
            exchange.write(b" ")
        return
    with exchange.sse() as send:
        send(exchange.chunk({"role": "assistant", "content": ""}))
        while exchange.wait(DRIP):
            send(exchange.chunk({"content": "and "}))


def slow(seconds: float, play: Play) -> Play:
    """The play, after a while."""

    def wait(exchange: Exchange) -> None:
        if exchange.wait(seconds):
            play(exchange)

    return wait


def cut(exchange: Exchange) -> None:
    """The good answer, whose connection is closed in its middle."""
    message = good_over_http(exchange.json)
    if not exchange.stream:
        body = json.dumps(exchange.completion(message, "stop")).encode()
        exchange.send_body(200, body[: len(body) // 2], promised=len(body))
    else:
        _half_of_a_stream(exchange, message)
    exchange.cut()


def end_early(exchange: Exchange) -> None:
    """Half of the good answer as a stream that ends in order: no finish_reason, no usage, no [DONE]."""
    _half_of_a_stream(exchange, good_over_http(exchange.json))
    exchange.write_chunk(b"")


def _half_of_a_stream(exchange: Exchange, message: Message) -> None:
    exchange.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    chunks = list(exchange.chunks(message, "stop"))
    for chunk in chunks[: len(chunks) // 2]:
        exchange.write_chunk(f"data: {json.dumps(chunk)}\n\n".encode())


def reset(exchange: Exchange) -> None:
    """The connection is reset before the first byte."""
    exchange.cut(reset=True)


# --- faults of the provider


def status(
    number: int, *, retry_after: float | None = None, as_date: bool = False, message: str = "", **error: Any
) -> Play:
    """An HTTP error as providers send it; `retry_after` in seconds, or `as_date` as an HTTP date."""

    def answer(exchange: Exchange) -> None:
        body = {
            "error": {"message": message or f"status {number}", "type": "chaos", "param": None, "code": None} | error
        }
        headers = {}
        if retry_after is not None:
            headers["Retry-After"] = formatdate(time() + retry_after, usegmt=True) if as_date else f"{retry_after:g}"
        exchange.send_json(number, body, headers)

    return answer


overflow = status(
    400, code="context_length_exceeded", type="invalid_request_error",
    message="This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
)  # fmt: skip
rate_limit_in_words = status(400, message="This request is malformed; mind the rate limit of the rate limiter.")


def no_json(exchange: Exchange) -> None:
    exchange.send_body(200, b'{"id": "chaos", "choices": [{"mess')


def no_choices(exchange: Exchange) -> None:
    exchange.send_json(200, {"id": "chaos", "object": "chat.completion", "model": exchange.json["model"]})


def error_in_200(exchange: Exchange) -> None:
    """What gateways do when the provider behind them fails."""
    exchange.send_json(200, {"error": {"message": "upstream has failed", "code": 502}})


def error_in_stream(exchange: Exchange) -> None:
    with exchange.sse() as send:
        send(exchange.chunk({"role": "assistant", "content": '{"find'}))
        send({"error": {"message": "the engine has crashed", "type": "server_error", "code": 500}})


empty = say("")
truncated = say('{"findings": [{"claim": "Nested retries multiply to', "length")


def cut_at_length(exchange: Exchange) -> None:
    """The good answer with its end missing, as max_tokens cuts it."""
    message = good_over_http(exchange.json)
    if content := message.get("content"):
        return exchange.say({"content": content[: len(content) // 2]}, "length")
    return exchange.say(message)


def refuse(exchange: Exchange) -> None:
    exchange.say({"content": None, "refusal": "I'm sorry, I cannot help with that."})


def filtered(exchange: Exchange) -> None:
    exchange.say({"content": ""}, "content_filter")


huge = say("and so on, " * (HUGE // 11))

# --- models that go astray


def endless(wanted: Callable[[int], Wanted]) -> Play:
    """One tool call after the other, never an answer; `wanted` gets the number of the call, from 0."""
    number = itertools.count()
    return lambda exchange: use(wanted(next(number)))(exchange)


def endless_words(wanted: Callable[[int], str]) -> Play:
    """Words and words, never an answer that can be read."""
    number = itertools.count()
    return lambda exchange: say(wanted(next(number)))(exchange)


def in_turn(*wanted: Wanted) -> Callable[[int], Wanted]:
    return lambda number: wanted[number % len(wanted)]


def constant(text: Any) -> Callable[[int], Any]:
    return partial(lambda value, _number: value, text)


FABRICATED = """Thought: I will search.
Action: search_knowledge
Action Input: {"query": "retries"}
Observation: {"passages": [{"source": "retries.md#1", "text": "One fault makes 99 requests."}]}
Thought: I now know the final answer
Final Answer: {"findings": [{"claim": "99", "quote": "One fault makes 99 requests.", "source": "retries.md#1"}]}"""
