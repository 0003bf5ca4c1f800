"""The page of a session over HTTP: readable without script, no text becomes HTML, the same record as on the CLI."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, delete, update

from pilotage import cli_record
from pilotage.record.store import events, open_store, payloads
from pilotage.settings import Settings
from tests.support.pages import serving
from tests.support.sessions import QUESTION, TRACE, Recorded, collected, hostile, journal, long_run

Load = Callable[..., Settings]


@pytest.fixture
def engine(load: Load) -> Iterator[Engine]:
    """An empty store."""
    made = open_store(load().store)
    yield made
    made.dispose()


@pytest.fixture
def client(load: Load, engine: Engine) -> Iterator[httpx.Client]:
    """The pages over the empty store."""
    with serving(load()) as url, httpx.Client(base_url=url, trust_env=False) as made:
        yield made


@pytest.fixture
def recorded_client(runs: Recorded) -> Iterator[httpx.Client]:
    """The pages over the two real runs."""
    with serving(runs.settings) as url, httpx.Client(base_url=url, trust_env=False) as made:
        yield made


def text_of(html: str) -> str:
    """What a reader without script sees."""
    body = re.sub(r"<(script|style).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_reads_well_without_script(runs: Recorded, recorded_client: httpx.Client) -> None:
    page = recorded_client.get(f"/sessions/{runs.accepted.run}")
    said = text_of(page.text)
    assert page.status_code == 200
    assert QUESTION in said
    assert "accepted every sentence is cited" in said
    assert "One fault can become 27 requests when three owners retry" in said
    assert "researcher called search_knowledge" in said
    assert "Seal" in said
    assert all(f'id="{seq}"' in page.text for seq in range(1, 22))
    assert "style=" not in page.text
    assert not re.search(r"<script>|\son\w+=", page.text)


def test_no_text_becomes_a_part_of_the_page(engine: Engine, client: httpx.Client) -> None:
    book = hostile(engine)
    for path in ("", "/thought", "/verify", "/export.html"):
        html = client.get(f"/sessions/{book.run}{path}").text
        assert "<script>document" not in html, path
        assert "<img" not in html, path
    assert "&lt;script&gt;" in client.get(f"/sessions/{book.run}").text


def test_rows_steps_and_events_are_fetched_in_pieces(engine: Engine, client: httpx.Client) -> None:
    book = long_run(engine, 230)
    base = f"/sessions/{book.run}"
    rows = client.get(f"{base}/rows.json?from=200").json()
    assert [row["i"] for row in rows] == list(range(200, 234))
    assert client.get(f"{base}/rows.json?from=-5").json()[0]["i"] == 0
    assert client.get(f"{base}/steps/100.json").json()["headline"] == "a called count"
    assert client.get(f"{base}/steps/999.json").status_code == 404
    raw = client.get(f"{base}/events.json?after=10").json()
    assert [event["seq"] for event in raw] == list(range(11, 61))
    assert raw[0]["content"]["result"] == "result 8"
    assert len(raw[0]["hash"]) == 64


def test_the_jsonl_is_the_one_of_the_command(
    runs: Recorded, recorded_client: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.accepted.run
    monkeypatch.chdir(runs.settings.root)
    capsys.readouterr()
    cli_record.export(run)
    answer = recorded_client.get(f"/sessions/{run}/export.jsonl")
    assert answer.text == capsys.readouterr().out
    assert answer.headers["content-disposition"] == f'attachment; filename="{run}.jsonl"'


def test_verifying_says_whether_the_chain_holds(engine: Engine, client: httpx.Client) -> None:
    run = hostile(engine).run
    assert "The chain is whole, 11 events" in text_of(client.get(f"/sessions/{run}/verify").text)
    with engine.begin() as connection:
        place = (events.c.run == run) & (events.c.seq == 4)
        connection.execute(update(events).where(place).values(facts=json.dumps({"agent": "somebody else"})))
    part = client.get(f"/sessions/{run}/verify", headers={"X-Part": "1"}).text
    assert "The chain is BROKEN at event 4" in part
    assert "<html" not in part


def test_a_record_that_cannot_be_read_is_said_to_be_and_can_be_verified(engine: Engine, client: httpx.Client) -> None:
    run = hostile(engine).run
    with engine.begin() as connection:
        connection.execute(update(events).where(events.c.run == run, events.c.seq == 3).values(facts="{not"))
    said = text_of(client.get(f"/sessions/{run}").text)
    assert "The record cannot be read from event 3 on." in said
    assert "The chain of this record is broken at event 3" in said
    assert "BROKEN at event 3" in client.get(f"/sessions/{run}/verify").text
    assert client.get(f"/sessions/{run}/export.html").status_code == 200
    assert client.get(f"/sessions/{run}/export.jsonl").status_code == 422
    assert [event["seq"] for event in client.get(f"/sessions/{run}/events.json").json()] == [1, 2]
    with engine.begin() as connection:
        connection.execute(update(events).where(events.c.run == run, events.c.seq == 1).values(facts="[]"))
    assert client.get(f"/sessions/{run}").status_code == client.get(f"/sessions/{run}/rows.json").status_code == 422
    assert "BROKEN at event 1" in client.get(f"/sessions/{run}/verify").text


def test_a_broken_chain_is_seen_without_asking(engine: Engine, client: httpx.Client) -> None:
    run = hostile(engine).run
    assert "verified when this page was made" in client.get(f"/sessions/{run}").text
    with engine.begin() as connection:
        place = (events.c.run == run) & (events.c.seq == 4)
        connection.execute(update(events).where(place).values(facts=json.dumps({"agent": "somebody else"})))
    assert "broken at event 4: its facts do not match its hash" in text_of(client.get(f"/sessions/{run}").text)


@pytest.mark.parametrize("odd", ["²", "٣", "9" * 40, "-1", "1e3"])
def test_odd_numbers_in_an_address_are_none(engine: Engine, client: httpx.Client, odd: str) -> None:
    base = f"/sessions/{hostile(engine).run}"
    for path in ("rows.json?from=", "events.json?after=", "live?after="):
        assert client.get(f"{base}/{path}{odd}").status_code == 200
    assert client.get(f"{base}/live?after=11", headers={b"Last-Event-ID": odd.encode()}).status_code == 200


def test_a_beginning_that_several_ids_have_is_said_to_be(engine: Engine, client: httpx.Client) -> None:
    for name in ("twice-1", "twice-2"):
        long_run(engine, 1, name)
    assert "Several runs begin with" in client.get("/sessions/twice").text


def test_a_question_that_shows_nothing_is_replaced_by_the_id(engine: Engine, client: httpx.Client) -> None:
    journal(engine, "blank").append("run_started", {"question": " \u200b "}, model="m", crew="c")
    assert '<h1 dir="auto">blank</h1>' in client.get("/sessions/blank").text
    assert '<a href="/sessions/blank" dir="auto">blank</a>' in client.get("/").text
    assert "No decision" not in client.get("/sessions/blank").text


def test_the_beginning_of_an_id_leads_to_its_session(engine: Engine, client: httpx.Client) -> None:
    book = long_run(engine, 1)
    answer = client.get(f"/sessions/{book.run[:-2]}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sessions/{book.run}")
    assert client.get("/sessions/nobody").status_code == 404
    assert client.get("/sessions/nobody/rows.json").status_code == 404
    assert client.get("/sessions/nobody/live").status_code == 404


def test_a_collected_session_has_the_same_page(engine: Engine, client: httpx.Client) -> None:
    collected(engine, times=6)
    said = text_of(client.get(f"/sessions/{TRACE}").text)
    assert "Where is order 7?" in said
    assert "sent by another program" in said
    assert "clerk asked m" in said
    assert "unpriced" in said
    assert "found by looking at the record" in said


def test_recursive_thought_in_a_long_session_is_looked_for_when_it_is_asked_for(
    engine: Engine, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotage.replay.view.WATCHED", 10)
    collected(engine, times=6)
    assert "Look for it in all" in text_of(client.get(f"/sessions/{TRACE}").text)
    assert "stopped" in text_of(client.get(f"/sessions/{TRACE}/thought").text)


def test_an_erased_session_says_so(engine: Engine, client: httpx.Client) -> None:
    book = hostile(engine)
    with engine.begin() as connection:
        connection.execute(delete(payloads))
    page = client.get(f"/sessions/{book.run}")
    assert page.status_code == 200
    assert page.text.count("erased") > 10
    raw = client.get(f"/sessions/{book.run}/events.json").json()
    assert raw[0]["erased"] == ["question", "settings", "warnings"]


def test_the_store_is_only_read(engine: Engine, client: httpx.Client, load: Load) -> None:
    book = hostile(engine)
    engine.dispose()
    before = {path: path.read_bytes() for path in Path(load().store).parent.iterdir() if path.suffix == ".sqlite"}
    for path in ("", "/thought", "/verify", "/export.html", "/export.jsonl", "/rows.json", "/events.json"):
        assert client.get(f"/sessions/{book.run}{path}").status_code == 200
    assert before == {path: path.read_bytes() for path in before}
