"""A call in a thread of its own, and whoever waits for it: until it has an outcome, its time is over, or the run ends.

What is not covered: the thread itself, which Python cannot kill.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

T = TypeVar("T")
Outcome = Future[tuple[T, float]]  # the call's result, and when it came


class EndedMeanwhile(Exception):
    """Put in place of a call's outcome when the run ends."""


class Late(Exception):
    """The time is over and the call is still under way."""


def start(call: Callable[[], T], outcome: Outcome[T], name: str) -> None:
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(call)
        except BaseException as error:
            fail(outcome, error)
        else:
            with contextlib.suppress(InvalidStateError):
                outcome.set_result((result, time.monotonic()))

    threading.Thread(target=work, name=name, daemon=True).start()


def wait_for(outcome: Future[T], seconds: float) -> T:
    """The outcome; Late when it is not there in time. A TimeoutError of the call itself goes through."""
    try:
        return outcome.result(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))
    except TimeoutError:
        if not outcome.done():
            raise Late from None
        return outcome.result()


def fail(outcome: Future[Any], error: BaseException) -> None:
    """Give the call up, unless its outcome is there already."""
    with contextlib.suppress(InvalidStateError):
        outcome.set_exception(error)
