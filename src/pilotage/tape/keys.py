"""Keys: by which a call is known again, in another run too.

A key is the SHA-256 of what was asked, secrets taken out, and without what differs from run to run and changes no
answer: the number of the run's fences, and the ids that a provider gives to its tool calls. Two requests that differ in
a secret alone have one key, which is why the caches never take a request that redaction has changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pilotage.record.journal import digest

IDS = re.compile(r'"(?:tool_call_id|id)":"((?:[^"\\]|\\.)*)"')
OF_ONE_PROVIDER = "raw_tool_call_parts"  # what CrewAI keeps in a message for Gemini alone
SHOWN = "#"  # in place of a fence's number


def model_key(request: Mapping[str, Any], number: str) -> str:
    """The key of a request to a model, redacted already: its model, messages, tools and the type that is wanted."""
    return digest(normalised(request, number))


def tool_key(name: str, arguments: Any, number: str) -> str:
    """The key of a call of a tool, its arguments redacted already."""
    return digest(_without({"tool": name, "arguments": arguments}, number))


def normalised(request: Mapping[str, Any], number: str) -> str:
    """The request as text that is the same in every run that asks the same."""
    names: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        name = names.setdefault(match[1], str(len(names)))
        return f'"id":"{name}"'

    return IDS.sub(numbered, _without(request, number)).replace('"arguments":""', '"arguments":"{}"')


def _without(request: Mapping[str, Any], number: str) -> str:
    """The request as text, without the number of the run's fences."""
    text = json.dumps(_bare(request), sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace(number, SHOWN) if number else text


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _bare(item) for key, item in value.items() if key != OF_ONE_PROVIDER}
    return [_bare(item) for item in value] if isinstance(value, list | tuple) else value
