"""The collector on the pages' own port: a session of another program is on the page, and rules watch it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import requests

from pilotage.record.audit import audit
from pilotage.record.journal import read_events
from pilotage.record.store import open_store
from pilotage.settings import Settings
from tests.support.pages import serving

TRACE = "5b8efff798038103d269b633813fc60c"
NOW = int(time.time() * 1e9)


def attributes(**values: str | int) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue"}
    return [{"key": key.replace("__", "."), "value": {kinds[type(value)]: value}} for key, value in values.items()]


def request() -> dict[str, Any]:
    """A root span and a model call in it, as OTLP's JSON."""
    times = {"startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 1_500_000_000)}
    root = {"traceId": TRACE, "spanId": "eee19b7ec3c1b174", "name": "support <b>bot</b>", "kind": 1, **times}
    call = {
        "traceId": TRACE, "spanId": "aaa19b7ec3c1b174", "parentSpanId": root["spanId"], "name": "chat", "kind": 3,
        **times, "attributes": attributes(gen_ai__request__model="gpt-4o-mini", gen_ai__usage__input_tokens=1_000,
                                          gen_ai__usage__output_tokens=234, gen_ai__operation__name="chat"),
    }  # fmt: skip
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [call, root]}]}]}


def test_what_another_program_sends_is_listed_and_watched(load: Callable[..., Settings]) -> None:
    settings = load(alerts__rules="{long: {when: tokens, above: 1000, to: [log]}}")
    with serving(settings) as url:
        answer = requests.post(f"{url}/v1/traces", json=request(), timeout=10)
        assert answer.status_code == 200
        page = wait_for(f"{url}/alerts", TRACE)
        assert "tokens 1234 above 1000" in page
        wait_for(url, "1 alert")
        assert "1,234" in requests.get(url, timeout=5).text
        assert requests.get(f"{url}/sessions?trace_id={TRACE}", timeout=5).url == f"{url}/sessions/{TRACE}"
    engine = open_store(settings.store)
    events = list(read_events(engine, TRACE))
    assert [event.facts["rule"] for event in events if event.kind == "alert"] == ["long"]
    assert audit(engine, TRACE).ok
    engine.dispose()
    assert json.loads((settings.root / "runs/alerts.log").read_text("utf-8"))["run"] == TRACE


def test_a_page_of_another_site_may_not_record(url: str) -> None:
    answer = requests.post(f"{url}/v1/traces", json=request(), headers={"Origin": "https://evil.example"}, timeout=5)
    assert answer.status_code == 403


def wait_for(address: str, text: str) -> str:
    for _ in range(100):
        page = requests.get(address, timeout=5).text
        if text in page:
            return page
        time.sleep(0.05)
    raise AssertionError(f"{text!r} did not come")
