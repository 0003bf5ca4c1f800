"""What was spent, by agent, model, task, day and tag: to the call, across midnight, and quickly for many runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from pilotage.costs import BY, Costs, check_group, costs, moment
from pilotage.errors import ConfigError
from pilotage.record.journal import Event, Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import events, runs
from pilotage.record.tally import Tally, Use

DAY = 86_400.0
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
Write = Callable[..., str]


@pytest.fixture
def write(store: Engine, monkeypatch: pytest.MonkeyPatch) -> Write:
    """`write(at, call, call, tags=…)` is a run that began then, its events a minute apart."""

    def enter(at: float, *calls: dict[str, Any], tags: list[str] | None = None) -> str:
        clock = iter(at + 60 * n for n in range(100))
        monkeypatch.setattr("pilotage.record.journal.time.time", lambda: next(clock))
        journal = Journal(store, Redactor({}))
        journal.append("run_started", {"question": "q"}, model="m", tags=tags)
        for facts in calls:
            journal.append("model_call", {}, **facts)
        journal.append("run_ended", {}, outcome="accepted", seconds=1.0, tokens=0, usd=0.0)
        return journal.run

    return enter


def call(usd: Any = 0.01, agent: str | None = "ann", model: str = "a/x", **more: Any) -> dict[str, Any]:
    facts = {"agent": agent, "task": f"of {agent}", "model": model, "attempt": 1, "prompt_tokens": 100,
             "completion_tokens": 20, "usd": usd, "seconds": 0.1}  # fmt: skip
    return facts | more


SERVED: dict[str, Any] = {"served": "cache", "usd": 0.0, "prompt_tokens": 0, "completion_tokens": 0, "saved_usd": 0.25}


def amounts(found: Costs) -> dict[str, tuple[int, float]]:
    return {name: (use.calls, round(use.usd, 9)) for name, use in found.rows.items()}


def test_calls_are_added_up_by_agent_model_and_task(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01), call(0.02, "bob", "b/y"), call(0.03, model="b/y"))
    write(MIDNIGHT, call(0.04))
    assert amounts(costs(store, "agent")) == {"ann": (3, 0.08), "bob": (1, 0.02)}
    assert amounts(costs(store, "task")) == {"of ann": (3, 0.08), "of bob": (1, 0.02)}
    assert amounts(costs(store, "model")) == {"a/x": (2, 0.05), "b/y": (2, 0.05)}
    for by in BY:
        total = costs(store, by).total
        assert (total.calls, total.usd, total.prompt, total.completion) == (4, 0.1, 400, 80)


def test_every_kind_of_token_and_what_was_served_have_a_column(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01, cached_tokens=60, reasoning_tokens=7, written_tokens=9), call(**SERVED))
    found = costs(store).rows["a/x"]
    assert found == Use(1, 100, 20, 60, 0.01, seconds=0.1, reasoning=7, written=9, served=1, saved_usd=0.25)


def test_a_served_call_is_no_call_of_the_run_and_is_listed_with_what_it_saved(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01), call(**SERVED), call(**SERVED | {"saved_usd": None}))
    with store.connect() as connection:
        row = connection.execute(runs.select()).mappings().one()
    assert (row["model_calls"], row["tokens"], row["served"], row["saved_usd"]) == (1, 0, 2, 0.25)
    tally = Tally.from_text(row["tally"])
    assert (tally.model_calls, tally.tokens, tally.usd, tally.unpriced) == (1, 120, 0.01, 0)
    assert (tally.served, tally.saved_usd, tally.agents["ann"].served) == (2, 0.25, 2)


def test_a_served_tool_call_is_no_call_of_its_tool() -> None:
    tally, told = Tally(), list[dict[str, Any]]([{}, {"served": "tape"}, {"served": "tape", "failed": True}])
    for seq, more in enumerate(told, 1):
        tally.add(Event("r", seq, 1.0, "tool_call", {"tool": "search", "seconds": 0.5, **more}))
    assert (tally.tool_calls, tally.served, tally.errors) == (1, 2, 1)
    assert (tally.tools["search"].calls, tally.tools["search"].served) == (1, 2)


def test_what_nobody_prices_is_counted_apart_and_in_no_sum(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call("unpriced"), call(0.02))
    total = costs(store).total
    assert (total.calls, total.usd, total.unpriced) == (2, 0.02, 1)


def test_a_call_of_no_agent_is_in_a_row_of_its_own(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01), call(0.02, agent=None, task=None))
    assert amounts(costs(store, "agent")) == {"(none)": (1, 0.02), "ann": (1, 0.01)}


def test_a_served_call_of_no_agent_is_in_a_row_of_its_own_too(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01), call(agent=None, task=None, **SERVED))
    rows = costs(store, "agent").rows
    assert {name: (use.calls, use.served, use.saved_usd) for name, use in rows.items()} == {
        "ann": (1, 0, 0.0), "(none)": (0, 1, 0.25),
    }  # fmt: skip


def test_a_run_across_midnight_counts_for_both_days(store: Engine, write: Write) -> None:
    write(MIDNIGHT - 90, call(0.01), call(0.02))
    write(MIDNIGHT + 3600, call(0.04))
    assert amounts(costs(store, "day")) == {"2026-11-22": (1, 0.01), "2026-11-23": (2, 0.06)}


def test_a_run_across_the_border_of_the_time_counts_with_its_calls_within(store: Engine, write: Write) -> None:
    write(MIDNIGHT - 90, call(0.01), call(0.02))
    write(MIDNIGHT - 3 * DAY, call(0.04))
    for by in BY:
        since, until = costs(store, by, since=MIDNIGHT), costs(store, by, until=MIDNIGHT)
        assert (since.total.calls, since.total.usd, since.runs) == (1, 0.02, 1)
        assert (until.total.calls, until.total.usd, until.runs) == (2, 0.05, 2)
    assert costs(store, "day", since=MIDNIGHT + DAY).runs == 0


def test_a_run_with_two_tags_counts_for_both_and_once_in_the_total(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.01), tags=["nightly", "docs"])
    write(MIDNIGHT, call(0.02), tags=["docs"])
    write(MIDNIGHT, call(0.04))
    found = costs(store, "tag")
    assert amounts(found) == {"(none)": (1, 0.04), "docs": (2, 0.03), "nightly": (1, 0.01)}
    assert (found.total.calls, found.total.usd) == (3, 0.07)


def test_what_tools_were_served_does_not_send_a_run_to_its_events(store: Engine, write: Write) -> None:
    run = write(MIDNIGHT, call(0.01))
    tally = Tally.from_text(json.dumps({"model_calls": 1, "served": 2, "models": {"a/x": {"calls": 1, "usd": 0.01}},
                                        "tools": {"search": {"calls": 0, "served": 2}}}))  # fmt: skip
    with store.begin() as connection:
        connection.execute(update(runs).where(runs.c.run == run).values(tally=tally.as_text()))
        connection.execute(update(events).values(facts="{}"))
    assert amounts(costs(store)) == {"a/x": (1, 0.01)}


def test_a_tally_of_an_older_version_is_read(store: Engine, write: Write) -> None:
    run = write(MIDNIGHT, call(0.01))
    old = {"calls": 1, "prompt": 100, "completion": 20, "cached": 0, "usd": 0.01, "unpriced": 0, "failed": 0,
           "seconds": 0.1}  # fmt: skip
    with store.begin() as connection:
        text = json.dumps({"model_calls": 1, "models": {"a/x": old}, "agents": {}, "tasks": {}})
        connection.execute(update(runs).where(runs.c.run == run).values(tally=text))
    assert amounts(costs(store)) == {"a/x": (1, 0.01)}


def test_ten_thousand_runs_are_added_up_soon(store: Engine, write: Write) -> None:
    write(MIDNIGHT, *(call(0.01, name, f"a/{name}") for name in ("ann", "bob", "cyd")))
    with store.begin() as connection:
        row = dict(connection.execute(runs.select()).mappings().one())
        connection.execute(insert(runs), [row | {"run": f"copy-{n}"} for n in range(10_000)])
    for by in BY:
        began = time.monotonic()
        assert costs(store, by).total.calls == 30_003
        assert time.monotonic() - began < 5, f"by {by}, in seconds: far more than it takes on a quiet machine"


def test_another_group_is_an_error_that_names_the_nearest(store: Engine) -> None:
    with pytest.raises(ConfigError) as caught:
        costs(store, "models")
    assert caught.value.hint == 'did you mean "model"?'
    with pytest.raises(ConfigError):
        check_group("")


@pytest.mark.parametrize(
    ("text", "end", "at"),
    [("2026-11-23", False, MIDNIGHT), ("2026-11-23", True, MIDNIGHT + DAY), ("7d", False, MIDNIGHT - 7 * DAY),
     ("24h", True, MIDNIGHT - DAY), (" 30m ", False, MIDNIGHT - 1800)],
)  # fmt: skip
def test_a_time_is_a_day_or_so_long_ago(text: str, end: bool, at: float) -> None:
    assert moment(text, MIDNIGHT, end=end) == at


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "7w", "-1d", "7", "2026-11-01T00:00"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time"):
        moment(text)


@pytest.mark.parametrize("by", BY)
def test_a_run_answered_by_an_earlier_one_is_served_once(store: Engine, write: Write, by: str) -> None:
    write(MIDNIGHT, call(0.25))
    journal = Journal(store, Redactor({}))
    journal.append("run_started", {"question": "q"}, model="m")
    journal.append("answered", {"question": "q"}, of_run="r", saved_usd=0.25, saved_tokens=120)
    found = costs(store, by)
    assert (found.total.calls, found.total.served, found.total.saved_usd) == (1, 1, 0.25)
    served = {name for name, use in found.rows.items() if use.served}
    assert served == ({"(none)"} if by != "day" else {"2026-11-23"})


def test_what_a_strict_budget_booked_for_a_lost_call_counts(store: Engine, write: Write) -> None:
    write(MIDNIGHT, call(0.6, prompt_tokens=0, completion_tokens=0, booked_tokens=900, failed=True))
    total = costs(store).total
    assert (total.usd, total.tokens, total.booked, total.unpriced) == (0.6, 900, 900, 0)


@pytest.mark.parametrize("text", ["{", "[]", '{"models": {"m": 5}}', '{"models": {"m": {"calls": "x"}}}', '"x"'])
def test_a_run_with_a_damaged_tally_is_added_up_call_by_call(store: Engine, write: Write, text: str) -> None:
    run = write(MIDNIGHT, call(0.01), call(0.02))
    with store.begin() as connection:
        connection.execute(update(runs).where(runs.c.run == run).values(tally=text))
    assert amounts(costs(store)) == {"a/x": (2, 0.03)}


def test_fields_of_a_later_version_are_passed_over(store: Engine, write: Write) -> None:
    run = write(MIDNIGHT, call(0.01))
    tally = Tally()
    with store.begin() as connection:
        tally.models, tally.model_calls = {"a/x": Use(1, usd=0.01)}, 1
        later = json.loads(tally.as_text()) | {"weight": 3, "models": {"a/x": {"calls": 1, "usd": 0.01, "weight": 3}}}
        connection.execute(update(runs).where(runs.c.run == run).values(tally=json.dumps(later)))
    assert amounts(costs(store)) == {"a/x": (1, 0.01)}


def test_the_last_day_of_all_is_a_time() -> None:
    assert moment("9999-12-31", end=True) > moment("9999-12-31")
