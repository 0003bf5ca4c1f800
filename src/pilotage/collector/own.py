"""Events of our own runs that come back whole: of each kind the facts that it can have, each of its own type.

Anybody may send spans that look like ours: what is of another name or type is left out, and what lacks a part that
every event of its kind has is none of ours.
"""

from __future__ import annotations

from typing import Any

NAME = 200  # characters
LARGEST = 10**15
KINDS = {"check": "check", "loop": "loop", "limit": "limit", "decision": "decision", "code": "code_run"}
FACTS: dict[str, dict[str, type]] = {
    "check": {"check": str, "task": str, "agent": str, "passed": bool},
    "loop": {"rule": str, "level": str, "agent": str, "task": str, "first_step": int, "last_step": int, "times": int},
    "limit": {"limit": str, "value": float, "cap": float, "key": str, "agent": str, "task": str},
    "decision": {"who": str, "task": str, "what": str},
    "code": {"task": str, "agent": str, "outcome": str, "sandbox": str, "tests": int, "seconds": float},
}
EVERY = {
    "check": {"check", "passed"}, "loop": {"rule", "level", "agent", "first_step", "last_step", "times"},
    "limit": {"limit", "key"}, "decision": {"what"}, "code": {"outcome", "sandbox"},
}  # fmt: skip
CONTENT = {
    "check": ("faults",), "loop": ("evidence", "nudge"), "limit": (), "decision": ("text", "reason", "because"),
    "code": ("reason", "output"),
}  # fmt: skip


def facts_of(kind: str, told: Any) -> dict[str, Any] | None:
    """Those of the facts that an event of this kind has; None when it is none."""
    given = told.items() if isinstance(told, dict) else ()
    known = {name: value for name, value in given if _is_of(value, FACTS[kind].get(name))}
    if not known.keys() >= EVERY[kind]:
        return None
    return {name: _short(value) if isinstance(value, str) else value for name, value in known.items()}


def _is_of(value: Any, wanted: type | None) -> bool:
    if wanted in (int, float) and type(value) in (int, wanted):
        return bool(abs(value) <= LARGEST)  # not so for NaN
    return type(value) is wanted


def _short(text: str) -> str:
    """Without halves of surrogate pairs, which no column takes."""
    return text[:NAME].encode("utf-8", "replace").decode()
