"""Accounts: what a run, an agent, a task or a turn may spend, has spent, and holds back for calls under way.

One account for the run (`limits`), one for each agent over the whole run (`agents.researcher.limits`), one for each
task, whoever works on it (`tasks.research.limits`), and one for each agent at a task (`agents.researcher.max_iter`). A
call starts when all accounts that it belongs to allow it, and counts once in each; it is changed under one lock.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from pilotage.errors import LimitExceeded, counted, figure
from pilotage.record.spending import Held
from pilotage.spec import CapSpec, LimitSpec


@dataclass(frozen=True)
class Worst:
    """The most that one model call can use; `usd` is None when nobody lists its price."""

    tokens: int
    usd: float | None


class Clock:
    """Counts seconds while something is open; what is open twice at once counts once."""

    def __init__(self) -> None:
        self._open, self._since, self._before = 0, 0.0, 0.0

    def start(self) -> None:
        if self._open == 0:
            self._since = time.monotonic()
        self._open += 1

    def stop(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._before += time.monotonic() - self._since

    @property
    def seconds(self) -> float:
        return self._before + (time.monotonic() - self._since if self._open else 0.0)


@dataclass
class Account:
    """Caps and what was used of them. A cap that is None does not bind. `owner` is "" for the run itself."""

    caps: CapSpec | LimitSpec
    prefix: str
    file: str
    owner: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)  # where a cap is set, when not under `prefix`
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    held: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    unpriced: bool = False
    clock: Clock = field(default_factory=Clock)

    def cap(self, kind: str) -> float | None:
        cap: float | None = getattr(self.caps, kind)
        return cap

    def key(self, kind: str) -> str:
        return self.keys.get(kind) or f"{self.prefix}.{kind}"

    def used(self, kind: str) -> float:
        return self.clock.seconds if kind == "seconds" else self.spent[kind]

    def count(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            self.spent[kind] += 1

    def refuses(self, kind: str) -> LimitExceeded | None:
        """The error when nothing is left under this cap for one more step."""
        cap, used = self.cap(kind), self.used(kind)
        if cap is None or used < cap:
            return None
        what = f"{kind.replace('_', ' ')}{f' of {self.owner}' if self.owner else ''}"
        return LimitExceeded(what, used, cap, key=self.key(kind), hint=f"raise {self.key(kind)} in {self.file}")

    def has_no_room(self, kind: str, worst: float) -> LimitExceeded | None:
        """The error when a call that uses `worst` could pass this cap, calls under way counted at their worst."""
        cap, taken = self.cap(kind), self.spent[kind] + self.held[kind]
        if cap is None or taken + worst <= cap:
            return None
        hint = f"raise {self.key(kind)} in {self.file}, lower model.max_tokens, or drop limits.strict_budget"
        left, key = max(0.0, cap - taken), self.key(kind)
        said = (
            f"the next call could use {amount(kind, worst)}, {amount(kind, left, unit=False)} are left"
            f" of {amount(kind, cap, unit=False)} ({key}, limits.strict_budget)"
        )
        return LimitExceeded(kind, taken + worst, cap, key=key, hint=hint, said=said)


class Hold:
    """A call under way: its worst case, if one is given, is held in its accounts until it is known what it used.

    Exactly one of `charge`, `drop` and `lose` counts: the first. What the budget of the day holds for the call is
    `freed` then, for the event that says what it used.
    """

    def __init__(
        self, accounts: Sequence[Account], worst: Worst | None, lock: AbstractContextManager[Any],
        day: Held | None = None,
    ) -> None:  # fmt: skip
        self._accounts, self._worst, self._lock, self._day = accounts, worst, lock, day
        self._open = True
        self.freed: Held | None = None
        self.lost: Worst | None = None  # what `lose` has booked
        self._add_held(1)

    def charge(self, tokens: int, usd: float | None) -> bool:
        """Book what the call used; `usd` is None when its price is unknown. False when that was done before."""
        with self._lock:
            if not self._release():
                return False
            self.freed = self._day
            for account in self._accounts:
                account.spent["tokens"] += tokens
                account.spent["usd"] += usd or 0.0
                account.unpriced = account.unpriced or usd is None
        return True

    def drop(self) -> None:
        """Nothing was used: the call was refused, or never reached its provider."""
        with self._lock:
            if self._release():
                self.freed = self._day

    def lose(self) -> None:
        """Left behind, and nobody knows what it used: what is held for it is booked, since it may be billed.

        When nothing is held, its tokens count as none and the usd of its accounts as unknown.
        """
        booked = self._worst or Worst(0, None)
        if self.charge(booked.tokens, booked.usd):
            self.lost = self._worst

    def _release(self) -> bool:
        was_open, self._open = self._open, False
        if was_open:
            self._add_held(-1)
        return was_open

    def _add_held(self, sign: int) -> None:
        if self._worst is None:
            return
        for account in self._accounts:
            account.held["tokens"] += sign * self._worst.tokens
            account.held["usd"] += sign * (self._worst.usd or 0.0)


def first_refusal(
    accounts: Sequence[Account], kinds: Sequence[str], worst: Worst | None = None
) -> LimitExceeded | None:  # fmt: skip
    """Why a step that needs room under each of `kinds`, and `worst` on top, may not start; None when it may."""
    for account in accounts:
        for kind in kinds:
            if error := account.refuses(kind):
                return error
        for kind, most in (("tokens", worst.tokens), ("usd", worst.usd)) if worst else ():
            if most is not None and (error := account.has_no_room(kind, most)):
                return error
    return None


def amount(kind: str, value: float, *, unit: bool = True) -> str:
    """3,210 tokens · $0.042"""
    if kind == "usd":
        return f"${value:,.2f}" if value >= 1 or value == round(value, 2) else f"${figure(value)}"
    return counted(value, "tokens") if unit else figure(value)
