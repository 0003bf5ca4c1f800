"""What a call costs, and how much a model reads, from the list that CrewAI ships.

An unknown model is None ("unpriced"), never 0. What is not covered: a server of one's own with a smaller window.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

NATIVE = ("", "openai", "anthropic", "claude", "gemini", "google")  # listed without their prefix
OTHER_ORDERS = ("_batches", "_priority", "_flex", "_balanced", "_ultrafast", "_decisions")  # this project places none
LOCAL = ("ollama/", "ollama_chat/", "hosted_vllm/")  # servers of one's own: no price a call


def price(model: str, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float | None:
    """US dollars of one call, or None when nobody lists a price for `model` ("openai/gpt-4o-mini")."""
    if model.startswith(LOCAL):
        return 0.0
    entry = _priced(model)
    if entry is None:
        return None
    per_prompt, per_completion = entry["input_cost_per_token"], entry.get("output_cost_per_token", 0.0)
    per_cached = entry.get("cache_read_input_token_cost", per_prompt)
    fresh = max(0, prompt_tokens - cached_tokens)
    return float(fresh * per_prompt + cached_tokens * per_cached + completion_tokens * per_completion)


def dearest(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """As `price`, at the highest price that the list has for such tokens: of long prompts, of written caches."""
    if model.startswith(LOCAL):
        return 0.0
    entry = _priced(model)
    if entry is None:
        return None
    per_prompt = _highest(entry, "input_cost_per_token", "cache_creation_input_token_cost")
    per_completion = _highest(entry, "output_cost_per_token", "output_cost_per_reasoning_token")
    return prompt_tokens * per_prompt + completion_tokens * per_completion


def context_window(model: str) -> int | None:
    """How many tokens a model reads at once; None for a model that is not in the list.

    >>> context_window("openai/gpt-4o-mini")
    128000
    """
    entry = _entry(model) or {}
    window = entry.get("max_input_tokens") or entry.get("max_tokens")
    return int(window) if isinstance(window, int | float | str) and str(window).isdigit() else None


def _highest(entry: dict[str, Any], *names: str) -> float:
    """The highest of these prices and of their tiers (`…_above_200k_tokens`), orders of other kinds left out."""
    tiers = [key for key in entry if key.startswith(names) and (key in names or "_above_" in key)]
    return max((float(entry[key]) for key in tiers if not key.endswith(OTHER_ORDERS) and entry[key]), default=0.0)


def _entry(model: str) -> dict[str, Any] | None:
    provider, _, name = model.rpartition("/")
    return _catalogue().get(model) or (_catalogue().get(name) if provider.lower() in NATIVE else None)


def _priced(model: str) -> dict[str, Any] | None:
    entry = _entry(model)
    return entry if entry and "input_cost_per_token" in entry else None


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    spec = importlib.util.find_spec("crewai")
    if spec is None or not spec.submodule_search_locations:
        return {}
    file = Path(spec.submodule_search_locations[0]) / "llms/litellm_catalog/model_prices_and_context_window.json"
    try:
        catalogue: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return catalogue
