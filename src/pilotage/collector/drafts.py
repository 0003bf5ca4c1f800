"""Spans of other programs as events of the journal, not yet in a chain.

A model call is `model_call`, a tool call `tool_call`, any other span `span`; the root adds `session_ended`. Spans that
our own runs have sent come back as the events they were made of. Secrets are taken out first of all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from pilotage.collector import messages
from pilotage.collector.meaning import (
    AGENT,
    ARGUMENTS,
    ENTITY,
    RESULT,
    TASK,
    TOOL,
    cost,
    first,
    kind_of,
    model_of,
    said_of,
    tags_of,
    tokens,
)
from pilotage.collector.otlp import Received
from pilotage.record.redact import Redactor

TITLE = 300  # characters
NAME = 200
BAD_ENDS = ("fail", "error", "failed")
_AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
OWN_EVENTS = {"check": "check", "loop": "loop", "limit": "limit", "decision": "decision", "code": "code_run"}
OUTCOMES = ("accepted", "unanswered", "rejected", "limited", "failed", "interrupted")


@dataclass(slots=True)
class Draft:
    """One event before it has a place. `span` tells it from its like; `parent` and `around` place it in the session."""

    run: str
    span: str
    kind: str
    at: float
    facts: dict[str, Any]
    content: dict[str, str]
    parent: str = ""
    start: float = 0.0
    own: str = ""  # the run of ours that it is a copy of
    host: str = ""
    service: str = ""
    resource: str = ""  # JSON
    title: str = ""  # what it would call its session
    name: str = ""  # of the session, when this is its root
    tags: list[str] = field(default_factory=list)
    outcome: str = ""  # likewise
    reports: bool = False  # a model call that says what it used


def draft(spans: Iterable[Received], redactor: Redactor, sender: str = "") -> list[Draft]:
    """Drafts of these spans as they ended, inner ones first, roots last; `sender` is for want of a host name."""
    resources: dict[int, dict[str, Any]] = {}
    drafts = []
    for span in sorted(spans, key=lambda span: (not span.parent, span.end, -span.start)):
        resource = resources.get(id(span.resource))
        if resource is None:
            resource = resources[id(span.resource)] = redactor.deep(span.resource)
        drafts.append(_draft(_cleaned(span, redactor), resource, sender))
    return drafts


def log(run: str, text: str, at: float, identity: str) -> Draft:
    """What a program has printed, as AgentOps' SDK sends it at the end of a session."""
    return Draft(run, identity, "log", at, {}, {"text": text}, start=at)


def _cleaned(span: Received, redactor: Redactor) -> Received:
    span.attributes, span.events, span.name, span.message = redactor.deep(
        [span.attributes, span.events, span.name, span.message]
    )
    return span


def _draft(span: Received, resource: dict[str, Any], sender: str) -> Draft:
    attributes, kind = span.attributes, kind_of(span.attributes)
    facts: dict[str, Any] = {
        "span": span.id, "start": span.start, "seconds": round(span.end - span.start, 6),
        **_named("parent", span.parent), **_named("agent", first(attributes, AGENT)),
        **_named("task", first(attributes, TASK)),
    }  # fmt: skip
    if span.failed:
        facts["failed"] = True
    made = Draft(span.trace, span.id, "span", span.end, facts, {}, span.parent, span.start)
    made.own = str(attributes.get("pilotage.run") or "")
    made.host, made.service = _host(resource) or sender, _name(resource.get("service.name"))
    made.resource = _json(resource) if resource else ""
    made.tags = tags_of(attributes) or tags_of(resource)
    if kind == "llm":
        _model_call(made, span)
    elif kind == "tool":
        _tool_call(made, span)
    elif kind in OWN_EVENTS and "pilotage.facts" in attributes:
        _own_event(made, span, kind)
    else:
        _other(made, span, kind)
    _finish(made, span)
    if not span.parent or span.is_remote:
        _root(made, span, kind)
    return made


def _finish(made: Draft, span: Received) -> None:
    if span.attributes:
        made.content["attributes"] = _json(span.attributes)
    if span.events:
        made.content["span_events"] = _json(span.events)
    if span.failed:
        made.content["error"] = span.message or _exception(span) or "failed"
    made.content = {name: text for name, text in made.content.items() if text}


