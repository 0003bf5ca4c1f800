"""Tapes in a folder: the run of a golden question as lines of JSON, small, and alike when little has changed.

    {"tape": 1, "id": …, "question": …, "models": {agent: …}, "tool_calls": …, "outcome": …, "answer": …}
    {"content": {"answer": …, "request": …}, "facts": {…}, "kind": "model_call"}
    {"content": {"arguments": …, "read": …, "result": …}, "facts": {…}, "kind": "tool_call"}

Only answered calls are kept. A message or a list of tools that an earlier line holds already is that line's number; the
number of the fences and the ids of tool calls are always the same ones. What is not kept: times, machines, the chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from pilotage.errors import ConfigError
from pilotage.model.standin import Traits
from pilotage.record.journal import Event
from pilotage.tape.tape import FENCE

FORMAT = 1
SUFFIX = ".jsonl"
QUESTIONS = "questions.jsonl"  # in a folder of tapes: what its tapes answer
IDS = ("id", "call_id", "toolUseId", "tool_call_id")  # of tool calls, by provider
NUMBER = "7a9e7a9e"  # of the fences, in place of the run's own
FACTS = ("agent", "completion_tokens", "failed", "form", "idempotency", "key", "model", "prompt_tokens", "task", "tool")
CONTENT = {"model_call": ("answer", "request"), "tool_call": ("arguments", "read", "result")}
AGAIN = "update it with pilotage eval --tapes DIR --update"


class Head(BaseModel):
    """The first line of a tape."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tape: int
    id: str
    question: str
    models: dict[str, Traits]
    tool_calls: str
    outcome: str
    answer: str | None
    citations: list[dict[str, str]]


@dataclass(frozen=True)
class Taped:
    """A tape as it was read."""

    head: Head
    events: tuple[Event, ...]


def path_of(folder: Path, id_: str) -> Path:
    path = folder / f"{quote(id_, safe=' ')}{SUFFIX}"
    if path.name == QUESTIONS:
        raise ConfigError(f'A question whose id is "{id_}" has no tape: {QUESTIONS} holds the questions')
    return path


def tapes_in(folder: Path) -> list[Path]:
    """The tapes of a folder, by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.name != QUESTIONS)


def write_tape(path: Path, head: Head, events: Iterable[Event]) -> None:
    """Write the calls among the events, whole or not at all."""
    lines = [head.model_dump(), *_packed(events)]
    text = "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines)
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="--tapes takes a folder") from None


def read_tape(path: Path) -> Taped:
    """ConfigError with the line when it is no tape of this version."""
    try:
        lines = lines_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="--tapes takes a folder of tapes") from None
    head = _head(path, lines[0])
    return Taped(head, tuple(_unpacked(path, head.id, lines[1:])))


def lines_of(path: Path) -> list[str]:
    """The lines of a file of JSON lines. JSON may hold what `splitlines` takes for an end, such as U+2028."""
    return path.read_text("utf-8").removesuffix("\n").split("\n")


def _head(path: Path, line: str) -> Head:
    try:
        tree = json.loads(line)
        if isinstance(tree, dict) and tree.get("tape", FORMAT) != FORMAT:
            raise ConfigError(f"{path}:1: a tape of format {tree['tape']}, this version reads {FORMAT}", hint=AGAIN)
        return Head.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ConfigError(f"{path}:1: no tape: {where}: {fault['msg']}", hint=AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}:1: no tape: {error}", hint=AGAIN) from None


def _packed(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """The answered calls, each a line, the first of them line 2."""
    known: dict[str, list[int]] = {}
    number, names = "", dict[str, str]()
    calls = [event for event in events if _is_answered(event)]
    for line, event in enumerate(calls, 2):
        content: dict[str, Any] = {name: event.content.get(name) or "" for name in CONTENT[event.kind]}
        if not number and (found := FENCE.search(content.get("request", ""))):
            number = found[1]
        if number:
            content = {name: text.replace(number, NUMBER) for name, text in content.items()}
        if event.kind == "model_call":
            content["request"] = _shortened(_renamed(json.loads(content["request"]), names), known, line)
        if event.facts.get("form") == "calls":
            content["answer"] = json.dumps(_renamed(json.loads(content["answer"]), names), ensure_ascii=False)
        facts = {name: event.facts[name] for name in FACTS if name in event.facts}
        yield {"kind": event.kind, "facts": facts, "content": {k: v for k, v in content.items() if v}}


def _is_answered(event: Event) -> bool:
    lost = event.kind == "model_call" and event.facts.get("failed")
    return event.kind in CONTENT and "key" in event.facts and not lost


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """With the ids of tool calls numbered in the order in which they come."""
    if isinstance(value, dict):
        return {
            key: names.setdefault(item, f"call_{len(names)}")
            if key in IDS and isinstance(item, str)
            else _renamed(item, names)
            for key, item in value.items()
        }
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _shortened(request: dict[str, Any], known: dict[str, list[int]], line: int) -> dict[str, Any]:
    """The request with `[line, place]` for each message and for the tools, where an earlier line has the same."""

    def once(part: Any, place: int) -> Any:
        return known.setdefault(json.dumps(part, sort_keys=True), [line, place])

    parts = {name: value for name, value in request.items() if name not in ("messages", "tools") or not value}
    if isinstance(request.get("messages"), list):
        found = [once(message, place) for place, message in enumerate(request["messages"])]
        own = zip(found, request["messages"], strict=True)
        parts["messages"] = [message if at[0] == line else at for at, message in own]
    elif request.get("messages"):
        parts["messages"] = request["messages"]
    if request.get("tools"):
        at = once(request["tools"], -1)
        parts["tools"] = request["tools"] if at[0] == line else at[0]
    return parts


def _unpacked(path: Path, name: str, lines: Iterable[str]) -> Iterator[Event]:
    told: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, 2):
        try:
            row = json.loads(line)
            kind, facts, content = row["kind"], dict(row["facts"]), dict(row["content"])
            if kind == "model_call":
                told[number] = _whole(content["request"], told)
                content["request"] = json.dumps(told[number], ensure_ascii=False)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            problem = f"{path}:{number}: damaged: {type(error).__name__}: {error}"
            raise ConfigError(problem, hint=AGAIN) from None
        yield Event(f"tape of {name}", number, float(number), kind, facts, content)


def _whole(request: dict[str, Any], told: dict[int, dict[str, Any]]) -> dict[str, Any]:
    whole = dict(request)
    if isinstance(request.get("messages"), list):
        messages = request["messages"]
        whole["messages"] = [told[m[0]]["messages"][m[1]] if isinstance(m, list) else m for m in messages]
    if isinstance(request.get("tools"), int):
        whole["tools"] = told[request["tools"]]["tools"]
    return whole
