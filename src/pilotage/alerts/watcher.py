"""Watches the rules: of one run while it goes on and at its end, of a collected session when it has ended.

Rules over one run fire as soon as they are passed, by an event or, for seconds, by the clock; rules over a window at
the end of a run, which counts. Each is an `alert` event in the journal, a row in the table `alerts`, and a delivery.
What is not covered: a process that is killed fires nothing any more.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from pilotage import report
from pilotage.alerts import daily
from pilotage.alerts.delivery import Delivery, Link, message_of
from pilotage.alerts.figures import (
    Figures,
    Reading,
    caps_of,
    ended_as,
    figures_of,
    measure,
    read_run,
    recorded_figures,
)
from pilotage.alerts.fired import claim
from pilotage.alerts.receipts import Receipts
from pilotage.alerts.rules import ONE_RUN, check_alerts, window_of
from pilotage.alerts.webhook import Webhook
from pilotage.errors import StoreError
from pilotage.record.redact import Redactor
from pilotage.record.tally import Tally
from pilotage.spec import AlertRule, AlertSpec, LimitSpec

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pilotage.record.journal import Event, Journal

Append = Callable[..., object]  # Journal.append
LATER = 0.02  # seconds after which a clock that was passed shows more than it was set to
LATE = "no answer before the end of the run (record.sink_seconds)"
AGAIN = 1.0  # seconds until a rule is judged again whose alert could not be entered: the store was locked


class Watcher:
    """The rules over one run and its windows; or, without `follow`, over the sessions of other programs.

    `warn` hears a line for each alert that did not arrive; `link` gives the address of a run for the webhook.

    Raises ConfigError for rules that cannot be watched.
    """

    def __init__(
        self, spec: AlertSpec, limits: LimitSpec, engine: Engine, redactor: Redactor,
        warn: Callable[[list[str]], object] = report.warn, *, root: Path,
        link: Link | None = None, environment: Mapping[str, str] | None = None,
        patience: Callable[[str], Webhook] = Webhook,
    ) -> None:  # fmt: skip
        self._rules, self._limits, self._engine, self._redactor = spec.rules, limits, engine, redactor
        self._warn, self._daily = warn, None if daily.NAME in spec.rules else limits.usd_per_day
        environment = os.environ if environment is None else environment
        check_alerts(spec, environment)
        self._delivery = Delivery(spec, root, environment, link, patience=patience)
        self._live = {name: rule for name, rule in spec.rules.items() if window_of(rule.over) == ONE_RUN}
        self._quiet: dict[str, float] = {}  # by rule: when it may fire again in this run
        self._append: Append | None = None
        self._run, self._started, self._question = "", 0.0, ""
        self._tally = Tally()
        self._lock = threading.Lock()
        self._clocks: list[threading.Timer] = []
        self._is_over = False
        self._receipts = Receipts(engine)

    def follow(self, journal: Journal) -> None:
        """Watch the run of `journal`. Called last of all its listeners, so that others hear events in their order."""
        if self._rules or self._daily:
            self._append = journal.append
            journal.listen(report.harmless(self.listen))

    def listen(self, event: Event) -> None:
        """Count an event; fire what is passed by it."""
        if event.kind == "alert":
            return
        with self._lock:
            self._is_over = self._is_over or event.kind == "run_ended"
            self._tally.add(event)
            if event.kind == "run_started":
                self._begin(event)
        self._judge(event.at)
        if self._daily and event.kind == "model_call" and event.facts.get("usd"):
            self._judge_day(self._daily, event.at)

    def at_end(self, outcome: str, seconds: float | None = None) -> None:
        """Judge all rules, windows included, before the end of the run is journalled. Never raises."""
        self._stop_clocks()
        if not self._rules or not self._run:
            return
        now = time.time()
        this = ended_as(self._figures(now), outcome, seconds)
        try:
            for reading in measure(self._rules, self._engine, this, now):
                self._fire(reading, this)
        except Exception as error:
            self._fail(error)
        self._is_over = True

    def session_ended(self, run: str, append: Append | None = None) -> None:
        """Judge all rules for a recorded session, from its row; `append` enters the `alert` events of its journal."""
        if self._rules:
            this = recorded_figures(self._engine, run, self._limits)
            for reading in measure(self._rules, self._engine, this, time.time()):
                self._fire(reading, this, append)

    def close(self, seconds: float) -> None:
        """Wait for the webhook, `seconds` at most; what was not delivered is one warning, and marked in the table."""
        self._stop_clocks()
        if not self._delivery.close(seconds):
            self._receipts.give_up(LATE)
        self._complain()

    def _begin(self, event: Event) -> None:
        self._run, self._started = event.run, event.at
        self._question = event.content.get("question") or ""
        for rule in self._live.values():
            after = {"seconds": rule.above, "budget_share": rule.above * self._limits.seconds}.get(rule.when)
            if after is not None and after < self._limits.seconds:
                clock = threading.Timer(after + LATER, self._tick)
                clock.daemon, clock.name = True, "pilotage-alert-clock"
                self._clocks.append(clock)
                clock.start()

    def _tick(self) -> None:
        """A moment has passed that a rule waits for."""
        try:
            self._judge(time.time())
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Who watches a run does not end it."""
        said = self._redactor.text(f"{type(error).__name__}: {error}")
        self._warn([f"the alerts could not be judged: {said}"])

    def _stop_clocks(self) -> None:
        for clock in self._clocks:
            clock.cancel()

    def _figures(self, at: float) -> Figures:
        with self._lock:
            seconds = max(0.0, at - self._started)
            caps = caps_of(self._limits)
            return figures_of(self._run, self._started, seconds, self._tally, question=self._question, caps=caps)

    def _judge(self, at: float) -> None:
        """Fire the rules over this run that are passed and may fire."""
        if self._is_over or not self._run:
            return
        this = self._figures(at)
        for name, rule in self._live.items():
            if at >= self._quiet.get(name, 0.0) and (reading := read_run(name, rule, this)):
                self._fire(reading, this)

    def _judge_day(self, cap: float, at: float) -> None:
        """Warn once a day, whichever run and process it is that has spent most of its budget."""
        if self._is_over or not self._run or at < self._quiet.get(daily.NAME, 0.0):
            return
        try:
            reading = daily.read_day(self._engine, cap, at)
        except DBAPIError:
            self._quiet[daily.NAME] = at + AGAIN
            return
        rule = daily.rule_of(cap).model_copy(update={"cool_down": daily.quiet_for(at)})
        self._fire(reading, self._figures(at), rule=rule)

    def _fire(
        self, reading: Reading, this: Figures, append: Append | None = None, rule: AlertRule | None = None
    ) -> None:  # fmt: skip
        """Enter, journal and deliver the alert, unless it is not above, or has to be quiet."""
        rule, now = rule or self._rules[reading.rule], time.time()
        if not reading.fires:
            return
        try:
            number, until = claim(self._engine, reading, this.run, now, rule.cool_down, rule.to)
        except DBAPIError:
            number, until = None, now + AGAIN
        if this.run == self._run:
            self._quiet[reading.rule] = until
        if number is not None:
            self._journal(reading, append or self._append)
            self._deliver(number, reading, this, now, rule)

    def _journal(self, reading: Reading, append: Append | None) -> None:
        facts = {"rule": reading.rule, "metric": reading.metric, "over": reading.over}
        if append:
            with contextlib.suppress(StoreError):  # the run ends by it, and says so
                append("alert", {"text": reading.text}, **facts, value=round(reading.value, 9), above=reading.above)

    def _deliver(self, number: int, reading: Reading, this: Figures, at: float, rule: AlertRule) -> None:
        channels = list(rule.to)
        self._receipts.expect(number, reading.rule, list(channels))
        message = message_of(reading, this, at, self._redactor)
        self._delivery.send(message, channels, partial(self._told, number))

    def _told(self, number: int, channel: str, reason: str) -> None:
        self._receipts.told(number, channel, reason)
        if self._append is None:  # nobody closes this soon: a collector
            self._complain()

    def _complain(self) -> None:
        if said := self._receipts.complaint():
            self._warn([said])
