"""A call that is waited for no longer than its time, whatever it does; what is past its time goes on in its thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """`call()` in a daemon thread; TimeoutError when it has not ended after `seconds`."""
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            result = call()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=work, name="pilotage-tool", daemon=True).start()
    return outcome.result(timeout=min(seconds, threading.TIMEOUT_MAX))
