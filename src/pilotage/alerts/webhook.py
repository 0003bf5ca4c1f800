"""The webhook: a JSON POST to the address of the settings, tried three times, in threads that no run waits for.

Tried again: no connection, no answer in time, 429 and 5xx, after the Retry-After that the server names. A redirect is
not followed. What went wrong is said without the address, which may hold a secret. What is not covered: an alert that
the process ends before; it stays marked as not delivered, and no later run sends it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Response
    from tenacity import RetryCallState

ATTEMPTS = 3
SENDERS = 4  # threads at most: a slow webhook does not hold back what comes behind
CONNECTS, ANSWERS = 3.0, 5.0  # seconds to connect, and between two pieces of an answer
PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds before the second attempt, doubled before the third; most that is waited
TOO_MANY = 429

Told = Callable[[str], object]


class NotDelivered(Exception):
    """Why the webhook did not take it, as the end of a sentence: `answered 404`."""


class _TryAgain(NotDelivered):
    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after  # seconds that the server asks for


@dataclass(frozen=True)
class Webhook:
    """Where to POST, and how patiently."""

    address: str
    connects: float = CONNECTS
    answers: float = ANSWERS
    pause: float = PAUSE

    def post(self, payload: Mapping[str, Any]) -> None:
        """Deliver, or raise NotDelivered."""
        import tenacity

        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS), wait=self._pause,
            retry=tenacity.retry_if_exception_type(_TryAgain), reraise=True,
        ):  # fmt: skip
            with attempt:
                self._post(payload)

    def _post(self, payload: Mapping[str, Any]) -> None:
        import requests

        try:
            answer = requests.post(
                self.address, json=dict(payload), timeout=(self.connects, self.answers),
                allow_redirects=False, stream=True,
            )  # fmt: skip
        except requests.Timeout:
            raise _TryAgain("gave no answer in time") from None
        except requests.ConnectionError:
            raise _TryAgain("could not be connected") from None
        except (requests.RequestException, ValueError) as error:
            raise NotDelivered(f"could not be asked ({type(error).__name__})") from None
        with answer:  # its body is not read
            _judge(answer)

    def _pause(self, state: RetryCallState) -> float:
        raised = state.outcome.exception() if state.outcome else None
        asked = raised.after if isinstance(raised, _TryAgain) else None
        return min(LONGEST_PAUSE, self.pause * 2 ** (state.attempt_number - 1) if asked is None else asked)


def _judge(answer: Response) -> None:
    status = answer.status_code
    if status == TOO_MANY or status >= 500:
        raise _TryAgain(f"answered {status}", _asked_wait(answer.headers.get("Retry-After")))
    if 300 <= status < 400:
        raise NotDelivered(f"answered {status}, and a redirect is not followed")
    if not 200 <= status < 300:
        raise NotDelivered(f"answered {status}")


def _asked_wait(value: str | None) -> float | None:
    """Retry-After, in seconds or as a date."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


class Outbox:
    """Sends up to SENDERS at a time, in threads that begin when they are needed.

    `told` hears "" or why it did not arrive, one call at a time.
    """

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Mapping[str, Any]], Told]] = queue.SimpleQueue()
        self._open = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    def put(self, payload: Callable[[], Mapping[str, Any]], told: Told) -> None:
        """Send what `payload()` gives, which is asked for in one of the threads."""
        with self._changed:
            self._open += 1
            if len(self._threads) < min(SENDERS, self._open):
                thread = threading.Thread(target=self._work, name="pilotage-webhook", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._waiting.put((payload, told))

    def close(self, seconds: float) -> bool:
        """Wait for what is under way, so long at most; whether all of it was told. Nothing is told any more."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._open and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            self._is_closed = True
            is_done = not self._open
        for _ in self._threads:
            self._waiting.put((dict, lambda _reason: None))  # each thread sees that it is closed
        return is_done

    def _work(self) -> None:
        while True:
            payload, told = self._waiting.get()
            if self._is_closed:
                return
            reason = self._send(payload)
            with self._changed:
                if self._is_closed:
                    return
                told(reason)
                self._open -= 1
                self._changed.notify_all()

    def _send(self, payload: Callable[[], Mapping[str, Any]]) -> str:
        try:
            self._webhook.post(payload())
        except NotDelivered as error:
            return str(error)
        except Exception as error:  # whatever it is, the thread goes on; the text may hold the address
            return f"could not be asked ({type(error).__name__})"
        return ""
