"""What stands around each tool call: caps, policy, time-out, fence, journal.

    caps -> policy -> tool, in a thread or a process with a deadline -> clean, cut, fenced -> journal

What a tool raises reaches the agent as one sentence and the journal in full; a denied call never runs.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from pilotage.errors import LimitExceeded
from pilotage.guard.fence import clean, fence, suspects
from pilotage.guard.limits import Meter, RunEnded
from pilotage.guard.policy import Denial, Policy
from pilotage.record.journal import Journal
from pilotage.tools import marked
from pilotage.tools.isolate import Failed, run_isolated

SENTENCE = 300  # characters of an error that reach the agent; the journal has it whole


@dataclass(frozen=True)
class Guard:
    """The guard of one run. `number` marks its fences: nobody outside can know it."""

    meter: Meter
    journal: Journal
    policy: Policy
    number: str
    module: str | None = None  # of the user's tools, for those in a process of their own
    _noted: set[tuple[str, str]] = field(default_factory=set)

    def around(self, name: str, function: Callable[..., Any], agent: str) -> Callable[..., str]:
        """`function` as an agent may call it: always returns text."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> str:
            return self.call(name, function, agent, _named(function, args, kwargs))[0]

        return call

    def call(self, name: str, function: Callable[..., Any], agent: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """What the agent gets, and whether it is a result. Raises when a cap of the run is reached."""
        self.meter.before_tool_call(agent)
        if denial := self.policy.denies(agent, name, arguments):
            return self.deny(name, agent, arguments, denial), False
        return self._run(name, function, agent, arguments)

    def deny(self, name: str, agent: str, arguments: Any, denial: Denial) -> str:
        """Journal a call that does not run; returns the sentence for the agent."""
        sentence = f"{name} was denied: {denial.reason} ({denial.rule})"
        content = {"arguments": arguments, "result": sentence}
        self.journal.append(
            "tool_call",
            content,
            agent=agent,
            task=self.meter.task_of(agent),
            tool=name,
            denied=denial.rule,
            failed=True,
        )
        return sentence

    def note(self, tool: str, source: str, texts: list[str], *, hidden: bool = False) -> None:
        """Journal what reads like orders to a model, each stretch once in a run."""
        for excerpt in dict.fromkeys(excerpt for text in texts for excerpt in suspects(text)):
            if (source, excerpt) not in self._noted:
                self._noted.add((source, excerpt))
                self.journal.append("suspicious", {"excerpt": excerpt}, tool=tool, source=source, hidden=hidden or None)

    def _run(self, name: str, function: Callable[..., Any], agent: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        started, failure = time.monotonic(), None
        try:
            result = self._shown(name, self._within(name, function, agent, arguments))
        except (RunEnded, LimitExceeded) as error:
            result, failure = f"{name} was stopped: {error}", error
        except Exception as error:
            result, failure = f"{name} failed: {_sentence(error)}", error
        content = {"arguments": arguments, "result": result} | ({"error": _detail(failure)} if failure else {})
        self.journal.append(
            "tool_call", content,
            agent=agent, task=self.meter.task_of(agent), tool=name, seconds=round(time.monotonic() - started, 4),
            failed=failure is not None or None,
        )  # fmt: skip
        return (result, False) if failure else (fence(result, name, self.number), True)

    def _within(self, name: str, function: Callable[..., Any], agent: str, arguments: dict[str, Any]) -> Any:
        rule, mark = self.policy.rule(name), marked(function)
        cap, key = (
            rule.seconds or mark.timeout,
            f"policy.tools.{name}.seconds" if rule.seconds else f"timeout of {name}",
        )
        seconds, key = (cap, key) if cap else (self.meter.limits.tool_seconds, "limits.tool_seconds")
        isolate = mark.isolate if rule.isolate is None else rule.isolate
        if not isolate or self.module is None:
            return self.meter.within(agent, seconds, key, lambda: function(**arguments))
        module, at_end = self.module, self.meter.at_end
        return self.meter.within(
            agent, seconds + 1, key, lambda: run_isolated(module, name, arguments, seconds, at_end)
        )

    def _shown(self, name: str, value: Any) -> str:
        """The result as text: cleaned, cut, what looks suspicious noted."""
        value = _clean(value)
        source = str(value.get("source") or value.get("url") or name) if isinstance(value, Mapping) else name
        self.note(name, source, list(_texts(value)))
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        most = self.meter.limits.result_chars
        if len(text) > most:
            text = f"{text[:most]}\n[cut: {len(text):,} characters against {most:,} (limits.result_chars)]"
        return text


def _named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, as the policy sees them and the journal shows them."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return dict(zip(names, args, strict=False)) | kwargs


def _sentence(error: Exception) -> str:
    text = clean(" ".join(str(error).split()))
    return text[:SENTENCE] or type(error).__name__


def _detail(error: Exception) -> str:
    return error.detail or repr(error) if isinstance(error, Failed) else repr(error)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
