"""What CrewAI's own list says of a model: its rates, by the length of the prompt, and how much it reads at once.

What is not covered: batches, priority and flex orders, images, sound, and searches by the provider; this project places
none of them.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

NATIVE = ("", "openai", "anthropic", "claude", "gemini", "google")  # listed without their prefix
BEDROCK = ("bedrock", "aws")
INPUT = "input_cost_per_token"
KEYS = {  # of a rate, the first that is listed
    "input": (INPUT,),
    "output": ("output_cost_per_token",),
    "cached": ("cache_read_input_token_cost", "input_cost_per_token_cache_hit"),
    "written": ("cache_creation_input_token_cost",),
    "written_long": ("cache_creation_input_token_cost_above_1hr",),
    "reasoning": ("output_cost_per_reasoning_token",),
    "request": ("input_cost_per_request",),
}
TIER = re.compile(r"(\w+)_above_(\d+)k_tokens")


def context_window(model: str) -> int | None:
    """How many tokens a model reads at once; None for a model that is not in the list.

    >>> context_window("openai/gpt-4o-mini")
    128000
    """
    entry = entry_of(model) or {}
    window = entry.get("max_input_tokens") or entry.get("max_tokens")
    return int(window) if isinstance(window, int | float | str) and str(window).isdigit() else None


def listed_rates(model: str) -> dict[int, dict[str, float]]:
    """US dollars per token by the number of tokens from which on a longer prompt pays them; {} without a price.

    >>> listed_rates("openai/gpt-4o-mini")[0]["output"]
    6e-07
    """
    entry = entry_of(model) or {}
    found = {0: _rates(entry)} if INPUT in entry else {}
    for key in entry:
        if (tier := TIER.fullmatch(key)) and tier[1] == INPUT and found:
            found[int(tier[2]) * 1000] = _rates(entry, f"_above_{tier[2]}k_tokens")
    for part in entry.get("tiered_pricing") or ():
        if isinstance(part, Mapping) and INPUT in part and part.get("range"):
            found[int(part["range"][0])] = _rates(part)
    return found if 0 in found else {}


@cache
def source() -> str:
    """ "crewai 1.15.30 catalogue" """
    return f"crewai {version('crewai')} catalogue"


def entry_of(model: str) -> dict[str, Any] | None:
    """What the list has under the name, or, for a provider whose models it lists so, under the name without it."""
    provider, _, name = model.rpartition("/")
    known = catalogue()
    if model in known:
        return known[model]
    found = known.get(name) if provider.lower() in (*NATIVE, *BEDROCK) else None
    is_bedrocks = str((found or {}).get("litellm_provider")).startswith("bedrock")
    return found if provider.lower() not in BEDROCK or is_bedrocks else None


def _rates(entry: Mapping[str, Any], suffix: str = "") -> dict[str, float]:
    listed = {kind: (entry.get(key + suffix) for key in keys) for kind, keys in KEYS.items()}
    found = {kind: next((value for value in values if value is not None), None) for kind, values in listed.items()}
    return {kind: float(value) for kind, value in found.items() if isinstance(value, int | float)}


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """CrewAI's list by the model's name; empty when it is not there."""
    spec = importlib.util.find_spec("crewai")
    if spec is None or not spec.submodule_search_locations:
        return {}
    file = Path(spec.submodule_search_locations[0]) / "llms/litellm_catalog/model_prices_and_context_window.json"
    try:
        found: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found
