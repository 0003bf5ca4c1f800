"""`pilotage alerts`: which rules would fire on a recorded run, whether a message arrives, what has fired."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pilotage import cli
from pilotage.outcome import Result
from pilotage.record.store import open_store, runs
from pilotage.run import run_crew
from pilotage.settings import load
from tests.alerts.receiver import QUESTION, SECRET, log_lines, receiving, set_alerts, status

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A project with one recorded run of the reader, which has fired the rule `calls`."""
    from tests.conftest import lay_out

    root = tmp_path_factory.mktemp("recorded")
    lay_out(root)
    set_alerts(root, calls={"when": "model_calls", "above": 1, "to": ["log"]})
    return root, run_crew(QUESTION, settings=load(root))


@pytest.fixture
def shell(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`shell("list")` is `pilotage alerts list`: its exit code, stdout and stderr."""
    monkeypatch.chdir(project)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.invoke(["alerts", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def after_a_run(recorded: tuple[Path, Result], project: Path) -> Result:
    shutil.copytree(recorded[0] / "runs", project / "runs")
    return recorded[1]


def test_each_rule_says_whether_it_would_fire(shell: Any, project: Path, after_a_run: Result) -> None:
    set_alerts(
        project, calls={"when": "model_calls", "above": 1}, cost={"when": "usd", "above": 5},
        fails={"when": "failure_rate", "above": 0.1, "over": "20 runs"},
    )  # fmt: skip
    code, out, _ = shell("test")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith(f"FIRES  calls: run {after_a_run.run} has made ")
    assert "→ terminal, log (but not before " in lines[0]
    assert lines[1:] == [
        "quiet  cost: usd 0, not above 5 (over run)",
        "quiet  fails: nothing to judge: fewer than 20 runs have ended",
    ]


def test_one_rule_as_json(shell: Any, project: Path, after_a_run: Result) -> None:
    set_alerts(project, share={"when": "budget_share", "above": 0.01}, cost={"when": "usd", "above": 5})
    code, out, _ = shell("test", "share", "--run", after_a_run.run[:-1], "--json")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert (row["rule"], row["fires"], row["above"], row["to"]) == ("share", True, 0.01, ["terminal", "log"])
    assert row["value"] > 0.01
    assert "of limits." in row["text"]
    assert row["quiet_until"] is None


def test_the_share_is_of_the_caps_that_the_run_was_made_with(shell: Any, project: Path, after_a_run: Result) -> None:
    set_alerts(project, share={"when": "budget_share", "above": 0.01})
    _, before, _ = shell("test", "--json")
    _, after, _ = shell("test", "--json", "--set", "limits.model_calls=1", "--set", "limits.seconds=0.001")
    assert json.loads(before)["value"] == json.loads(after)["value"]


def test_a_try_enters_and_sends_nothing(shell: Any, project: Path, after_a_run: Result) -> None:
    before = shell("list", "--json")
    set_alerts(project, calls={"when": "model_calls", "above": 1, "cool_down": 0})
    shell("test")
    assert shell("list", "--json") == before
    assert len(log_lines(project)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["test", "share"], 'alerts.rules has no rule "share"'),
        (["test", "--run", "nonsense"], 'No run begins with "nonsense"'),
    ],
)
def test_a_wrong_name_is_a_usage_error(
    shell: Any, project: Path, after_a_run: Result, arguments: list[str], said: str
) -> None:
    set_alerts(project, shares={"when": "budget_share", "above": 0.5})
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err


def test_without_rules_there_is_nothing_to_try(shell: Any, project: Path) -> None:
    set_alerts(project)
    assert shell("test")[0] == 2


def test_without_a_run_there_is_nothing_to_judge_but_a_message_can_be_sent(shell: Any, project: Path) -> None:
    set_alerts(project, cost={"when": "usd", "above": 5, "to": ["log"]})
    assert shell("test")[0] == 2
    code, out, err = shell("test", "--send")
    assert (code, out) == (0, "log: arrived\n")
    assert "no runs yet" in err
    (line,) = log_lines(project)
    assert line["test"] is True
    assert line["text"].startswith("TEST of the alert cost")


def test_a_message_is_sent_to_each_channel_once(shell: Any, project: Path, after_a_run: Result) -> None:
    with receiving(status(200)) as receiver:
        set_alerts(
            project, receiver.url, cost={"when": "usd", "above": 5, "to": ["terminal", "webhook"]},
            calls={"when": "model_calls", "above": 1, "to": ["log", "webhook"]},
        )  # fmt: skip
        code, out, err = shell("test", "--send", "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[2:] == [
        {"channel": channel, "arrived": True, "reason": ""} for channel in ("terminal", "webhook", "log")
    ]
    (body,) = receiver.bodies
    assert (body["test"], body["run"]) == (True, after_a_run.run)
    assert "TEST of the alert cost, calls" in err


def test_a_message_that_does_not_arrive_is_exit_1_and_no_address_is_shown(
    shell: Any, project: Path, after_a_run: Result
) -> None:
    with receiving(status(404)) as receiver:
        set_alerts(project, receiver.url, cost={"when": "usd", "above": 5, "to": ["log", "webhook"]})
        code, out, err = shell("test", "--send")
    assert code == 1
    assert out.splitlines()[-2:] == ["log: arrived", "webhook: NOT delivered: answered 404"]
    assert SECRET not in out + err


def test_a_webhook_whose_secret_is_missing_is_a_configuration_error(shell: Any, project: Path) -> None:
    set_alerts(project, "https://example.org/${NO_SUCH_HOOK}", cost={"when": "usd", "above": 5, "to": ["webhook"]})
    code, _, err = shell("test", "--send")
    assert code == 2
    assert "alerts.webhook needs NO_SUCH_HOOK, which is not set" in err


def test_a_store_that_cannot_be_read_is_exit_4(shell: Any, project: Path) -> None:
    set_alerts(project, cost={"when": "usd", "above": 5})
    (project / "runs").mkdir()
    (project / "runs" / "pilotage.sqlite").write_bytes(b"not a database at all, " * 100)
    assert shell("test")[0] == 4
    assert shell("list")[0] == 4


def test_what_has_fired_is_listed(shell: Any, after_a_run: Result) -> None:
    code, out, _ = shell("list")
    assert code == 0
    assert f"calls: run {after_a_run.run} has made 2 model calls, above 1  (log)" in out
    (row,) = [json.loads(line) for line in shell("list", "--json")[1].splitlines()]
    assert (row["rule"], row["run"], row["delivered"]) == ("calls", after_a_run.run, {"log": True})


def test_a_rule_without_a_channel_is_no_rule_that_was_not_delivered(
    shell: Any, project: Path, after_a_run: Result
) -> None:
    set_alerts(project, quiet={"when": "model_calls", "above": 1, "to": []})
    assert run_crew(QUESTION, settings=load(project)).outcome == "accepted"
    assert shell("list", "--limit", "1")[1].endswith("model calls, above 1  (the journal only)\n")
    code, out, err = shell("test", "--send")
    assert (code, out.count("\n")) == (0, 1)
    assert "no channel: nothing was sent (alerts.rules.NAME.to)" in err


def test_a_window_of_time_without_a_run_is_said_so(shell: Any, project: Path, after_a_run: Result) -> None:
    set_alerts(project, fails={"when": "failure_rate", "above": 0.1, "over": "24 hours"})
    with open_store(project / "runs" / "pilotage.sqlite").begin() as connection:
        connection.execute(update(runs).values(outcome=None))
    assert shell("test")[1] == "quiet  fails: nothing to judge: no run has ended in the last 24 hours\n"


def test_a_limit_beyond_reason_is_a_usage_error(shell: Any, after_a_run: Result) -> None:
    assert shell("list", "--limit", "100000000000000000000")[:2] == (2, "")


def test_nothing_has_fired_in_a_new_project(shell: Any) -> None:
    assert shell("list") == (0, "", "no alert has fired yet\n")
