"""Requests as they come over the wire: both encodings say the same, and nothing that a sender can put in breaks it."""

from __future__ import annotations

import base64
import json
import math
import time
from typing import Any

import pytest

from pilotage.collector import otlp
from pilotage.collector.otlp import JSON, PROTOBUF, BadRequest, Received, TooMuch, read
from tests.collector.spans import as_json, protobuf, span

VALUES: dict[str, Any] = {"text": "한국어", "count": 2**53, "share": 0.25, "yes": True, "list": ["a", 1], "empty": ""}


def both(*spans: Received) -> tuple[otlp.Request, otlp.Request]:
    return read(protobuf(*spans), PROTOBUF), read(json.dumps(as_json(*spans)).encode(), JSON)


def test_protobuf_and_json_say_the_same() -> None:
    event = {"name": "exception", "at": 1e-9, "attributes": {"exception.message": "no"}}
    sent = span(VALUES, failed=True, message="broken", events=[event], start=1_760_000_000.5, end=1_760_000_001.25)
    for request in both(sent):
        (got,) = request.spans
        assert got == sent


def test_maps_and_bytes_of_attributes_are_read() -> None:
    request = otlp_request()
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="deep").value
    value.kvlist_value.values.add(key="raw").value.bytes_value = b"\x00\xff"
    (got,) = read(request.SerializeToString(), PROTOBUF).spans
    assert got.attributes["deep"] == {"raw": "00ff"}


def test_bytes_that_are_a_text_are_read_as_one() -> None:
    request = otlp_request()
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.add(key="raw").value.bytes_value = b"a key"
    document = as_json(span())
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [
        {"key": "raw", "value": {"bytesValue": base64.b64encode(b"a key").decode()}}
    ]
    for found in (read(request.SerializeToString(), PROTOBUF), read(json.dumps(document).encode(), JSON)):
        assert found.spans[0].attributes["raw"] == "a key"


def otlp_request() -> Any:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return ExportTraceServiceRequest.FromString(protobuf(span()))


@pytest.mark.parametrize(("trace", "identity"), [("00" * 16, "01" * 8), ("01" * 15, "01" * 8), ("01" * 16, "00" * 8)])
def test_a_span_without_valid_ids_is_counted_and_the_others_are_kept(trace: str, identity: str) -> None:
    for request in both(span(trace=trace, id=identity), span()):
        assert (len(request.spans), request.refused) == (1, 1)
        assert "trace id of 16 bytes" in request.reason


def test_an_id_in_capitals_is_the_same_id() -> None:
    document = as_json(span(trace="ab" * 16))
    sent = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    sent["traceId"], sent["spanId"] = "AB" * 16, "CD" * 8
    (got,) = read(json.dumps(document).encode(), JSON).spans
    assert (got.trace, got.id) == ("ab" * 16, "cd" * 8)


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.0), (1e10, 1e10), (0.0, 1.8e10), (5.0, 6.0)])
def test_times_that_are_none_become_the_time_of_arrival(start: float, end: float) -> None:
    for request in both(span(start=start, end=end)):
        assert abs(request.spans[0].end - time.time()) < 5
        assert request.spans[0].start <= request.spans[0].end


def test_a_start_before_the_year_2000_is_none() -> None:
    for request in both(span(start=5.0, end=1_760_000_000.0)):
        assert request.spans[0].start == request.spans[0].end == 1_760_000_000.0


def test_an_end_before_the_start_has_no_length() -> None:
    for request in both(span(start=1_760_000_100.0, end=1_760_000_000.0)):
        assert request.spans[0].start == request.spans[0].end == 1_760_000_000.0


@pytest.mark.parametrize(
    "body", [b"\xff\xff", b"hello world", protobuf(span({"a": "xyz"})).replace(b"xyz", b"\xff\xfe\xfd")]
)
def test_what_is_no_protobuf_or_not_in_utf_8_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="protobuf with texts in UTF-8"):
        read(body, PROTOBUF)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff", b"{", b"[]", b'"x"', b"[" * 100_000, b'{"resourceSpans": 1}', b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": "abc"}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"value": {}}]}]}]}]}',
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": "a", "value": {"arrayValue": 3}}]}}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": "%d"}]}]}]}' % 10**400,
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": "a", "value": {"doubleValue": %d}}]}}]}' % 10**400,
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": "a", "value": {"bytesValue": "%"}}]}}]}',
    ],
)  # fmt: skip
def test_what_is_no_request_in_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body, JSON)


def test_an_empty_request_has_no_spans() -> None:
    assert read(b"", PROTOBUF).spans == read(b"{}", JSON).spans == []


def test_half_a_surrogate_pair_of_json_becomes_a_question_mark() -> None:
    body = json.dumps(as_json(span({"a": "x\ud800y"}))).encode()
    assert read(body, JSON).spans[0].attributes["a"] == "x?y"


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_json_has_no_word_for_becomes_a_text(number: float) -> None:
    for request in both(span({"a": number})):
        assert request.spans[0].attributes["a"] == str(number)


def test_long_texts_are_cut_and_say_so() -> None:
    for request in both(span({"a": "x" * (otlp.LONGEST + 1)})):
        assert request.spans[0].attributes["a"] == "x" * otlp.LONGEST + f"… ({otlp.LONGEST + 1:,} characters)"


def test_attributes_beyond_the_most_are_dropped_and_counted() -> None:
    many = {f"a{number}": number for number in range(otlp.MOST_ATTRIBUTES + 7)}
    for request in both(span(many)):
        attributes = request.spans[0].attributes
        assert (len(attributes), attributes["pilotage.attributes_dropped"]) == (otlp.MOST_ATTRIBUTES + 1, 7)


def test_lists_in_lists_end_somewhere() -> None:
    value: Any = "deep"
    for _ in range(otlp.DEEPEST + 15):
        value = [value]
    for request in both(span({"a": value})):
        assert "deep" not in str(request.spans[0].attributes)


def test_a_request_of_too_many_spans_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MOST_SPANS", 2)
    with pytest.raises(TooMuch, match="more than 2 spans"):
        read(protobuf(span(), span(), span()), PROTOBUF)


def test_a_parent_in_another_process_is_told_from_one_in_this() -> None:
    assert [got.is_remote for got in read(protobuf(span(is_remote=True), span()), PROTOBUF).spans] == [True, False]
