"""One alert on its way: a line on stderr, a line in the log, a POST to the webhook.

The message holds no secret: its texts have been redacted, and the webhook's address is never part of what is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pilotage.alerts.figures import Figures, Reading
from pilotage.alerts.logfile import append_line
from pilotage.alerts.rules import webhook_address
from pilotage.alerts.webhook import Outbox, Webhook
from pilotage.record.redact import Redactor
from pilotage.report import printable, say
from pilotage.spec import AlertSpec

Link = Callable[[str], str | None]
Told = Callable[[str, str], object]


@dataclass(frozen=True)
class Message:
    """What a log line and a webhook get. `text` is what Slack and compatible services show."""

    rule: str
    metric: str
    value: float
    above: float
    over: str
    run: str | None
    question: str
    outcome: str | None
    text: str
    at: float
    more: Mapping[str, Any] = field(default_factory=dict)  # "test": true

    def as_json(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "more"}
        return {**row, "value": round(self.value, 9), "at": round(self.at, 3), **self.more}


def message_of(reading: Reading, this: Figures, at: float, redactor: Redactor) -> Message:
    clean = redactor.text
    return Message(
        reading.rule, reading.metric, reading.value, reading.above, reading.over,
        this.run, clean(this.question), this.outcome, clean(f"alert {reading.text}"), at,
    )  # fmt: skip


def marked_message(rule: str, run: str | None) -> Message:
    """A marked message of `pilotage alerts test --send`; nothing has fired."""
    text = f"TEST of the alert {rule}: sent by `pilotage alerts test --send`, nothing has happened"
    return Message(rule, "test", 0.0, 0.0, "run", run, "", None, text, time.time(), {"test": True})


class Delivery:
    """Sends messages to the channels of the settings. One `Outbox` for all that goes to the webhook."""

    def __init__(
        self, spec: AlertSpec, root: Path, environment: Mapping[str, str], link: Link | None = None,
        *, patience: Callable[[str], Webhook] = Webhook,
    ) -> None:  # fmt: skip
        self._spec, self._log, self._link = spec, root / spec.log, link
        self._environment, self._patience = environment, patience
        self._outbox: Outbox | None = None

    def send(self, message: Message, channels: Iterable[str], told: Told) -> None:
        """Send; `told(channel, reason)` hears what became of it, for the webhook later, with "" when it arrived."""
        for channel in dict.fromkeys(channels):
            if channel == "terminal":
                say(printable(message.text))
                told(channel, "")
            elif channel == "log":
                told(channel, self._write(message))
            else:
                self._post(message, told)

    def close(self, seconds: float) -> bool:
        """Wait for the webhook, so long at most; whether everything was told."""
        return self._outbox is None or self._outbox.close(seconds)

    def _write(self, message: Message) -> str:
        try:
            append_line(self._log, message.as_json())
        except OSError as error:
            return f"{self._spec.log} cannot be written: {error.strerror}"
        return ""

    def _post(self, message: Message, told: Told) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self._patience(webhook_address(self._spec, self._environment)))
        self._outbox.put(lambda: message.as_json() | self._linked(message), partial(told, "webhook"))

    def _linked(self, message: Message) -> dict[str, Any]:
        """Where the run is looked at, asked for in the thread of the webhook: it may take a moment."""
        try:
            link = self._link(message.run) if self._link and message.run else None
        except Exception:  # the alert is worth more than its link
            link = None
        return {"link": link if link and link.startswith("http") else None}  # not the command that would serve it
