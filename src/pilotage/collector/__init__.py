"""The collector: other programs record into the store by AgentOps' SDK or any OTLP exporter."""
