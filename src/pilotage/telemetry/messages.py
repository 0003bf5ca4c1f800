"""The conversation of a model call as attributes: AgentOps' numbered prompts, and OpenTelemetry's JSON of parts.

Each content is cut at LONGEST characters, a conversation in its middle at MESSAGES messages, the tools at TOOLS.
"""

from __future__ import annotations

import json
from typing import Any

from pilotage.telemetry.text import LONGEST, NOTE, as_json, clean

MESSAGES, FIRST = 100, 10  # of one call: the first and the last, this many in all
TOOLS = 64


def of_request(request: dict[str, Any]) -> dict[str, Any]:
    """The messages and the tools that a model was given."""
    given = request.get("messages") or []
    messages = [_read(m) for m in ([{"role": "user", "content": given}] if isinstance(given, str) else given)]
    said: dict[str, Any] = {}
    if len(messages) > MESSAGES:
        said["pilotage.messages"] = len(messages)
        messages = messages[:FIRST] + messages[FIRST - MESSAGES :]
    for i, message in enumerate(messages):
        said[f"gen_ai.prompt.{i}.role"] = message["role"]
        said[f"gen_ai.prompt.{i}.content"] = message["content"] or _in_words(message["calls"])
    for i, tool in enumerate((request.get("tools") or [])[:TOOLS]):
        said |= _tool(i, tool.get("function", tool) if isinstance(tool, dict) else {})
    parts = [{"role": message["role"], "parts": _parts(message)} for message in messages]
    return said | ({"gen_ai.input.messages": as_json(parts)} if parts else {})


def of_response(response: str | None) -> dict[str, Any]:
    """The answer of a model: words, or calls of tools."""
    if response is None:
        return {}
    calls = _calls(response)
    message = {"role": "assistant", "content": "" if calls else clean(response), "calls": calls, "answers": None}
    parts = {"role": "assistant", "parts": _parts(message), "finish_reason": "tool_call" if calls else "stop"}
    reason = "tool_calls" if calls else "stop"
    said: dict[str, Any] = {
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": response,
        "gen_ai.completion.0.finish_reason": reason, "gen_ai.response.finish_reasons": [reason],
        "gen_ai.output.messages": as_json([parts]),
    }  # fmt: skip
    for j, call in enumerate(calls):
        said |= {f"gen_ai.completion.0.tool_calls.{j}.{name}": value for name, value in call.items()}
    return said


def _read(message: Any) -> dict[str, Any]:
    """A message of any provider as role, words, calls, and the call that it answers."""
    if not isinstance(message, dict):
        return {"role": "user", "content": clean(str(message)), "calls": [], "answers": None}
    content = message.get("content")
    words = content if isinstance(content, str) else _words(content)
    calls = [_call(call) for call in message.get("tool_calls") or []]
    role = str(message.get("role", "user"))
    return {"role": role, "content": clean(words), "calls": calls, "answers": message.get("tool_call_id")}


def _words(content: Any) -> str:
    """The texts of a content that is a list of parts; images and the like stay out."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False, default=str)
    return "\n".join(
        str(part.get("text") or f"[{part.get('type', 'part')}]") for part in content if isinstance(part, dict)
    )


def _calls(response: str) -> list[dict[str, str]]:
    """The calls of tools in an answer, as model/answers.py packs them."""
    try:
        found = json.loads(response) if response.startswith("[") else None
    except ValueError:
        return []
    inner = [call.get("function", call) if isinstance(call, dict) else None for call in found or []]
    is_calls = inner and all(
        isinstance(c, dict) and "name" in c and {"arguments", "input", "args"} & set(c) for c in inner
    )
    return [_call(call) for call in found] if is_calls and found else []


def _call(call: Any) -> dict[str, str]:
    """A call of OpenAI's form, or of Anthropic's and Gemini's, whose name stands outside."""
    if not isinstance(call, dict):
        return {"id": "", "type": "function", "name": clean(str(call), NOTE), "arguments": ""}
    inner = call.get("function", call)
    arguments = next((inner[name] for name in ("arguments", "input", "args") if name in inner), "")
    said = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
    return {
        "id": str(call.get("id") or ""),
        "type": "function",
        "name": str(inner.get("name", "")),
        "arguments": clean(said),
    }


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    if message["answers"]:
        return [{"type": "tool_call_response", "id": message["answers"], "response": message["content"]}]
    words = [{"type": "text", "content": message["content"]}] if message["content"] else []
    names = ("id", "name", "arguments")
    return words + [{"type": "tool_call", **{name: call[name] for name in names}} for call in message["calls"]]


def _in_words(calls: list[dict[str, str]]) -> str:
    """The calls of a message that has no words."""
    return as_json([{"name": call["name"], "arguments": call["arguments"]} for call in calls]) if calls else ""


def _tool(i: int, tool: dict[str, Any]) -> dict[str, Any]:
    parameters = tool.get("parameters") or tool.get("input_schema")
    return {
        f"gen_ai.request.tools.{i}.name": str(tool.get("name", "")),
        f"gen_ai.request.tools.{i}.description": clean(str(tool.get("description", "")), NOTE),
        f"gen_ai.request.tools.{i}.arguments": json.dumps(parameters, default=str)[:LONGEST] if parameters else None,
    }
