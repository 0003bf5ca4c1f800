"""A session that goes on: what its stream says, when it ends, and that a reader who comes back misses nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, update

from pilotage.record.store import open_store, runs
from pilotage.replay.fold import Sessions, fold
from pilotage.replay.live import change, clock
from pilotage.replay.view import rows_json
from pilotage.settings import Settings
from tests.support.pages import serving
from tests.support.sessions import collected, long_run

Load = Callable[..., Settings]


@pytest.fixture
def engine(load: Load) -> Iterator[Engine]:
    made = open_store(load().store)
    yield made
    made.dispose()


@pytest.fixture
def url(load: Load, engine: Engine) -> Iterator[str]:
    with serving(load()) as made:
        yield made


def keep_open(engine: Engine, run: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.run == run).values(until=time.time() + 300))


def end(book: Any) -> None:
    book.append(
        "run_ended", {"reason": "done", "answer": "", "citations": []}, outcome="limited", seconds=1.0, tokens=0
    )


def heard(url: str, run: str, after: int, headers: dict[str, str] | None = None) -> Iterator[tuple[str, str, Any]]:
    """(event, id, data) of a stream until it ends."""
    path = f"{url}/sessions/{run}/live?after={after}"
    with httpx.Client(trust_env=False, timeout=20) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
                fields = {}


def test_a_stream_says_what_happens_and_ends_with_the_run(engine: Engine, url: str) -> None:
    book = long_run(engine, 2)
    keep_open(engine, book.run)
    stream = heard(url, book.run, 0)
    event, number, first = next(stream)
    assert (event, number) == ("change", "4")
    assert first["count"] == len(first["rows"]) == 6
    assert first["figures"]["tool_calls"] == "2"
    book.append("tool_call", {"arguments": {}, "result": "late"}, agent="a", task="t", tool="late")
    later = next(found for found in stream if found[0] == "change")
    assert [row["name"] for row in later[2]["rows"]] == ["late"]
    assert later[2]["last"] == 5
    end(book)
    rest = list(stream)
    assert [found[0] for found in rest if found[0] != "clock"] == ["change", "end"]
    assert rest[-1][2] == {"state": "limited"}
    assert all(row["e"] is not None for row in rest[-2][2]["rows"])


def test_who_comes_back_hears_only_what_was_missed(engine: Engine, url: str) -> None:
    book = long_run(engine, 3)
    end(book)
    (_, _, missed), (last, _, _) = list(heard(url, book.run, 0, {"Last-Event-ID": "4"}))
    assert last == "end"
    assert [row["step"] for row in missed["rows"] if row["kind"] == "tool"] == [5]


def test_nothing_but_the_end_is_said_of_a_run_that_is_known_whole(engine: Engine, url: str) -> None:
    book = long_run(engine, 1)
    end(book)
    assert [event for event, _, _ in heard(url, book.run, 4)] == ["end"]


def test_a_run_that_died_is_not_waited_for(engine: Engine, url: str) -> None:
    book = long_run(engine, 1)
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.run == book.run).values(until=time.time() - 1))
    assert [found[2] for found in heard(url, book.run, 3)] == [{"state": "lost"}]


def test_time_goes_on_while_nothing_happens(engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.replay.live.CLOCK", 1)
    book = long_run(engine, 1)
    keep_open(engine, book.run)
    stream = heard(url, book.run, 3)
    first, second = next(stream), next(stream)
    assert first[0] == second[0] == "clock"
    assert second[2]["total"] > first[2]["total"]
    stream.close()  # type: ignore[attr-defined]


def test_a_stopping_server_waits_for_no_reader(load: Load, engine: Engine) -> None:
    book = long_run(engine, 1)
    keep_open(engine, book.run)
    over = threading.Event()

    def read(url: str) -> None:
        list(heard(url, book.run, 3))
        over.set()

    with serving(load()) as url:
        threading.Thread(target=read, args=(url,), daemon=True).start()
        time.sleep(0.5)
        began = time.monotonic()
    assert over.wait(2)
    assert time.monotonic() - began < 2


def test_changes_one_by_one_make_the_waterfall_of_the_whole(engine: Engine) -> None:
    """Replaying every change on a list of rows gives the rows of the session, inner spans that come first included."""
    collected(engine, run="c" * 32, times=3)
    last = fold(engine, "c" * 32).last
    rows: dict[int, Any] = {}
    sessions = Sessions(engine)
    folded = sessions.get("c" * 32)
    assert folded is not None
    for after in range(last):
        for row in change(engine, folded, after)["rows"]:
            rows[row["i"]] = row
    assert [rows[number] for number in sorted(rows)] == rows_json(engine, folded, 0, 200)


def test_a_run_that_is_silent_is_said_to_be(engine: Engine) -> None:
    book = long_run(engine, 1)
    folded = fold(engine, book.run)
    assert clock(folded, folded.until + 42)["silence"] == "nothing heard for 42 s"
    assert clock(folded, folded.until + 5)["silence"] == ""
    end(book)
    assert clock(fold(engine, book.run), folded.until + 42)["silence"] == ""


def test_the_clock_of_an_ended_session_stands_still(engine: Engine) -> None:
    book = long_run(engine, 1)
    end(book)
    folded = fold(engine, book.run)
    assert clock(folded, time.time() + 1000)["figures"]["seconds"] == "1.0 s"
    assert clock(folded, time.time() + 1000)["total"] == clock(folded)["total"]
