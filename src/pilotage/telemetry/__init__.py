"""Sends the sessions of the journal on: to AgentOps' cloud, to any OpenTelemetry (OTLP) backend, or to both.

The journal is the only source, so what is sent is redacted already. Without a key and an endpoint, nothing is imported.
"""

from __future__ import annotations

from pilotage.telemetry.sinks import Session, Sinks, open_sinks

__all__ = ["Session", "Sinks", "open_sinks"]
