"""What the run that has given a kept answer says of it in the journal: the answer is served only as it stands there.

The kept row is a copy that anybody who may write to runs/ can change; the journal's events are hashed. What is not
covered: somebody who rewrites both, with all hashes; the seal in result.json would tell (`pilotage audit`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select

from pilotage.record.journal import Event, digest, read_page
from pilotage.record.store import events

if TYPE_CHECKING:
    from pilotage.answers.entry import Entry


def differs(engine: Engine, entry: Entry) -> str:
    """Why the entry is not what its run has answered; "" when it is."""
    started, ended = (next(_of(engine, entry.run, kind), None) for kind in ("run_started", "run_ended"))
    if started is None or ended is None:
        return f"the journal has no run {entry.run} that ended"
    for event in (started, ended):
        if any(text is None for text in event.content.values()):
            return f"what run {entry.run} has said was erased"
        told = {name: digest(text or "") for name, text in event.content.items()}
        if event.compute_hash() != event.hash or told != event.digests:
            return f"the journal of run {entry.run} does not verify"
    said = (started.content.get("question"), ended.content.get("answer"), _tree(ended.content.get("citations")))
    if ended.facts.get("outcome") != "accepted" or said != (entry.question, entry.answer, entry.citations):
        return f"it is not what run {entry.run} has answered"
    return ""


def decisions_of(engine: Engine, run: str) -> list[dict[str, Any]]:
    """Why each sentence of its answer stands: the run's own events, as outcome.py has made them."""
    found = []
    for event in _of(engine, run, "decision"):
        because = _tree(event.content.get("because"))
        if event.facts.get("what") == "said" and isinstance(because, list):
            cites = [cited["n"] for cited in because]
            found.append({"event": event.seq, "sentence": event.content.get("text") or "", "cites": cites})
    return found


def _of(engine: Engine, run: str, kind: str) -> Iterator[Event]:
    """The events of that kind, in order, with their content."""
    wanted = select(events.c.seq).where(events.c.run == run, events.c.kind == kind).order_by(events.c.seq)
    with engine.connect() as connection:
        numbers = connection.execute(wanted).scalars().all()
    for number in numbers:
        yield from read_page(engine, run, number - 1, 1)


def _tree(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None
