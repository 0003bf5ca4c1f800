"""What is asked before a call is made: the tape of an earlier run, then the cache of calls. Both may be absent.

An answer that was really given is kept aside until the checks of its task have passed; then the cache gets it. The
answer that failed a check never gets there, nor does any call of a task that did not end.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

from pilotage.errors import PilotageError
from pilotage.record.journal import as_text
from pilotage.record.redact import Redactor
from pilotage.tape.keys import model_key, normalised, tool_key
from pilotage.tape.tape import Recorded, Tape

TAPE, CACHE = "tape", "cache"


class Drift(PilotageError):
    """A call that the tape should have answered is not on it: the `number`-th of this agent at this task.

    `asked` is its request, as in tape/keys.py, or the tool and its arguments; `expected` what was recorded there.
    """

    def __init__(
        self, message: str, *, hint: str = "", task: str | None = None, agent: str = "", number: int = 0,
        asked: str = "", expected: Recorded | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.task, self.agent, self.number, self.asked, self.expected = task, agent, number, asked, expected


@dataclass(frozen=True)
class Served:
    """An answer that costs nothing, and where it comes from: `by` is tape or cache, `call` what was recorded."""

    by: str
    call: Recorded


class Calls(Protocol):
    """The cache of calls, as `Recall` uses it."""

    def key_of(self, key: str, model: str, llm: Any, agent: str) -> str | None: ...
    def get(self, key: str) -> Recorded | None: ...
    def put(self, key: str, call: Recorded) -> None: ...
    def drop(self, key: str) -> None: ...


class Recall:
    """The memory of one run. `number` is that of its fences; with `only`, a call that is not on the tape is a Drift.

    `origin` is the first run of its line. Tools named in `again` may repeat what they have done, once, in the run
    `again_in` and those that go on from it; of those in `done` the user says that what was under way was done.
    """

    def __init__(
        self, redactor: Redactor, number: str, *, tape: Tape | None = None, calls: Calls | None = None,
        only: bool = False, origin: str = "", again: Collection[str] = (), again_in: str = "",
        done: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.tape, self.calls, self.only, self.origin = tape, calls, only, origin
        self.again, self.again_in = frozenset(again), again_in
        if tape:
            tape.assume_done(done)
        self._redactor, self._number = redactor, number
        self._kept: dict[str | None, list[tuple[str, Recorded | None]]] = {}  # None: served, "" from the tape
        self._lock = threading.Lock()

    def model_key(self, request: dict[str, Any]) -> tuple[str, bool]:
        """The key of a request, and whether redaction has changed the request."""
        clean = self._redactor.tree(request)
        return model_key(clean, self._number), bool(clean != self._redactor.plain(request))

    def cache_key(self, key: str, model: str, llm: Any, agent: str) -> str | None:
        """The key of the same request in the cache; None when it may not be answered from there."""
        return self.calls.key_of(key, model, llm, agent) if self.calls else None

    def tool_key(self, name: str, arguments: Any) -> str:
        return tool_key(name, self._redactor.tree(arguments), self._number)

    def idempotency(self, name: str, task: str | None, agent: str, key: str, number: int) -> str:
        """The name of the `number`-th such call: the same in a run that goes on from another.

        Another one for a tool that is to do again what it has done: a service must not take it for a repetition.
        """
        first = self.again_in if name in self.again else self.origin
        return hashlib.sha256(f"{first} {task} {agent} {key} {number}".encode()).hexdigest()[:32]

    def is_changed(self, text: str) -> bool:
        """Whether redaction takes something out of it."""
        return self._redactor.text(text) != text

    def model(
        self, task: str | None, agent: str, keys: Sequence[str], cached: str | None,
        request: Mapping[str, Any] | None = None,
    ) -> Served | None:  # fmt: skip
        """The answer to a call of a model, if it is known; `cached` is its key in the cache, None when it may not be.

        Raises Drift when the tape alone may answer and does not.
        """
        if self.tape and (call := self.tape.model(task, agent, keys)):
            with self._lock:
                self._kept.setdefault(task, []).append(("", None))
            return Served(TAPE, self._as_ours(call))
        if self.only:
            asked = normalised(self._redactor.tree(dict(request or {})), self._number)
            what = "its model" if task is None else f"its model at {task}"
            raise self._drifted(f"{agent} asks {what}", task, agent, asked, models=True)
        if self.calls and cached and (found := self.calls.get(cached)):
            with self._lock:
                self._kept.setdefault(task, []).append((cached, None))
            return Served(CACHE, self._as_ours(found))
        return None

    def tool(
        self, task: str | None, agent: str, key: str, *, idempotency: str = "", name: str = "", arguments: Any = None
    ) -> Served | None:
        """The result of a call of a tool on the tape. One with an `idempotency` is found wherever it was made."""
        if not self.tape:
            return None
        if idempotency:
            call = self.tape.effect(key, idempotency, only=name in self.again)
        else:
            call = self.tape.tool(task, agent, key)
        if call is None and self.only:
            raise self._drifted(f"{agent} calls {name}", task, agent, f"{name} {as_text(arguments)}")
        return Served(TAPE, call) if call else None

    def keep(self, task: str | None, key: str, call: Recorded) -> None:
        """Keep an answer aside until its task has passed its checks."""
        if self.calls:
            with self._lock:
                self._kept.setdefault(task, []).append((key, replace(call, number=self._number)))

    def passed(self, task: str) -> None:
        """The task's result has passed its checks: what led to it may be served again."""
        with self._lock:
            kept = self._kept.pop(task, [])
        for key, call in kept:
            if self.calls and call:
                self.calls.put(key, call)

    def refused(self, task: str) -> None:
        """The task's result did not pass: its last answer is forgotten, by the cache too."""
        with self._lock:
            kept = self._kept.get(task)
            key, call = kept.pop() if kept else ("", None)
        if self.calls and key and call is None:
            self.calls.drop(key)

    def _as_ours(self, call: Recorded) -> Recorded:
        """The answer with the number of this run's fences, should it repeat one."""
        if not call.number or not self._number:
            return call
        return replace(call, answer=call.answer.replace(call.number, self._number))

    def _drifted(self, what: str, task: str | None, agent: str, asked: str, *, models: bool = False) -> Drift:
        expected = self.tape.next_of(task, agent, models=models) if self.tape else None
        said = f"event {expected.seq} was recorded there" if expected else "nothing more was recorded there"
        drift = Drift(
            f"The tape has no answer: {what}, {said}", hint="pilotage eval --tapes DIR --update",
            task=task, agent=agent, number=self.tape.asked(task, agent) if self.tape else 0,
            asked=asked, expected=expected,
        )  # fmt: skip
        if self.tape:
            self.tape.drift = self.tape.drift or drift
        return drift


