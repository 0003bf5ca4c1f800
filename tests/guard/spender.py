"""A process that spends from the budget of a day, as the door does, until it is stopped: see test_daily.py.

python -m tests.guard.spender STORE CAP strict|loose: says "ready", waits for a line, then prints why it ended.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from pilotage.errors import LimitExceeded
from pilotage.guard.limits import Meter, Worst
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.spec import LimitSpec

WORST = 0.05  # US dollars


def main(store: str, cap: str, kind: str) -> None:
    journal = Journal(open_store(Path(store)), Redactor({}))
    limits = LimitSpec(usd_per_day=float(cap), strict_budget=kind == "strict", usd=1e6, tokens=10**9, model_calls=10**6)
    meter = Meter(limits, journal)
    journal.append("run_started", {"question": "q"}, model="m", until=time.time() + 300)
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            hold = meter.before_model_call("ann", worst=Worst(10, WORST))
        except LimitExceeded as error:
            print(error, flush=True)
            return
        time.sleep(0.001)
        usd = round(random.uniform(0.2, 1) * WORST, 6)
        hold.charge(10, usd)
        journal.append_call({}, hold.freed, agent="ann", model="m", usd=usd, prompt_tokens=10)


if __name__ == "__main__":
    main(*sys.argv[1:])
