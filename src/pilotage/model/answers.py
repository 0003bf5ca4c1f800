"""What comes back from a provider: as text, and whether it is an answer at all.

CrewAI hands out an answer that was cut at max_tokens, and a stream that broke off, like any other (crewai 1.15); the
reason why an answer ended is seen only by the methods that model/subclass.py overrides. What is not covered: a server
that says "stop" where it has cut, LiteLLM's class, which says it for a stream that was closed without a reason, and a
refusal in the pieces of a plain stream, which CrewAI drops: it is an empty answer, and asked for again.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from pilotage.checks.results import parse

ACTION = re.compile(r"^\s*Action\s*:\s*([^\n]*[^\s*`\"'])", re.MULTILINE)
LONGEST = 1_000_000  # characters of an answer; far beyond what any model writes at once
CUT = "the answer was cut at its longest (model.max_tokens)"
# why an answer ended, in the words of the providers, in small letters
TRUNCATIONS = frozenset({"length", "max_tokens", "incomplete", "model_length", "model_context_window_exceeded"})
REFUSALS = frozenset(
    {"content_filter", "content_filtered", "guardrail_intervened", "refusal", "safety", "blocklist",
     "prohibited_content", "recitation", "spii"}
)  # fmt: skip


class BadAnswer(Exception):
    """What came back is no answer; asked again, the provider may give one."""


class EmptyAnswer(BadAnswer):
    """The provider answered with nothing."""


class Truncated(BadAnswer):
    """The answer reached max_tokens before its end."""


class CutOff(BadAnswer):
    """The stream ended before the answer did."""


class Refused(Exception):
    """The provider will not answer this: asked again, it will say the same."""


class TooLong(Refused):
    """An answer that no max_tokens explains; nobody reads, stores or searches it."""


class LeftBehind(Exception):
    """Raised into a stream that nobody reads any more, so that its connection is closed."""


@dataclass
class Attempt:
    """One request under way: what the provider's class says of it, and whether anybody still waits for it."""

    number: int = 1
    streamed: bool = False
    started: float = field(default_factory=time.monotonic)
    usage: Counter[str] = field(default_factory=Counter)
    block: dict[str, Any] = field(default_factory=dict)  # the provider's own usage block, until it is counted
    reported: bool = False  # whether CrewAI said that the call is complete, and why: `finish`
    finish: str | None = None
    left: bool = False

    def completed(self, finish: str | None) -> None:
        self.reported, self.finish = True, finish

    def go_on(self) -> None:
        """Called with each piece of a stream."""
        if self.left:
            raise LeftBehind("nobody waits for this answer any more")


@dataclass(frozen=True)
class Call:
    """What an agent asks of its model: the arguments of CrewAI's `call`, and the stop words in force."""

    messages: Any
    tools: Any = None
    callbacks: Any = None
    available_functions: Any = None
    from_task: Any = None
    from_agent: Any = None
    response_model: type[BaseModel] | None = None
    stop: tuple[str, ...] = ()
    nudged: bool = False  # the last message is ours

    @property
    def wanted(self) -> type[BaseModel] | None:
        """The type of the answer, also where CrewAI keeps it to itself because the agent has tools."""
        return self.response_model or getattr(self.from_task, "response_model", None)

    @property
    def in_words(self) -> bool:
        """Whether tools are called in words: CrewAI's ReAct prompt."""
        return not self.tools and "Action Input:" in str(self.messages)


def check(answer: Any, attempt: Attempt, wanted: type[BaseModel] | None) -> None:
    """Raise Refused, or a BadAnswer, unless this is a whole answer.

    What was cut behind a complete result of the type that is wanted is kept: some models do not stop by themselves.
    """
    reason = (attempt.finish or "").rpartition(".")[2].lower()
    if reason in REFUSALS:
        raise Refused(f"the provider refused to answer ({reason})")
    broken = attempt.streamed and attempt.reported and not reason
    if (reason in TRUNCATIONS or broken) and not _is_whole(answer, wanted):
        raise CutOff("the stream ended before the answer did") if broken else Truncated(CUT)
    if isinstance(answer, str) and len(answer) > LONGEST:
        raise TooLong(f"the answer has {len(answer):,} characters, more than {LONGEST:,}")
    if answer is None or answer == [] or (isinstance(answer, str) and not answer.strip()):
        raise EmptyAnswer("the model answered with nothing")


def check_message(response: Any) -> None:
    """Raise for a refusal, and for a typed answer that is none: CrewAI 1.15 would ask a second time, uncounted."""
    choices = getattr(response, "choices", None) or []
    message: Any = getattr(choices[0], "message", None) if choices else None
    if refusal := getattr(message, "refusal", None):
        raise Refused(f"the model refused to answer: {str(refusal)[:200]}")
    if hasattr(message, "parsed") and message.parsed is None and not message.tool_calls:
        raise EmptyAnswer("the model answered with nothing")


def pack(answer: Any) -> str:
    """An answer of any kind as text: words as they are, tool calls and typed results as JSON."""
    if isinstance(answer, BaseModel):
        return answer.model_dump_json()
    if isinstance(answer, list):
        parts = [a.model_dump(mode="json") if hasattr(a, "model_dump") else a for a in answer]
        return json.dumps(parts, default=str)
    return str(answer)


def form_of(answer: Any) -> str:
    """What kind of answer `pack` has made a text of."""
    return "typed" if isinstance(answer, BaseModel) else "calls" if isinstance(answer, list) else "text"


def wanted_tools(answer: str, *, in_words: bool = False) -> list[str]:
    """The names of the tools that an answer calls: native calls as JSON, or `in_words` the `Action:` lines of ReAct.

    >>> wanted_tools('[{"function": {"name": "shell", "arguments": "{}"}}]')
    ['shell']
    >>> wanted_tools("Thought: what day is it?\\nAction: today\\nAction Input: {}", in_words=True)
    ['today']
    """
    if in_words:
        return ACTION.findall(answer)
    try:
        calls = json.loads(answer) if answer.startswith("[") else []
    except ValueError:
        calls = []
    return [name for call in calls if (name := _called(call))]


def _called(call: Any) -> str:
    """The name in one native call of any provider; "" for an object of a list that is no call."""
    inner = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(inner, dict) or not {"arguments", "input", "args"} & inner.keys():
        return ""
    return inner["name"] if isinstance(inner.get("name"), str) else ""


def _is_whole(answer: Any, wanted: type[BaseModel] | None) -> bool:
    if isinstance(answer, BaseModel):
        return True
    if not isinstance(answer, str) or wanted is None or answer.count("{") != answer.count("}"):
        return False
    try:
        parse(answer, wanted)
    except ValueError:
        return False
    return True
