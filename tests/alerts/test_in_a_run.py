"""Alerts of real runs: they fire inside the run, stand in its journal, and hold up neither the run nor its answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage import cli
from pilotage.errors import ConfigError
from pilotage.model import factory
from pilotage.record.audit import audit
from pilotage.record.store import open_store
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.alerts.receiver import QUESTION, SECRET, hang, log_lines, receiving, set_alerts, status
from tests.support.project import change, events_of
from tests.support.scripted import Turn, calls, good
from tests.support.server import good_over_http, serve

Load = Callable[..., Settings]
CALLS = {"when": "model_calls", "above": 2, "to": ["log"]}


def test_an_alert_fires_inside_the_run_and_stands_in_what_is_shown(
    project: Path, load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(good)
    set_alerts(project, many=CALLS)
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    kinds = [event.kind for event in events_of(settings)]
    assert kinds[kinds.index("alert") - 1] == "model_call"
    assert kinds[: kinds.index("alert")].count("model_call") == 3
    assert audit(open_store(settings.store, create=False), result.run, result.seal).ok
    monkeypatch.chdir(project)
    assert cli.invoke(["show", "last"]) == 0
    assert f"text: many: run {result.run} has made 3 model calls, above 2" in capsys.readouterr().out
    (line,) = log_lines(project)
    assert (line["run"], line["question"], line["outcome"]) == (result.run, QUESTION, None)


def test_the_cost_of_a_provider_fires_before_the_run_is_over(
    project: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "ALLOW_MODEL_REQUESTS", True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-00000000000000")
    set_alerts(project, cost={"when": "usd", "above": 0.0001, "to": ["log"]})
    with serve(good_over_http) as server:
        settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url)
        assert run_crew(QUESTION, settings=settings).outcome == "accepted"
    kinds = [event.kind for event in events_of(settings)]
    assert "model_call" in kinds[kinds.index("alert") :]
    assert log_lines(project)[0]["value"] == pytest.approx(0.00015, rel=0.2)


def test_a_run_that_nears_its_caps_says_so_before_it_is_limited(
    load: Load, scripted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule that the template comes with."""
    scripted(lambda turn: calls(("search_knowledge", {"query": f"retries {turn.number}"})))
    settings = load(limits__tokens=600)
    assert run_crew(QUESTION, settings=settings).outcome == "limited"
    kinds = [event.kind for event in events_of(settings)]
    assert kinds.index("alert") < kinds.index("limit")
    assert "alert budget: run" in capsys.readouterr().err


def test_a_loop_fires_its_rule(project: Path, load: Load, scripted: Any) -> None:
    scripted(lambda turn: calls(("read_source", {"source": "retries.md#none"})) if turn.tools else "No.")
    set_alerts(project, circles={"when": "loops", "above": 0, "to": ["log"]})
    run_crew(QUESTION, settings=load())
    assert [line["metric"] for line in log_lines(project)] == ["loops"]


def test_failures_over_the_last_runs_fire_at_the_end_of_the_one_that_passes(
    project: Path, load: Load, scripted: Any
) -> None:
    set_alerts(project, fails={"when": "failure_rate", "above": 0.4, "over": "2 runs", "to": ["log"]})
    scripted(good)
    run_crew(QUESTION, settings=load())
    scripted(lambda _turn: "no JSON")
    settings = load()
    result = run_crew(QUESTION, settings=settings)
    assert [(line["run"], line["outcome"]) for line in log_lines(project)] == [(result.run, "rejected")]
    assert [event.kind for event in events_of(settings)][-2:] == ["alert", "run_ended"]


def slow_at_first(turn: Turn) -> Any:
    time.sleep(0.8 if turn.number == 1 else 0)
    return good(turn)


def test_seconds_fire_while_a_model_is_silent(project: Path, load: Load, scripted: Any) -> None:
    scripted(slow_at_first)
    set_alerts(project, slow={"when": "seconds", "above": 0.3, "to": ["log"]})
    settings = load()
    run_crew(QUESTION, settings=settings)
    events = events_of(settings)
    alert = next(event for event in events if event.kind == "alert")
    call = next(event for event in events if event.kind == "model_call")
    assert alert.at < call.at


def test_a_webhook_is_reached_by_a_run_and_its_secret_stands_nowhere(
    project: Path, load: Load, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(good)
    set_alerts(project, webhook="${TEAM_HOOK}", many={**CALLS, "to": ["webhook", "log", "terminal"]})
    with receiving(status(500), status(200)) as receiver:
        monkeypatch.setenv("TEAM_HOOK", receiver.url)
        result = run_crew(QUESTION, settings=load())
    assert result.outcome == "accepted"
    assert [body["run"] for body in receiver.bodies] == [result.run] * 2
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    files = [path for path in (project / "runs").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_an_address_that_stands_in_the_settings_is_not_recorded(project: Path, load: Load, scripted: Any) -> None:
    scripted(good)
    with receiving(status(200)) as receiver:
        set_alerts(project, webhook=receiver.url, many={**CALLS, "to": ["webhook"]})
        run_crew(QUESTION, settings=load())
    assert len(receiver.bodies) == 1
    files = [path for path in (project / "runs").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_a_webhook_that_hangs_holds_the_answer_up_for_a_moment_only(
    project: Path, load: Load, scripted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(good)
    change(project / "config" / "pilotage.yaml", lambda tree: tree["record"].update(sink_seconds=0.3))
    with receiving(hang(2.0)) as receiver:
        set_alerts(project, webhook=receiver.url, many={**CALLS, "to": ["webhook"]})
        began = time.monotonic()
        result = run_crew(QUESTION, settings=load())
        assert time.monotonic() - began - result.seconds < 2.0
    assert result.outcome == "accepted"
    said = "warning: an alert of many was not delivered: webhook: no answer before the end of the run"
    assert capsys.readouterr().err.count(said) == 1


def test_a_rule_that_cannot_be_watched_ends_the_command_before_anything_is_started(project: Path, load: Load) -> None:
    set_alerts(project, odd={"when": "failure_rate", "above": 0.5})
    with pytest.raises(ConfigError, match=r"config/pilotage.yaml:\d+: alerts.rules.odd.when is failure_rate, which"):
        run_crew(QUESTION, settings=load())
    assert not (project / "runs" / "pilotage.sqlite").exists()
