"""Pages and web searches that were read before: good for cache.page_seconds, then asked whether they have changed.

A page lies under its first address, with the redirects that led to it: whoever serves it checks each of them anew.
Kept are whole answers of status 200, unless their server forbids it or a secret stands in them or their address.
What is not covered: databases and services, which are always asked.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pilotage.cache.freshness import Terms
from pilotage.cache.served import note
from pilotage.cache.store import Entry, Store
from pilotage.record.journal import digest

PAGE, SEARCH = "page", "search"
KEPT = 30 * 86_400.0  # seconds for which a page that can be asked about outlives its time
VERSION = 1  # of the entries


@dataclass(frozen=True)
class Hop:
    """One address on the way; `private` when it was reached because policy.allow_private_hosts named its host."""

    url: str
    private: bool = False


@dataclass(frozen=True)
class Kept:
    """A page as it came. `hops` end with its own address; `read_at` is when its body came, in seconds since 1970."""

    key: str
    hops: tuple[Hop, ...]
    content_type: str
    charset: str
    read_at: float
    validators: dict[str, str] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    body: bytes = field(default=b"", repr=False)
    is_good: bool = True  # may be served unasked

    @property
    def url(self) -> str:
        return self.hops[-1].url


class PageCache:
    """Pages and searches of one process. `seconds` is how long they are served unasked; `fresh` only fills it."""

    def __init__(self, store: Store, seconds: float, *, fresh: bool = False) -> None:
        self._store, self._seconds, self.fresh = store, seconds, fresh

    @staticmethod
    def key_of(url: str, sent: Sequence[str]) -> str:
        """The key of a GET: the address and what is sent along that an answer may vary by."""
        return _hash([VERSION, url, *sent])

    def page(self, key: str) -> Kept | None:
        """The page under that key, of any age; it is good, or can be asked about."""
        if self.fresh or not (entry := self._store.get(PAGE, key, stale=True, count=False)):
            return None
        page = _read(key, entry)
        if page is None or not (page.is_good or page.validators):
            return None
        is_young = time.time() - entry.made < self._seconds  # the setting may have been lowered since
        return replace(page, is_good=page.is_good and is_young)

    def keep(self, page: Kept) -> None:
        """Keep a page that was read, if its server's terms allow it; else what was kept of it goes."""
        about, expires = self._about(page)
        if expires is None or not self._store.put(PAGE, page.key, page.body, expires=expires, extra=about):
            self._store.delete(PAGE, page.key)

    def serve(self, page: Kept) -> None:
        """The page is served without a request."""
        self._store.touch(PAGE, page.key)
        note("fresh")

    def renew(self, page: Kept) -> None:
        """The server says that the page has not changed, on terms that may have."""
        about, expires = self._about(page)
        if expires is None:
            self._store.delete(PAGE, page.key)
        else:
            self._store.renew(PAGE, page.key, expires=expires, extra=about)
            self._store.touch(PAGE, page.key)
        note("renewed")

    def forget(self, key: str) -> None:
        self._store.delete(PAGE, key)

    def search(self, engine: str, words: str, **parameters: Any) -> list[dict[str, str]] | None:
        """The results of this search, when they are young enough."""
        key = _hash([VERSION, engine, words, parameters])
        entry = None if self.fresh else self._store.get(SEARCH, key)
        if entry is None or time.time() - entry.made >= self._seconds:
            return None
        found: list[dict[str, str]] = json.loads(entry.body)
        note("fresh")
        return found

    def keep_search(self, results: list[dict[str, str]], engine: str, words: str, **parameters: Any) -> None:
        """Keep what an engine has found; neither its key nor a query with a secret in it."""
        if results and self._seconds:
            key, body = _hash([VERSION, engine, words, parameters]), json.dumps(results, ensure_ascii=False).encode()
            about = {"engine": engine, "query": words}
            self._store.put(SEARCH, key, body, expires=time.time() + self._seconds, extra=about)

    def _about(self, page: Kept) -> tuple[dict[str, Any], float | None]:
        """What is kept beside the body, and until when; None when it may not be kept, or to no use."""
        good = min(self._seconds, math.inf if page.terms.seconds is None else page.terms.seconds)
        now = time.time()
        expires = now + good + (KEPT if page.validators else 0.0)
        about = {
            "url": page.hops[0].url,
            "hops": [[hop.url, hop.private] for hop in page.hops],
            "type": page.content_type,
            "charset": page.charset,
            "read_at": page.read_at,
            "good_until": now + good,
            "seconds": page.terms.seconds,
            "validators": page.validators,
        }
        return about, expires if page.terms.may_keep and expires > now else None


def _read(key: str, entry: Entry) -> Kept | None:
    """None for an entry that another version has written."""
    about, now = entry.extra, time.time()
    try:
        hops = tuple(Hop(str(url), bool(private)) for url, private in about["hops"])
        return Kept(
            key, hops, about["type"], about["charset"], float(about["read_at"]), dict(about["validators"]),
            Terms(seconds=about["seconds"]), entry.body, entry.is_good(now) and now < about["good_until"],
        ) if hops else None  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def _hash(parts: Sequence[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return digest(text)
