"""Politeness: seconds between two requests to one host, for all threads of a process that share a Fetcher."""

from __future__ import annotations

import threading
import time

from pilotage.web.address import Refused
from pilotage.web.connect import Deadline

LONGEST_CRAWL_DELAY = 30.0  # seconds; a robots.txt that asks for more is not followed further


class Pace:
    """When the last request to each host was made, or will be: a turn is taken before it is waited for."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._lock = threading.Lock()
        self._requests: dict[str, float] = {}
        self._pages: dict[str, float] = {}

    def wait(self, host: str, deadline: Deadline, *, crawl_delay: float | None = None) -> None:
        """Sleep until it is this request's turn; Refused when that would pass the deadline.

        `crawl_delay` is what robots.txt asks for between two pages; None for the request of robots.txt itself.
        """
        asked = min(crawl_delay or 0.0, LONGEST_CRAWL_DELAY)
        with self._lock:
            now = time.monotonic()
            own = self._requests.get(host, now - self._delay) + self._delay
            theirs = self._pages.get(host, now - asked) + asked
            turn = max(now, own, theirs)
            if turn - now >= deadline.left():
                raise Refused(_too_long(host, turn - now, deadline, self._delay, asked if theirs > own else 0.0))
            self._requests[host] = turn
            if crawl_delay is not None:
                self._pages[host] = turn
        time.sleep(turn - now)


def _too_long(host: str, wait: float, deadline: Deadline, delay: float, asked: float) -> str:
    who = f"robots.txt asks for {asked:g}" if asked else f"web.delay asks for {delay:g}"
    return (
        f"was not asked: {who} seconds between two requests to {host}, "
        f"and the wait of {wait:.1f} seconds would pass the deadline of {deadline.seconds:g} (web.seconds)"
    )
