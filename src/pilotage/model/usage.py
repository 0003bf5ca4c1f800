"""What a call has used, in tokens: as its provider says, as far as that can be believed, else estimated.

A figure that is negative, no whole number or beyond MOST is not believed, and with it nothing of the same report. An
estimate takes four characters for a token, which is OpenAI's rule of thumb for English: other scripts use more. What is
not covered: a false figure that could be true, images and sound at prices of their own, and what a provider counts for
searches and citations of its own (Perplexity's citation_tokens).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

MOST = 10**9  # tokens; no model reads or writes as many in one call
A_TOKEN = 4  # characters
PROMPT, COMPLETION, CACHED, TOTAL = "prompt_tokens", "completion_tokens", "cached_prompt_tokens", "total_tokens"
REASONING, WRITTEN, WRITTEN_LONG = "reasoning_tokens", "written_tokens", "written_long_tokens"
FIGURES = {
    PROMPT, COMPLETION, TOTAL, "total_token_count", "prompt_token_count", "candidates_token_count", "input_tokens",
    "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "thoughts_token_count",
    "tool_use_prompt_token_count", "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens",
    "cacheWriteInputTokens",
}  # fmt: skip
APART = {"input_tokens", "inputTokens"}  # Anthropic and Bedrock count beside them what a cache was read or written for
NAMES = {  # what a provider may call a figure, on top of its report or in one of its details
    PROMPT: (PROMPT, "prompt_token_count", "input_tokens", "inputTokens"),
    COMPLETION: (COMPLETION, "output_tokens", "outputTokens"),
    TOTAL: (TOTAL, "total_token_count", "totalTokens"),
    CACHED: (
        CACHED,
        "cache_read_input_tokens",
        "cacheReadInputTokens",
        "cached_content_token_count",
        "cached_tokens",
        "prompt_cache_hit_tokens",
    ),  # DeepSeek's
    WRITTEN: ("cache_creation_input_tokens", "cacheWriteInputTokens", "cache_creation_tokens", "cache_write_tokens"),
    WRITTEN_LONG: ("ephemeral_1h_input_tokens",),
    REASONING: (REASONING, "thoughts_token_count"),
}
BESIDE = ("cache_read_input_tokens", "cacheReadInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokens")


@dataclass(frozen=True)
class Used:
    """The tokens of one attempt.

    Of the prompt, `cached` were read from a cache and `written` put into one, `written_long` of these for an hour; of
    the completion, `reasoning` are thoughts.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    estimated: bool = False
    reasoning: int = 0
    written: int = 0
    written_long: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion


def tokens_of(usage: dict[str, Any]) -> dict[str, int]:
    """The tokens in a usage block of any provider, or in what CrewAI makes of one: those that it tells.

    `total_tokens` is among them when it is all that is told. What is no figure is taken out of `usage` itself too:
    CrewAI 1.15 adds up, and compares, whatever stands there.
    """
    _mend(usage)
    flat = _flat(usage)
    name, prompt = _first(flat, PROMPT)
    figures = {kind: _first(flat, kind)[1] for kind in NAMES}
    total, reasoning, completion = figures[TOTAL], figures[REASONING], figures[COMPLETION]
    if not completion and (thoughts := flat.get("candidates_token_count", 0) + flat.get("thoughts_token_count", 0)):
        completion = thoughts  # Gemini counts them apart
    elif reasoning and (reasoning > completion or total == prompt + completion + reasoning):
        completion += reasoning  # so do xAI and Perplexity, behind OpenAI's names
    if name in APART and any(key in flat for key in BESIDE):
        prompt += figures[CACHED] + figures[WRITTEN]
    if total != prompt + completion:
        prompt += flat.get("tool_use_prompt_token_count", 0)  # Gemini's, beside its prompt
    told = _told(prompt, completion, total)
    return told | _parts(told, figures)


def block_of(response: Any) -> dict[str, Any]:
    """A copy of the usage block that an SDK has put on its answer, or on a piece of it; {} when there is none."""
    return as_block(getattr(response, "usage", None) or getattr(response, "usage_metadata", None))


