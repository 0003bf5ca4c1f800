"""When rules fire: at the event that passes them, by the clock, at the end; once, whoever watches at the same time."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from pilotage.alerts.figures import Reading
from pilotage.alerts.fired import claim, fired_line, list_fired, quiet_until
from pilotage.alerts.webhook import Webhook
from pilotage.record.store import alerts, open_store, runs
from pilotage.spec import LimitSpec
from tests.alerts.conftest import Ended, Watch
from tests.alerts.receiver import SECRET, hang, log_lines, receiving, status
from tests.test_report import unread

COST = {"when": "usd", "above": 0.02}


def test_a_rule_fires_at_the_event_that_passes_it_and_once(watch: Watch, store: Engine) -> None:
    run = watch(cost={**COST, "cool_down": 0}).start()
    for _ in range(5):
        run.call()
    run.end()
    kinds = [event.kind for event in run.events]
    assert kinds == ["run_started", *["model_call"] * 3, "alert", *["model_call"] * 2, "run_ended"]
    (event,) = [event for event in run.events if event.kind == "alert"]
    assert event.facts == {"rule": "cost", "metric": "usd", "value": 0.03, "above": 0.02, "over": "run"}
    assert event.content == {"text": f"cost: run {run.journal.run} has cost $0.03, above $0.02"}
    with store.connect() as connection:
        row = connection.execute(select(runs)).mappings().one()
    assert (row["alerts"], json.loads(row["tally"])["alerts"]) == (1, 1)
    assert [(row["rule"], row["run"]) for row in list_fired(store)] == [("cost", run.journal.run)]


def test_a_rule_that_is_not_passed_stays_quiet(watch: Watch, store: Engine) -> None:
    run = watch(cost={"when": "usd", "above": 0.03}).start()
    run.call()
    assert run.end().alerts == []
    assert list_fired(store) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "model_calls", "above": 1}, "has made 2 model calls"),
        ({"when": "tokens", "above": 150}, "has used 200 tokens"),
        ({"when": "errors", "above": 0}, "has 1 failed call,"),
        ({"when": "tool_calls", "above": 0}, "has made 1 tool call,"),
        ({"when": "loops", "above": 0}, "has 1 loop,"),
        ({"when": "budget_share", "above": 0.15}, "has used 20 % of limits.model_calls"),
    ],
)
def test_each_metric_fires_while_the_run_goes_on(watch: Watch, rule: dict[str, Any], said: str) -> None:
    run = watch(LimitSpec(model_calls=10), r=rule).start()
    run.call()
    run.call(failed=True)
    run.journal.append("tool_call", {}, tool="search", agent="a", task="t", seconds=0.1)
    run.journal.append("loop", {"evidence": "e"}, rule="repeat", level="nudge", agent="a", first_step=1)
    (alert,) = run.alerts
    assert said in alert


def test_seconds_fire_by_the_clock_while_nothing_happens(watch: Watch) -> None:
    run = watch(
        LimitSpec(seconds=2), slow={"when": "seconds", "above": 0.2}, share={"when": "budget_share", "above": 0.2}
    ).start()
    until = time.monotonic() + 3
    while len(run.alerts) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert [event.kind for event in run.events] == ["run_started", "alert", "alert"]
    assert 0.2 < run.events[1].facts["value"] < 0.4
    assert "of limits.seconds" in run.alerts[1]


def test_the_clocks_end_with_the_run(watch: Watch) -> None:
    run = watch(slow={"when": "seconds", "above": 0.3}).start().end(seconds=0.1)
    time.sleep(0.5)
    assert run.alerts == []
    assert not [t for t in threading.enumerate() if t.name == "pilotage-alert-clock"]


def test_a_window_is_judged_at_the_end_and_the_run_counts(watch: Watch, ended: Ended) -> None:
    ended("failed")
    run = watch(fails={"when": "failure_rate", "above": 0.5, "over": "2 runs"}).start()
    assert run.alerts == []
    run.end("limited")
    assert run.alerts == ["fails: over the last 2 runs: 2 of 2 runs failed (100 %), above 50 %"]
    assert [event.kind for event in run.events] == ["run_started", "alert", "run_ended"]


def test_the_seconds_of_the_end_are_those_of_the_result(watch: Watch) -> None:
    run = watch(slow={"when": "seconds", "above": 60}).start().end(seconds=61.25)
    assert run.alerts == [f"slow: run {run.journal.run} has taken 61.25 s, above 60 s"]


def test_within_its_cool_down_a_rule_fires_once_over_all_runs(watch: Watch, store: Engine) -> None:
    for expected in (1, 0):
        run = watch(cost={**COST, "cool_down": 60}).start()
        run.call(usd=1.0)
        assert len(run.end().alerts) == expected
    with store.begin() as connection:
        connection.execute(update(alerts).values(at=time.time() - 61))
    run = watch(cost={**COST, "cool_down": 60}).start()
    run.call(usd=1.0)
    assert len(run.end().alerts) == 1


def test_a_cool_down_that_is_over_in_the_middle_of_a_run_lets_it_fire_then(watch: Watch) -> None:
    watch(cost={**COST, "cool_down": 0.3}).start().call(usd=1.0)
    run = watch(cost={**COST, "cool_down": 0.3}).start()
    run.call(usd=1.0)
    assert run.alerts == []
    time.sleep(0.4)
    run.call(usd=1.0)
    assert len(run.alerts) == 1


def _claim_at(path: Path, moment: float, number: int) -> bool:
    engine = open_store(path)
    time.sleep(max(0.0, moment - time.time()))
    reading = Reading("cost", "usd", 2.0, 1.0, "run", "cost: …")
    taken, _ = claim(engine, reading, f"run-{number}", time.time(), 60)
    engine.dispose()
    return taken is not None


def test_of_several_processes_at_the_same_moment_one_fires(store: Engine, tmp_path: Path) -> None:
    path, moment = tmp_path / "runs" / "pilotage.sqlite", time.time() + 1.5
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        fired = pool.starmap(_claim_at, [(path, moment, number) for number in range(3)])
    assert sorted(fired) == [False, False, True]
    assert quiet_until(store, "cost", 60) > time.time()


def test_of_several_threads_at_the_same_moment_one_fires(watch: Watch) -> None:
    run = watch(cost={**COST, "cool_down": 0}).start()
    threads = [threading.Thread(target=run.call, kwargs={"usd": 1.0}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(run.end().alerts) == 1


def test_a_locked_store_does_not_hold_the_run_up_and_the_rule_is_judged_again(watch: Watch, store: Engine) -> None:
    run = watch(cost=COST).start()
    with store.connect() as other:
        other.execute(text("BEGIN IMMEDIATE"))
        event = type("Event", (), {"kind": "model_call", "facts": {"usd": 1.0}, "at": time.time(), "content": {}})()
        began = time.monotonic()
        run.watcher.listen(event)
        assert time.monotonic() - began < 1.5
        other.rollback()
    assert run.alerts == []
    assert len(run.end().alerts) == 1


# --- delivery


def test_the_terminal_gets_a_line_on_stderr(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    run = watch(cost={**COST, "to": ["terminal"]}).start()
    run.call(usd=1.0)
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"alert cost: run {run.journal.run} has cost $1.00, above $0.02\n")


def test_the_log_gets_a_line_of_json(watch: Watch, tmp_path: Path) -> None:
    run = watch(cost={**COST, "to": ["log"]}).start("왜?")
    run.call(usd=1.0)
    (line,) = log_lines(tmp_path)
    assert abs(line.pop("at") - time.time()) < 5
    assert line == {
        "rule": "cost", "metric": "usd", "value": 1.0, "above": 0.02, "over": "run", "run": run.journal.run,
        "question": "왜?", "outcome": None, "text": f"alert cost: run {run.journal.run} has cost $1.00, above $0.02",
    }  # fmt: skip


def test_a_log_that_cannot_be_written_is_one_warning_and_marked(watch: Watch, store: Engine, tmp_path: Path) -> None:
    (tmp_path / "runs" / "alerts.log").mkdir()
    run = watch(cost={**COST, "to": ["log", "terminal"]}).start()
    run.call(usd=1.0)
    run.end()
    assert run.warnings == [
        "an alert of cost was not delivered: log: runs/alerts.log cannot be written: Is a directory"
    ]
    (row,) = list_fired(store)
    assert row["delivered"] == {"log": "runs/alerts.log cannot be written: Is a directory", "terminal": True}
    assert "(terminal; log: runs/alerts.log cannot" in fired_line(row)


def posted(watch: Watch, url: str, wait: float = 5.0, **options: Any) -> Any:
    """A run whose alert goes to the webhook, under the name of a variable."""
    environment = {"HOOK": url}
    quick = lambda address: Webhook(address, connects=0.5, answers=0.5, pause=0.05)  # noqa: E731
    options = {"environment": environment, "patience": quick} | options
    run = watch(webhook="${HOOK}", options=options, cost={**COST, "to": ["webhook", "log"]})
    run.start("what is s3cr3t-value-of-mine?").call(usd=1.0)
    return run.end(wait=wait)


def test_the_webhook_gets_what_the_log_gets_and_the_link(watch: Watch, store: Engine, tmp_path: Path) -> None:
    with receiving(status(200)) as receiver:
        run = posted(watch, receiver.url, link=lambda run: f"http://127.0.0.1:8484/sessions/{run}")
    (body,) = receiver.bodies
    assert body.pop("link") == f"http://127.0.0.1:8484/sessions/{run.journal.run}"
    assert [body] == log_lines(tmp_path)
    assert body["question"] == "what is [redacted]?"
    assert run.warnings == []
    assert list_fired(store)[0]["delivered"] == {"webhook": True, "log": True}


def test_a_command_is_no_link(watch: Watch) -> None:
    with receiving(status(200)) as receiver:
        posted(watch, receiver.url, link=lambda run: f"pilotage replay {run}")
    assert receiver.bodies[0]["link"] is None


def test_of_a_process_that_is_killed_the_channels_stay_marked(store: Engine) -> None:
    reading = Reading("cost", "usd", 2.0, 1.0, "run", "cost: …")
    assert claim(store, reading, "run-1", time.time(), 60, ["webhook", "log"])[0] is not None
    (row,) = list_fired(store)
    assert row["delivered"] == {"webhook": "no answer yet", "log": "no answer yet"}


def test_nobody_who_reads_stderr_is_no_fault(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    run = watch(cost={**COST, "to": ["terminal", "log"]}).start()
    with unread() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        run.call(usd=1.0)
        monkeypatch.undo()
    assert len(run.end().alerts) == 1
    assert run.warnings == []


def test_a_link_that_cannot_be_made_does_not_cost_the_alert(watch: Watch) -> None:
    def broken(_run: str) -> str:
        raise OSError("no page")

    with receiving(status(200)) as receiver:
        posted(watch, receiver.url, link=broken)
    assert receiver.bodies[0]["link"] is None


def test_a_webhook_that_refuses_is_one_warning_and_stays_marked(watch: Watch, store: Engine) -> None:
    with receiving(status(403)) as receiver:
        run = posted(watch, receiver.url)
    assert run.warnings == ["an alert of cost was not delivered: webhook: answered 403"]
    assert list_fired(store)[0]["delivered"] == {"webhook": "answered 403", "log": True}


def test_a_webhook_that_hangs_holds_the_end_up_no_longer_than_it_may(watch: Watch, store: Engine) -> None:
    with receiving(hang(1.5)) as receiver:
        run = posted(watch, receiver.url, wait=0.0)  # warms what is imported
        began = time.monotonic()
        run.watcher.close(0.3)
        assert time.monotonic() - began < 1.0
    assert run.warnings == [
        "an alert of cost was not delivered: webhook: no answer before the end of the run (record.sink_seconds)"
    ]
    assert list_fired(store)[0]["delivered"]["webhook"] == "no answer before the end of the run (record.sink_seconds)"


def test_the_address_of_the_webhook_stands_nowhere(
    watch: Watch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in (status(200), status(500), status(302, Location=f"https://example.org/{SECRET}")):
        with receiving(answer) as receiver:
            run = posted(watch, receiver.url)
    posted(watch, f"http://127.0.0.1:1/{SECRET}")
    out, err = capsys.readouterr()
    assert SECRET not in out + err + "".join(run.warnings)
    for path in (tmp_path / "runs").iterdir():
        assert SECRET.encode() not in path.read_bytes(), path


# --- sessions of other programs


def test_a_collected_session_is_judged_by_its_row_and_once(watch: Watch, ended: Ended, store: Engine) -> None:
    tally = json.dumps({"usd": 2.0, "model_calls": 3, "tool_calls": 0, "errors": 1, "tokens": 50})
    run = ended("failed", origin="otlp", usd=2.0, tally=tally, seconds=None)
    rules = {
        "cost": COST, "share": {"when": "budget_share", "above": 0.0},
        "fails": {"when": "failure_rate", "above": 0.5, "over": "1 hour"},
    }  # fmt: skip
    watcher, entered = watch(**rules).watcher, list[Any]()
    for _ in range(2):
        watcher.session_ended(
            run, lambda kind, content, **facts: entered.append((kind, content["text"], facts["rule"]))
        )
    assert entered == [
        ("alert", f"cost: run {run} has cost $2.00, above $0.02", "cost"),
        ("alert", "fails: 1 of 1 run in the last hour failed (100 %), above 50 %", "fails"),
    ]
    assert len(list_fired(store)) == 2


def test_a_collector_hears_at_once_of_what_did_not_arrive(watch: Watch, ended: Ended) -> None:
    run = ended("failed", origin="otlp", usd=2.0, tally='{"usd": 2.0}')
    with receiving(status(404)) as receiver:
        watched = watch(webhook=receiver.url, options={"follow": False}, cost={**COST, "to": ["webhook"]})
        watched.watcher.session_ended(run)
        until = time.monotonic() + 5
        while not watched.warnings and time.monotonic() < until:
            time.sleep(0.02)
    assert watched.warnings == ["an alert of cost was not delivered: webhook: answered 404"]


# --- the log file


def test_the_log_keeps_one_old_file(tmp_path: Path) -> None:
    from pilotage.alerts.logfile import append_line

    path = tmp_path / "deep" / "alerts.log"
    for number in range(10):
        append_line(path, {"n": number, "text": "x" * 80}, largest=300)
    assert [json.loads(line)["n"] for line in path.read_text("utf-8").splitlines()] == [8, 9]
    old = path.with_name("alerts.log.1").read_text("utf-8")
    assert [json.loads(line)["n"] for line in old.splitlines()] == [6, 7]


def _append_many(path: Path) -> None:
    from pilotage.alerts.logfile import append_line

    for number in range(100):
        append_line(path, {"pid": os.getpid(), "n": number, "text": "y" * 200}, largest=40_000)


def test_lines_of_several_processes_stay_whole_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_append_many, [path, path])
    lines = [*path.with_name("alerts.log.1").read_text("utf-8").splitlines(), *path.read_text("utf-8").splitlines()]
    assert len([json.loads(line) for line in lines]) == 200
