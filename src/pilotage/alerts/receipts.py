"""What became of each alert's delivery: kept in the table `alerts`, and said once for all that did not arrive."""

from __future__ import annotations

import contextlib
import threading

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from pilotage.alerts.fired import UNDER_WAY, note_delivery


class Receipts:
    """By number of the alert in the table. Safe from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._states: dict[int, dict[str, str | bool]] = {}  # by channel: true, or why it has not arrived
        self._rules: dict[int, str] = {}
        self._lost: list[tuple[str, str]] = []  # the rule, and why

    def expect(self, number: int, rule: str, channels: list[str]) -> None:
        """The alert is about to be sent to these."""
        with self._lock:
            self._rules[number], self._states[number] = rule, dict.fromkeys(channels, UNDER_WAY)

    def told(self, number: int, channel: str, reason: str) -> None:
        """It has arrived, or `reason` says why not."""
        with self._lock:
            states = self._states[number]
            states[channel] = reason or True
            if reason:
                self._lost.append((self._rules[number], f"{channel}: {reason}"))
            if UNDER_WAY not in states.values():
                del self._states[number], self._rules[number]
            with contextlib.suppress(DBAPIError):  # it has arrived, or not: only the table is behind
                note_delivery(self._engine, number, states)

    def give_up(self, reason: str) -> None:
        """Nobody waits any longer for what is under way."""
        for number, states in list(self._states.items()):
            for channel in [name for name, state in states.items() if state == UNDER_WAY]:
                self.told(number, channel, reason)

    def complaint(self) -> str:
        """One line about all that did not arrive since the last time; "" when all did."""
        with self._lock:
            lost, self._lost = self._lost, []
        rules = ", ".join(dict.fromkeys(rule for rule, _ in lost))
        reasons = "; ".join(dict.fromkeys(reason for _, reason in lost))
        return f"an alert of {rules} was not delivered: {reasons}" if lost else ""
