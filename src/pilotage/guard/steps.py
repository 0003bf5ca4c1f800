"""Steps of agents: what the journal, or a row of a trace, says that somebody did, and what shows in it.

A `Step` is a message, a tool call with its result, a failed check, progress (a check passed) or the boundary of a task.
Failure and emptiness are read from a result only where no flag says so, in English; what is missed counts as a result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pilotage.guard.likeness import DEEPEST, masked, normal, plain, read_json, shown, words

if TYPE_CHECKING:
    from pilotage.record.journal import Event

BARE, BARE_WORDS = 40, 6  # a result of fewer characters and fewer words than these says no more than "done"
SHORT = 120  # characters of a result in which a word of failure or emptiness is about the call itself
TROUBLE = ("err", "warn", "fault")  # lists of these may be empty without the result being empty
STEM = 5  # letters by which a word is known
FORM = "check form"
LONG = 12  # words from which a message has something to say
QUOTED = 50  # arguments that are looked for in a failure, the longest
EXAMPLE = 60  # characters of an argument that people are shown

_FAILED = re.compile(
    r"\b(?:error|exception|traceback|fail(?:ed|ure)|denied|refused|forbidden|unauthorized|timed? ?out|unavailable|"
    r"invalid|rejected|(?:http|status|code)\W{0,4}[45]\d\d|[45]\d\d (?:not found|bad request|internal|service))\b|"
    r"(?-i:\w(?:Error|Exception)\b)",
    re.IGNORECASE,
)
_NO_FAILURE = re.compile(r"\b(?:no|0|zero|without(?: any)?) (?:errors?|exceptions?|failures?|failed)\b", re.IGNORECASE)
_EMPTY = re.compile(
    r"^\W*(?:none|null|nil|empty)?\W*$"
    r"|\b(?:nothing|not|(?:no|0|zero) (?:\w+ ){1,2})(?: ?was| ?were)? ?(?:found|match(?:ed)?)\b"
    r"|^\W*(?:no|0|zero) (?:\w+ ){0,2}(?:results?|match(?:es)?|hits?|rows?|records?|entries|documents?|items?)\b",
    re.IGNORECASE,
)
_ACTION = re.compile(r"^[ \t]*Action:[ \t]*(\S.*)", re.MULTILINE)
_PASSING_NUMBER = re.compile(r"0x[\da-f]+|\d{4,}")


@dataclass(frozen=True)
class Step:
    """One thing that an agent said or did. `failed` is None where nothing says so."""

    number: int
    agent: str
    kind: str  # message, tool, check (one that failed), progress, boundary
    name: str = ""
    arguments: Any = None
    result: Any = None
    text: str = ""
    failed: bool | None = None

    @property
    def is_tool(self) -> bool:
        """Something was done and there is a result: a call, or a check that failed."""
        return self.kind in ("tool", "check")

    @property
    def is_repeatable(self) -> bool:
        return self.is_tool or self.kind == "message"

    @cached_property
    def said(self) -> str:
        """The message, or the arguments of the call, in one form."""
        return normal(self.arguments) if self.is_tool else plain(self.text)

    @cached_property
    def doing(self) -> tuple[str, str, int]:
        """Who did what with what: the same for the same step in another form."""
        return (self.agent, self.name if self.is_tool else "", hash(self.said))

    @cached_property
    def words(self) -> list[str]:
        return words(self.said)

    @cached_property
    def bag(self) -> frozenset[str]:
        return frozenset(self.words)

    @property
    def is_action(self) -> bool:
        """A message that is a call in words (ReAct). The call is a step of its own, and its result says more."""
        return "Action Input:" in self.text

    @property
    def wanted(self) -> str:
        """The tool that a call in words names."""
        found = _ACTION.search(self.text) if self.is_action else None
        return found[1].strip() if found else ""

    @property
    def example(self) -> str:
        """One of the arguments, for people: `query: "red foxes"`. An agent is told none: it may quote a result."""
        arguments = read_json(self.arguments)
        pairs = arguments.items() if isinstance(arguments, Mapping) else [("arguments", arguments)]
        name, value = next(((name, value) for name, value in pairs if value not in (None, "")), ("", ""))
        text = visible(_as_text(value), EXAMPLE)
        return f'{visible(_as_text(name), EXAMPLE)}: "{text}"' if text else ""

    @cached_property
    def pairs(self) -> frozenset[int]:
        """What a message says, as pairs of neighbouring words."""
        return frozenset(map(hash, pairwise(self.words)))

    @cached_property
    def claims(self) -> frozenset[str]:
        """What a message is about: the beginnings of its longer words, which stay when it is said otherwise."""
        return frozenset(word[:STEM] for word in self.bag if len(word) > 3 or not word.isascii() or word.isdigit())

    @cached_property
    def complaint(self) -> str:
        """The text of a failure without the arguments that it quotes, addresses and long numbers. Small ones count."""
        text = self.outcome.casefold()
        for value in sorted(_scalars(read_json(self.arguments)), key=len, reverse=True)[:QUOTED]:
            text = text.replace(value.casefold(), "…")
        return _PASSING_NUMBER.sub("~", text)

    @cached_property
    def outcome(self) -> str:
        """The result as text, without what differs by itself."""
        return masked(_as_text(self.result))

    @cached_property
    def is_failure(self) -> bool:
        return self.is_tool and (_reads_failed(_as_text(self.result)) if self.failed is None else self.failed)

    @cached_property
    def is_empty(self) -> bool:
        """Whether there was nothing to be had. No result at all says nothing: it may stand in a message."""
        return self.is_tool and self.result is not None and _reads_empty(_as_text(self.result))

    @cached_property
    def is_bare(self) -> bool:
        """A short acknowledgement: it says that the call was made, not what came of it."""
        if not self.is_tool or len(self.outcome) >= BARE or len(words(self.outcome)) >= BARE_WORDS:
            return False
        return not self.is_failure and not self.is_empty

    @cached_property
    def is_telling(self) -> bool:
        """A result, or a message, long enough that saying it again means something."""
        return not self.is_bare if self.is_tool else len(self.bag) >= LONG


def step_of_row(row: Mapping[str, Any], number: int) -> Step:
    """A row of a trace as a step; what is missing is empty, what is no text becomes text."""
    kind = "tool" if row.get("kind", "tool" if "name" in row else "message") == "tool" else "message"
    failed = row.get("failed")
    return Step(
        number, _as_text(row.get("agent")), kind, _as_text(row.get("name")), row.get("arguments"), row.get("result"),
        _as_text(row.get("text")), failed if isinstance(failed, bool) else None,
    )  # fmt: skip


def visible(text: str, most: int) -> str:
    """The beginning of a text on one line, without what a terminal would act on; `…` where it was cut."""
    if len(text) <= most and text.isprintable():
        return text
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[:most]}…"


def steps_of(event: Event) -> Step | None:
    """An event of the journal as a step; None when it is none: what failed at the provider, notes, decisions."""
    facts = event.facts
    agent, failed = str(facts.get("agent", "")), bool(facts.get("failed"))
    if event.kind == "tool_call":
        arguments, result = _content(event, "arguments"), _content(event, "result")
        return Step(event.seq, agent, "tool", str(facts.get("tool", "")), arguments, result, failed=failed)
    if event.kind == "model_call":
        answer = _content(event, "answer")
        return None if failed or _calls_tools(answer) else Step(event.seq, agent, "message", text=answer)
    if event.kind == "check":
        name = f"check {facts.get('check', '')}"
        if facts.get("passed"):
            return Step(event.seq, agent, "progress", name)
        faults = _content(event, "faults")
        return Step(event.seq, agent, "check", name, failed=True, result=_reasons(faults) if name == FORM else faults)
    return Step(event.seq, agent, "boundary") if event.kind == "task_started" else None


def _content(event: Event, name: str) -> str:
    """A text of the event. One that was erased is known by its digest: the same text is still the same."""
    text = event.content.get(name)
    return f"erased_{event.digests.get(name, '')}_" if text is None and name in event.content else text or ""


def _reasons(faults: str) -> str:
    """Why an answer was not of its form, without the answer itself: that differs, though the fault is the same."""
    told = read_json(faults)
    return "; ".join(str(fault.get("reason")) for fault in told) if isinstance(told, list) else faults


def _calls_tools(answer: str) -> bool:
    """Native tool calls: a JSON list of objects. They are steps of their own."""
    calls = read_json(answer) if answer.startswith("[") else None
    return not answer.strip() or (isinstance(calls, list) and bool(calls) and all(isinstance(c, dict) for c in calls))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys of several types, a circle, a tower
        return shown(value)


def _scalars(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, Mapping | list) and depth < DEEPEST:
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _scalars(item, depth + 1)
    elif len(text := masked(_as_text(value))) > 1:
        yield text


def _reads_failed(result: str) -> bool:
    told = read_json(result)
    if isinstance(told, Mapping):
        if told.get("error") or told.get("ok") is False or told.get("success") is False:
            return True
        result = " ".join(f"{key} {told[key]}" for key in ("status", "state", "message", "code") if key in told)
    text = _NO_FAILURE.sub("", result[:SHORT])
    found = _FAILED.search(text)
    return found is not None and (found.start() < BARE or len(result) < SHORT)


def _reads_empty(result: str) -> bool:
    told = read_json(result)
    if isinstance(told, Mapping):
        lists = [value for key, value in told.items() if isinstance(value, list) and not key.startswith(TROUBLE)]
        return not told or (bool(lists) and not any(lists))
    return not told if isinstance(told, list) else len(result) < SHORT and bool(_EMPTY.search(result))
