"""Where sessions are to be sent, from the settings and the variables of AgentOps and OpenTelemetry; imports neither.

What is not covered: OTLP over gRPC or as JSON, and a collector on localhost that no variable names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pilotage.spec import AgentOpsSpec

Warn = Callable[[str], object]
API, EXPORTER, APP = "https://api.agentops.ai", "https://otlp.agentops.ai/v1/traces", "https://app.agentops.ai"
OTLP = "OTEL_EXPORTER_OTLP"
PROTOCOL = "http/protobuf"


@dataclass(frozen=True)
class Cloud:
    """AgentOps' addresses, and the key that opens them. `theirs`: the program has called agentops.init() itself."""

    key: str = field(repr=False)
    variable: str  # that the key is from
    endpoint: str
    exporter_endpoint: str
    app_url: str
    theirs: bool = False


@dataclass(frozen=True)
class Targets:
    """What is configured; `collector` is the address of an OTLP backend, as it may be shown."""

    cloud: Cloud | None = None
    collector: str | None = None

    def __bool__(self) -> bool:
        return bool(self.cloud or self.collector)


def find_targets(spec: AgentOpsSpec, warn: Warn) -> Targets:
    """What the settings and the environment name; nothing where OTEL_SDK_DISABLED says so."""
    cloud = _their_cloud() or _own_cloud(spec)
    if cloud and (wrong := _misspelt(cloud)):
        warn(f"sessions are not sent to AgentOps: agentops.{wrong} is no http address")
        cloud = None
    targets = Targets(cloud, _collector(warn))
    if targets and _variable("OTEL_SDK_DISABLED").lower() == "true":
        warn("sessions are sent nowhere: OTEL_SDK_DISABLED is true")
        return Targets()
    return targets


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query.

    >>> shown("https://me:pass@host:4318/v1/traces?key=1")
    'https://host:4318/v1/traces'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def is_address(url: str) -> bool:
    """Whether requests could be sent there.

    >>> is_address("http://[::1]:4318"), is_address("http://[::1"), is_address("localhost:4318")
    (True, False, False)
    """
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _misspelt(cloud: Cloud) -> str:
    """The setting of AgentOps that is no address, which is not shown: it may hold a password."""
    addresses = {"endpoint": cloud.endpoint, "exporter_endpoint": cloud.exporter_endpoint, "app_url": cloud.app_url}
    return next((name for name, url in addresses.items() if not is_address(url)), "")


def _their_cloud() -> Cloud | None:
    """What the program has initialised AgentOps' SDK with, if it has."""
    sdk: Any = sys.modules.get("agentops")
    client = sdk.get_client() if hasattr(sdk, "get_client") else None
    if client is None or not client.initialized or not client.config.api_key or getattr(client, "_pilotage", False):
        return None
    config = client.config
    addresses = (config.endpoint, config.exporter_endpoint or EXPORTER, config.app_url)
    return Cloud(config.api_key, "agentops.init", *addresses, theirs=True)


def _own_cloud(spec: AgentOpsSpec) -> Cloud | None:
    key = _variable(spec.api_key_env)
    if not key:
        return None
    api = (spec.endpoint or _variable("AGENTOPS_API_ENDPOINT") or API).rstrip("/")
    spans, pages = (EXPORTER, APP) if api == API else (f"{api}/v1/traces", api)  # a server of one's own has all of it
    return Cloud(
        key, spec.api_key_env, api,
        spec.exporter_endpoint or _variable("AGENTOPS_EXPORTER_ENDPOINT") or spans,
        (spec.app_url or _variable("AGENTOPS_APP_URL") or pages).rstrip("/"),
    )  # fmt: skip


def _collector(warn: Warn) -> str | None:
    """The OTLP backend of the environment; OpenTelemetry's exporter reads the same variables itself."""
    whole, base = _variable(f"{OTLP}_TRACES_ENDPOINT"), _variable(f"{OTLP}_ENDPOINT")
    if not (whole or base) or _variable("OTEL_TRACES_EXPORTER") == "none":
        return None
    if not is_address(whole or base):
        name = f"{OTLP}_TRACES_ENDPOINT" if whole else f"{OTLP}_ENDPOINT"
        warn(f"sessions are not sent by OTLP: {name} is no http address")
        return None
    name = f"{OTLP}_TRACES_PROTOCOL" if _variable(f"{OTLP}_TRACES_PROTOCOL") else f"{OTLP}_PROTOCOL"
    protocol = _variable(name) or PROTOCOL
    if protocol != PROTOCOL:
        warn(f"sessions are not sent to {shown(whole or base)}: {name} is {protocol}, only {PROTOCOL} is spoken")
        return None
    return shown(whole or f"{base.rstrip('/')}/v1/traces")


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