def unpacked(call: Recorded, wanted: Any) -> Any:
    """A model's answer as CrewAI takes it: text, native tool calls, or the typed result."""
    if call.form == "calls":
        items = json.loads(call.answer)
        return _as_parts(items) or [_as_call(item) for item in items]
    if call.form == "typed" and wanted is not None:
        return wanted.model_validate_json(call.answer)
    return call.answer


def _as_parts(items: list[dict[str, Any]]) -> list[Any]:
    """Gemini's calls as its own class has them, with the signatures that it wants back; [] when they are another's."""
    if not all(isinstance(item, dict) and item.get("function_call") for item in items):
        return []
    try:
        types = import_module("google.genai.types")
    except ImportError:
        return []
    return [types.Part.model_validate(item) for item in items]


def _as_call(item: dict[str, Any]) -> dict[str, Any]:
    """A tool call of any provider in the one shape that CrewAI reads from all: OpenAI's."""
    inner = item.get("function") or item.get("function_call") or item.get("toolUse") or item
    name = next(
        (item.get(k) or inner.get(k) for k in ("call_id", "id", "toolUseId") if item.get(k) or inner.get(k)), None
    )
    arguments: Any = next((inner[k] for k in ("arguments", "input", "args") if inner.get(k)), {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)  # as CrewAI writes it into messages
    call = {"type": "function", "function": {"name": inner.get("name", ""), "arguments": text}}
    return ({"id": name} if name else {}) | call
