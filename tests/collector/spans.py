"""Spans as a sender makes them, and requests of them in OTLP's protobuf and JSON."""

from __future__ import annotations

import itertools
import time
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pilotage.collector.otlp import Received

TRACE = "5b8efff798038103d269b633813fc60c"
NOW = time.time()
_ids = itertools.count(1)


def new_id() -> str:
    return f"{next(_ids):016x}"


def span(
    attributes: dict[str, Any] | None = None,
    *,
    name: str = "work",
    trace: str = TRACE,
    parent: str = "ffffffffffffffff",
    start: float | None = None,
    end: float | None = None,
    **others: Any,
) -> Received:
    """A span of one second that has just ended, as all have; its parent is one that never arrives, unless said."""
    end = NOW if end is None else end
    start = end - 1 if start is None else start
    identity = others.pop("id", None) or new_id()
    resource = others.pop("resource", {"service.name": "shop", "host.name": "till-1"})
    return Received(trace, identity, parent, name, start, end, attributes or {}, resource, **others)


def protobuf(*spans: Received) -> bytes:
    """One request of these spans, those of one resource together."""
    request = ExportTraceServiceRequest()
    for sent in spans:
        of_resource = request.resource_spans.add()
        _fill(of_resource.resource.attributes, sent.resource)
        added = of_resource.scope_spans.add().spans.add(
            trace_id=bytes.fromhex(sent.trace), span_id=bytes.fromhex(sent.id), name=sent.name,
            parent_span_id=bytes.fromhex(sent.parent), start_time_unix_nano=int(sent.start * 1e9),
            end_time_unix_nano=int(sent.end * 1e9), flags=0x300 if sent.is_remote else 0x100,
        )  # fmt: skip
        _fill(added.attributes, sent.attributes)
        added.status.code, added.status.message = 2 if sent.failed else 0, sent.message
        for event in sent.events:
            told = added.events.add(name=event["name"], time_unix_nano=int(event.get("at", 0) * 1e9))
            _fill(told.attributes, event["attributes"])
    return bytes(request.SerializeToString())


def as_json(*spans: Received) -> dict[str, Any]:
    """The same as OTLP's JSON has it: ids in hex, numbers of nanoseconds as texts."""
    return {"resourceSpans": [
        {"resource": {"attributes": [_pair(*item) for item in sent.resource.items()]}, "scopeSpans": [{"spans": [{
            "traceId": sent.trace, "spanId": sent.id, "parentSpanId": sent.parent, "name": sent.name,
            "startTimeUnixNano": str(int(sent.start * 1e9)), "endTimeUnixNano": str(int(sent.end * 1e9)),
            "attributes": [_pair(*item) for item in sent.attributes.items()],
            "status": {"code": 2 if sent.failed else 0, "message": sent.message},
            "events": [{"name": event["name"], "timeUnixNano": "1", "attributes": [
                _pair(*item) for item in event["attributes"].items()]} for event in sent.events],
        }]}]}
        for sent in spans
    ]}  # fmt: skip


def _fill(attributes: Any, pairs: dict[str, Any]) -> None:
    for key, value in pairs.items():
        _set(attributes.add(key=key).value, value)


def _set(place: Any, value: Any) -> None:
    if isinstance(value, bool):
        place.bool_value = value
    elif isinstance(value, int):
        place.int_value = value
    elif isinstance(value, float):
        place.double_value = value
    elif isinstance(value, list):
        place.array_value.SetInParent()
        for item in value:
            _set(place.array_value.values.add(), item)
    elif isinstance(value, dict):
        place.kvlist_value.SetInParent()
        _fill(place.kvlist_value.values, value)
    else:
        place.string_value = value


def _pair(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": _json_value(value)}


def _json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_value(item) for item in value]}}
    return {"stringValue": value}
