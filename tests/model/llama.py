"""A llama.cpp server that writes what a test says, piece by piece, as xllamacpp's `Server` hands it out."""

from __future__ import annotations

import json
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
    """`says` are the answers in order: words, an object (refused unless the schema allows it), or an error's type."""

    says: Iterable[Any] = ()
    asked: list[dict[str, Any]] = field(default_factory=list)
    stopped: int = 0  # calls that their callback has ended
    between: Callable[[int], None] = lambda _written: None  # called before each piece
    progress: int = 0  # tokens of the prompt that are told before the first piece

    def __post_init__(self) -> None:
        self._answers = iter(self.says)

    def handle_chat_completions(self, body: dict[str, Any], take: Callable[[Any], bool]) -> None:
        self.asked.append(body)
        answer = next(self._answers)
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
        likely = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.4}]
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
