"""A program of somebody else's: only OpenTelemetry's SDK and its OTLP exporter, told where to by the environment."""

from __future__ import annotations

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "translator", "host.name": "desk"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("translator")
with tracer.start_as_current_span("translate") as outer:
    with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as call:
        call.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10,
        })  # fmt: skip
    with tracer.start_as_current_span("execute_tool dictionary") as tool:
        tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "dictionary"})
        tool.set_status(Status(StatusCode.ERROR, "no such word"))
    print(f"{outer.get_span_context().trace_id:032x}")
sys.exit(0 if provider.force_flush() else 1)
