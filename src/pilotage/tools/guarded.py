"""What stands around each tool call: caps, policy, time-out, fence, journal.

    policy -> arguments -> tape -> caps -> tool, in a thread or a process with a deadline -> cleaned, fenced -> journal

What a tool raises reaches the agent as one sentence; a call that is denied, or whose arguments do not fit, never runs.
A call that the tape of an earlier run answers does not run either, and what it had read is there to be cited again.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Protocol

from pydantic import BaseModel

from pilotage.cache.served import listening
from pilotage.errors import LimitExceeded, PilotageError, ToolError
from pilotage.guard.fence import clean, fence, suspects
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.guard.policy import Denial, Policy
from pilotage.names import DELEGATION
from pilotage.record.journal import Journal
from pilotage.tape.recall import Drift, Recall, Served
from pilotage.tools import known_as, marked
from pilotage.tools.aside import printing_aside
from pilotage.tools.child import find
from pilotage.tools.faults import detail, sentence
from pilotage.tools.given import no_object, read_arguments
from pilotage.tools.isolate import STARTS, Failed, run_isolated
from pilotage.tools.plain import plain

NOTED = 20  # stretches of one result that are journalled as suspicious
GRACE = 1.0  # seconds for killing a process before its thread is left behind


class Shelf(Protocol):
    """Where what a call has read is kept, and put again when the call is answered from the tape."""

    def read_in(self, result: Any) -> dict[str, Any]: ...
    def put_back(self, tool: str, arguments: Mapping[str, Any], result: str, read: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool: by whom, with which arguments, and the key by which it is known again."""

    name: str
    function: Callable[..., Any]
    agent: str
    task: str | None
    arguments: dict[str, Any]
    key: str
    idempotency: str = ""  # of a call that changes something


