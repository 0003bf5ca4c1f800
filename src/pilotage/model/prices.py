"""What a call costs: by the prices in config/prices.yaml, else by the list that CrewAI ships.

A whole call pays the rates of the tier that its prompt falls in. A model that nobody lists is None ("unpriced"), never
0. What is not covered: see catalogue.py, and what a provider adds to its bill afterwards: taxes, credits, rebates.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pilotage.model.catalogue import NATIVE, context_window, listed_rates, source
from pilotage.model.usage import Used
from pilotage.spec import PriceSpec, RatesSpec

__all__ = ["LISTED", "Price", "Prices", "Rates", "context_window", "plain", "price"]

LOCAL = ("ollama/", "ollama_chat/", "hosted_vllm/", "gguf:")  # servers and files of one's own: no price a call
MILLION = 1_000_000
OWN, FREE = "prices.yaml", "a server of one's own"


@dataclass(frozen=True)
class Rates:
    """US dollars per token, and per call (`request`), for prompts of more than `above` tokens."""

    input: float
    output: float
    cached: float
    written: float
    written_long: float
    reasoning: float
    request: float = 0.0
    above: int = 0

    @property
    def most_read(self) -> float:
        return max(self.input, self.cached, self.written, self.written_long)

    @property
    def most_said(self) -> float:
        return max(self.output, self.reasoning)

    def usd(self, used: Used) -> float:
        """What a call that has used so much costs."""
        fresh = used.prompt - used.cached - used.written
        return (
            fresh * self.input + used.cached * self.cached
            + (used.written - used.written_long) * self.written + used.written_long * self.written_long
            + (used.completion - used.reasoning) * self.output + used.reasoning * self.reasoning + self.request
        )  # fmt: skip

    def applied(self, used: Used) -> dict[str, float]:
        """Those that such a call pays, per million tokens."""
        paid = {
            "input": True, "output": True, "cached": used.cached, "written": used.written > used.written_long,
            "written_long": used.written_long, "reasoning": used.reasoning,
        }  # fmt: skip
        rates = {name: float(f"{getattr(self, name) * MILLION:.10g}") for name, is_paid in paid.items() if is_paid}
        rates |= {"request": self.request} if self.request else {}
        return rates | ({"above": self.above} if self.above else {})


@dataclass(frozen=True)
class Price:
    """The rates of a model by the length of the prompt, and who says so; `on` is the day from which they hold."""

    tiers: tuple[Rates, ...]
    by: str
    on: str | None = None

    def rates(self, prompt: int) -> Rates:
        """The rates of a call with so long a prompt."""
        return [tier for tier in self.tiers if tier.above == 0 or prompt > tier.above][-1]

    def usd(self, used: Used) -> float:
        return self.rates(used.prompt).usd(used)

    def most(self, prompt: int, completion: int) -> float:
        """The most that a call of at most so many tokens can cost, whatever is cached, written or thought."""
        tiers = [tier for tier in self.tiers if tier.above == 0 or prompt > tier.above]
        per_prompt, per_completion = max(t.most_read for t in tiers), max(t.most_said for t in tiers)
        return prompt * per_prompt + completion * per_completion + max(t.request for t in tiers)

    @property
    def per_token(self) -> float:
        """The most that any token can cost, in a prompt of any length."""
        return max(max(tier.most_read, tier.most_said) for tier in self.tiers)

    def facts(self, used: Used) -> dict[str, Any]:
        """What the journal keeps of it."""
        return {"price": self.rates(used.prompt).applied(used), "priced_by": self.by, "priced_on": self.on}


class Prices:
    """The price of each model at a time: `own` prices first, those of an exact name before those of a pattern.

    >>> own = {"mine/*": [PriceSpec(input=1, output=2)]}
    >>> Prices(own).of("mine/small").usd(Used(prompt=1_000_000))
    1.0
    """

    def __init__(self, own: Mapping[str, Sequence[PriceSpec]] | None = None) -> None:
        self._own = {plain(name): specs for name, specs in (own or {}).items()}
        self._patterns = sorted((name for name in self._own if name.endswith("*")), key=len, reverse=True)

    def of(self, model: str, at: float | None = None) -> Price | None:
        """The price of a call of `model` at a time (seconds since 1970, default now); None when nobody lists one."""
        day = datetime.fromtimestamp(time.time() if at is None else at, UTC).date()
        for name in self.names(model):
            if spec := _in_force(self._own[name], day):
                return _own_price(spec)
        if model.startswith(LOCAL):
            return Price((Rates(0, 0, 0, 0, 0, 0),), FREE)
        listed = listed_rates(model)
        return Price(_tiers(listed), source()) if listed else None

    def dearest(self, model: str, prompt: int, completion: int, at: float | None = None) -> float | None:
        """The most that a call of at most so many tokens can cost; None when nobody lists a price."""
        found = self.of(model, at)
        return found.most(prompt, completion) if found else None

    def names(self, model: str) -> list[str]:
        """Those of one's own prices that are for the model, the nearest first; a bare name is OpenAI's.

        Case does not count. A model of a provider that is listed without its prefix is found by its bare name too.
        """
        model = plain(model)
        provider, _, bare = model.rpartition("/")
        asked = (model, *([f"openai/{model}"] if not provider else [bare] if provider in NATIVE else []))
        exact = [name for name in asked if name in self._own]
        return exact + [p for p in self._patterns if any(name.startswith(p[:-1]) for name in asked) and p not in exact]


def plain(name: str) -> str:
    """A model's name as one's own prices know it."""
    return name.strip().lower()


LISTED = Prices()  # CrewAI's list alone


def price(model: str, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float | None:
    """US dollars of one call by CrewAI's list, or None when it has no price for `model` ("openai/gpt-4o-mini")."""
    found = LISTED.of(model)
    return found.usd(Used(prompt_tokens, completion_tokens, min(cached_tokens, prompt_tokens))) if found else None


def _in_force(specs: Sequence[PriceSpec], day: date) -> PriceSpec | None:
    """The last one that holds on that day."""
    holding = [spec for spec in specs if spec.since is None or spec.since <= day]
    return max(holding, key=lambda spec: spec.since or date.min, default=None)


def _own_price(spec: PriceSpec) -> Price:
    listed = {above: _per_token(rates) for above, rates in {0: spec, **spec.above}.items()}
    listed[0]["request"] = spec.request
    return Price(_tiers(listed), OWN, spec.since.isoformat() if spec.since else None)


def _per_token(spec: RatesSpec) -> dict[str, float]:
    given = spec.model_dump(include=set(RatesSpec.model_fields), exclude_none=True)
    return {name: rate / MILLION for name, rate in given.items()}


def _tiers(listed: Mapping[int, Mapping[str, float]]) -> tuple[Rates, ...]:
    """The tiers by length. What one leaves out is as in the first; nowhere listed, as what it is a part of."""
    first, tiers = listed[0], []
    for above in sorted(listed):
        own = {"output": 0.0, **first, **listed[above]}
        if first.get("reasoning") == first.get("output") and "reasoning" not in listed[above]:
            own["reasoning"] = own["output"]  # thoughts at the price of the answer stay there
        own.setdefault("cached", own["input"])
        own.setdefault("written", own["input"])
        own.setdefault("written_long", own["written"])
        own.setdefault("reasoning", own["output"])
        tiers.append(Rates(**own, above=above))
    return tuple(tiers)
