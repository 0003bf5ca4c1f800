"""The statistics page says what the store holds: counted here once more, by hand."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest
import requests
from bs4 import BeautifulSoup
from sqlalchemy import Engine, insert, select

from pilotage.record.sessions import Bucket, state, statistics
from pilotage.record.store import alerts, open_store, runs
from pilotage.record.tally import Tally
from pilotage.replay.statistics import PER_PAGE, RANGES, Range, charts, fired, totals
from pilotage.settings import Settings
from tests.support.pages import serving

NOW = 1_795_437_402.0  # 23 Nov 2026, 12:36:42 UTC


@pytest.mark.parametrize("span", RANGES.values(), ids=RANGES)
def test_buckets_are_full_hours_or_days_and_end_after_now(span: Range) -> None:
    since, until = span.ending(NOW)
    assert until >= NOW
    assert until - since == span.buckets * span.width
    assert until % min(span.width, 86_400) == 0
    assert since <= NOW - (span.buckets - 1) * span.width or span.width > 86_400


def test_labels_are_hours_within_a_day_and_days_beyond() -> None:
    assert RANGES["day"].label(NOW - 2202) == "12:00"
    assert RANGES["week"].label(NOW - 2202) == "23 Nov 12h"
    assert RANGES["month"].label(NOW) == "23 Nov"


def test_the_whole_is_what_the_rows_say(engine: Engine) -> None:
    now = time.time()
    since, until = RANGES["month"].ending(now)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(runs).where(runs.c.started >= since)).mappings()]
    tallies = [Tally.from_text(row["tally"]) for row in rows]
    whole = totals(statistics(engine, since, until, 30, now))
    assert whole.runs == len(rows) > 50
    assert whole.outcomes == Counter(state(row, now) for row in rows)
    assert whole.tokens == sum(row["tokens"] or 0 for row in rows)
    assert whole.usd == pytest.approx(sum(tally.usd for tally in tallies))
    assert whole.unpriced == sum(tally.unpriced for tally in tallies) > 0
    assert whole.looping == sum(bool(row["loops"]) for row in rows) > 0
    assert whole.alerts == sum(row["alerts"] for row in rows)
    seconds = sorted(row["seconds"] for row in rows if row["seconds"] is not None)
    assert whole.p50 == seconds[-(-len(seconds) // 2) - 1]


def test_cost_is_by_model_and_checks_by_name(engine: Engine) -> None:
    now = time.time()
    found = {chart.title: chart for chart in charts(statistics(engine, now - 30 * 86_400, now, 30), RANGES["month"])}
    assert {name for _, name in found["Cost by model"].legend} == {
        "openai/gpt-4o-mini", "anthropic/claude-3-5-haiku", "gemini/gemini-2.0-flash",
    }  # fmt: skip
    assert "unpriced calls not included" in found["Cost by model"].note
    assert found["Failing checks"].head[1:] == ["citations"]
    assert [label for _, label in found["Outcomes, share of the sessions that are over"].ticks][-1] == "100 %"


def test_shares_of_a_bucket_add_up_to_all_of_it() -> None:
    bucket = Bucket(NOW, runs=4, outcomes={"accepted": 3, "failed": 1}, looping=1)
    rates = charts([bucket], RANGES["month"])[1]
    assert rates.table == [["23 Nov", "75 %", "25 %"]]
    assert charts([bucket], RANGES["month"])[5].table == [["23 Nov", "25 %"]]


def test_sessions_that_go_on_are_in_no_share_and_unknown_outcomes_are_counted() -> None:
    bucket = Bucket(NOW, runs=5, outcomes={"accepted": 2, "live": 1, "lost": 1, "frobnicated": 1})
    counts, rates = charts([bucket], RANGES["month"])[:2]
    assert (counts.head[1:], counts.table[0][1:]) == (["accepted", "live", "lost", "other"], ["2", "1", "1", "1"])
    assert (rates.head[1:], rates.table[0][1:]) == (["accepted", "lost", "other"], ["50 %", "25 %", "25 %"])
    assert totals([bucket]).share("accepted") == 0.5
    assert len({colour for colour, _ in counts.legend}) == 4


def test_more_than_seven_models_are_drawn_together() -> None:
    bucket = Bucket(NOW, runs=1, usd={f"m{number}": float(number + 1) for number in range(10)})
    chart = charts([bucket], RANGES["month"])[4]
    assert [name for _, name in chart.legend] == ["m9", "m8", "m7", "m6", "m5", "m4", "m3", "others"]
    assert chart.table[0][-1] == "$6.00"


@pytest.mark.parametrize("chosen", [*RANGES, "nonsense"])
def test_each_range_is_a_page(url: str, chosen: str) -> None:
    soup = BeautifulSoup(requests.get(f"{url}/statistics?range={chosen}", timeout=10).text, "lxml")
    assert len(soup.select("figure.chart")) == 8
    assert soup.select_one("nav.segments [aria-current]").text == RANGES.get(chosen, RANGES["month"]).name  # type: ignore[union-attr]


def test_alerts_are_listed_with_what_became_of_them(load: Callable[..., Settings]) -> None:
    settings = load(alerts__rules="{dear: {when: usd, above: 0.5}}")
    engine = open_store(settings.store)
    rows = [
        {"at": NOW + n, "rule": "dear" if n % 2 else "slow", "run": "", "metric": "usd", "value": 0.7, "above": 0.5,
         "over": "run", "text": f"alert {n}", "delivered": '{"log": true, "webhook": "503 <b>"}' if n == 1 else "{"}
        for n in range(PER_PAGE + 3)
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(alerts), rows)
    assert [row["text"] for row in fired(engine, page=2)[0]] == ["alert 2", "alert 1", "alert 0"]
    assert fired(engine, "slow")[1] == 52
    with serving(settings) as url:
        second = requests.get(f"{url}/alerts?page=2", timeout=5).text
        assert "503 &lt;b&gt;" in second
        assert ">failed</span>" in second
        assert "usd above 0.5" in second  # the rule in force
        assert ">alert 2<" not in requests.get(f"{url}/alerts?rule=dear&page=1", timeout=5).text
        for wrong in ("page=-1", "page=99999999999", "page=x", "rule=none"):
            assert requests.get(f"{url}/alerts?{wrong}", timeout=5).status_code == 200
    engine.dispose()
