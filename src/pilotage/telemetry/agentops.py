"""AgentOps' SDK, started so that it does nothing on its own: its `init` is called for the user's own decorators.

No log file, no metrics, no copy of what is printed, no instrumentation of CrewAI beside ours, no spans of other
libraries. Sessions do not go through its exporter, which fails on each batch since OpenTelemetry 1.45; `repair` makes
it work for spans of the user's own. What it keeps private and is used here is pinned by tests/telemetry/test_sdk.py.
What is not covered: what an SDK that the user has initialised sends on its own.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from pilotage.telemetry.targets import Cloud
from pilotage.telemetry.wire import Token, Wire

LOG_FILE = "AGENTOPS_LOGGING_TO_FILE"
_starting = threading.Lock()


def start(cloud: Cloud, seconds: float) -> Token:
    """Start the SDK for this cloud, unless it is; the token that opens the cloud, being asked for."""
    import agentops

    repair(seconds)
    client: Any = agentops.get_client()
    with _starting:
        if cloud.theirs:
            stand_aside()
        elif not client.initialized:
            _init(cloud, client)
    is_same = client.config.api_key == cloud.key and client.config.endpoint == cloud.endpoint
    token = Token(cloud, client.get_current_jwt() if is_same else None, partial(_adopt, client) if is_same else None)
    token.ask()
    return token


def default_tags() -> list[str]:
    """AGENTOPS_DEFAULT_TAGS, or what the user's own `init` was given."""
    import agentops

    return sorted(str(tag) for tag in agentops.get_client().config.default_tags or [])


def stand_aside() -> None:
    """Keep the user's SDK from recording CrewAI and the models a second time, now and when they are imported."""
    from agentops import instrumentation

    for one in list(instrumentation._active_instrumentors):
        of = getattr(one, "_agentops_instrumented_package_key", "")
        if of == "crewai" or of in instrumentation.PROVIDERS:
            with contextlib.suppress(Exception):  # its wrappers may be there in part
                one.uninstrument()
    instrumentation._has_agentic_library = True  # from here on it instruments nothing more


def repair(seconds: float) -> None:
    """agentops 0.4.21 reads `_session` and `_headers` of OpenTelemetry's exporter, which 1.45 has not any more."""
    from agentops.sdk.exporters import AuthenticatedOTLPExporter

    if hasattr(OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces"), "_session"):
        return

    def export(self: Any, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        known: OTLPSpanExporter | None = self.__dict__.get("_pilotage")
        if known is None:
            known = OTLPSpanExporter(endpoint=self._endpoint, session=Wire(self._get_current_jwt), timeout=seconds)
            self._pilotage = known
        return known.export(spans)

    AuthenticatedOTLPExporter.export = export


class OnlyAgentOps(Sampler):
    """Samples the spans that AgentOps' decorators make: its provider is the global one, for every library to use."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **more: Any) -> SamplingResult:
        attributes: Mapping[str, Any] = more.get("attributes") or (args[1] if len(args) > 1 else None) or {}
        own = "agentops.span.kind" in attributes
        return SamplingResult(Decision.RECORD_AND_SAMPLE if own else Decision.DROP, dict(attributes))

    def get_description(self) -> str:
        return "spans of AgentOps' decorators"


def _init(cloud: Cloud, client: Any) -> None:
    """`agentops.init` without a key, for it not to ask for a token: see Token."""
    import agentops
    from agentops.sdk.core import tracer

    with _as_it_was():
        agentops.init(
            api_key="", endpoint=cloud.endpoint, exporter_endpoint=cloud.exporter_endpoint, app_url=cloud.app_url,
            instrument_llm_calls=False, auto_start_session=False, log_level="CRITICAL", log_session_replay_url=False,
        )  # fmt: skip
    client.config.api_key, client._pilotage = cloud.key, True
    if tracer.provider is not None:
        tracer.provider.sampler = OnlyAgentOps()
    meters = tracer._meter_provider
    if meters is not None:
        meters.shutdown()  # it would push to otlp.agentops.ai, whatever endpoint is set
        tracer._meter_provider = None  # for the SDK not to shut it down again


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Put back what `init` replaces for the whole process: print, the loggers of OpenTelemetry."""
    logger, printing = logging.getLogger("opentelemetry"), builtins.print
    level, propagate, handlers = logger.level, logger.propagate, logger.handlers[:]
    is_set = LOG_FILE in os.environ
    os.environ.setdefault(LOG_FILE, "false")
    try:
        yield
    finally:
        if not is_set:
            os.environ.pop(LOG_FILE, None)
        builtins.print = printing
        logger.setLevel(level)
        logger.propagate, logger.handlers[:] = propagate, handlers


def _adopt(client: Any, token: str, project: str) -> None:
    """Give the SDK the token that it would have asked for, for spans of the user's own."""
    client._set_auth_data(token, project)
    client.api.v4.set_auth_token(token)