@dataclass
class Guard:
    """The guard of one run. `number` marks its fences: nobody outside can know it."""

    meter: Meter
    journal: Journal
    policy: Policy
    recall: Recall
    number: str
    module: str | None = None  # of the user's tools, for those in a process of their own
    shelf: Shelf | None = None
    _made: Counter[tuple[str | None, str, str]] = field(default_factory=Counter)
    _noted: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(
        self, name: str, function: Callable[..., Any], agent: str, schema: type[BaseModel] | None = None
    ) -> Callable[..., str]:
        """`function` as an agent may call it: always returns text. `schema` says which arguments it takes."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> str:
            return self.call(name, function, agent, _named(function, schema, args, kwargs), schema)[0]

        return call

    def call(
        self, name: str, function: Callable[..., Any], agent: str, arguments: dict[str, Any],
        schema: type[BaseModel] | None = None,
    ) -> tuple[str, bool]:  # fmt: skip
        """What the agent gets, and whether it is a result. Raises when a cap of the run is reached."""
        self.meter.raise_if_ended()
        denial, read, problem = self.policy.denies(agent, name, arguments), arguments, ""
        try:
            read = read_arguments(schema, function, arguments) if schema and not denial else arguments
        except ToolError as error:
            problem = str(error)
        call = None if denial or problem else self._named_call(name, function, agent, read)
        if call and (served := self._recalled(call)):
            return self._serve(call, served)
        self.meter.before_tool_call(agent)
        if denial:
            return self.deny(name, agent, arguments, denial), False
        return self._run(call) if call else (self._not_called(name, agent, arguments, problem), False)

    def refuse(self, name: str, agent: str, arguments: Any) -> str:
        """Count and journal a call whose arguments are no object; returns the sentence for the agent."""
        self.meter.before_tool_call(agent)
        if denial := self.policy.denies(agent, name, {"arguments": arguments}):
            return self.deny(name, agent, arguments, denial)
        return self._not_called(name, agent, arguments, no_object(arguments))

    def deny(self, name: str, agent: str, arguments: Any, denial: Denial) -> str:
        """Journal a call that does not run; returns the sentence for the agent."""
        sentence = f"{name} was denied: {denial.reason} ({denial.rule})"
        content = {"arguments": arguments, "result": sentence}
        self.journal.append(
            "tool_call", content,
            agent=agent, task=self.meter.task_of(agent), tool=name, denied=denial.rule, failed=True,
        )  # fmt: skip
        return sentence

    def _not_called(self, name: str, agent: str, arguments: Any, problem: str) -> str:
        said = f"{name} was not called: {problem}"
        self.journal.append(
            "tool_call", {"arguments": arguments, "result": said},
            agent=agent, task=self.meter.task_of(agent), tool=name, failed=True,
        )  # fmt: skip
        return said

    def note(self, tool: str, source: str, texts: list[str], *, hidden: bool = False) -> None:
        """Journal what reads like orders to a model, each stretch of a source once in a run, NOTED at a time."""
        excerpts = list(dict.fromkeys(excerpt for text in texts for excerpt in suspects(text)))
        with self._lock:
            new = [excerpt for excerpt in excerpts if (source, excerpt) not in self._noted][:NOTED]
            self._noted.update((source, excerpt) for excerpt in new)
        for excerpt in new:
            self.journal.append("suspicious", {"excerpt": excerpt}, tool=tool, source=source, hidden=hidden or None)

    def _named_call(self, name: str, function: Callable[..., Any], agent: str, arguments: dict[str, Any]) -> ToolCall:
        task, key = self.meter.task_of(agent), self.recall.tool_key(name, arguments)
        if not self._changes_something(name, function):
            return ToolCall(name, function, agent, task, arguments, key)
        with self._lock:
            self._made[task, agent, key] += 1
            number = self._made[task, agent, key]
        idempotency = self.recall.idempotency(name, task, agent, key, number)
        return ToolCall(name, function, agent, task, arguments, key, idempotency)

    def _changes_something(self, name: str, function: Callable[..., Any]) -> bool:
        ruled = self.policy.rule(name).side_effects
        return marked(function).side_effects if ruled is None else ruled

    def _recalled(self, call: ToolCall) -> Served | None:
        """What the tape has for this call, with its sources put back; a delegation is gone through again."""
        if call.name in DELEGATION:
            return None
        try:
            found = self.recall.tool(
                call.task, call.agent, call.key,
                idempotency=call.idempotency, name=call.name, arguments=call.arguments,
            )  # fmt: skip
        except Drift as error:
            raise RunEnded(self.meter.end(Ended("failed", str(error), error.hint)).reason) from None
        if found is None or self.shelf is None or found.call.failed:
            return found
        back = self.shelf.put_back(call.name, call.arguments, found.call.answer, found.call.read)
        return found if back or call.idempotency else None

    def _serve(self, call: ToolCall, served: Served) -> tuple[str, bool]:
        """The result of an earlier run, as if the tool had run."""
        result = served.call.answer
        self.note(call.name, call.name, [result])
        self._journal(call, {"result": result, "read": served.call.read}, 0.0, served.call.failed, served=served.by)
        return (result, False) if served.call.failed else (fence(result, call.name, self.number), True)

    def _run(self, call: ToolCall) -> tuple[str, bool]:
        failure: Exception | None = None
        read: dict[str, Any] = {}
        if call.idempotency:
            self.journal.append(
                "tool_started", {"arguments": call.arguments}, agent=call.agent, task=call.task, tool=call.name,
                key=call.key, idempotency=call.idempotency,
            )  # fmt: skip
        started = time.monotonic()
        try:
            with listening() as cached:
                value = _clean(self._result(call))
            result = self._shown(call.name, value)
            read = self.shelf.read_in(value) if self.shelf else {}
        except (RunEnded, LimitExceeded) as error:
            failure = error
            result = f"{call.name} was stopped: {error}" if self.meter.ended else f"{call.name} failed: {_own(error)}"
        except Exception as error:
            result, failure = f"{call.name} failed: {sentence(error)}", error
        content: dict[str, Any] = {"result": result} | ({"read": read} if read else {})
        if trace := detail(failure, self.policy.root) if failure else "":
            content["error"] = trace
        stopped = failure is not None and self.meter.ended is not None
        facts = {"stopped": stopped or None, "cached": cached[-1] if cached else None}
        self._journal(call, content, time.monotonic() - started, failure is not None, **facts)
        return (result, False) if failure else (fence(result, call.name, self.number), True)

    def _journal(self, call: ToolCall, content: dict[str, Any], seconds: float, failed: bool, **facts: Any) -> None:
        self.journal.append(
            "tool_call", {"arguments": call.arguments, **{name: text for name, text in content.items() if text}},
            agent=call.agent, task=call.task, tool=call.name, seconds=round(seconds, 4), failed=failed or None,
            key=call.key, idempotency=call.idempotency or None,
            redacted=self.recall.is_changed(content["result"]) or None, **facts,
        )  # fmt: skip

    def _result(self, call: ToolCall) -> Any:
        """What the tool returned, as JSON knows it, before its time is over."""
        name, function, agent = call.name, call.function, call.agent
        seconds, key = self._cap(name, function, agent)
        wanted = self.policy.rule(name).isolate
        if not (marked(function).isolate if wanted is None else wanted):
            return self.meter.within(agent, seconds, key, lambda: _called(call), what=name, late=False)
        module = self._module_of(name)

        def isolated() -> Any:
            self.meter.raise_if_ended()  # a process is not started for nobody
            try:
                return run_isolated(module, name, call.arguments, seconds, self.meter.at_end, call.idempotency)
            except TimeoutError as error:
                raise TimeoutError(f"{error} ({key})") from None

        return self.meter.within(agent, STARTS + seconds + GRACE, key, isolated, what=name, late=False)

    def _cap(self, name: str, function: Callable[..., Any], agent: str) -> tuple[float, str]:
        """The seconds of one call and what says so: the policy, else the tool itself, else the smallest of the caps."""
        if ruled := self.policy.rule(name).seconds:
            return ruled, f"policy.tools.{name}.seconds"
        if own := marked(function).timeout:
            return own, f"timeout of {name}"
        return self.meter.tool_seconds(agent)

    def _module_of(self, name: str) -> str:
        """The user's module, where a process of its own finds the tool; the built-in tools share what this one has."""
        try:
            find(self.module or "", name)
        except (LookupError, ValueError):
            problem = f"{name} is no tool of your own module and cannot have a process of its own"
            raise ToolError(f"{problem} (policy.tools.{name}.isolate)") from None
        return self.module or ""

    def _shown(self, name: str, value: Any) -> str:
        """The result, cleaned, as text: cut, what looks suspicious in it noted."""
        most = self.meter.limits.result_chars
        source = str(value.get("source") or value.get("url") or name) if isinstance(value, Mapping) else name
        self.note(name, source, list(_first(most, _texts(value))))
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > most:
            text = f"{text[:most]}\n[cut: {len(text):,} characters against {most:,} (limits.result_chars)]"
        return text


def _called(call: ToolCall) -> Any:
    try:
        with printing_aside(), known_as(call.idempotency):
            result = call.function(**call.arguments)
            return plain(asyncio.run(result) if inspect.iscoroutine(result) else result)
    except Exception:
        raise
    except BaseException as error:  # sys.exit() in a tool ends the call, not the crew
        raise Failed(f"{type(error).__name__}: {error}", traceback.format_exc()) from None


def _own(error: PilotageError) -> str:
    """A tool raised what only a cap of the run may raise: its message would say that the run has ended."""
    return f"it raised {type(error).__name__} by itself; no cap of the run was reached"


def _named(
    function: Callable[..., Any], schema: type[BaseModel] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by name, as the policy sees them and the journal shows them."""
    known = schema.model_fields if schema else inspect.signature(function).parameters
    return dict(zip([name for name in known if name != "self"], args, strict=False)) | kwargs


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _first(most: int, texts: Iterator[str]) -> Iterator[str]:
    """The texts as far as the agent gets to see them."""
    for text in texts:
        if most <= 0:
            return
        yield text[:most]
        most -= len(text)
