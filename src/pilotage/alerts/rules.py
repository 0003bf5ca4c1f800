"""What a rule watches: its metric over one run, over the last N runs, or over minutes, hours or days.

over run       usd, seconds, tokens, model_calls, tool_calls, errors, loops, budget_share (largest share of a run's cap)
over 20 runs   failure_rate (limited, failed or rejected), loop_rate, usd (sum), seconds (95th percentile)
over 24 hours  the same, and runs (their number)

What does not fit together is a ConfigError, as is a rule that can never fire. What is not covered: whether an address
that a webhook names exists; `pilotage alerts test --send` finds out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pilotage.errors import ConfigError
from pilotage.record.redact import MARK
from pilotage.settings import CONFIG
from pilotage.spec import AlertRule, AlertSpec
from pilotage.tools.environment import REFERENCE, check_references, fill

OF_A_RUN = ("usd", "seconds", "tokens", "model_calls", "tool_calls", "errors", "loops", "budget_share")
OF_RUNS = ("failure_rate", "loop_rate", "usd", "seconds")
OF_A_TIME = (*OF_RUNS, "runs")
SHARES = ("failure_rate", "loop_rate", "budget_share")  # from 0 to 1
UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
WRITTEN = re.compile(r"(\d{1,6})\s+(run|minute|hour|day)s?")

HOST = re.compile(r"(https?://)(?:[^/?#]*@)?([^/?#@]*)", re.IGNORECASE)
WHOLE_REFERENCE = re.compile(r"\$\{\w+\}")


@dataclass(frozen=True)
class Window:
    """What a rule looks at: `runs` last runs, or the last `seconds`; one run when both are 0."""

    runs: int = 0
    seconds: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are known for it."""
        return OF_A_TIME if self.seconds else OF_RUNS if self.runs else OF_A_RUN


ONE_RUN = Window()


def window_of(over: str) -> Window | None:
    """`over` as it was meant, None when it is no window.

    >>> window_of("24 hours")
    Window(runs=0, seconds=86400.0)
    """
    if over.strip() == "run":
        return ONE_RUN
    written = WRITTEN.fullmatch(over.strip())
    if not written or not int(written[1]):
        return None
    count, unit = int(written[1]), written[2]
    return Window(runs=count) if unit == "run" else Window(seconds=count * UNITS[unit])


def check_alerts(spec: AlertSpec, environment: Mapping[str, str]) -> None:
    """ConfigError, naming the key, for a rule that cannot be watched or a webhook that cannot be reached."""
    for name, rule in spec.rules.items():
        if not name.strip() or not name.isprintable():
            problem = f"alerts.rules: the name {name!a} is empty or holds a character that cannot be printed"
            raise ConfigError(problem, hint="letters, digits and dashes make a name")
        _check_rule(f"alerts.rules.{name}", rule)
        if "webhook" in rule.to and not spec.webhook:
            problem = f"alerts.rules.{name}.to names the webhook, and alerts.webhook is not set"
            raise ConfigError(problem, hint=f"set alerts.webhook in {CONFIG} to the address of a JSON POST")
    if any("webhook" in rule.to for rule in spec.rules.values()):
        webhook_address(spec, environment)


def webhook_address(spec: AlertSpec, environment: Mapping[str, str]) -> str:
    """The address with what ${NAME} stands for, which no message repeats."""
    check_references(spec.webhook, environment, "alerts.webhook")
    if "${" in REFERENCE.sub("", spec.webhook or ""):
        raise ConfigError("alerts.webhook holds a ${ that names no variable", hint="write ${NAME}, with its }")
    address = fill(spec.webhook or "", environment).strip()
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        problem = "alerts.webhook is no address that begins with https:// or http://"
        raise ConfigError(problem, hint=f"change alerts.webhook in {CONFIG}, or the variable that it names")
    return address


def shown_address(address: str | None) -> str | None:
    """The webhook as a record or a report may hold it: its path can be a secret.

    >>> shown_address("https://hooks.example.org/T0/B1/x"), shown_address("${TEAM_HOOK}")
    ('https://hooks.example.org/[redacted]', '${TEAM_HOOK}')
    """
    if not address or WHOLE_REFERENCE.fullmatch(address.strip()):
        return address
    start = HOST.match(address.strip())
    return f"{start[1]}{start[2]}/{MARK}" if start else MARK


def _check_rule(key: str, rule: AlertRule) -> None:
    window = window_of(rule.over)
    if window is None:
        problem = f'{key}.over is "{rule.over}", which is no window'
        raise ConfigError(problem, hint="run, or a number of runs, minutes, hours or days, such as 24 hours")
    if rule.when not in window.metrics:
        problem = f'{key}.when is {rule.when}, which is not known over "{rule.over}"'
        raise ConfigError(problem, hint=f'over "{rule.over}": {", ".join(window.metrics)}')
    if rule.when in SHARES and rule.above >= 1:
        problem = f"{key}.above is {rule.above:g}, and {rule.when} is a share, which is never above 1"
        raise ConfigError(problem, hint="write 20 % as 0.2")
