"""A llama.cpp server that writes what a test says, piece by piece, as xllamacpp's `Server` hands it out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from pilotage.model.gguf.llm import Gguf
from pilotage.model.gguf.model import LocalModel
from pilotage.spec import LocalSpec

NAME = "gguf:models/tiny.gguf"
HEAD = "%llguidance {}\nstart: %json "


@dataclass
class Llama:
    """`says` are the answers in order: words, an object (refused unless the schema allows it), or an error's type.

    `sure` are the probabilities of a yes, in order; where it has none left, 0.91.
    """

    says: Iterable[Any] = ()
    sure: Iterable[float] = ()
    asked: list[dict[str, Any]] = field(default_factory=list)
    stopped: int = 0  # calls that their callback has ended
    between: Callable[[int], None] = lambda _written: None  # called before each piece
    progress: int = 0  # tokens of the prompt that are told before the first piece

    def __post_init__(self) -> None:
        self._answers, self._sure = iter(self.says), iter(self.sure)

    def handle_chat_completions(self, body: dict[str, Any], take: Callable[[Any], bool]) -> None:
        self.asked.append(body)
        answer = "Y" if body.get("logprobs") else next(self._answers)
        if isinstance(answer, str) and answer.startswith("exceed"):
            take({"error": {"code": 400, "message": "request (9000 tokens) exceeds 8192", "type": answer}})
            return
        if isinstance(answer, Exception):
            raise answer
        for piece in self._pieces(answer, body):
            if take(piece):
                self.stopped += 1
                return

    def _pieces(self, answer: Any, body: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if isinstance(answer, dict):
            jsonschema.validate(answer, schema_of(body))
            answer = json.dumps(answer)
        yield {"choices": [{"delta": {"content": None}}], "prompt_progress": {"processed": self.progress}}
        for number in range(0, len(answer), 4):
            self.between(number)
            yield {"choices": [{"delta": {"content": answer[number : number + 4]}, "finish_reason": None}]}
        yes = next(self._sure, 0.91) if body.get("logprobs") else 1.0
        likely = [{"token": token, "logprob": math.log(p)} for token, p in (("Yes", yes), ("No", 1 - yes)) if p]
        told = {"logprobs": {"content": [{"top_logprobs": likely}]}} if body.get("logprobs") else {}
        yield {"choices": [{"delta": {}, "finish_reason": "stop", **told}]}
        yield {"choices": [], "usage": {
            "prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}}  # fmt: skip


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema that a request constrains its answer with."""
    found: dict[str, Any] = json.loads(body["grammar"].removeprefix(HEAD))
    return found


def gguf(llama: Any, **more: Any) -> Gguf:
    """A model whose file is loaded already, as this server."""
    local = LocalModel(llama)
    made = Gguf.of(NAME, __file__, LocalSpec(), **more)  # type: ignore[arg-type]
    made._open = lambda: local
    return made
