"""The tracer and a courier for each target. It is a provider of its own, so that no other library's spans are sent."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer
from opentelemetry.util.re import parse_env_headers

import pilotage
from pilotage.telemetry.courier import Courier
from pilotage.telemetry.targets import Cloud, Targets, Warn, shown
from pilotage.telemetry.wire import Wire

ATTRIBUTES = 1000  # of one span: a conversation has four for each message
LOGGERS = ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.util.re")  # the second one shows headers
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")


def build(targets: Targets, seconds: float, warn: Warn) -> tuple[Tracer, list[Courier], list[str]]:
    """The tracer of our spans, the couriers of its sinks, and further tags."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told once, by us
    couriers, tags = list[Courier](), list[str]()
    if targets.cloud:
        couriers.append(_to_cloud(targets.cloud, seconds))
        from pilotage.telemetry import agentops

        tags = agentops.default_tags()
    if targets.collector:
        _check_headers(warn)
        wire = Wire()
        couriers.append(Courier("OTLP", targets.collector, OTLPSpanExporter(session=wire), wire))
    limits = SpanLimits(max_span_attributes=ATTRIBUTES, max_events=ATTRIBUTES)
    provider = TracerProvider(ALWAYS_ON, _resource(targets), shutdown_on_exit=False, span_limits=limits)
    for courier in couriers:
        provider.add_span_processor(courier)
    return provider.get_tracer("pilotage", pilotage.__version__), couriers, tags


def _to_cloud(cloud: Cloud, seconds: float) -> Courier:
    """AgentOps, which OpenTelemetry's headers of the environment are not meant for: they open other backends."""
    from pilotage.telemetry import agentops

    token = agentops.start(cloud, seconds)
    wire = Wire(token.get, token.forget, own_headers=True)
    exporter = OTLPSpanExporter(endpoint=cloud.exporter_endpoint, session=wire)
    return Courier("AgentOps", shown(cloud.exporter_endpoint), exporter, wire, token)


def _check_headers(warn: Warn) -> None:
    """Say which variable of headers cannot be read in full, and not what it holds."""
    name = next((name for name in HEADERS if os.environ.get(name)), None)
    given = [one for one in re.split(r"\s*,\s*", os.environ[name].strip()) if one] if name else []
    if any(not parse_env_headers(one, liberal=True) for one in given):
        warn(f"{name} is not of the form name=value,name=value: a part of it is left out")


def _resource(targets: Targets) -> Resource:
    """Who sends; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    said: dict[str, Any] = {} if named else {"service.name": "pilotage"}
    if targets.cloud:
        said["agentops.project.id"] = "temporary"  # as the SDK sends it: the cloud puts in the project of the token
    return Resource.create({"service.version": pilotage.__version__, **said})
