"""What a request adds to the chain of a session: its beginning, its calls and spans, its end, each with its hash.

The store is not touched here: what is to be written is collected in Rows. What is not covered: events that lie in
order of time; a chain is in the order of arrival, and each event has the time at which its span ended.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

from pilotage.collector.drafts import TITLE, Draft
from pilotage.collector.family import Family
from pilotage.record.journal import GENESIS, Event, digest, listed
from pilotage.record.tally import Tally, facets_of

MOST_EVENTS = 200_000  # of one session
GRACE = 600.0  # seconds after its last span that a session without an end is given up for lost
FOREIGN = "otlp"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # journal.canonical, made once


@dataclass(slots=True)
class Result:
    """What became of one request: `recorded` events; `refused` spans, with the reason."""

    recorded: int = 0
    refused: int = 0
    reason: str = ""


@dataclass(slots=True)
class Chain:
    """The end of one session's chain, and what has grown out of it."""

    run: str
    seq: int = 0
    hash: str = GENESIS
    origin: str = FOREIGN
    until: float = 0.0
    tally: Tally = field(default_factory=Tally)
    facets: set[tuple[str, str]] = field(default_factory=set)
    family: Family = field(default_factory=Family)
    host: str = ""
    title: str = ""  # the first that a span has suggested
    row: dict[str, Any] = field(default_factory=dict)  # what the list of runs is to say from now on


@dataclass(slots=True)
class Rows:
    """What one transaction writes."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    payloads: dict[str, str] = field(default_factory=dict)
    spans: list[tuple[str, str]] = field(default_factory=list)
    facets: list[tuple[str, str, str]] = field(default_factory=list)
    made: list[Event] = field(default_factory=list)


def extend(chain: Chain, drafts: list[Draft], rows: Rows, result: Result) -> None:
    """Append what one request says of one session."""
    now = time.time()
    chain.family.meet(drafts)
    chain.title = chain.title or _title(drafts)
    if not chain.seq:
        _append(chain, _beginning(drafts, chain.title, now), rows)
    for draft in drafts:
        if chain.seq >= MOST_EVENTS:
            result.refused += 1
            result.reason = f"the session {chain.run} has {MOST_EVENTS:,} events: no more are recorded"
            continue
        if draft.span:
            rows.spans.append((chain.run, draft.span))
            _settle(chain, draft)
        _append(chain, draft, rows)
        if draft.outcome and chain.family.ends_with(draft):
            _append(chain, _ending(draft, chain.title), rows)
        result.recorded += 1
    chain.until = max(chain.until, *(min(draft.at, now) + GRACE for draft in drafts))  # a clock may be ahead
    chain.host = chain.host or next((draft.host for draft in drafts if draft.host), "")


def _settle(chain: Chain, draft: Draft) -> None:
    """Whether it counts, and whose it was."""
    if not chain.family.counts(draft) and draft.kind == "model_call":
        counted = ("usd", "prompt_tokens", "completion_tokens", "cached_tokens", "attempt", "estimated")
        facts = {name: value for name, value in draft.facts.items() if name not in counted}
        draft.kind, draft.facts = "span", {**facts, "name": draft.facts["model"], "span_kind": "llm"}
    for name, value in zip(("agent", "task"), chain.family.place(draft.span), strict=True):
        if value:
            draft.facts.setdefault(name, value)


def _title(drafts: list[Draft]) -> str:
    """What these spans would call their session: the root knows best, then what was asked first."""
    ordered = sorted(drafts, key=lambda draft: (not draft.outcome, draft.start))
    return next((draft.title for draft in ordered if draft.title), "")


def _beginning(drafts: list[Draft], title: str, now: float) -> Draft:
    at = min(now, *(draft.start for draft in drafts))
    named = next((draft for draft in drafts if draft.resource), drafts[0])
    title = title or next((draft.name for draft in drafts if draft.name), named.service)
    title = title or f"log of {named.run}"  # what a program has printed is all that is known of it
    model = next((draft.crew_model for draft in drafts if draft.crew_model), "")
    facts: dict[str, Any] = {"origin": FOREIGN, "model": model} | _whence(named)
    content = {"question": title[:TITLE]} | ({"resource": named.resource} if named.resource else {})
    tags = next((draft.tags for draft in drafts if draft.tags), [])
    return Draft(drafts[0].run, "", "run_started", at, facts | ({"tags": tags} if tags else {}), content)


def _ending(root: Draft, title: str) -> Draft:
    name, title = root.name or root.title, root.title or title or root.name
    facts = {"outcome": root.outcome, "seconds": root.facts["seconds"], "name": name, "root": root.span}
    facts |= root.account
    content = {"title": title[:TITLE]} if title else {}
    facts |= _whence(root) | ({"tags": root.tags} if root.tags else {})
    return Draft(root.run, "", "session_ended", root.at, facts, content)


def _whence(draft: Draft) -> dict[str, str]:
    """Which program on which machine; nothing where it is not known yet, as by what a program has printed."""
    return {name: value for name, value in (("crew", draft.service), ("host", draft.host)) if value}


def _append(chain: Chain, draft: Draft, rows: Rows) -> None:
    """One link of the chain, hashed as Event.compute_hash does, with each part made into JSON once."""
    digests = {name: digest(text) for name, text in draft.content.items()}
    facts, contents = _CANONICAL(draft.facts), _canonical_digests(digests)
    seq, previous, at = chain.seq + 1, chain.hash, float(draft.at)
    body = f'["{previous}","{chain.run}",{seq},{at!r},"{draft.kind}",{facts},{contents}]'
    last = hashlib.sha256(body.encode()).hexdigest()
    event = Event(
        chain.run, seq, at, draft.kind, draft.facts, dict(draft.content), digests, previous, last,
    )  # fmt: skip
    rows.events.append((chain.run, seq, at, draft.kind, facts, contents, previous, last))
    rows.payloads.update(zip(digests.values(), draft.content.values(), strict=True))
    rows.made.append(event)
    chain.seq, chain.hash = seq, last
    chain.tally.add(event)
    for facet in facets_of(event):
        if facet not in chain.facets:
            chain.facets.add(facet)
            rows.facets.append((chain.run, *facet))
    if draft.kind in ("run_started", "session_ended"):
        chain.row |= listed(event, chain.tally)


def _canonical_digests(digests: dict[str, str]) -> str:
    """As _CANONICAL, which takes longer for what needs no escapes."""
    if not all(name.isascii() and name.isidentifier() for name in digests):
        return _CANONICAL(digests)
    return "{" + ",".join([f'"{name}":"{digests[name]}"' for name in sorted(digests)]) + "}"
