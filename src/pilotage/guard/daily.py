"""The budget of a day: what all runs on one store may spend together, whichever process they are in.

Without limits.strict_budget a call starts while anything is left of it, so that each call under way can pass it; with
it, the worst case of each call under way is held in the store, in one transaction with the check.
What is not covered: calls without a price, and what is held by a process that was killed, once its run is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pilotage.errors import LimitExceeded, StoreError
from pilotage.guard.ledger import amount
from pilotage.record.journal import Journal
from pilotage.record.spending import Held, day_of, fill, free, hold, is_filled, spent_on
from pilotage.record.store import LOCKED, UNLOCK, is_locked, trying
from pilotage.settings import CONFIG

KEY = "limits.usd_per_day"
HINT = f"raise {KEY} in {CONFIG}, or run again after midnight UTC"


class DayBudget:
    """At most `cap` US dollars a day of UTC. `until(since)` is when to give up on a locked store."""

    def __init__(self, cap: float, journal: Journal, until: Callable[[float], float]) -> None:
        self._cap, self._journal, self._until = cap, journal, until
        self._filled = ""  # the day of which all is listed that an earlier version has recorded

    def admit(self, worst: float | None = None) -> Held | None:
        """Let a call start that can cost `worst`, which is held then; None holds nothing.

        Raises LimitExceeded when nothing is left for it, StoreError when the store cannot be read.
        """
        self._fill()
        found: list[LimitExceeded | None] = []
        held = Held(day_of(time.time()), worst) if worst else None

        def check(connection: Connection) -> None:
            refusal = self._refusal(connection, worst or 0.0)
            if held and refusal is None:
                hold(connection, self._journal.run, held)
            found.append(refusal)

        self._in_store(check, writes=held is not None)
        if refusal := found[-1]:
            raise refusal
        return held

    def drop(self, held: Held) -> None:
        """The call was not made after all."""
        self._in_store(lambda connection: free(connection, self._journal.run, held))

    def _fill(self) -> None:
        """Once a day: count what an earlier version has spent today."""
        day = day_of(time.time())
        if self._filled == day:
            return
        missing: list[bool] = []
        self._in_store(lambda connection: missing.append(not is_filled(connection, day)), writes=False)
        if missing[-1]:
            self._in_store(lambda connection: fill(connection, day))
        self._filled = day

    def _refusal(self, connection: Connection, worst: float) -> LimitExceeded | None:
        now = time.time()
        spent = spent_on(connection, day_of(now), now)
        cap, taken = amount("usd", self._cap), round(spent.usd + spent.held, 9)
        if spent.usd >= self._cap:
            said = f"{amount('usd', spent.usd)} were spent today by all runs on this store"
            said += f", against the limit of {cap} ({KEY})"
            return LimitExceeded("usd_per_day", spent.usd, self._cap, key=KEY, hint=HINT, said=said)
        if not worst or round(taken + worst, 9) <= self._cap:
            return None
        left = amount("usd", max(0.0, self._cap - taken))
        said = f"the next call could use {amount('usd', worst)}, {left} are left of {cap} for today"
        said += f" and all runs on this store ({KEY}, limits.strict_budget)"
        return LimitExceeded("usd_per_day", taken + worst, self._cap, key=KEY, hint=HINT, said=said)

    def _in_store(self, work: Callable[[Connection], None], *, writes: bool = True) -> None:
        def attempt() -> None:
            with self._journal.engine.begin() as connection:
                if writes:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                work(connection)

        try:
            trying(attempt, self._until)
        except DBAPIError as error:
            if is_locked(error):
                raise StoreError(f"The journal {LOCKED}", hint=UNLOCK) from None
            raise StoreError(f"The journal cannot be read: {error.orig}", hint="check record.store") from None
