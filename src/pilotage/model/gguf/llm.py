"""A GGUF file as CrewAI sees it: a BaseLLM that calls tools natively and returns typed results.

Each agent has an object of its own; all of them share the loaded file. What the model writes is constrained, see
protocol.py. The journal keeps the request as CrewAI made it; what the model reads of it is shorter, see reading.py.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crewai import BaseLLM
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from crewai.utilities.i18n import I18N_DEFAULT
from jsonschema import ValidationError as SchemaViolation
from jsonschema import validate
from pydantic import BaseModel, PrivateAttr, ValidationError

from pilotage.checks.judge import Messages
from pilotage.checks.results import Explanation, Findings, Verdicts
from pilotage.errors import shortened
from pilotage.model.answers import CUT, Attempt, BadAnswer, Truncated
from pilotage.model.gguf import protocol
from pilotage.model.gguf.model import Answered, LocalModel, PromptTooLong, share_of_yes
from pilotage.model.gguf.narrow import Schema, as_meant, spelled
from pilotage.model.gguf.reading import Message, Request, read
from pilotage.model.gguf.weighing import Weighing
from pilotage.model.retries import current
from pilotage.model.usage import COMPLETION, PROMPT
from pilotage.prompts import Prompts, defaults
from pilotage.spec import LocalSpec

MOST_CALLS = 3  # of tools, after which a researcher that has found nothing says so
REACT = "Action Input:"  # in CrewAI's prompt of the text mode
FORCED = I18N_DEFAULT.errors("force_final_answer")  # what CrewAI says when max_iter is reached


class Gguf(BaseLLM):
    _open: Callable[[], LocalModel] = PrivateAttr()
    _local: LocalSpec = PrivateAttr()
    _prompts: Prompts = PrivateAttr()
    _question: str = PrivateAttr(default="")
    _number: str = PrivateAttr(default_factory=lambda: secrets.token_hex(4))
    _max_tokens: int = PrivateAttr(default=2048)
    _kind: type[BaseModel] | None = PrivateAttr(default=None)  # that the last call was to return

    @classmethod
    def of(
        cls, name: str, path: Path, spec: LocalSpec, *, max_tokens: int = 2048, temperature: float | None = 0.0,
        prompts: Prompts | None = None, question: str = "",
    ) -> Gguf:  # fmt: skip
        """The model of a file, which is loaded with the first call at the latest; `question` is that of the run."""
        made = cls(model=name, provider="gguf", temperature=temperature)
        made._open = lambda: LocalModel.open(path, spec)
        made._local, made._max_tokens = spec, max_tokens
        made._prompts, made._question = prompts or defaults(), question
        return made

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return self._local.context

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return 0  # CrewAI would warn that it guesses

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> Any:  # fmt: skip
        given = [dict(message) for message in self._format_messages(messages)]
        if not self.supports_function_calling() and REACT in str(given):  # model.tool_calls: text
            return self._in_words(given)
        kind = response_model or getattr(from_task, "response_model", None)
        if kind is None and FORCED in str(given[-1]["content"]):
            kind = self._kind  # of this call CrewAI tells neither task nor type
        self._kind = kind
        request = read(given, self._prompts.local, kind.model_fields if kind else ())
        if kind is None and not tools:
            return self._checked(self._ask(request.messages)).text
        answer = self._written(request, tools, kind)
        return answer if response_model is not None or not isinstance(answer, BaseModel) else answer.model_dump_json()

    def _written(self, request: Request, tools: Any, kind: type[BaseModel] | None) -> Any:
        """Calls of tools, or the result."""
        usable = protocol.offered(tools, request)
        if (weighed := self._weighed(request, kind, bool(usable))) is not None:
            return weighed
        form = protocol.form_of(kind, request, self._prompts.local)
        messages = protocol.with_words(request.messages, protocol.told(tools, self._prompts.local), form.note)
        written = self._object(messages, protocol.schema_of(form, usable, request, self._max_tokens))
        if protocol.is_call(written) and (written["tool"], written["arguments"]) in request.calls:
            request.looked = True
            written = self._object(messages, protocol.schema_of(form, [], request, self._max_tokens))
        if protocol.is_call(written):
            return protocol.as_calls(written, len(request.calls))
        if kind is None:
            return written["answer"]
        try:
            return kind.model_validate(form.whole(written))
        except ValidationError as error:
            raise BadAnswer(f"the answer is not of its type: {error.errors()[0]['msg']}") from None

    def _weighed(self, request: Request, kind: type[BaseModel] | None, may_call: bool) -> BaseModel | None:
        """The result where it is not written: findings and verdicts, and what follows of nothing."""
        asked = "\n".join([*request.asked_before, self._question])
        weighing = Weighing(asked, self._prompts, self._number, self._sure)
        if kind is Findings and request.looked:
            found = weighing.findings(request)
            request.quotes.clear()  # those that do not answer are not offered again
            if found or not may_call or len(request.calls) >= MOST_CALLS:
                return Findings.model_validate({"findings": found})
        if kind is Verdicts and request.findings and (request.looked or not may_call):
            return Verdicts.model_validate({"verdicts": weighing.verdicts(request)})
        if kind is Verdicts and request.handed and not request.findings:
            return Verdicts(verdicts=[])
        if kind and issubclass(kind, Explanation) and request.handed and not (request.findings or request.verdicts):
            return kind.model_validate({"statements": [], "citations": []})
        return None

    def _sure(self, messages: Messages) -> float:
        return share_of_yes(self._asked_in_turn(lambda local, **more: local.first_word(messages, **more)).likely)

    def _object(self, messages: Sequence[Message], schema: Schema) -> dict[str, Any]:
        """What is written by the schema; that it was is looked at: llama.cpp drops a grammar that it cannot follow."""
        plain, meant = spelled(schema)
        answered = self._checked(self._ask(messages, schema=plain))
        try:
            written = json.loads(answered.text)
            validate(written, plain)
        except json.JSONDecodeError as error:
            raise BadAnswer(f"the answer is no JSON ({error.msg})") from None
        except SchemaViolation as error:
            raise BadAnswer(f"the answer is not of its schema: {shortened(error.message, 200)}") from None
        found: dict[str, Any] = as_meant(written, meant)
        return found

    def _in_words(self, given: Sequence[dict[str, Any]]) -> str:
        """CrewAI's text mode: its prompt as it is, and a stop where a result would be made up."""
        messages = [{"role": str(m["role"]), "content": str(m.get("content") or "")} for m in given]
        return self._checked(self._ask(messages, stop=self.stop_sequences)).text

    def _ask(
        self, messages: Sequence[Message], *, schema: Schema | None = None, stop: Sequence[str] = ()
    ) -> Answered:  # fmt: skip
        def complete(local: LocalModel, **more: Any) -> Answered:
            return local.complete(
                messages, max_tokens=self._max_tokens, temperature=self.temperature, seed=self._local.seed,
                schema=schema, stop=stop, **more,
            )  # fmt: skip

        return self._asked_in_turn(complete)

    def _asked_in_turn(self, ask: Callable[..., Answered]) -> Answered:
        """One of the requests that a call is made of; their tokens add up."""
        attempt = current.get() or Attempt()
        before = Counter(attempt.usage)

        def used(prompt: int, completion: int) -> None:
            """What a call costs that is left behind before its end."""
            attempt.usage.update({PROMPT: before[PROMPT] + prompt - attempt.usage[PROMPT]})
            attempt.usage.update({COMPLETION: before[COMPLETION] + completion - attempt.usage[COMPLETION]})

        used(0, 0)
        try:
            answered = ask(self._open(), go_on=attempt.go_on, used=used)
        except PromptTooLong as error:
            raise LLMContextLengthExceededError(f"{error} (local.context)") from None
        used(0, 0)
        self._track_token_usage_internal(answered.usage)
        attempt.completed(answered.finish or None)
        return answered

    def _checked(self, answered: Answered) -> Answered:
        if answered.finish == "length":
            raise Truncated(CUT)
        return answered
