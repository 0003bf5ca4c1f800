"""The cache of model calls in a whole run: what is asked word for word again is answered without the provider."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotage.caches import NAME
from pilotage.outcome import Result
from pilotage.record.journal import Event, read_events
from pilotage.record.store import open_store
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.server import COMPLETION_TOKENS, PROMPT_TOKENS, Server, good_over_http, serve

Load = Callable[..., Settings]
QUESTION = "How many requests can one fault make when retries are nested?"
CALLS = 5  # of the good model


@pytest.fixture(autouse=True)
def _one_authority(monkeypatch: pytest.MonkeyPatch, one_authority: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(good_over_http) as server:
        yield server


def ask(load: Load, server: Server, *, fresh: bool = False, **overrides: Any) -> Result:
    overrides = {"model__name": "openai/gpt-4o-mini", "model__base_url": server.url, "cache__calls": "true"} | overrides
    return run_crew(QUESTION, settings=load(**overrides), fresh=fresh)


def calls(load: Load, result: Result) -> list[Event]:
    events = read_events(open_store(load().store), result.run)
    return [event for event in events if event.kind == "model_call"]


def test_a_run_that_asks_the_same_costs_no_request(load: Load, server: Server) -> None:
    first, second = ask(load, server), ask(load, server)
    assert len(server.requests) == CALLS
    assert (first.outcome, second.outcome, second.answer) == ("accepted", "accepted", first.answer)
    assert (second.tokens, second.usd) == (0, 0.0)
    served = calls(load, second)
    assert [event.facts["served"] for event in served] == ["cache"] * CALLS
    assert [event.facts["saved_tokens"] for event in served] == [PROMPT_TOKENS + COMPLETION_TOKENS] * CALLS
    assert sum(event.facts["saved_usd"] for event in served) == pytest.approx(first.usd)


@pytest.mark.parametrize(
    ("overrides", "requests"),
    [
        ({}, CALLS),
        ({"model__temperature": "0.5"}, 2 * CALLS),
        ({"model__temperature": "null"}, 2 * CALLS),
        ({"model__max_tokens": "512"}, 2 * CALLS),
        ({"model__name": "openai/gpt-4o"}, 2 * CALLS),
        ({"cache__tenant": "other"}, 2 * CALLS),
        ({"policy__strict": "true", "policy__agents": "{researcher: [search_knowledge, read_page, read_source],"
          " verifier: [read_source]}"}, 2 * CALLS),
        ({"cache__calls": "false"}, 2 * CALLS),
        ({"agents.explainer.role": "Teacher"}, CALLS + 1),
    ],
)  # fmt: skip
def test_what_changes_an_answer_is_asked_again(
    load: Load, server: Server, overrides: dict[str, Any], requests: int
) -> None:
    ask(load, server)
    assert ask(load, server, **overrides).outcome == "accepted"
    assert len(server.requests) == requests


def test_a_fresh_run_asks_again_and_fills_the_cache(load: Load, server: Server) -> None:
    ask(load, server)
    ask(load, server, fresh=True)
    assert len(server.requests) == 2 * CALLS
    ask(load, server)
    assert len(server.requests) == 2 * CALLS


def test_an_answer_that_failed_its_check_is_not_kept(load: Load) -> None:
    """The first explanation cites nothing: it is sent back, and a second run is not given it either."""
    asked: list[dict[str, Any]] = []

    def play(request: dict[str, Any]) -> Any:
        answer = good_over_http(request)
        if "Answer from the supported" not in str(request["messages"]):
            return answer
        asked.append(request)
        if len(asked) > 1:
            return answer
        bad = json.loads(answer["content"])
        return {"content": json.dumps(bad | {"statements": [s | {"cites": []} for s in bad["statements"]]})}

    with serve(play) as server:
        assert ask(load, server).outcome == "accepted"
        assert len(asked) == 2
        assert ask(load, server).outcome == "accepted"
    assert len(asked) == 3, "what failed is asked again, and was right at once"


def test_a_secret_in_the_question_keeps_a_run_out(load: Load, server: Server) -> None:
    question = f"{QUESTION} My key is sk-test-0123456789abcdefghij."
    settings = load(model__name="openai/gpt-4o-mini", model__base_url=server.url, cache__calls="true")
    for _ in range(2):
        run_crew(question, settings=settings)
    assert len(server.requests) == 2 * CALLS


BAD: dict[str, Any] = {
    "a number": {"answer": 5}, "null": {"answer": None}, "empty": {"answer": ""}, "a false price": {"usd": "y"},
    "no calls": {"form": "calls", "answer": "[]"}, "calls that are numbers": {"form": "calls", "answer": "[1, 2]"},
    "calls that are a mapping": {"form": "calls", "answer": "{}"},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_an_entry_of_another_shape_is_a_miss_and_is_replaced(load: Load, server: Server, bad: dict[str, Any]) -> None:
    ask(load, server)
    change(load().runs / NAME, bad)
    assert ask(load, server).outcome == "accepted"
    assert len(server.requests) == 2 * CALLS
    assert ask(load, server).outcome == "accepted"
    assert len(server.requests) == 2 * CALLS


def change(file: Path, values: dict[str, Any]) -> None:
    """Write this into each entry of the cache."""
    with sqlite3.connect(file) as db:
        for number, body in db.execute("select id, body from entries where kind = 'call'").fetchall():
            text = json.dumps(json.loads(zlib.decompress(body)) | values)
            db.execute("update entries set body = ? where id = ?", (zlib.compress(text.encode()), number))
    db.close()


def test_an_answer_that_came_on_a_retry_is_kept(load: Load) -> None:
    faults = iter([503])
    with serve(lambda request: next(faults, None) or good_over_http(request)) as server:
        ask(load, server)
        asked = len(server.requests)
        assert asked == CALLS + 1
        ask(load, server)
        assert len(server.requests) == asked
