"""What went into a model call and what came out, as items: messages by role, tools, tool calls in an answer.

Read are the shapes of OpenAI's messages and of content in parts; any other shape is shown as the JSON that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pilotage.guard.fence import unfence

CODE, PROSE = "code", "prose"


@dataclass(frozen=True)
class Prompt:
    """The messages of a request as items, the tools that were offered, and the messages as they stood."""

    items: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    messages: list[Any]

    def shared_with(self, before: Prompt | None) -> int:
        """How many messages at its beginning are those of the call before."""
        known = 0
        for mine, other in zip(self.messages, before.messages if before else [], strict=False):
            if mine != other:
                break
            known += 1
        return known if known < len(self.messages) else 0  # the same prompt again is shown whole


def item(text: str | None, *, head: str = "", note: str = "", form: str = PROSE) -> dict[str, Any]:
    """One text with what stands above it; `text` is None when it was erased."""
    return {"head": head, "text": text, "note": note, "form": form}


def pretty(text: str | None, *, head: str = "", note: str = "") -> dict[str, Any]:
    """JSON with indentation, any other text as it stands."""
    read = _read(text)
    if isinstance(read, dict | list):
        return item(_indented(read), head=head, note=note, form=CODE)
    return item(text, head=head, note=note)


@lru_cache(maxsize=16)
def read_prompt(text: str | None) -> Prompt | None:
    """A request as it is in the journal; None for what is not one. Each is asked for twice, as the one before too."""
    read = _read(text)
    messages = read if isinstance(read, list) else read.get("messages") if isinstance(read, dict) else None
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not messages:
        return None
    tools = read.get("tools") if isinstance(read, dict) else None
    items = [message_item(message) for message in messages]
    return Prompt(items, [_tool_item(tool) for tool in tools] if isinstance(tools, list) else [], messages)


def message_item(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        return pretty(message if isinstance(message, str) else _indented(message))
    role, content = str(message.get("role") or "message"), message.get("content")
    note = str(message.get("name") or message.get("tool_call_id") or "")
    said = _content_text(content) if content not in (None, "", []) else ""
    inner = unfence(said)
    if inner != said:
        note = f"{note} · fenced as data".removeprefix(" · ")
    texts = [inner] if inner else []
    calls = message.get("tool_calls")
    texts += [_call_text(call) for call in calls] if isinstance(calls, list) else []
    return pretty("\n\n".join(texts), head=role, note=note)


def answer_items(text: str | None) -> list[dict[str, Any]]:
    """An answer: its tool calls one by one where it is a list of them."""
    read = _read(text)
    calls = read if isinstance(read, list) and read and all(_is_call(one) for one in read) else None
    return [_call_item(call) for call in calls] if calls else [pretty(text)]


def _is_call(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("function"), Mapping)


def _call_item(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    made = pretty(arguments if isinstance(arguments, str) else _indented(arguments))
    return {**made, "head": f"calls {function.get('name')}", "form": CODE}


def _call_text(call: Any) -> str:
    if not _is_call(call):
        return _indented(call)
    made = _call_item(call)
    return f"{made['head']} {made['text']}"


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n\n".join(
            str(part["text"]) if isinstance(part, Mapping) and isinstance(part.get("text"), str) else _indented(part)
            for part in content
        )
    return _indented(content)


def _tool_item(tool: Any) -> dict[str, Any]:
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping):
        return pretty(tool if isinstance(tool, str) else _indented(tool))
    return item(str(function.get("description") or ""), head=str(function.get("name") or "tool"))


def _read(text: str | None) -> Any:
    if not text or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _indented(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError, TypeError):
        return str(value)
