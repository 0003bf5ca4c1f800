"""A loopback server that speaks OpenAI's chat completions, for the real provider path.

`play(request)` gets the JSON of one request and returns the assistant's message, or an HTTP status to answer with, or
a number of seconds (float) to hang. Every request is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.loopback import listening, send
from tests.support.scripted import Turn, good

PROMPT_TOKENS, COMPLETION_TOKENS = 321, 45


@dataclass
class Server:
    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serve(play: Callable[[dict[str, Any]], Any]) -> Iterator[Server]:
    """Listen on a free port of 127.0.0.1 until the block ends."""

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        server.requests.append(request)
        answer = play(request)
        if isinstance(answer, float):
            time.sleep(answer)
            answer = 504
        if isinstance(answer, int):
            return send(handler, answer, {"error": {"message": f"status {answer}", "type": "test"}})
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS,
                 "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS}  # fmt: skip
        finish = "tool_calls" if answer.get("tool_calls") else "stop"
        choice = {"index": 0, "message": {"role": "assistant", **answer}, "finish_reason": finish}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        return send(handler, 200, {**body, "choices": [choice], "usage": usage})

    server = Server("")
    with listening(post) as address:
        server.url = f"{address}/v1"
        yield server


def good_over_http(request: dict[str, Any]) -> dict[str, Any]:
    """The good model of tests/support/scripted.py, as a provider answers: native tool calls, structured output."""
    text = str(request["messages"])
    task = "research" if "Call search_knowledge" in text else "verify" if "Give one verdict" in text else "explain"
    tools = [tool["function"]["name"] for tool in request.get("tools", [])]
    answer = good(Turn(0, task, request["messages"], tools))
    if isinstance(answer, list):
        return {"content": None, "tool_calls": answer}
    if task == "explain":
        assert request["response_format"]["type"] == "json_schema"
    return {"content": answer.model_dump_json()}
