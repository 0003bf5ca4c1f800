"""Money in real runs: one's own prices count, the day's budget stops the next run, the sums are those of the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotage.costs import BY, costs
from pilotage.errors import EXIT_LIMITED
from pilotage.model import factory
from pilotage.outcome import Result
from pilotage.record.audit import audit
from pilotage.record.journal import read_events
from pilotage.record.spending import day_of
from pilotage.record.store import open_store, spending
from pilotage.run import run_crew
from pilotage.settings import PRICES, Settings
from tests.support.server import good_over_http, serve

QUESTION = "Who owns retries?"
MODEL = "openai/gpt-4o-mini"
Ask = Callable[..., Result]


@pytest.fixture
def ask(load: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """`ask(limits__usd_per_day=1)` is a run whose model is on this machine."""
    monkeypatch.setattr(factory, "ALLOW_MODEL_REQUESTS", True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-00000000000000")
    with serve(good_over_http) as server:
        yield lambda **more: run_crew(QUESTION, settings=load(model__name=MODEL, model__base_url=server.url, **more))


def test_the_sums_are_those_of_the_runs_and_of_the_day(ask: Ask, project: Path) -> None:
    results = [ask(), ask()]
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    usd = round(sum(result.usd or 0.0 for result in results), 9)
    assert usd > 0
    for by in BY:
        found = costs(engine, by)
        assert found.total.usd == pytest.approx(usd)
        assert found.total.tokens == sum(result.tokens for result in results)
        assert sum(use.usd for use in found.rows.values()) == pytest.approx(usd)
    with engine.connect() as connection:
        rows = connection.execute(spending.select()).mappings().all()
    assert {row["run"] for row in rows} == {result.run for result in results}
    assert {row["day"] for row in rows} <= set(costs(engine, "day").rows)
    assert sum(row["usd"] for row in rows) == pytest.approx(usd)
    assert all(audit(engine, result.run, result.seal).ok for result in results)
    engine.dispose()


def test_prices_of_ones_own_are_those_of_the_run(ask: Ask, project: Path) -> None:
    (project / PRICES).write_text(f"{MODEL}: {{input: 1, output: 1, since: 2026-01-01}}\n", "utf-8")
    result = ask(limits__usd=100)
    assert result.usd == pytest.approx(result.tokens / 1e6)
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    calls = [event.facts for event in read_events(engine, result.run) if event.kind == "model_call"]
    assert {(facts["priced_by"], facts["priced_on"]) for facts in calls} == {("prices.yaml", "2026-01-01")}
    engine.dispose()


def test_the_budget_of_the_day_warns_and_stops_the_next_run(
    ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ask()
    assert first.outcome == "accepted"
    assert "usd_per_day" not in capsys.readouterr().err
    spent = first.usd or 0.0
    second = ask(limits__usd_per_day=f"{spent * 1.05:.9f}")
    said = capsys.readouterr().err
    assert said.count("alert usd_per_day: ") == 1
    assert (second.outcome, second.exit_code) == ("limited", EXIT_LIMITED)
    third = ask(limits__usd_per_day=f"{spent * 1.05:.9f}")
    assert (third.outcome, third.exit_code, third.usd) == ("limited", EXIT_LIMITED, 0.0)
    assert "were spent today by all runs on this store, against the limit of" in third.reason
    assert "(limits.usd_per_day)" in third.reason
    assert "alert usd_per_day" not in capsys.readouterr().err, "it was told today"
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    kinds = [event.kind for event in read_events(engine, third.run)]
    assert "model_call" not in kinds
    assert day_of(next(read_events(engine, third.run)).at) in costs(engine, "day").rows
    engine.dispose()


def test_a_strict_budget_of_the_day_refuses_what_could_pass_it(ask: Ask) -> None:
    result = ask(limits__usd_per_day=0.0001, limits__strict_budget=True)
    assert (result.outcome, result.usd) == ("limited", 0.0)
    assert "(limits.usd_per_day, limits.strict_budget)" in result.reason
