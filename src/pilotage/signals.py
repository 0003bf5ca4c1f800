"""SIGINT and SIGTERM: a run ends in order, a command before or after its run ends at once.

before a run    one line, "interrupted", and nothing is started
in a run        it ends as `interrupted`, with its journal and its files
when it ended   nothing, until its last line is out; then the process ends sooner, with the exit code that stands
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotage.guard.limits import Meter

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stops:
    """What the two signals do to a command outside of a run. `code` is its exit code, once that stands."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.number: int | None = None

    def install(self) -> None:
        """Hear both from now on, in the main thread; registered first, so at the very end nobody hears them."""
        for number in NUMBERS:
            signal.signal(number, self)
        atexit.register(_ignore)

    def begin(self) -> None:
        self.code = self.number = None

    def __call__(self, number: int, _frame: Any) -> None:
        if self.code is not None:
            os._exit(self.code)
        if self.number is not None:  # the first one was lost in code that catches everything
            os.write(2, b"interrupted\n")
            os._exit(exit_code(self.number))
        self.number = number
        raise KeyboardInterrupt


STOPS = Stops()  # a process has one set of signal handlers


def exit_code(number: int) -> int:
    """130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


@contextlib.contextmanager
def signals_end(meter: Meter) -> Iterator[None]:
    """Both signals end the run as `interrupted`; when it has ended already they do nothing. Only in the main thread."""
    from pilotage.guard.limits import Ended

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: Any) -> None:
        reason = f"stopped by {signal.Signals(number).name}"
        meter.end(Ended("interrupted", reason, exit_code=exit_code(number)))

    before = {number: signal.signal(number, stop) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore() -> None:
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
