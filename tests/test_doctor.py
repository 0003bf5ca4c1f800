"""What doctor says about the worst case of a run and about caps on each level."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotage.doctor import examine, lines
from pilotage.model.prices import context_window
from pilotage.settings import PRICES, Settings

Load = Callable[..., Settings]


def test_the_worst_case_stands_in_the_report_and_in_its_json(load: Load) -> None:
    report = examine(load(limits__model_calls=7))
    assert report["worst_case"]["model_calls"] == {"at_most": 7, "key": "limits.model_calls", "beyond_the_cap": 0}
    assert report["worst_case"]["tokens"]["at_most"] == 0
    assert report["worst_case"]["line"] in lines(report).splitlines()
    assert report["worst_case"]["line"].startswith("worst case of one run: 7 model calls (limits.model_calls), ")


@pytest.mark.parametrize(
    ("name", "tokens", "usd"),
    [
        ("openai/gpt-4o-mini", 200_000 + 128_000 + 2048, True),
        ("ollama/llama3.2", None, True),
        ("openai/odd", None, False),
    ],
)
def test_the_worst_case_of_a_model_is_that_of_its_window_and_its_price(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str, tokens: int | None, usd: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    worst = examine(load(model__name=name))["worst_case"]
    assert worst["tokens"]["at_most"] == tokens
    assert (worst["usd"]["at_most"] is not None) == usd
    assert worst["unpriced"] == ([] if usd else [name])


def test_a_fallback_counts_into_the_worst_case(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    fallbacks = {"model__fallbacks": "[openai/odd]", "limits__retries": 0, "agents__researcher__max_iter": 1}
    worst = examine(load(model__name="openai/gpt-4o-mini", **fallbacks))["worst_case"]
    assert worst["unpriced"] == ["openai/odd"]
    assert worst["model_calls"]["at_most"] == 1 + 8 + 4 + 1


def test_a_strict_budget_that_cannot_bind_is_a_warning(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    strict = {"limits__strict_budget": "true"}
    warned = examine(load(model__name="openai/odd", **strict))["warnings"]
    assert warned == ["limits.usd cannot bind openai/odd, which nobody prices; limits.tokens does"]
    assert examine(load(model__name="openai/gpt-4o-mini", **strict))["warnings"] == []
    assert examine(load(model__name="openai/odd"))["warnings"] == []


def test_the_caps_of_agents_and_tasks_are_shown(load: Load) -> None:
    report = examine(load(agents__verifier__limits="{usd: 0.1}", tasks__research__limits="{tool_calls: 5}"))
    text = lines(report)
    assert report["caps"]["verifier"]["usd"] == 0.1
    assert report["task_caps"] == {"research": {"tool_calls": 5}}
    assert "max_iter 8, 120 s, usd 0.1, read_source" in text
    assert [line.split() for line in text.splitlines() if "task research" in line] == [
        ["task", "research", "tool_calls", "5"]
    ]


def test_who_may_delegate_has_its_tools_shown(load: Load) -> None:
    tools = examine(load(agents__verifier__allow_delegation="true"))["tools"]
    assert tools["verifier"] == ["read_source", "Delegate work to coworker", "Ask question to coworker"]
    denied = examine(load(agents__verifier__allow_delegation="true", policy__strict="true"))["tools"]
    assert denied["verifier"][1] == "Delegate work to coworker (denied: policy.strict)"


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("openai/gpt-4o-mini", 128_000),
        ("gpt-4o-mini", 128_000),
        ("anthropic/claude-haiku-4-5", 200_000),
        ("openai/odd", None),
    ],
)
def test_a_context_window_is_found_like_a_price(model: str, window: int | None) -> None:
    assert context_window(model) == window


def test_fallbacks_are_shown_by_their_names(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    further = "[{name: openai/other, api_key_env: OTHER_KEY}, openai/gpt-4o]"
    report = examine(load(model__name="openai/gpt-4o-mini", model__fallbacks=further))
    row = next(row for row in json.loads(json.dumps(report))["settings"] if row["key"] == "model.fallbacks")
    assert row["value"] == ["openai/other", "openai/gpt-4o"]
    assert "FallbackSpec" not in lines(report)


def test_the_price_in_force_is_shown_and_an_entry_for_no_model_is_named(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    entries = "GPT-4o-mini: {input: 0.4, output: 1.6, since: 2026-01-01}\nopenai/gpt-4o-mni: {input: 1, output: 2}\n"
    (project / PRICES).write_text(entries, "utf-8")
    report = examine(load(model__name="openai/gpt-4o-mini"))
    said = "$0.4 read, $1.6 said, per million tokens (prices.yaml since 2026-01-01)"
    assert report["prices"] == {"openai/gpt-4o-mini": said}
    assert said in lines(report)
    assert f'{PRICES}: "openai/gpt-4o-mni" is for no model of this project' in report["warnings"]
    assert not [line for line in report["warnings"] if "GPT-4o-mini" in line]
    assert "crewai" in examine(load(model__name="openai/gpt-4o"))["prices"]["openai/gpt-4o"]
