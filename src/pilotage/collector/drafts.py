"""Spans of other programs as events of the journal, not yet in a chain.

A model call is `model_call`, a tool call `tool_call`, any other span `span`; the root adds `session_ended`. Spans that
our own runs have sent come back as the events they were made of. Secrets are taken out first of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotage.collector import messages, own
from pilotage.collector.cleaning import Source, as_json, cleaned, source_of
from pilotage.collector.meaning import (
    AGENT,
    ARGUMENTS,
    ENTITY,
    RESULT,
    TASK,
    TOOL,
    cost,
    dollars,
    first,
    kind_of,
    model_of,
    said_of,
    tags_of,
    tokens,
)
from pilotage.collector.otlp import Received, TooMuch
from pilotage.record.redact import Redactor

TITLE = 300  # characters
NAME = 200
MOST_STORED = 64 * 1024 * 1024  # characters that the spans of one request become
LONGEST = 10**9  # seconds of a run: more is a fault of the sender
BAD_ENDS = ("fail", "error", "failed")
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
    account: dict[str, Any] = field(default_factory=dict)  # likewise: what a run of ours says of itself
    crew_model: str = ""  # what a run of ours was started with
    reports: bool = False  # a model call that says what it used

    @property
    def size(self) -> int:
        """Characters of what it tells."""
        return sum(map(len, self.content.values()))


def draft(spans: Iterable[Received], redactor: Redactor, sender: str = "") -> list[Draft]:
    """Drafts of these spans as they ended, inner ones first, roots last; `sender` is for want of a host name.

    TooMuch for more than MOST_STORED characters.
    """
    sources: dict[int, Source] = {}
    drafts, size = [], 0
    for span in sorted(spans, key=lambda span: (not span.parent, span.end, -span.start)):
        source = sources.get(id(span.resource))
        if source is None:
            source = sources[id(span.resource)] = source_of(span.resource, redactor)
            size += len(source.text)
        made = _draft(cleaned(span, redactor), source, sender)
        size += made.size
        if size > MOST_STORED:
            raise TooMuch(f"A request of more than {MOST_STORED:,} characters: send smaller batches")
        drafts.append(made)
    return drafts


def log(run: str, text: str, at: float, identity: str) -> Draft:
    """What a program has printed, as AgentOps' SDK sends it at the end of a session."""
    return Draft(run, identity, "log", at, {}, {"text": text}, start=at)


def _draft(span: Received, source: Source, sender: str) -> Draft:
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
    made.host, made.service = _host(source.attributes) or sender, _name(source.attributes.get("service.name"))
    made.resource, made.crew_model = source.text, _name(attributes.get("pilotage.crew_model"))
    made.tags = tags_of(attributes) or tags_of(source.attributes)
    if kind == "llm":
        _model_call(made, span)
    elif kind == "tool":
        _tool_call(made, span)
    elif not (kind in own.KINDS and _own_event(made, span, kind)):
        _other(made, span, kind)
    _finish(made, span)
    if not span.parent or span.is_remote:
        _root(made, span, kind)
    return made


def size_of(drafts: Iterable[Draft]) -> int:
    """About how many characters they hold."""
    return sum(made.size for made in drafts)


def _finish(made: Draft, span: Received) -> None:
    if span.attributes:
        made.content["attributes"] = as_json(span.attributes)
    if span.events:
        made.content["span_events"] = as_json(span.events)
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
    made.facts |= _served(attributes)
    made.content["request"] = as_json(request)
    made.content["response"] = messages.as_answer(messages.answered(attributes, span.events, numbered))
    made.title = _storable(messages.first_question(asked)[:TITLE])


def _tool_call(made: Draft, span: Received) -> None:
    attributes = span.attributes
    made.kind = "tool_call"
    made.facts["tool"] = _name(first(attributes, TOOL) or span.name.removesuffix(".tool"))
    made.facts |= _served(attributes)
    made.content["arguments"] = _text(first(attributes, ARGUMENTS))
    made.content["result"] = _text(first(attributes, RESULT))


def _served(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Where a call of a run of ours was answered from that was not made again, and what that saved."""
    if (by := attributes.get("pilotage.served")) not in ("tape", "cache"):
        return {}
    tokens, usd = attributes.get("pilotage.saved_tokens"), attributes.get("pilotage.saved_usd")
    saved = {"saved_tokens": tokens} if type(tokens) is int and 0 <= tokens <= own.LARGEST else {}
    is_sum = isinstance(usd, int | float) and not isinstance(usd, bool) and 0 <= usd <= own.LARGEST
    return {"served": by, **saved, **({"saved_usd": float(usd)} if is_sum and usd is not None else {})}


def _own_event(made: Draft, span: Received, kind: str) -> bool:
    """Whether it is a check, loop, limit, decision or code run of ours, which is sent whole."""
    facts = own.facts_of(kind, messages.opened(span.attributes.get("pilotage.facts")))
    if facts is None:
        return False
    made.kind, made.facts = own.KINDS[kind], facts | made.facts
    for name in own.CONTENT[kind]:
        made.content[name] = _text(span.attributes.pop(f"pilotage.content.{name}", None))
    return True


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
    if made.own and not span.parent:
        made.account = _account(attributes)


def _account(attributes: dict[str, Any]) -> dict[str, Any]:
    """The seconds and the cost that a run of ours has told: it knows of calls whose price nobody does."""
    usd = "unpriced" if attributes.get("pilotage.usd") == "unpriced" else dollars(attributes.get("pilotage.usd"))
    seconds = attributes.get("pilotage.seconds")
    told = {"usd": usd, "seconds": seconds if isinstance(seconds, int | float) and 0 <= seconds < LONGEST else None}
    return {name: value for name, value in told.items() if value is not None}


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
    return value if isinstance(value, str) else "" if value is None else as_json(value)
