"""Where sessions are sent: the settings, AgentOps' variables, OpenTelemetry's variables."""

from __future__ import annotations

import sys

import pytest

from pilotage.spec import AgentOpsSpec
from pilotage.telemetry.targets import API, APP, EXPORTER, Cloud, Targets, find_targets, shown

KEY = "a-key-of-the-user"


def find(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], spec: AgentOpsSpec | None = None
) -> tuple[Targets, list[str]]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "agentops", raising=False)
    warnings: list[str] = []
    return find_targets(spec or AgentOpsSpec(), warnings.append), warnings


def test_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, warnings = find(monkeypatch, {"AGENTOPS_API_KEY": " "})
    assert not targets
    assert warnings == []


def test_a_key_alone_means_the_public_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, _ = find(monkeypatch, {"AGENTOPS_API_KEY": KEY})
    assert targets == Targets(Cloud(KEY, "AGENTOPS_API_KEY", API, EXPORTER, APP))
    assert KEY not in repr(targets)


def test_an_endpoint_of_ones_own_takes_the_spans_too_and_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"AGENTOPS_API_KEY": KEY, "AGENTOPS_API_ENDPOINT": "http://127.0.0.1:8484/"}
    targets, _ = find(monkeypatch, named)
    own = "http://127.0.0.1:8484"
    assert targets == Targets(Cloud(KEY, "AGENTOPS_API_KEY", own, f"{own}/v1/traces", own))


def test_the_settings_win_over_the_variables_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = AgentOpsSpec(api_key_env="MY_KEY", endpoint="http://api.mine/", app_url="http://app.mine")
    theirs = {"AGENTOPS_API_ENDPOINT": "http://api.env", "AGENTOPS_EXPORTER_ENDPOINT": "http://otlp.env/v1/traces"}
    targets, _ = find(monkeypatch, {"MY_KEY": KEY, **theirs}, spec)
    assert targets.cloud == Cloud(KEY, "MY_KEY", "http://api.mine", "http://otlp.env/v1/traces", "http://app.mine")


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/"}, "http://h:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/x"}, "http://h/x"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/t"}, "http://b/t"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://me:pw@h/?key=1"}, "https://h/"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_the_backend_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str | None
) -> None:
    targets, warnings = find(monkeypatch, variables)
    assert targets.collector == address
    assert warnings == []


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_another_protocol_is_a_warning_and_no_target(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    targets, warnings = find(monkeypatch, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:pw@h:4317", name: "grpc"})
    assert not targets
    assert warnings == [f"sessions are not sent to http://h:4317: {name} is grpc, only http/protobuf is spoken"]


@pytest.mark.parametrize(
    "address", ["http://[::1", "localhost:4318", "http://", "ftp://h", "http://h:99999", "http://h:x"]
)
@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_what_is_no_address_is_a_warning_and_no_target(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    targets, warnings = find(monkeypatch, {name: address})
    assert not targets
    assert warnings == [f"sessions are not sent by OTLP: {name} is no http address"]


@pytest.mark.parametrize("name", ["endpoint", "exporter_endpoint", "app_url"])
def test_an_address_of_agentops_that_is_none_is_a_warning_and_no_target(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spec = AgentOpsSpec.model_construct(**{**AgentOpsSpec().model_dump(), name: "http://me:s3cret@[::1"})
    targets, warnings = find(monkeypatch, {"AGENTOPS_API_KEY": KEY}, spec)
    assert not targets
    assert warnings == [f"sessions are not sent to AgentOps: agentops.{name} is no http address"]


def test_a_disabled_sdk_is_a_warning_and_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, warnings = find(monkeypatch, {"OTEL_SDK_DISABLED": "true", "AGENTOPS_API_KEY": KEY})
    assert not targets
    assert warnings == ["sessions are sent nowhere: OTEL_SDK_DISABLED is true"]
    monkeypatch.delenv("AGENTOPS_API_KEY")
    assert find(monkeypatch, {}) == (Targets(), []), "nothing to send, nothing to warn of"


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://me:pw@host:1/v1/traces?key=s3cret#x") == "https://host:1/v1/traces"