def _model_call(made: Draft, span: Received) -> None:
    attributes, used = span.attributes, tokens(span.attributes)
    usd = cost(attributes, used, failed=span.failed)
    numbered = messages.number(attributes)
    asked = messages.asked(attributes, span.events, numbered)
    request: dict[str, Any] = {"model": model_of(attributes), "messages": asked}
    if tools := messages.offered(attributes, numbered):
        request["tools"] = tools
    made.kind, made.reports = "model_call", used is not None
    made.facts |= {"model": model_of(attributes) or _name(span.name), "usd": "unpriced" if usd is None else usd}
    if used is not None:
        made.facts |= {"prompt_tokens": used[0], "completion_tokens": used[1]}
        made.facts |= {"cached_tokens": used[2]} if used[2] else {}
    if isinstance(attempt := attributes.get("pilotage.attempt"), int):
        made.facts["attempt"] = attempt
    if attributes.get("pilotage.estimated") is True:
        made.facts["estimated"] = True
    made.content["request"] = _json(request)
    made.content["response"] = messages.as_answer(messages.answered(attributes, span.events, numbered))
    made.title = _storable(messages.first_question(asked)[:TITLE])


def _tool_call(made: Draft, span: Received) -> None:
    attributes = span.attributes
    made.kind = "tool_call"
    made.facts["tool"] = _name(first(attributes, TOOL) or span.name.removesuffix(".tool"))
    made.content["arguments"] = _text(first(attributes, ARGUMENTS))
    made.content["result"] = _text(first(attributes, RESULT))


def _own_event(made: Draft, span: Received, kind: str) -> None:
    """A check, loop, limit, decision or code run of ours, sent whole."""
    facts = messages.opened(span.attributes["pilotage.facts"])
    made.kind = OWN_EVENTS[kind]
    told = facts.items() if isinstance(facts, dict) else ()
    made.facts = {name: _storable(value) if isinstance(value, str) else value for name, value in told} | made.facts
    made.facts.pop("tags", None)
    for name in [name for name in span.attributes if name.startswith("pilotage.content.")]:
        made.content[name.removeprefix("pilotage.content.")] = _text(span.attributes.pop(name))


def _other(made: Draft, span: Received, kind: str) -> None:
    made.facts |= {"name": _name(span.name) or kind, "span_kind": kind}
    if kind in ("agent", "task"):
        named = _name(first(span.attributes, ENTITY)) or span.name.removesuffix(f".{kind}")
        made.facts.setdefault(kind, named[:NAME] or kind)
    made.content["input"] = _text(said_of(span.attributes, "input"))
    made.content["output"] = _text(said_of(span.attributes, "output"))


def _root(made: Draft, span: Received, kind: str) -> None:
    attributes = span.attributes
    said = attributes.get("pilotage.outcome")
    ended = str(attributes.get("agentops.session.end_state") or "").lower()
    made.outcome = str(said) if said in OUTCOMES else "failed" if span.failed or ended in BAD_ENDS else "ended"
    made.name = _name(first(attributes, ENTITY)) or _name(span.name.removesuffix(".session"))
    asked = _text(said_of(attributes, "input"))
    if made.own or made.name == "session" or kind not in ("session", "workflow", "task", "agent"):
        made.title = asked or made.title  # its name says nothing of what it is about
    else:
        made.title = made.name
    made.title = _storable(made.title[:TITLE])


def _exception(span: Received) -> str:
    """The exception that stands in a span event, when the status says nothing."""
    for event in reversed(span.events):
        held = event["attributes"]
        if event["name"] == "exception":
            return f"{held.get('exception.type', 'Exception')}: {held.get('exception.message', '')}"
    return _text(first(span.attributes, ("error.message", "error.type")))


def _host(resource: dict[str, Any]) -> str:
    return _name(first(resource, ("host.name", "k8s.pod.name", "service.instance.id")))


def _named(name: str, value: Any) -> dict[str, str]:
    return {name: _name(value)} if value not in (None, "") else {}


def _name(value: Any) -> str:
    return _storable(_text(value)[:NAME])


def _storable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON within a text can name and no column takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
        return _AS_JSON(value)
