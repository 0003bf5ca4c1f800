"""The tools of bench_runaway.py: a look-up that always says the same, and one that adds the time."""

from __future__ import annotations

from datetime import UTC, datetime

from pilotage import tool

OWNER = "Retries have one owner, the door. Three owners of three attempts each make 27 requests of one fault."
DEADLINE = "A deadline stops the run after 300 seconds. Nothing starts after the deadline."


@tool
def look_up(query: str, limit: int = 5, language: str = "en") -> str:
    """What the handbook says about the query."""
    return DEADLINE if "deadline" in query.lower() else OWNER


@tool
def watch(query: str) -> str:
    """What the handbook says about the query, and when it was read."""
    return f"{OWNER} (read at {datetime.now(UTC).isoformat(timespec='microseconds')})"
