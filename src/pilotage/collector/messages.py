"""The messages of a model call, in each way that instrumentations write them down.

gen_ai.prompt.0.role …            AgentOps and OpenLLMetry
gen_ai.input.messages             OpenTelemetry today: JSON with parts
span events gen_ai.user.message   OpenTelemetry before that
llm.input_messages.0.message …    OpenInference; also input.value
What is not covered: images and sound, of which only the address stays.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

Message = dict[str, Any]
MOST_MESSAGES = 2_000
ROLES = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
         "gen_ai.tool.message": "tool"}  # fmt: skip
ASKED = ("gen_ai.prompt", "llm.prompts", "traceloop.entity.input", "agentops.entity.input", "input.value")
ANSWERED = ("gen_ai.completion", "traceloop.entity.output", "agentops.entity.output", "output.value")
OF_SPANS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")


NUMBERED = re.compile(
    r"(gen_ai\.(?:prompt|completion|request\.tools)\.|llm\.(?:input_messages|output_messages|request\.functions|tools)\.)"
    r"([0-9]{1,5})\.(.+)"
)
INNER = re.compile(r"(tool_calls\.|contents\.)([0-9]{1,5})\.(.+)")
Numbered = Mapping[str, list[dict[str, Any]]]  # by prefix


def asked(attributes: Mapping[str, Any], events: list[dict[str, Any]], numbered: Numbered) -> list[Message]:
    """What the model was asked, as messages of OpenAI's form: role, content, tool_calls."""
    instructions = parts(opened(attributes.get("gen_ai.system_instructions")))
    found = (
        in_parts(attributes.get("gen_ai.input.messages"))
        or _numbered(numbered, "gen_ai.prompt.")
        or _numbered(numbered, "llm.input_messages.")
        or _of_events(events, "gen_ai.input.messages", "gen_ai.prompt")
        or _plain(attributes, *ASKED, role="user")
    )
    return ([{"role": "system", **instructions}] if instructions else []) + found


def answered(attributes: Mapping[str, Any], events: list[dict[str, Any]], numbered: Numbered) -> list[Message]:
    """What the model answered."""
    return (
        in_parts(attributes.get("gen_ai.output.messages"))
        or _numbered(numbered, "gen_ai.completion.")
        or _numbered(numbered, "llm.output_messages.")
        or _of_events(events, "gen_ai.output.messages", "gen_ai.completion", answer=True)
        or _plain(attributes, *ANSWERED, role="assistant")
    )


def offered(attributes: Mapping[str, Any], numbered: Numbered) -> list[Any]:
    """The tools that the model could call."""
    if tools := opened(attributes.get("gen_ai.tool.definitions")):
        return tools if isinstance(tools, list) else [tools]
    functions = [
        {"type": "function", "function": {key: opened(value) for key, value in function.items()}}
        for prefix in ("llm.request.functions.", "gen_ai.request.tools.")
        for function in numbered.get(prefix, ())
    ]
    return functions or [opened(tool.get("tool.json_schema")) for tool in numbered.get("llm.tools.", ())]


def in_parts(value: Any) -> list[Message]:
    """OpenTelemetry's messages, a JSON text or a list: [{"role", "parts": [{"type": "text", "content"}, …]}]."""
    found = opened(value)
    messages = found if isinstance(found, list) else [found] if isinstance(found, dict) else []
    return [_message(message) for message in messages[:MOST_MESSAGES] if isinstance(message, dict)]


def parts(items: Any) -> Message:
    """The parts of one message as content and tool_calls; empty without any."""
    texts, calls, others = [], [], []
    for item in items if isinstance(items, list) else [items] if items else []:
        part = item if isinstance(item, dict) else {"type": "text", "content": item}
        kind = part.get("type")
        if kind in ("text", "reasoning"):
            texts.append(_text(part.get("content", part.get("text"))))
        elif kind == "tool_call":
            calls.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "tool_call_response":
            texts.append(_text(part.get("response", part.get("result"))))
        else:
            others.append(_text(part))
    if not (texts or calls or others):
        return {}
    return {"content": "\n".join([*texts, *others])} | ({"tool_calls": calls} if calls else {})


