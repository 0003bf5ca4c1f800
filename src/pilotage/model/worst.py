"""The most that one model call can use, known before it is made.

A byte-level tokenizer never makes more tokens than there are bytes (a token stands for at least one byte; so with
SentencePiece, whose unknown letters fall back to bytes); the messages' frames are a few tokens each (four in OpenAI's
cookbook), the prompt that a provider adds for tools is below 1,000 (Anthropic lists 346 and less).
What is not covered: images, and a provider that answers beyond max_tokens.
"""

from __future__ import annotations

import json
from typing import Any

from pilotage.guard.limits import Worst
from pilotage.model.answers import Call
from pilotage.model.fallbacks import Candidate
from pilotage.model.prices import LISTED, Prices
from pilotage.spec import ModelSpec

A_MESSAGE, A_CALL, TOOLS = 16, 256, 1000  # tokens around a message, a request, its tools
LONGEST = ModelSpec().max_tokens


def worst_of(model: Candidate, call: Call, prices: Prices = LISTED) -> Worst:
    """Prompt and answer at their longest, at the dearest price; `usd` is None when nobody lists one."""
    if model.free:
        return Worst(0, 0.0)
    prompt, answer = prompt_bound(call), longest_answer(model.llm)
    return Worst(prompt + answer, prices.dearest(model.name, prompt, answer))


def prompt_bound(call: Call) -> int:
    """No provider counts more prompt tokens than this."""
    messages = call.messages if isinstance(call.messages, list) else [call.messages]
    schema = call.response_model.model_json_schema() if call.response_model else None
    size = sum(len(_json(part).encode("utf-8", "surrogatepass")) for part in (messages, call.tools, schema) if part)
    return size + A_MESSAGE * len(messages) + A_CALL + (TOOLS if call.tools or schema else 0)


def longest_answer(llm: Any) -> int:
    """max_tokens, by the name that the provider's class has for it."""
    found = (getattr(llm, name, None) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"))
    return int(next((value for value in found if value), LONGEST))


def _json(part: Any) -> str:
    return json.dumps(part, ensure_ascii=False, default=str)
