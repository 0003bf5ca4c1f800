"""The tracer and a courier for each target. It is a provider of its own, so that no other library's spans are sent."""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

import pilotage
from pilotage.telemetry.courier import Courier
from pilotage.telemetry.targets import Cloud, Targets, shown
from pilotage.telemetry.wire import Wire

ATTRIBUTES = 1000  # of one span: a conversation has four for each message
LOGGER = "opentelemetry.exporter.otlp.proto.http"


def build(targets: Targets, seconds: float) -> tuple[Tracer, list[Courier], list[str]]:
    """The tracer of our spans, the couriers of its sinks, and further tags."""
    logging.getLogger(LOGGER).setLevel(logging.CRITICAL)  # what goes wrong is told once, by us
    couriers, tags = list[Courier](), list[str]()
    if targets.cloud:
        couriers.append(_to_cloud(targets.cloud, seconds, alone=not targets.collector))
        from pilotage.telemetry import agentops

        tags = agentops.default_tags()
    if targets.collector:
        wire = Wire()
        couriers.append(Courier("OTLP", targets.collector, OTLPSpanExporter(session=wire), wire))
    limits = SpanLimits(max_span_attributes=ATTRIBUTES, max_events=ATTRIBUTES)
    provider = TracerProvider(ALWAYS_ON, _resource(targets), shutdown_on_exit=False, span_limits=limits)
    for courier in couriers:
        provider.add_span_processor(courier)
    return provider.get_tracer("pilotage", pilotage.__version__), couriers, tags


def _to_cloud(cloud: Cloud, seconds: float, *, alone: bool) -> Courier:
    """AgentOps; headers of the environment are for it only when they cannot be meant for another backend."""
    from pilotage.telemetry import agentops

    token = agentops.start(cloud, seconds)
    wire = Wire(token.get, token.forget, own_headers=not alone)
    exporter = OTLPSpanExporter(endpoint=cloud.exporter_endpoint, session=wire)
    return Courier("AgentOps", shown(cloud.exporter_endpoint), exporter, wire, token)


def _resource(targets: Targets) -> Resource:
    """Who sends; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    said: dict[str, Any] = {} if named else {"service.name": "pilotage"}
    if targets.cloud:
        said["agentops.project.id"] = "temporary"  # as the SDK sends it: the cloud puts in the project of the token
    return Resource.create({"service.version": pilotage.__version__, **said})