def number(attributes: Mapping[str, Any], pattern: re.Pattern[str] = NUMBERED) -> dict[str, list[dict[str, Any]]]:
    """gen_ai.prompt.0.role, gen_ai.prompt.0.content, gen_ai.prompt.1.role …: one dict for each number, in order."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for key, value in attributes.items():
        if parted := _parted(pattern, key):
            prefix, at, rest = parted
            found.setdefault(prefix, {}).setdefault(at, {})[rest] = value
    return {prefix: [items[at] for at in sorted(items)[:MOST_MESSAGES]] for prefix, items in found.items()}


@functools.lru_cache(maxsize=4096)
def _parted(pattern: re.Pattern[str], key: str) -> tuple[str, int, str] | None:
    """Senders have few names, and use them in every span."""
    matched = pattern.match(key)
    return (matched[1], int(matched[2]), matched[3]) if matched else None


def opened(value: Any) -> Any:
    """What a text of JSON says; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value, parse_constant=str)  # NaN is no JSON
        except (ValueError, RecursionError):
            return value
    return value


def first_question(messages: list[Message]) -> str:
    """The first thing that a user said."""
    return next((_text(message.get("content")) for message in messages if message.get("role") == "user"), "")


def as_answer(messages: list[Message]) -> str:
    """The answer as one text: its content, or JSON where there is more to it than content."""
    if len(messages) == 1 and not messages[0].get("tool_calls"):
        return _text(messages[0].get("content"))
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def _message(message: dict[str, Any]) -> Message:
    said = parts(message["parts"]) if "parts" in message else {"content": _text(message.get("content"))}
    calls = message.get("tool_calls")
    reply = next((p.get("id") for p in _dicts(message.get("parts")) if p.get("type") == "tool_call_response"), None)
    return (
        {"role": _text(message.get("role")) or "user", **(said or {"content": ""})}
        | ({"tool_calls": calls} if calls else {})
        | ({"tool_call_id": reply} if reply else {})
    )


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _numbered(numbered: Numbered, prefix: str) -> list[Message]:
    return [_of_numbered(item) for item in numbered.get(prefix, ())]


def _of_numbered(item: dict[str, Any]) -> Message:
    """AgentOps: role, content, tool_calls.0.name. OpenInference: message.role, message.tool_calls.0.tool_call.…"""
    item = {key.removeprefix("message."): value for key, value in item.items()}
    inner = number(item, INNER)
    content = item.get("content")
    if content is None:
        content = "\n".join(_text(part.get("message_content.text")) for part in inner.get("contents.", ()))
    message: Message = {"role": _text(item.get("role")) or "user", "content": _text(content)}
    if calls := inner.get("tool_calls."):
        message["tool_calls"] = [_numbered_call(call) for call in calls]
    return message | ({"tool_call_id": item["tool_call_id"]} if "tool_call_id" in item else {})


def _numbered_call(call: dict[str, Any]) -> dict[str, Any]:
    call = {key.removeprefix("tool_call.").removeprefix("function."): value for key, value in call.items()}
    return _call(call.get("id"), call.get("name"), call.get("arguments"))


def _of_events(events: list[dict[str, Any]], name: str, older: str, *, answer: bool = False) -> list[Message]:
    found: list[Message] = []
    for event in events:
        held = event["attributes"]
        if event["name"] in OF_SPANS:
            found += in_parts(held.get(name)) or _plain(held, older, role="assistant" if answer else "user")
        elif event["name"] == "gen_ai.choice" and answer:
            said = opened(held.get("message")) or held
            found.append(_message({"role": "assistant", **said} if isinstance(said, dict) else {"content": said}))
        elif event["name"] in ROLES and not answer:
            found.append(_message({"role": ROLES[event["name"]], **held}))
    return found


def _plain(attributes: Mapping[str, Any], *names: str, role: str) -> list[Message]:
    for name in names:
        if (value := opened(attributes.get(name))) not in (None, ""):
            if isinstance(value, dict) and isinstance(value.get("messages"), list):
                value = value["messages"]
            if isinstance(value, list) and value and all(isinstance(item, dict) and "role" in item for item in value):
                return in_parts(value)
            return [{"role": role, "content": _text(value)}]
    return []


def _call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": _text(name), "arguments": _text(arguments)}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
