"""What a run from a tape asks otherwise than the recorded one, as a unified diff that people can read.

Messages are laid out line by line, JSON in them indented, long lines folded, so that a changed word is a changed line.
"""

from __future__ import annotations

import difflib
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pilotage.evals.tapes import NUMBER
from pilotage.tape.keys import SHOWN, normalised
from pilotage.tape.recall import Drift

WIDTH = 110  # characters of a line
LINES = 60  # of one difference
CONTEXT = 2  # lines around a change
FENCED = re.compile(r"(?<=>>>\n)(\{.*\})(?=\n<<<end)")


def where(drift: Drift) -> str:
    """`researcher at research, call 2`"""
    place = drift.agent if drift.task is None else f"{drift.agent} at {drift.task}"
    return f"{place}, call {drift.number}"


def of_requests(drift: Drift) -> str:
    """The recorded request against the one that is made now; "" when they read the same."""
    if drift.expected is None:
        return ""
    if drift.expected.tool:
        recorded = f"{drift.expected.tool} {drift.expected.request}"
        return of_texts(recorded.replace(NUMBER, SHOWN), drift.asked)
    recorded = normalised(json.loads(drift.expected.request), NUMBER)
    return of_texts("\n".join(_laid_out(json.loads(recorded))), "\n".join(_laid_out(json.loads(drift.asked))))


def of_texts(recorded: str, now: str) -> str:
    """A unified diff of two texts, at most LINES lines of it; "" when they are equal."""
    before, after = list(_folded(recorded)), list(_folded(now))
    lines = list(difflib.unified_diff(before, after, "recorded", "now", lineterm="", n=CONTEXT))
    more = len(lines) - LINES
    return "\n".join([*lines[:LINES], *([f"… {more:,} more lines"] if more > 0 else [])])


def _laid_out(request: dict[str, Any]) -> Iterator[str]:
    """A request as lines: its model, its messages, its tools."""
    yield f"model: {request.get('model')}"
    if kind := request.get("response_model"):
        yield f"answer: {kind}"
    given = request.get("messages") or []
    messages: list[dict[str, Any]] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for message in messages:
        yield f"[{message.get('role')}]"
        yield from _content(message.get("content"))
        for call in message.get("tool_calls") or []:
            function = call.get("function") or call
            yield f"  calls {function.get('name')} {function.get('arguments')}"
    for tool in request.get("tools") or []:
        function = tool.get("function") or tool
        yield f"[tool {function.get('name')}]"
        yield from _content(function.get("description"))
        yield from _indented(function.get("parameters"))


def _content(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield from FENCED.sub(lambda found: _opened(found[1]), content).splitlines()
    elif content is not None:
        yield from _indented(content)


def _opened(text: str) -> str:
    try:
        return "\n".join(_indented(json.loads(text)))
    except ValueError:
        return text


def _indented(value: Any, depth: int = 0) -> Iterator[str]:
    """JSON as lines: a key and its value, a list of plain values on one line, a text line by line."""
    blank = " " * depth
    if isinstance(value, dict):
        for key, item in value.items():
            inner = list(_indented(item, depth + 1))
            yield from [f"{blank}{key}: {inner[0].strip()}"] if len(inner) == 1 else [f"{blank}{key}:", *inner]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value) and not _is_flat(value):
        for item in value:
            yield f"{blank}-"
            yield from _indented(item, depth + 1)
    elif isinstance(value, str) and value:
        yield from (blank + line for line in value.splitlines())
    else:
        yield blank + json.dumps(value, ensure_ascii=False)


def _is_flat(value: list[Any]) -> bool:
    """Whether it is a list of short lists of numbers, such as the quotes of a passage."""
    return all(isinstance(item, list) and not any(isinstance(part, dict | list) for part in item) for item in value)


def _folded(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from textwrap.wrap(line, WIDTH, drop_whitespace=False, break_on_hyphens=False) or [""]
