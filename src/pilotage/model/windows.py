"""How many tokens a model reads at once, from the list that CrewAI ships. None for a model that is not in it.

What is not covered: a server of one's own that was started with a smaller window, which answers with an error.
"""

from __future__ import annotations

from pilotage.model.prices import NATIVE, _catalogue


def context_window(model: str) -> int | None:
    """
    >>> context_window("openai/gpt-4o-mini")
    128000
    """
    provider, _, name = model.rpartition("/")
    entry = _catalogue().get(model) or (_catalogue().get(name) if provider.lower() in NATIVE else None) or {}
    window = entry.get("max_input_tokens") or entry.get("max_tokens")
    return int(window) if isinstance(window, int | float | str) and str(window).isdigit() else None
