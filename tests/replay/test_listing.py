"""The list of sessions as the server makes it: parameters, figures, order, pages, the stream, the AgentOps link."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
import requests
from bs4 import BeautifulSoup
from sqlalchemy import Engine, update

from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.sessions import Search, find
from pilotage.record.store import open_store, runs
from pilotage.replay.listing import LOOKS, Pulse, fingerprint, read_query
from pilotage.settings import Settings
from tests.replay.conftest import SESSIONS
from tests.support.pages import serving

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(url: str, **parameters: Any) -> BeautifulSoup:
    answer = requests.get(url, parameters, timeout=10)
    assert answer.status_code == 200
    return BeautifulSoup(answer.text, "lxml")


def runs_on(soup: BeautifulSoup) -> list[str]:
    return [str(row["data-run"]) for row in soup.select("tr[data-run]")]


def cells(soup: BeautifulSoup, place: int) -> list[str]:
    return [row.select("td")[place].get_text(" ", strip=True) for row in soup.select("tr[data-run]")]


# --- parameters


def test_parameters_become_a_search() -> None:
    given = {
        "q": " retry ",
        "outcome": "failed",
        "from": "2026-11-01",
        "to": "2026-11-02",
        "usd_from": "0.5",
        "page": "3",
    }
    search = read_query(given).search
    assert (search.text, search.outcome, search.usd_from, search.page) == ("retry", "failed", 0.5, 3)
    assert search.until is not None
    assert search.since is not None
    assert search.until - search.since == 2 * 86_400  # both days are in it


@pytest.mark.parametrize(
    "given",
    [{"page": "-5"}, {"page": "x"}, {"page": "1e400"}, {"page": "nan"}, {"from": "yesterday"}, {"to": "9999-12-31"},
     {"usd_from": "inf"}, {"sort": "seal; drop table runs"}, {"order": "sideways"}, {"unknown": "1"},
     {"per_page": "0"}],
)  # fmt: skip
def test_what_cannot_be_read_filters_nothing(url: str, given: dict[str, str]) -> None:
    search = read_query(given).search
    assert search.page >= 1
    assert 1 <= search.per_page <= 200
    assert search.sort in ("started", "question")
    assert "130" in page(url, **given).select_one("#total").get_text()  # type: ignore[union-attr]


def test_a_date_that_cannot_be_read_is_said_to_be(url: str) -> None:
    soup = page(url, **{"from": "yesterday", "to": "2026-02-31"})
    said = [one.get_text() for one in soup.select("p.wrong") if one.get_text()]
    assert [text.split()[0] for text in said] == ["“yesterday”", "“2026-02-31”"]
    assert soup.select_one("#total").get_text(strip=True) == "130"  # type: ignore[union-attr]


def test_a_parameter_without_end_is_cut(url: str) -> None:
    assert len(read_query({"q": "x" * 60_000}).search.text) == 500
    assert "No session fits" in page(url, q="x" * 20_000).get_text()


def test_a_live_session_that_is_silent_says_since_when(load: Any) -> None:
    settings = load()
    engine = open_store(settings.store)
    for run, heard in (("silent", 60), ("busy", 1)):
        Journal(engine, Redactor(), run).append(
            "run_started", {"question": run}, model="m", crew="c", until=time.time() + 60
        )
        with engine.begin() as connection:
            connection.execute(update(runs).where(runs.c.run == run).values(updated=time.time() - heard))
    with serving(settings) as url:
        soup = page(url)
        said = {str(row["data-run"]): row.select_one("[data-heard]").get_text() for row in soup.select("tr[data-run]")}  # type: ignore[union-attr]
    assert said == {"silent": "nothing heard for 1 min 00 s", "busy": ""}
    engine.dispose()


def test_a_heading_sorts_and_turns_round() -> None:
    query = read_query({"q": "x", "page": "4", "sort": "usd", "order": "down"})
    assert query.sort_link("usd") == "/?q=x&sort=usd&order=up"
    assert query.sort_link("tokens") == "/?q=x&sort=tokens&order=down"
    assert query.sort_link("question") == "/?q=x&sort=question&order=up"


# --- the page


def test_live_sessions_are_on_top_whatever_the_order(url: str) -> None:
    for sort in ("started", "usd", "question", "seconds"):
        states = cells(page(url, sort=sort), 1)
        assert states[:3] == ["live"] * 3
        assert "live" not in states[3:]


def test_the_figures_are_the_stores(url: str, engine: Engine) -> None:
    row = find(engine, Search(outcome="accepted", model="openai/gpt-4o-mini", per_page=1)).rows[0]
    soup = page(url, q=row["run"])
    assert runs_on(soup) == [row["run"]]
    text = soup.select_one("tr[data-run]").get_text(" ", strip=True)  # type: ignore[union-attr]
    assert row["question"] in text
    assert cells(soup, 4) == [str(row["model_calls"])]
    assert cells(soup, 5) == [str(row["tool_calls"])]
    assert cells(soup, 9) == [str(row["loops"])]


@pytest.mark.parametrize(
    "given",
    [{"q": "LOOPING"}, {"outcome": "limited"}, {"outcome": "lost"}, {"outcome": "live"}, {"agent": "verifier"},
     {"model": "ollama/llama3.1"}, {"tag": "nightly"}, {"tool": "read_page"}, {"loop": "any"},
     {"loop": "repeat"},
     {"origin": "otlp"}, {"usd_from": "0.01", "usd_to": "0.02"}, {"outcome": "accepted", "tag": "nightly"}],
)  # fmt: skip
def test_each_filter_shows_what_the_store_finds(url: str, engine: Engine, given: dict[str, str]) -> None:
    found = find(engine, read_query(given).search)
    soup = page(url, **given)
    assert 0 < found.total < SESSIONS
    assert runs_on(soup) == [row["run"] for row in found.rows]
    assert soup.select_one("#total").get_text(strip=True) == f"{found.total} found"  # type: ignore[union-attr]


def test_pages_hold_every_session_once(url: str) -> None:
    seen: list[str] = []
    for number in (1, 2, 3):
        seen += runs_on(page(url, page=number))
    assert len(seen) == len(set(seen)) == SESSIONS
    assert requests.get(f"{url}/?page=99&sort=usd", timeout=5).url == f"{url}/?page=3&sort=usd"


def test_unpriced_is_said_and_is_not_zero(url: str) -> None:
    costs = cells(page(url, model="ollama/llama3.1", outcome="accepted"), 7)
    assert costs
    assert set(costs) == {"unpriced"}


def test_filters_stay_in_the_form_and_in_the_links(url: str) -> None:
    soup = page(url, outcome="accepted", q="a", tag="nightly", sort="usd")
    assert soup.select_one("#f-outcome option[selected]")["value"] == "accepted"  # type: ignore[index]
    assert soup.select_one("#q")["value"] == "a"  # type: ignore[index]
    assert soup.select_one("details.more").has_attr("open")  # type: ignore[union-attr]
    assert soup.select_one("input[name=sort]")["value"] == "usd"  # type: ignore[index]
    assert "outcome=accepted" in str(soup.select_one("thead a")["href"])  # type: ignore[index]


def test_nothing_found_says_so_and_leads_back(url: str) -> None:
    soup = page(url, q="no such words anywhere")
    assert "No session fits these filters" in soup.get_text()
    assert not runs_on(soup)


def test_without_any_session_the_page_says_what_to_run(project: Any, load: Any) -> None:
    with serving(load()) as url:
        text = requests.get(url, timeout=5).text
        assert "No sessions yet" in text
        assert "pilotage run" in text
        assert requests.get(f"{url}/statistics", timeout=5).status_code == 200
        assert requests.get(f"{url}/alerts", timeout=5).status_code == 200


def test_what_a_run_says_stays_text(load: Any) -> None:
    settings = load()
    journal = Journal(open_store(settings.store), Redactor(), run="20261123-000000-abcdef")
    journal.append("run_started", {"question": EVIL}, model=EVIL, crew="x", tags=[EVIL])
    journal.append("model_call", {}, agent=EVIL, task="t", model=EVIL, prompt_tokens=1, completion_tokens=1, usd=0.0)
    journal.append("loop", {}, rule=EVIL, level="nudge", agent=EVIL, first_step=1, last_step=1, times=3)
    journal.append("alert", {"text": EVIL}, rule=EVIL, metric="usd", value=1, above=0, over="run")
    with serving(settings) as url:
        for address in ("/", f"/?q={EVIL}&agent={EVIL}&sort={EVIL}", "/statistics", "/alerts", f"/alerts?rule={EVIL}"):
            text = requests.get(url + address, timeout=5).text
            assert "<script>alert" not in text
            assert "<img" not in text
        assert BeautifulSoup(requests.get(url, timeout=5).text, "lxml").select_one(".question a").text == EVIL  # type: ignore[union-attr]
    journal.engine.dispose()


def test_a_page_that_is_not_there_says_so(url: str) -> None:
    answer = requests.get(f"{url}/nothing", headers={"Accept": "text/html"}, timeout=5)
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


# --- the link of AgentOps' SDK


def test_the_address_that_agentops_prints_leads_to_the_session(url: str, engine: Engine) -> None:
    run = find(engine, Search(origin="otlp", per_page=1)).rows[0]["run"]
    as_uuid = re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", run)
    for name in (run, run.upper(), as_uuid):
        answer = requests.get(f"{url}/sessions", {"trace_id": name}, allow_redirects=False, timeout=5)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/sessions/{run}")


def test_a_trace_that_was_not_recorded_is_said_to_be_absent(url: str) -> None:
    answer = requests.get(f"{url}/sessions", {"trace_id": "0" * 32}, timeout=5)
    assert answer.status_code == 404
    assert "was recorded here, or not yet" in answer.text
    assert requests.get(f"{url}/sessions", allow_redirects=False, timeout=5).headers["Location"] == "/"


# --- the stream


def test_the_stream_sends_the_rows_again_when_a_run_changes(load: Any) -> None:
    settings: Settings = load()
    journal = Journal(open_store(settings.store), Redactor())
    journal.append("run_started", {"question": "first <b>"}, model="m", crew="c", until=time.time() + 60)
    with (
        serving(settings) as url,
        requests.get(f"{url}/events/sessions?outcome=live", stream=True, timeout=10) as answer,
    ):
        lines = (line for line in answer.iter_lines(decode_unicode=True) if line.startswith("data: "))
        assert "first &lt;b&gt;" in json.loads(next(lines)[6:])["rows"]
        journal.append("model_call", {}, agent="a", model="m", prompt_tokens=1_230, completion_tokens=4, usd=0.0)
        grown = json.loads(next(lines)[6:])
        assert "1,234" in grown["rows"]
        assert grown["total"] == 1
        journal.append("run_ended", {"reason": "x"}, outcome="failed", seconds=1.0, tokens=1_234, usd=0.0)
        ended = json.loads(next(lines)[6:])
        assert ended["total"] == 0
        assert "No session fits" in ended["rows"]
    journal.engine.dispose()


def test_a_run_that_becomes_lost_changes_the_list(load: Any) -> None:
    engine = open_store(load().store)
    journal = Journal(engine, Redactor())
    journal.append("run_started", {"question": "q"}, model="m", crew="c", until=time.time() + 0.3)
    before = fingerprint(engine)
    assert fingerprint(engine) == before
    time.sleep(0.4)
    assert fingerprint(engine) != before
    engine.dispose()


def test_a_page_that_is_fresh_is_not_drawn_again(url: str) -> None:
    seen = page(url).select_one("#rows")["data-seen"]  # type: ignore[index]
    with requests.get(f"{url}/events/sessions", {"seen": seen}, stream=True, timeout=10) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert [next(lines) for _ in range(4)] == ["retry: 2000", "", ":", ""]


def test_many_streams_look_at_the_store_once(load: Any) -> None:
    engine = open_store(load().store)
    pulse = Pulse(engine)
    before = pulse.read()
    Journal(engine, Redactor()).append("run_started", {"question": "q"}, model="m", crew="c")
    assert pulse.read() == before
    time.sleep(LOOKS / 2 + 0.05)
    assert pulse.read() == fingerprint(engine) != before
    engine.dispose()


def test_an_open_stream_does_not_keep_the_server(load: Any) -> None:
    with serving(load()) as url:
        answer = requests.get(f"{url}/events/sessions", stream=True, timeout=10)
        assert next(answer.iter_lines()) == b"retry: 2000"
        started = time.monotonic()
    assert time.monotonic() - started < 1.5
    answer.close()
