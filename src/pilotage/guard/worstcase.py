"""The worst case of one run, from the settings alone: the most calls, seconds, tokens and dollars, and what binds each.

Everything that is capped is the smallest of the run's cap, the sum over the agents and the sum over the tasks. Without
limits.strict_budget the calls in flight come on top of tokens and usd, since what they use is known only after them.
What is not covered: what only the caps in `limits` hold, which are pages named with --url, tasks that a crew's Python
runs side by side, its planning and its memory; and what a provider bills for a call left behind without an answer,
unless the budget is strict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from pilotage.guard.limits import UNWINDS
from pilotage.settings import Settings
from pilotage.spec import AgentSpec, TaskSpec


@dataclass(frozen=True)
class Rates:
    """The most that one call of a model can use, and its dearest token in dollars; None where nobody says."""

    tokens: int | None
    usd: float | None
    per_token: float | None


@dataclass(frozen=True)
class Bound:
    """At most `value`, because of `key`, and `over` beyond it by what was under way. inf when nobody knows."""

    value: float
    key: str
    over: float = 0.0

    @property
    def total(self) -> float:
        return self.value + self.over


@dataclass(frozen=True)
class WorstCase:
    """No run uses more. `unpriced` are the models that nobody lists a price for: `usd` leaves them out."""

    model_calls: Bound
    tool_calls: Bound
    seconds: Bound
    tokens: Bound
    usd: Bound
    unpriced: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        bounds = {name: getattr(self, name) for name in ("model_calls", "tool_calls", "seconds", "tokens", "usd")}
        shown = {
            name: {"at_most": _finite(bound.total), "key": bound.key, "beyond_the_cap": _finite(bound.over)}
            for name, bound in bounds.items()
        }
        return {**shown, "unpriced": list(self.unpriced)}

    def line(self) -> str:
        """`worst case of one run: 30 model calls (limits.model_calls), 60 tool calls (limits.tool_calls), …`"""
        parts = [
            f"{self.model_calls.value:,.0f} model calls ({self.model_calls.key})",
            f"{self.tool_calls.value:,.0f} tool calls ({self.tool_calls.key})",
            f"{self.seconds.total:,.4g} s ({self.seconds.key})",
            f"{self.tokens.value:,.0f} tokens ({self.tokens.key}){_more(self.tokens)}",
            "unpriced"
            if self.usd.value == inf
            else f"{_dollars(self.usd.value)} ({self.usd.key}){_more_usd(self.usd)}",
        ]
        unpriced = f"; nobody lists a price for {', '.join(self.unpriced)}" if self.unpriced else ""
        return f"worst case of one run: {', '.join(parts)}{unpriced}"


def worst_case(settings: Settings, rates: Mapping[str, Rates]) -> WorstCase:
    """`rates` are of all models that may be asked, fallbacks included; none for the built-in reader."""
    plan = _Plan(settings)
    calls, tools, seconds = plan.model_calls(), plan.tool_calls(), plan.seconds()
    if not rates:
        nothing = Bound(0, "the built-in reader")
        return WorstCase(calls, tools, seconds, nothing, nothing)
    strict = settings.engine.limits.strict_budget
    in_flight = 0 if strict else plan.in_flight()
    most = max(inf if rate.tokens is None else rate.tokens for rate in rates.values())
    by_calls = [] if strict else [Bound(calls.total * most, calls.key)]  # a lost call is booked at its bytes there
    tokens = plan.least("tokens", by_calls, over=_times(in_flight, most))
    unpriced = tuple(name for name, rate in rates.items() if rate.per_token is None)
    return WorstCase(calls, tools, seconds, tokens, plan.usd(rates, tokens, in_flight), unpriced)


class _Plan:
    """Who may work at which task."""

    def __init__(self, settings: Settings) -> None:
        self.limits, self.agents, self.tasks = settings.engine.limits, settings.agents, settings.tasks
        self.fallbacks = len(settings.engine.model.fallbacks)
        self.chains = len({agent.llm for agent in settings.agents.values()})  # each fails and falls back by itself
        with_task = {task.agent for task in settings.tasks.values()}
        self.managers = [n for n, a in settings.agents.items() if a.allow_delegation and n not in with_task]

    def workers(self, task: TaskSpec) -> list[str]:
        """All who may get a turn at the task: its agent, and everybody where one may delegate."""
        delegates = self.agents[task.agent].allow_delegation or self.managers
        return list(self.agents) if delegates else [task.agent]

    def at_work(self) -> dict[str, AgentSpec]:
        names = {name for task in self.tasks.values() for name in self.workers(task)}
        return {name: self.agents[name] for name in names}

    def in_flight(self) -> int:
        """Most model calls at one moment: one agent may ask all others at once, each of whom does one thing."""
        return max(1, *(len(self.workers(task)) - 1 for task in self.tasks.values()))

    def model_calls(self) -> Bound:
        """By max_iter: each iteration is a call with its retries, and each model fails for good at most once."""
        by_task = sum(
            min(task.limits.iterations or inf, sum(self.agents[name].max_iter for name in self.workers(task)))
            for task in self.tasks.values()
        )
        by_agent = sum(
            min(agent.limits.iterations or inf, agent.max_iter * self._tasks_of(name))
            for name, agent in self.at_work().items()
        )
        iterations, key = min(
            (by_task, "max_iter"), (by_agent, "max_iter"), (self.limits.iterations or inf, "limits.iterations")
        )
        attempts = self.limits.retries + 1
        retried = " and limits.retries" if self.limits.retries or self.fallbacks else ""
        lost = self.fallbacks * self.chains * self.in_flight()
        return self.least("model_calls", [Bound((iterations + lost) * attempts, f"{key}{retried}")])

    def tool_calls(self) -> Bound:
        """No tool is called by who has none; one answer may call any number of them."""
        has_tools = any(agent.tools or agent.allow_delegation for agent in self.at_work().values())
        return self.least("tool_calls", [] if has_tools else [Bound(0, "no agent has a tool")])

    def seconds(self) -> Bound:
        """The caps of the turns one after another, and the moment that CrewAI gets to unwind."""
        by_task = sum(
            min(
                task.limits.seconds or inf, max(self.agents[n].max_execution_time for n in (task.agent, *self.managers))
            )
            for task in self.tasks.values()
        )
        return self.least("seconds", [Bound(by_task, "max_execution_time", UNWINDS)], over=UNWINDS)

    def usd(self, rates: Mapping[str, Rates], tokens: Bound, in_flight: int) -> Bound:
        """By the cap, or by what all tokens cost at the dearest price; models without a price are left out."""
        priced = [rate for rate in rates.values() if rate.per_token is not None]
        if not priced:
            return Bound(inf, "nobody lists a price")
        most = max(inf if rate.usd is None else rate.usd for rate in priced)
        by_tokens = Bound(_times(tokens.total, max(rate.per_token or 0.0 for rate in priced)), tokens.key)
        return self.least("usd", [by_tokens], over=_times(in_flight, most))

    def least(self, kind: str, others: Sequence[Bound], over: float = 0.0) -> Bound:
        """The smallest of the caps of this kind, each of which may be passed by `over`, and of the other bounds."""
        capped = [Bound(value, key, over) for value, key in self._capped(kind)]
        return min([*capped, *others], key=lambda bound: bound.total)

    def _capped(self, kind: str) -> Iterator[tuple[float, str]]:
        yield getattr(self.limits, kind), f"limits.{kind}"
        for what, entries in (("agents", self.at_work().values()), ("tasks", self.tasks.values())):
            caps = [getattr(entry.limits, kind) for entry in entries]
            if None not in caps:
                yield sum(caps), f"limits.{kind} of the {what}"

    def _tasks_of(self, name: str) -> int:
        return sum(name in self.workers(task) for task in self.tasks.values())


def _finite(value: float) -> float | None:
    return None if value == inf else value


def _times(count: float, each: float) -> float:
    """Nothing of what nobody knows is nothing."""
    return count * each if count and each else 0.0


def _more(bound: Bound) -> str:
    if not bound.over:
        return ""
    return " + what one call uses" if bound.over == inf else f" + {bound.over:,.0f} of calls under way"


def _more_usd(bound: Bound) -> str:
    return "" if not bound.over or bound.over == inf else f" + {_dollars(bound.over)} of calls under way"


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd == 0 or usd >= 0.01 else f"${usd:.2g}"
