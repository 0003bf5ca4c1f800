"""A loaded GGUF file, shared by all who ask for it in this process; llama.cpp answers one call at a time.

A call whose caller no longer waits is given up between two tokens, and while the prompt is read every BATCH tokens.
At temperature 0 an answer depends on the request alone, but for the last bits: what of the prompt is still in the
cache changes how the rest is batched, and so how sums round. What is not covered: the same words from another build of
llama.cpp, another number of threads or `local.memory`, and a second process, which loads the file once more.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage.errors import ConfigError
from pilotage.model.gguf import file

if TYPE_CHECKING:
    from pilotage.spec import LocalSpec

BATCH = 128  # tokens of a prompt between two looks at whether anybody still waits
KEPT_MIB = {"lean": 256, "fast": 1024}  # of prompts of other agents that are kept aside, to be gone on from
LIKELY = 20  # tokens whose probabilities are looked at for a yes or no
LEAST_SURE = 0.05  # of probability on yes and no together, below which the model has not said either
STRICT = {  # for llguidance, which is built into xllamacpp's llama.cpp: no white space to pad an answer with
    "x-guidance": {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
}

_loaded: dict[tuple[Path, int | None, int, str], LocalModel] = {}
_loading = threading.Lock()


class LocalFault(Exception):
    """llama.cpp refused a request; asked again, it would refuse it again."""


class PromptTooLong(LocalFault):
    """The request has more tokens than `local.context`."""


@dataclass(frozen=True)
class Answered:
    """What came back: the text, why it ended ("stop" or "length"), and the tokens it took.

    `likely` has, by token, the logarithms of the probabilities of the first token.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    seconds: float
    likely: Mapping[str, float] = field(default_factory=dict)

    @property
    def usage(self) -> dict[str, int]:
        """The tokens by the names that CrewAI counts under."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "cached_prompt_tokens": self.cached_tokens}  # fmt: skip


def _nothing() -> None: ...


def _ignored(_prompt: int, _completion: int) -> None: ...


class LocalModel:
    """One file in memory. `open` gives the same object for the same file and settings."""

    def __init__(self, server: Any) -> None:
        self._server, self._turn = server, threading.Lock()

    @classmethod
    def open(cls, path: str | Path, spec: LocalSpec) -> LocalModel:
        """Load the file, or take the model that was loaded from it before. Raises ConfigError with what is missing."""
        where = Path(path).expanduser().resolve()
        with _loading:
            key = (where, spec.threads, spec.context, spec.memory)
            if key not in _loaded:
                file.check(where, spec.context)
                _loaded[key] = cls(_serve(where, spec))
            return _loaded[key]

    def complete(
        self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float | None = 0.0,
        seed: int = 0, schema: Mapping[str, Any] | None = None, stop: Sequence[str] = (),
        go_on: Callable[[], None] = _nothing, used: Callable[[int, int], None] = _ignored,
    ) -> Answered:  # fmt: skip
        """The model's answer, one JSON document of `schema` if that is given.

        `go_on` is called while waiting and with each token; what it raises ends the call and comes out here. `used` is
        told what was read and written by then, in tokens. Raises PromptTooLong, or LocalFault for what llama.cpp
        refuses.
        """
        body = _plain(messages) | {"max_tokens": max_tokens, "seed": seed}
        body |= {"temperature": temperature} if temperature is not None else {}
        body |= {"stop": list(stop)} if stop else {}
        body |= {"grammar": _grammar(schema)} if schema else {}
        return self._asked(body, go_on, used)

    def first_word(
        self, messages: Sequence[Mapping[str, str]], *, go_on: Callable[[], None] = _nothing,
        used: Callable[[int, int], None] = _ignored,
    ) -> Answered:  # fmt: skip
        """The first token of the answer, with the probabilities of those that it might have been.

        `share_of_yes` makes one figure of them; the last message should ask for yes or no. A common beginning of the
        messages is read once, not with each call.
        """
        body = _plain(messages) | {"max_tokens": 1, "temperature": 0.0, "logprobs": True, "top_logprobs": LIKELY}
        return self._asked(body, go_on, used)

    def _asked(
        self, body: dict[str, Any], go_on: Callable[[], None], used: Callable[[int, int], None] = _ignored
    ) -> Answered:  # fmt: skip
        with self._alone(go_on):
            started = time.monotonic()
            collected = _Collected(go_on, used)
            whole = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
            try:
                self._server.handle_chat_completions(body | whole, collected.take)
            except ValueError as error:  # of the request: a schema that is none
                raise LocalFault(f"llama.cpp refused the request: {error}") from None
            return collected.answer(time.monotonic() - started)

    @contextmanager
    def _alone(self, go_on: Callable[[], None]) -> Iterator[None]:
        while not self._turn.acquire(timeout=0.05):
            go_on()
        try:
            go_on()
            yield
        finally:
            self._turn.release()


@dataclass
class _Collected:
    """The pieces of one answer as they come."""

    go_on: Callable[[], None]
    used: Callable[[int, int], None]
    read: int = 0  # tokens of the prompt
    pieces: list[str] = field(default_factory=list)
    likely: dict[str, float] = field(default_factory=dict)
    finish: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    fault: BaseException | None = None

    def take(self, piece: dict[str, Any]) -> bool:
        """Called by llama.cpp with each piece; True ends the call."""
        try:
            self.go_on()
            self._read(piece)
            self.used(self.read, sum(map(bool, self.pieces)))
        except BaseException as error:  # it must not pass through C++
            self.fault = error
        return self.fault is not None

    def answer(self, seconds: float) -> Answered:
        if self.fault is not None:
            raise self.fault
        cached = (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        prompt, completion = self.usage.get("prompt_tokens", 0), self.usage.get("completion_tokens", 0)
        return Answered("".join(self.pieces), self.finish, prompt, completion, cached, seconds, self.likely)

    def _read(self, piece: dict[str, Any]) -> None:
        if error := piece.get("error"):
            too_long = error.get("type") == "exceed_context_size_error"
            raise (PromptTooLong if too_long else LocalFault)(str(error.get("message")))
        self.usage = piece.get("usage") or self.usage
        self.read = (piece.get("prompt_progress") or {}).get("processed", self.read)
        for choice in piece.get("choices", ()):
            self.pieces.append(choice["delta"].get("content") or "")
            self.finish = choice.get("finish_reason") or self.finish
            for token in (choice.get("logprobs") or {}).get("content") or ():
                self.likely = self.likely or {each["token"]: each["logprob"] for each in token["top_logprobs"]}


def share_of_yes(likely: Mapping[str, float]) -> float:
    """P(yes) / (P(yes) + P(no)) of log-probabilities by token; capitals and white space do not count.

    NaN when neither is likely: the model would have said something else.

    >>> round(share_of_yes({"Yes": -0.1, " yes": -4.0, "No": -3.0}), 2)
    0.95
    """
    mass = dict.fromkeys(("yes", "no"), 0.0)
    for token, logarithm in likely.items():
        if (word := token.strip().lower()) in mass:
            mass[word] += math.exp(logarithm)
    both = mass["yes"] + mass["no"]
    return mass["yes"] / both if both >= LEAST_SURE else math.nan


def _grammar(schema: Mapping[str, Any]) -> str:
    return f"%llguidance {{}}\nstart: %json {json.dumps(dict(schema) | STRICT, ensure_ascii=False)}"


def _plain(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Without thoughts, where the model's template knows of them: they would stand before what is constrained."""
    thoughtless = {"chat_template_kwargs": {"enable_thinking": False}}
    return {"messages": [dict(message) for message in messages], "cache_prompt": True} | thoughtless


