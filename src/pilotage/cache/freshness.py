"""What an HTTP answer says about being kept (RFC 9111): whether it may be, and for how long it is good unasked.

The answer's own word counts where it is stricter than the settings; that a page may be kept longer changes nothing.
What is not covered: s-maxage and the rest that is meant for shared caches only, besides `private`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

Header = Callable[[str], str]
"""The value of a header by its name, "" when it is absent."""

DIRECTIVE = re.compile(r'([\w-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,;]*)))?')
CONDITIONS = {"etag": "If-None-Match", "modified": "If-Modified-Since"}


@dataclass(frozen=True)
class Terms:
    """On what terms an answer may be kept. `seconds` is None when it does not say how long it is good."""

    may_keep: bool = True
    seconds: float | None = None

    def __and__(self, other: Terms) -> Terms:
        """The terms of a way through several answers."""
        said = [seconds for seconds in (self.seconds, other.seconds) if seconds is not None]
        return Terms(self.may_keep and other.may_keep, min(said, default=None))


def terms_of(header: Header) -> Terms:
    """The terms that an answer's headers state."""
    said = _directives(header("Cache-Control"))
    if not said and "no-cache" in _directives(header("Pragma")):
        said = {"no-cache": ""}
    varies = "*" in header("Vary")  # else on headers that we always send alike, or never
    if "no-store" in said or "private" in said or varies:
        return Terms(may_keep=False)
    if "no-cache" in said:
        return Terms(seconds=0.0)
    return Terms(seconds=_seconds(said, header))


def validators(header: Header) -> dict[str, str]:
    """What a later request can ask whether the page has changed by; {} when it has to be read anew."""
    found = {"etag": header("ETag"), "modified": header("Last-Modified")}
    return {name: value for name, value in found.items() if value and value.isascii() and value.isprintable()}


def conditions(kept: dict[str, str]) -> dict[str, str]:
    """The headers of a request that wants the page only if it has changed."""
    return {CONDITIONS[name]: value for name, value in kept.items() if name in CONDITIONS}


def _seconds(said: dict[str, str], header: Header) -> float | None:
    """For how long from now the answer is good by its own word; None when it says nothing."""
    if "max-age" in said:
        age = _whole(header("Age")) or 0.0
        return max(0.0, (_whole(said["max-age"]) or 0.0) - age)
    if not (expires := header("Expires")):
        return None
    until, since = _moment(expires), _moment(header("Date"))
    if until is None:  # "0" and all that is no date: expired already
        return 0.0
    return max(0.0, until - (time.time() if since is None else since))


def _directives(text: str) -> dict[str, str]:
    return {name.lower(): quoted or bare for name, quoted, bare in DIRECTIVE.findall(text)}


def _whole(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
