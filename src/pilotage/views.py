"""Views of the journal as plain lines: a session, an event, an audit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage.report import memory, money, printable

if TYPE_CHECKING:
    from pilotage.record.audit import Audit
    from pilotage.record.journal import Event

WIDTH = 400  # characters of one content; `export --jsonl` has it whole


def session_line(row: dict[str, Any]) -> str:
    """`20261123-084501-3f9a2c  2026-11-23 08:45  accepted   0.4 s  $0.00  How do I …`"""
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["started"]))
    seconds = f"{row['seconds']:.1f} s" if row["seconds"] is not None else "-"
    spent = money(row["usd"]) if row["outcome"] else "-"
    question = " ".join(row["question"].split())[:80]
    parent = f"← {row['parent']}  " if row.get("parent") else ""
    again = "answered before  " if _is_from_before(row) else ""
    figures = f"{row['state']:<11} {seconds:>8}  {spent:>8}"
    return printable(f"{row['run']}  {started}  {figures}  {row['model'] or row['origin']}  {parent}{again}{question}")


def _is_from_before(row: dict[str, Any]) -> bool:
    """Whether the run was served as a whole: what is accepted without that has read something with a tool."""
    return bool(row["outcome"] == "accepted" and row.get("served") and not row.get("tool_calls"))


def event_lines(event: Event) -> str:
    """An event: its number, kind and facts on one line, each content shortened below it."""
    facts = " ".join(f"{name}={_date(value) if name == 'at' else _short(value)}" for name, value in event.facts.items())
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    lines = [f"{event.seq:>4}  {at}  {event.kind:<12}{memory(event.facts)} {facts}".rstrip()]
    for name, text in event.content.items():
        shown = "[erased]" if text is None else " ".join(text.split())
        lines.append(f"      {name}: {shown[:WIDTH]}{' …' if len(shown) > WIDTH else ''}")
    return "\n".join(map(printable, lines))


def page_lines(page: dict[str, Any]) -> list[str]:
    """A page for people: what is known about it, its text, its links."""
    known = ("title", "author", "published", "url", "canonical", "sha256")
    above = [f"{name}: {page[name]}" for name in known if page[name]]
    above += [f"{name}: {value}" for name, value in page["fields"].items()]
    below = [f"[{link['text']}] {link['url']}" for link in page["links"]]
    below += [f"suspicious: {excerpt}" for excerpt in page["suspicious"]]
    below += [f"note: {note}" for note in page["notes"]]
    return [*map(printable, above), "", printable(page["text"], "\n\t"), "", *map(printable, below)]


def audit_line(report: Audit) -> str:
    if report.ok:
        erased = f", {report.erased} contents erased" if report.erased else ""
        return f"{report.run}: whole, {report.events} events{erased}, seal {report.seal[:16]}"
    return printable(f"{report.run}: BROKEN at event {report.broken}: {report.reason}")


def sealed(folder: Path) -> str | None:
    """The seal that result.json of a run remembers, if it is there."""
    try:
        seal = json.loads((folder / "result.json").read_text("utf-8")).get("seal")
    except (OSError, ValueError, AttributeError):
        return None
    return seal if isinstance(seal, str) else None


def _date(value: Any) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.localtime(value)) if isinstance(value, float) else str(value)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
