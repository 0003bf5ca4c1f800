"""Who may record: with no token set anybody who reaches the port, else who presents one of them.

What is not covered: who may reach the port. The server opens an address beyond this machine only with tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

OPEN = "open"  # the bearer that a sender gets where none is asked for
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, repr=False)
class Tokens:
    """`read` lets in who reads and who records, `write` who records only. Never shown.

    >>> Tokens(write="w").may_record("w"), Tokens(write="w").may_record("x"), Tokens().may_record("")
    (True, False, True)
    """

    read: str = ""
    write: str = ""

    @property
    def is_open(self) -> bool:
        return not (self.read or self.write)

    def may_record(self, token: str) -> bool:
        is_read, is_write = is_same(token, self.read), is_same(token, self.write)  # always both
        return self.is_open or is_read or is_write

    def bearer_may_record(self, headers: Mapping[str, str]) -> bool:
        """By `Authorization: Bearer …`."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.is_open or (scheme.lower() == "bearer" and self.may_record(token.strip()))

    def is_cross_site(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser sends this from a page of another site.

        Without tokens a page whose host is not called as this machine is another site, wherever its name leads.
        """
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") == "cross-site"
        try:
            asked = urlsplit(origin)
        except ValueError:  # as http://[::1
            return True
        is_here = asked.netloc == headers.get("host") and (not self.is_open or asked.hostname in LOOPBACK)
        return not is_here


def is_same(given: str, known: str) -> bool:
    """In a time that does not tell how much of it was right; nothing is the same as no token."""
    return bool(known) and hmac.compare_digest(given.encode("utf-8", "replace"), known.encode("utf-8", "replace"))
