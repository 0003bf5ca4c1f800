"""The one door to the open web: every request of every tool goes through `Fetcher.fetch`.

What is not covered: pages that need a browser, and services of your own that stand on a public address.
"""

from __future__ import annotations

from pilotage.web.fetch import Fetched, Fetcher

__all__ = ["Fetched", "Fetcher"]
