"""Which rules can be watched: what does not fit together, or can never fire, is said with file, line and key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pilotage.alerts.rules import ONE_RUN, Window, check_alerts, shown_address, webhook_address, window_of
from pilotage.errors import ConfigError
from pilotage.settings import load, located
from pilotage.spec import AlertRule, AlertSpec
from tests.alerts.receiver import SECRET, set_alerts
from tests.support.project import change


def rule(when: Any = "usd", above: float = 0.5, over: str = "run", to: Any = ("terminal",)) -> AlertRule:
    return AlertRule(when=when, above=above, over=over, to=list(to))


def refused(spec: AlertSpec, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        check_alerts(spec, environment or {})
    assert raised.value.hint
    return str(raised.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("run", ONE_RUN), ("20 runs", Window(runs=20)), ("1 run", Window(runs=1)), (" 3  runs ", Window(runs=3)),
        ("30 minutes", Window(seconds=1800)), ("1 hour", Window(seconds=3600)), ("7 days", Window(seconds=604800)),
        ("0 runs", None), ("runs", None), ("20", None), ("20 weeks", None), ("-3 runs", None), ("1.5 hours", None),
        ("a day", None), ("20runs", None),
    ],
)  # fmt: skip
def test_a_window_is_read_as_it_was_meant(written: str, meant: Window | None) -> None:
    assert window_of(written) == meant


@pytest.mark.parametrize("when", ["usd", "seconds", "tokens", "model_calls", "tool_calls", "errors", "loops"])
def test_the_metrics_of_a_run_can_be_watched(when: str) -> None:
    check_alerts(AlertSpec(rules={"r": rule(when, 5)}), {})


@pytest.mark.parametrize(
    ("when", "over"),
    [
        ("failure_rate", "run"), ("loop_rate", "run"), ("runs", "run"), ("runs", "20 runs"), ("tokens", "24 hours"),
        ("budget_share", "20 runs"), ("errors", "5 runs"), ("loops", "1 day"),
    ],
)  # fmt: skip
def test_a_metric_that_its_window_does_not_know_is_refused(when: str, over: str) -> None:
    said = refused(AlertSpec(rules={"odd": rule(when, 0.5, over)}))
    assert said == f'alerts.rules.odd.when is {when}, which is not known over "{over}"'


@pytest.mark.parametrize(
    ("when", "over"), [("failure_rate", "9 runs"), ("loop_rate", "1 day"), ("budget_share", "run")]
)
def test_a_share_above_one_could_never_fire_and_is_refused(when: str, over: str) -> None:
    assert "is a share, which is never above 1" in refused(AlertSpec(rules={"r": rule(when, 20, over)}))
    check_alerts(AlertSpec(rules={"r": rule(when, 0.2, over)}), {})


def test_a_rule_that_goes_to_a_webhook_that_is_not_set_is_refused() -> None:
    said = refused(AlertSpec(rules={"r": rule(to=["webhook"])}))
    assert said == "alerts.rules.r.to names the webhook, and alerts.webhook is not set"


def test_a_webhook_that_no_rule_uses_is_not_asked_for_its_secret() -> None:
    check_alerts(AlertSpec(rules={"r": rule()}, webhook="https://example.org/${NOT_SET}"), {})


@pytest.mark.parametrize("address", ["${HOOK}", "https://hooks.example.org/${HOOK}"])
def test_a_secret_that_is_not_set_is_named(address: str) -> None:
    said = refused(AlertSpec(rules={"r": rule(to=["webhook"])}, webhook=address))
    assert said == "alerts.webhook needs HOOK, which is not set"


@pytest.mark.parametrize("value", ["hooks.example.org/x", "ftp://example.org/x", "https://", "https://a:b:c/", SECRET])
def test_an_address_that_is_none_is_refused_without_being_repeated(value: str) -> None:
    said = refused(AlertSpec(rules={"r": rule(to=["webhook"])}, webhook="${HOOK}"), {"HOOK": value})
    assert said == "alerts.webhook is no address that begins with https:// or http://"


@pytest.mark.parametrize("address", ["https://example.org/${HOOK", "https://example.org/${A-B}/x", "${HOOK}/${"])
def test_a_reference_that_is_none_is_refused(address: str) -> None:
    spec = AlertSpec(rules={"r": rule(to=["webhook"])}, webhook=address)
    assert refused(spec, {"HOOK": SECRET}) == "alerts.webhook holds a ${ that names no variable"


@pytest.mark.parametrize("name", ["", " ", "cost\x1b[31m", "two\nlines", "\u202eturned"])
def test_a_name_that_cannot_be_printed_is_refused(name: str) -> None:
    said = refused(AlertSpec(rules={name: rule()}))
    assert "is empty or holds a character that cannot be printed" in said
    assert said.isprintable()


@pytest.mark.parametrize("key", ["above", "cool_down"])
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_is_no_finite_number_is_refused(project: Path, key: str, value: float) -> None:
    set_alerts(project, cost={"when": "usd", "above": 1, key: value})
    with pytest.raises(ConfigError, match=rf'config/pilotage.yaml:\d+: "alerts.rules.cost.{key}": '):
        load(project)


def test_a_cool_down_of_more_than_ten_years_is_refused(project: Path) -> None:
    set_alerts(project, cost={"when": "usd", "above": 1, "cool_down": 1e14})
    with pytest.raises(ConfigError, match=r'"alerts.rules.cost.cool_down": expected less than or equal to 315360000'):
        load(project)


@pytest.mark.parametrize(
    ("key", "value"),
    [("webhook", [f"https://h/{SECRET}"]), ("webhook", {"url": SECRET}), (None, f"https://h/{SECRET}\n{SECRET}")],
)
def test_a_webhook_of_a_wrong_type_is_not_repeated(project: Path, key: str | None, value: Any) -> None:
    change(project / "config" / "pilotage.yaml", lambda tree: tree.update(alerts={key: value} if key else value))
    with pytest.raises(ConfigError, match=r'config/pilotage.yaml:\d+: "alerts') as raised:
        load(project)
    assert SECRET not in str(raised.value) + raised.value.hint


def test_the_address_is_filled_in_from_the_environment() -> None:
    spec = AlertSpec(webhook="https://hooks.example.org/${HOOK}")
    assert webhook_address(spec, {"HOOK": SECRET}) == f"https://hooks.example.org/{SECRET}"


def test_the_error_names_file_and_line(project: Path) -> None:
    set_alerts(project, slow={"when": "seconds", "above": 60, "over": "20 apples"})
    settings = load(project)
    lines = (project / "config" / "pilotage.yaml").read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "20 apples" in line)
    with (
        pytest.raises(ConfigError, match=rf"config/pilotage.yaml:{number}: alerts.rules.slow.over is"),
        located(settings),
    ):
        check_alerts(settings.engine.alerts, {})


def test_the_rules_of_the_template_can_be_watched(project: Path) -> None:
    check_alerts(load(project).engine.alerts, {})


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (None, None), ("${TEAM_HOOK}", "${TEAM_HOOK}"),
        (f"https://hooks.example.org/{SECRET}", "https://hooks.example.org/[redacted]"),
        (f"https://hooks.example.org?key={SECRET}", "https://hooks.example.org/[redacted]"),
        (f"https://me:{SECRET}@hooks.example.org:8443/x", "https://hooks.example.org:8443/[redacted]"),
        (SECRET, "[redacted]"),
    ],
)  # fmt: skip
def test_of_an_address_a_record_holds_the_host_alone(address: str | None, shown: str | None) -> None:
    assert shown_address(address) == shown
