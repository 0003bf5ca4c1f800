"""Two texts of a record as lines to be read: requests message by message, JSON laid out, and what differs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from difflib import unified_diff
from textwrap import wrap
from typing import Any

WIDTH = 100  # characters of a line
LINES = 60  # of one difference


def diff(a: str, b: str) -> list[str]:
    """A unified diff of two texts, JSON laid out, long lines wrapped, clipped at LINES."""
    found = list(unified_diff(_lines(a), _lines(b), "a", "b", n=2, lineterm=""))
    more = len(found) - LINES
    return [*found[:LINES], f"… {more} more lines"] if more > 0 else found


def laid_out(read: Any) -> str:
    """A request or the calls in an answer, to be read line by line."""
    if not isinstance(read, dict) or not isinstance(read.get("messages"), list):
        return json.dumps(read, indent=2, ensure_ascii=False, sort_keys=True)
    rest = {key: value for key, value in read.items() if key != "messages" and value}
    parts = [f"{m.get('role', '')}: {_content(m)}" if isinstance(m, dict) else str(m) for m in read["messages"]]
    return "\n".join([*parts, json.dumps(rest, indent=2, ensure_ascii=False, sort_keys=True)])


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    calls = message.get("tool_calls")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) if content else ""
    return text + (f"\n{json.dumps(calls, indent=2, ensure_ascii=False)}" if calls else "")


def _lines(text: str) -> list[str]:
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return [piece for line in text.splitlines() for piece in (wrap(line, WIDTH, drop_whitespace=False) or [""])]
