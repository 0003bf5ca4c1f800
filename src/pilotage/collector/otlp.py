"""An OTLP request, protobuf or JSON, as plain spans.

Ids that are no ids make a span that cannot be kept: it is counted as refused. Times that are none become the time of
arrival. Long texts and long lists of attributes are cut, and say so. What is not covered: the links between spans.
"""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_SPANS = 20_000  # of one request
MOST_ATTRIBUTES = 1_000  # of one span, span event or resource
MOST_EVENTS = 200  # of one span
LONGEST = 256 * 1024  # characters of one text
DEEPEST = 20  # lists and maps in each other
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100, seconds since 1970: other times are none
REMOTE = 0x200  # flag of a span: its parent lies in another process
MISFITS = (AttributeError, TypeError, ValueError, KeyError, OverflowError)  # of a document of another form
TRACE_ID, SPAN_ID = re.compile("(?!0{32})[0-9a-f]{32}"), re.compile("(?!0{16})[0-9a-f]{16}")


class BadRequest(ValueError):
    """The body is no OTLP request."""


class TooMuch(ValueError):
    """The body holds more than is taken at once."""


@dataclass(slots=True)
class Received:
    """One span as it was sent: ids in hex (`parent` empty at the root), times in seconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    start: float
    end: float
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False
    message: str = ""
    is_remote: bool = False  # its parent lies in another process


@dataclass(slots=True)
class Request:
    """The spans of one request, and how many could not be read, with the reason of the last one."""

    spans: list[Received]
    refused: int = 0
    reason: str = ""


def read(body: bytes, content_type: str) -> Request:
    """Raises BadRequest for what is no OTLP request and TooMuch for more than MOST_SPANS spans."""
    now = time.time()
    groups = _read_json(body) if content_type == JSON else _read_protobuf(body)
    request = Request([])
    seen = 0
    for resource, spans, build in groups:
        seen += len(spans)
        if seen > MOST_SPANS:
            raise TooMuch(f"A request of more than {MOST_SPANS:,} spans: send smaller batches")
        for span in spans:
            _keep(request, build(span, resource, now))
    return request


Group = tuple[dict[str, Any], Any, Callable[[Any, dict[str, Any], float], Received]]


def _keep(request: Request, span: Received) -> None:
    if TRACE_ID.fullmatch(span.trace) and SPAN_ID.fullmatch(span.id):
        request.spans.append(span)
    else:
        request.refused += 1
        request.reason = "a span without a valid trace id of 16 bytes and span id of 8 bytes"


def _read_protobuf(body: bytes) -> Iterable[Group]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        message = ExportTraceServiceRequest.FromString(body)
    except (DecodeError, RecursionError):
        raise BadRequest("The body is no ExportTraceServiceRequest in protobuf with texts in UTF-8") from None
    for of_resource in message.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            yield resource, of_scope.spans, _from_protobuf


def _from_protobuf(span: Any, resource: dict[str, Any], now: float) -> Received:
    start, end = _times(span.start_time_unix_nano, span.end_time_unix_nano, now)
    return Received(
        span.trace_id.hex(), span.span_id.hex(), _parent(span.parent_span_id.hex()), _cut(span.name), start, end,
        _attributes(span.attributes), resource,
        [
            {"name": _cut(event.name), "at": event.time_unix_nano / 1e9, "attributes": _attributes(event.attributes)}
            for event in span.events[:MOST_EVENTS]
        ],
        span.status.code == 2, _cut(span.status.message), bool(span.flags & REMOTE),
    )  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    if len(pairs) > MOST_ATTRIBUTES:
        return _attributes(pairs[:MOST_ATTRIBUTES]) | {"pilotage.attributes_dropped": len(pairs) - MOST_ATTRIBUTES}
    return {
        pair.key: text if (text := pair.value.string_value) and len(text) <= LONGEST else _value(pair.value)
        for pair in pairs
    }  # most are short texts


def _value(value: Any, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _cut(value.string_value)
    if kind in ("int_value", "bool_value"):
        return getattr(value, kind)
    if kind == "double_value":
        return _number(value.double_value)
    if kind == "bytes_value":
        return _bytes(value.bytes_value)
    if kind is None or depth >= DEEPEST:
        return None
    if kind == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values[:MOST_ATTRIBUTES]]
    return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values[:MOST_ATTRIBUTES]}


def _read_json(body: bytes) -> Iterable[Group]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is no JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise BadRequest("The body is no ExportTraceServiceRequest in JSON")
    try:
        for of_resource in document.get("resourceSpans") or []:
            resource = _json_attributes((of_resource.get("resource") or {}).get("attributes"))
            for of_scope in of_resource.get("scopeSpans") or []:
                yield resource, list(of_scope.get("spans") or []), _from_json
    except MISFITS:
        raise BadRequest("The body is no ExportTraceServiceRequest in JSON") from None


def _from_json(span: Any, resource: dict[str, Any], now: float) -> Received:
    try:
        return _span_of_json(span, resource, now)
    except MISFITS:
        raise BadRequest("A span of the request is not as OTLP's JSON has it") from None


def _span_of_json(span: Any, resource: dict[str, Any], now: float) -> Received:
    start, end = _times(int(span.get("startTimeUnixNano") or 0), int(span.get("endTimeUnixNano") or 0), now)
    status = span.get("status") or {}
    return Received(
        str(span.get("traceId") or "").lower(), str(span.get("spanId") or "").lower(),
        _parent(str(span.get("parentSpanId") or "").lower()), _said(span.get("name")), start, end,
        _json_attributes(span.get("attributes")), resource,
        [
            {"name": _said(event.get("name")), "at": int(event.get("timeUnixNano") or 0) / 1e9,
             "attributes": _json_attributes(event.get("attributes"))}
            for event in (span.get("events") or [])[:MOST_EVENTS]
        ],
        status.get("code") in (2, "STATUS_CODE_ERROR"), _said(status.get("message")),
        bool(int(span.get("flags") or 0) & REMOTE),
    )  # fmt: skip


def _json_attributes(pairs: Any) -> dict[str, Any]:
    pairs = pairs or []
    found = {_said(pair["key"]): _json_value(pair.get("value")) for pair in pairs[:MOST_ATTRIBUTES]}
    dropped = len(pairs) - MOST_ATTRIBUTES
    return found if dropped <= 0 else found | {"pilotage.attributes_dropped": dropped}


def _json_value(value: Any, depth: int = 0) -> Any:
    if not value or depth >= DEEPEST:
        return None
    ((kind, held), *_rest) = value.items()
    if kind == "stringValue":
        return _said(held)
    if kind == "bytesValue":
        return _bytes(base64.b64decode(held, validate=True))
    if kind == "intValue":
        return int(held)
    if kind == "boolValue":
        return bool(held)
    if kind == "doubleValue":
        return _number(float(held))
    items = (held or {}).get("values") or []
    if kind == "arrayValue":
        return [_json_value(item, depth + 1) for item in items[:MOST_ATTRIBUTES]]
    if kind == "kvlistValue":
        return {_said(pair["key"]): _json_value(pair.get("value"), depth + 1) for pair in items[:MOST_ATTRIBUTES]}
    return None


def _bytes(raw: bytes) -> str:
    """As the text that they are, for what is secret in it to be seen; else in hex."""
    try:
        return _cut(raw.decode())
    except UnicodeDecodeError:
        return _cut(raw.hex())


def _said(text: Any) -> str:
    """A text of JSON, in which half a surrogate pair can stand: no table takes that."""
    text = "" if text is None else str(text)
    return _cut(text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8"))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def _number(value: float) -> float | str:
    """JSON has no word for infinity and the like."""
    return value if math.isfinite(value) else str(value)


def _times(start: int, end: int, now: float) -> tuple[float, float]:
    """Seconds since 1970; the end is never before the start."""
    ended = round(end / 1e9, 6) if EARLIEST <= end / 1e9 < LATEST else now
    began = round(start / 1e9, 6) if EARLIEST <= start / 1e9 < LATEST else ended
    return min(began, ended), ended


def _parent(parent: str) -> str:
    return parent if SPAN_ID.fullmatch(parent) else ""
