"""The worst case from the settings alone: its figures, its keys, and that no run of an endless model ever passes it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from pilotage.guard.limits import Meter
from pilotage.guard.worstcase import Bound, Rates, WorstCase, worst_case
from pilotage.model.prices import price
from pilotage.run import run_crew
from pilotage.settings import Settings
from pilotage.spec import AgentSpec, CapSpec, LimitSpec
from tests.support.project import events_of
from tests.support.scripted import Turn, calls, good

Load = Callable[..., Settings]
MODEL = "openai/gpt-4o-mini"
QUESTION = "How many requests can one fault make when retries are nested?"
RATES = {MODEL: Rates(10_000, 0.02, 0.000_005)}


def worst(settings: Settings, rates: dict[str, Rates] | None = None) -> WorstCase:
    return worst_case(settings, RATES if rates is None else rates)


# --- figures and keys; config/: 3 tasks of agents with max_iter 6, 8, 4 and 120 s each, 30 calls, 60 tools, 300 s


@pytest.mark.parametrize(
    ("overrides", "calls", "key"),
    [
        ({}, 30, "limits.model_calls"),
        ({"limits__model_calls": 100}, 54, "max_iter and limits.retries"),
        ({"limits__model_calls": 100, "limits__retries": 0}, 18, "max_iter"),
        ({"limits__model_calls": 100, "limits__iterations": 5}, 15, "limits.iterations and limits.retries"),
        ({"limits__retries": 0, "agents__verifier__max_iter": 2}, 12, "max_iter"),
        ({"limits__retries": 0, "agents__verifier__limits": "{iterations: 3}"}, 13, "max_iter"),
        ({"limits__retries": 0, "tasks__verify__limits": "{iterations: 3}"}, 13, "max_iter"),
        ({"limits__retries": 0, "model__fallbacks": "[openai/a, openai/b]"}, 20, "max_iter and limits.retries"),
        ({"limits__retries": 0, "agents__verifier__allow_delegation": "true"}, 28, "max_iter"),
    ],
)  # fmt: skip
def test_the_most_model_calls_and_what_binds_them(load: Load, overrides: dict[str, Any], calls: int, key: str) -> None:
    bound = worst(load(**overrides)).model_calls
    assert (bound.total, bound.key) == (calls, key)


def test_the_caps_of_all_agents_or_all_tasks_bind_when_they_are_less(load: Load) -> None:
    agents = {f"agents__{name}__limits": "{model_calls: 2}" for name in ("researcher", "verifier", "explainer")}
    assert worst(load(**agents)).model_calls == Bound(6, "limits.model_calls of the agents")
    tasks = {f"tasks__{name}__limits": "{model_calls: 1}" for name in ("research", "verify", "explain")}
    assert worst(load(**agents, **tasks)).model_calls == Bound(3, "limits.model_calls of the tasks")
    agents.popitem()
    assert worst(load(**agents)).model_calls.key == "limits.model_calls"


@pytest.mark.parametrize(
    ("overrides", "seconds", "key"),
    [
        ({}, 301, "limits.seconds"),
        ({"limits__seconds": 1000}, 361, "max_execution_time"),
        ({"limits__seconds": 1000, "tasks__verify__limits": "{seconds: 20}"}, 261, "max_execution_time"),
    ],
)
def test_the_most_seconds_are_those_of_the_deadlines_and_one_to_unwind(
    load: Load, overrides: dict[str, Any], seconds: float, key: str
) -> None:
    bound = worst(load(**overrides)).seconds
    assert (bound.total, bound.key) == (seconds, key)


def test_who_has_no_tools_calls_none(load: Load, project: Any) -> None:
    settings = load()
    assert worst(settings).tool_calls == Bound(60, "limits.tool_calls")
    bare = {name: agent.model_copy(update={"tools": []}) for name, agent in settings.agents.items()}
    assert worst(replace(settings, agents=bare)).tool_calls.total == 0
    bare["verifier"] = bare["verifier"].model_copy(update={"allow_delegation": True})
    assert worst(replace(settings, agents=bare)).tool_calls.total == 60


def test_tokens_are_the_cap_and_the_call_under_way(load: Load) -> None:
    assert worst(load()).tokens == Bound(200_000, "limits.tokens", 10_000)
    assert worst(load(limits__tokens=500_000)).tokens == Bound(300_000, "limits.model_calls")
    assert worst(load(limits__strict_budget="true")).tokens == Bound(200_000, "limits.tokens")


def test_who_may_ask_two_at_once_has_two_calls_under_way(load: Load) -> None:
    assert worst(load(agents__researcher__allow_delegation="true")).tokens.over == 20_000


def test_usd_is_the_cap_or_what_all_tokens_cost_at_the_dearest_price(load: Load) -> None:
    assert worst(load(limits__usd=0.1)).usd == Bound(0.1, "limits.usd", 0.02)
    by_tokens = worst(load(limits__usd=50)).usd
    assert by_tokens.total == pytest.approx(210_000 * 0.000_005)
    assert by_tokens.key == "limits.tokens"
    assert worst(load(limits__usd=0.1, limits__strict_budget="true")).usd == Bound(0.1, "limits.usd")


def test_the_reader_uses_no_tokens_and_no_money(load: Load) -> None:
    found = worst(load(), {})
    assert (found.tokens.total, found.usd.total, found.model_calls.total) == (0, 0, 30)


def test_a_model_without_a_price_or_a_window_is_said_to_be_without(load: Load) -> None:
    unknown = worst(load(), {"openai/odd": Rates(None, None, None)})
    assert unknown.usd.total == inf
    assert unknown.tokens.over == inf
    assert "unpriced; nobody lists a price for openai/odd" in unknown.line()
    assert "200,000 tokens (limits.tokens) + what one call uses" in unknown.line()
    both = worst(load(), {**RATES, "openai/odd": Rates(None, None, None)})
    assert both.unpriced == ("openai/odd",)
    assert both.usd.key == "limits.usd"
    assert unknown.as_json()["usd"]["at_most"] is None


def test_the_line_says_each_figure_with_its_key(load: Load) -> None:
    assert worst(load(limits__usd=0.5)).line() == (
        "worst case of one run: 30 model calls (limits.model_calls), 60 tool calls (limits.tool_calls), "
        "301 s (limits.seconds), 200,000 tokens (limits.tokens) + 10,000 of calls under way, "
        "$0.50 (limits.usd) + $0.02 of calls under way"
    )


# --- no run passes it


class Endless:
    """Answers at random, and seldom well: it calls tools, delegates, is slow, fails, and gives answers with no form."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        kinds = ("tools", "good", "words", "slow", "fault", "empty")
        self.kinds = choose.choices(kinds, weights=(6, 3, 1, 1, 4, 1), k=6)  # of these, what this model does

    def __call__(self, turn: Turn) -> Any:
        kind = self.choose.choice(self.kinds)
        if kind == "slow":
            time.sleep(self.choose.uniform(0, 0.2))
        if kind == "fault":
            raise ConnectionError("the connection was closed")
        if kind == "tools" and turn.tools:
            return calls(*(self.call(self.choose.choice(turn.tools)) for _ in range(self.choose.randint(1, 3))))
        if kind in ("good", "slow") and turn.task:
            try:
                return good(turn)
            except (AssertionError, StopIteration, KeyError):
                return "I do not know."
        return "" if kind == "empty" else f"Word {turn.number}."

    def call(self, name: str) -> tuple[str, dict[str, Any]]:
        coworker = self.choose.choice(("Researcher", "Verifier", "Explainer"))
        asked = {"coworker": coworker, "context": "retries", "task": "Count.", "question": "How many?"}
        return name, {
            "search_knowledge": {"query": f"retries {self.choose.random()}"},
            "read_source": {"source": f"retries.md#{self.choose.random()}"},
            "read_page": {"url": "https://example.org/"},
        }.get(name, asked)


