"""What a call has used, in tokens: as its provider says, as far as that can be believed, else estimated.

A figure that is negative, no whole number or beyond MOST is not believed, and with it nothing of the same report. An
estimate takes four characters for a token, which is OpenAI's rule of thumb for English: other scripts use more. What is
not covered: a false figure that could be true, and images.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

MOST = 10**9  # tokens; no model reads or writes as many in one call
A_TOKEN = 4  # characters
PROMPT, COMPLETION, CACHED, TOTAL = "prompt_tokens", "completion_tokens", "cached_prompt_tokens", "total_tokens"
TOTALS = (TOTAL, "total_token_count")
FIGURES = {
    PROMPT, COMPLETION, *TOTALS, "prompt_token_count", "candidates_token_count", "input_tokens", "output_tokens",
    "inputTokens", "outputTokens", "totalTokens",
}  # fmt: skip
BEDROCKS = {
    "inputTokens": "input_tokens", "outputTokens": "output_tokens", "totalTokens": TOTAL,
    "cacheReadInputTokens": "cache_read_input_tokens", "cacheWriteInputTokens": "cache_creation_input_tokens",
}  # fmt: skip


@dataclass(frozen=True)
class Used:
    """The tokens of one attempt; `cached` are those of the prompt that cost less."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion


def tokens_of(usage: dict[str, Any]) -> dict[str, int]:
    """Prompt, completion and cached tokens from a usage block of any provider: those that it tells, by CrewAI's names.

    `total_tokens` is among them when it is all that is told. What is no figure is taken out of `usage` itself too:
    CrewAI 1.15 adds up, and compares, whatever stands there.
    """
    from crewai.types.usage_metrics import UsageMetrics

    _mend(usage)
    named = {BEDROCKS.get(name, name): value for name, value in usage.items()}
    metrics = UsageMetrics.from_provider_dict(named)
    if metrics is None:
        return {}
    total = next((int(named[name]) for name in TOTALS if named.get(name)), 0)
    return _told(metrics.prompt_tokens, metrics.completion_tokens, metrics.cached_prompt_tokens, total)


def reported(usage: Counter[str]) -> Used | None:
    """What an attempt has used, when its provider has told all of it."""
    if PROMPT not in usage or COMPLETION not in usage or TOTAL in usage:
        return None
    return Used(usage[PROMPT], usage[COMPLETION], usage[CACHED])


def estimate(usage: Counter[str], prompt: int, completion: int) -> Used:
    """What its provider has told, and these guesses for the rest; a bare total is split as they are.

    >>> estimate(Counter(total_tokens=500), 300, 100)
    Used(prompt=375, completion=125, cached=0, estimated=True)
    """
    if total := usage[TOTAL]:
        part = round(total * completion / max(1, prompt + completion))
        return Used(usage[PROMPT] + total - part, usage[COMPLETION] + part, usage[CACHED], True)
    return Used(usage.get(PROMPT, prompt), usage.get(COMPLETION, completion), usage[CACHED], True)


def guess(*parts: Any) -> int:
    """About how many tokens these are: texts as they stand, all else as JSON."""
    texts = (part if isinstance(part, str) else json.dumps(part, ensure_ascii=False, default=str) for part in parts)
    return math.ceil(sum(map(len, texts)) / A_TOKEN)


def _told(prompt: int, completion: int, cached: int, total: int) -> dict[str, int]:
    """The figures that are known, one of them from the two others if need be: no prompt has 0 tokens."""
    if not prompt and not completion:
        return {TOTAL: total} if total else {}
    told = {COMPLETION: completion or total - prompt} if completion or total >= prompt else {}
    if prompt or total > completion:
        told[PROMPT] = prompt or total - completion
        told[CACHED] = min(cached, told[PROMPT])
    return told


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