def as_block(usage: Any) -> dict[str, Any]:
    """An SDK's usage object as plain data."""
    if isinstance(usage, BaseModel):
        return usage.model_dump(warnings=False)  # of a false figure it would warn
    plain = getattr(usage, "as_dict", None)  # Azure's
    if callable(plain):
        usage = plain()
    return dict(usage) if isinstance(usage, Mapping) else {}


def reported(usage: Counter[str]) -> Used | None:
    """What an attempt has used, when its provider has told all of it."""
    if PROMPT not in usage or COMPLETION not in usage or TOTAL in usage:
        return None
    return _used(usage, usage[PROMPT], usage[COMPLETION])


def estimate(usage: Counter[str], prompt: int, completion: int) -> Used:
    """What its provider has told, and these guesses for the rest; a bare total is split as they are.

    >>> used = estimate(Counter(total_tokens=500), 300, 100)
    >>> used.prompt, used.completion, used.estimated
    (375, 125, True)
    """
    if total := usage[TOTAL]:
        part = round(total * completion / max(1, prompt + completion))
        return _used(usage, usage[PROMPT] + total - part, usage[COMPLETION] + part, estimated=True)
    return _used(usage, usage.get(PROMPT, prompt), usage.get(COMPLETION, completion), estimated=True)


def guess(*parts: Any) -> int:
    """About how many tokens these are: texts as they stand, all else as JSON."""
    texts = (part if isinstance(part, str) else json.dumps(part, ensure_ascii=False, default=str) for part in parts)
    return math.ceil(sum(map(len, texts)) / A_TOKEN)


def _used(usage: Counter[str], prompt: int, completion: int, *, estimated: bool = False) -> Used:
    """No part is more than what it is a part of."""
    cached = min(usage[CACHED], prompt)
    written = min(usage[WRITTEN], prompt - cached)
    long, reasoning = min(usage[WRITTEN_LONG], written), min(usage[REASONING], completion)
    return Used(prompt, completion, cached, estimated, reasoning, written, long)


def _told(prompt: int, completion: int, total: int) -> dict[str, int]:
    """The figures that are known, one of them from the two others if need be: no prompt has 0 tokens."""
    if not prompt and not completion:
        return {TOTAL: total} if total else {}
    told = {COMPLETION: completion or total - prompt} if completion or total >= prompt else {}
    if prompt or total > completion:
        told[PROMPT] = prompt or total - completion
    return told


def _parts(told: Mapping[str, int], figures: Mapping[str, int]) -> dict[str, int]:
    """What is told of the prompt and of the completion that is told."""
    whole = {CACHED: PROMPT, WRITTEN: PROMPT, WRITTEN_LONG: PROMPT, REASONING: COMPLETION}
    return {part: min(figures[part], told[of]) for part, of in whole.items() if figures[part] and of in told}


def _first(flat: Mapping[str, int], kind: str) -> tuple[str, int]:
    """The name and the value of a figure, one that is not 0 if there is any."""
    there = [(name, flat[name]) for name in NAMES[kind] if name in flat]
    return next((found for found in there if found[1]), there[0] if there else ("", 0))


def _flat(usage: Mapping[str, Any]) -> dict[str, int]:
    """All figures of a report and of its details, those on top first."""
    flat = {name: int(value) for name, value in usage.items() if _is_figure(value)}
    for value in usage.values():
        if isinstance(value, Mapping):
            flat = _flat(value) | {name: count for name, count in flat.items() if count or name in FIGURES}
    details = [kept for kept in usage.get("cacheDetails") or () if isinstance(kept, Mapping)]  # Bedrock's
    if kept_long := [int(kept["inputTokens"]) for kept in details if _is_kept_long(kept)]:
        flat["ephemeral_1h_input_tokens"] = sum(kept_long)
    return flat


def _is_kept_long(kept: Mapping[str, Any]) -> bool:
    return kept.get("ttl") == "1h" and _is_figure(kept.get("inputTokens"))


def _mend(usage: dict[str, Any]) -> None:
    """Put 0 for what is no figure, and for each figure when one of the main ones is none."""
    believed = all(value is None or _is_figure(value) for name, value in usage.items() if name in FIGURES)
    for name, value in usage.items():
        if isinstance(value, dict):
            _mend(value)
        elif name in FIGURES or ("token" in name.lower() and isinstance(value, int | float | str | None)):
            usage[name] = value if believed and _is_figure(value) else 0


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST and value == int(value)