def tight(kind: str, choose: random.Random) -> dict[str, Any]:
    caps: dict[str, dict[str, Any]] = {
        "seconds": {"seconds": choose.uniform(0.3, 2)},
        "iterations": {"iterations": choose.randint(1, 8)},
        "model_calls": {"model_calls": choose.randint(1, 8)},
        "tool_calls": {"tool_calls": choose.randint(1, 6)},
        "tokens": {"tokens": choose.randint(100, 1500)},
        "usd": {"usd": choose.uniform(1e-5, 2e-4)},
        "max_iter": {},
    }
    return caps[kind]


def some_settings(settings: Settings, choose: random.Random) -> Settings:
    """One or two kinds of caps are tight, for the run, each agent or each task; the others hardly bind."""
    kinds = choose.sample(("seconds", "iterations", "model_calls", "tool_calls", "tokens", "usd", "max_iter"), 2)
    levels = [(kind, choose.choice(("run", "agents", "tasks"))) for kind in kinds]

    def caps(level: str) -> dict[str, Any]:
        return {key: value for kind, at in levels if at == level for key, value in tight(kind, choose).items()}

    def agent(spec: AgentSpec) -> AgentSpec:
        most = choose.randint(1, 4) if "max_iter" in kinds else 40
        limits, seconds = CapSpec(**caps("agents")), choose.randint(1, 4)
        more = {"max_iter": most, "max_execution_time": seconds, "limits": limits}
        return spec.model_copy(update={**more, "allow_delegation": choose.random() < 0.3})

    loose = {"seconds": 4.0, "model_calls": 100, "tool_calls": 200, "tokens": 12_000, "usd": 0.01}
    retries, strict = choose.randint(0, 2), choose.random() < 0.3
    limits = LimitSpec(**loose | caps("run"), retries=retries, strict_budget=strict)
    checks = settings.engine.checks.model_copy(update={"feedback_rounds": choose.randint(0, 5)})
    loops = settings.engine.loops.model_copy(update={"enabled": choose.random() < 0.2})
    engine = settings.engine.model_copy(update={"limits": limits, "checks": checks, "loops": loops})
    tasks = {n: t.model_copy(update={"limits": CapSpec(**caps("tasks"))}) for n, t in settings.tasks.items()}
    return replace(settings, engine=engine, agents={n: agent(a) for n, a in settings.agents.items()}, tasks=tasks)


@pytest.mark.parametrize("seed", range(28))
def test_no_run_of_an_endless_model_passes_its_worst_case(
    load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    choose = random.Random(seed)
    model = scripted(Endless(choose))
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    monkeypatch.setattr("pilotage.crew.factory.build", lambda *_, **__: model.build())
    monkeypatch.setattr(Meter, "sleep", lambda *_: None)  # no waits between retries
    settings = some_settings(load(model__name=MODEL), choose)
    once = price(MODEL, 100, 20)
    per_token = price(MODEL, 0, 1)
    most = worst_case(settings, {MODEL: Rates(120, once, per_token)})
    result = run_crew(QUESTION, settings=settings)
    ended = events_of(settings)[-1].facts
    assert ended["outcome"] == result.outcome
    for name in ("model_calls", "tool_calls", "seconds", "tokens", "usd"):
        bound = getattr(most, name)
        assert ended[name] <= bound.total * (1 + 1e-9), (name, bound, result.reason)