def _serve(path: Path, spec: LocalSpec) -> Any:
    """llama.cpp's server object. It listens on loopback too, which nobody uses: behind a key that nobody knows."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else idle threads of llama.cpp keep busy cores from working
    import xllamacpp

    asked = xllamacpp.CommonParams()
    asked.model.path, asked.n_ctx, asked.n_parallel = str(path), spec.context, 1
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = spec.threads or _cores()
    asked.n_batch = asked.n_ubatch = BATCH
    asked.no_extra_bufts = spec.memory == "lean"  # the weights once, not a second time in another order
    asked.cache_ram_mib = KEPT_MIB[spec.memory]
    asked.api_keys, asked.ui = [secrets.token_hex(32)], False
    asked.endpoint_slots = asked.endpoint_props = asked.endpoint_metrics = False
    asked.verbosity, asked.use_jinja, asked.warmup = -1, True, False
    try:
        return xllamacpp.Server(asked)
    except (RuntimeError, MemoryError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        hint = "use another file, a smaller local.context, or local.memory: lean"
        raise ConfigError(f"llama.cpp cannot load {path.name}: {said}", hint=hint) from None


def _cores() -> int:
    """Those that this process may use."""
    own = getattr(os, "sched_getaffinity", None)
    return max(1, len(own(0)) if own else os.cpu_count() or 1)
