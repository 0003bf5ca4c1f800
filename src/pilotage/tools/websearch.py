"""search_web: a search engine's results, through CrewAI's own tool for the engine whose key is set.

The tool knows the engine's address, its parameters and its answer; the request goes through the guarded fetch, which
ends it in time. What was asked before comes from the fetcher's cache, if it has one.
What is not covered: the engine sees the query.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Mapping
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pilotage.errors import ToolError
from pilotage.guard.fence import clean
from pilotage.spec import WebSpec
from pilotage.tools.environment import hiding

if TYPE_CHECKING:
    from pilotage.web.fetch import Fetcher

KEYS = {"SERPER_API_KEY": "SerperDevTool", "BRAVE_API_KEY": "BraveWebSearchTool"}
SECONDS = 15.0
LONGEST_QUERY = 400  # characters; Brave takes no more
LONGEST_TITLE, LONGEST_SNIPPET, LONGEST_LINK = 300, 1_000, 2_000
SAYS = {
    401: "the key in {key} was refused",
    403: "the key in {key} was refused",
    402: "the quota of {key} is used up",
    429: "the quota of {key} is used up, or there were too many searches at once",
}

Request = Callable[..., Any]  # url, method, headers, json -> what the engine's JSON says


def available(environment: Mapping[str, str] = os.environ) -> str:
    """The name of the first key in KEYS that is set, or nothing."""
    return next((key for key in KEYS if environment.get(key, "").strip()), "")


def web_search(
    environment: Mapping[str, str] = os.environ, limit: int = 8, fetcher: Fetcher | None = None
) -> Callable[[str], dict[str, Any]]:
    """The tool search_web. CrewAI's tools are imported when it is called: that takes a second."""

    def search_web(query: str) -> dict[str, Any]:
        """Search the web. Returns results: title, link and snippet. A snippet is a hint: open the link to quote it."""
        key = available(environment)
        if not key:
            raise ToolError(f"no search engine is set up: set {' or '.join(KEYS)}")
        words = " ".join(clean(query).split())
        if not words or len(words) > LONGEST_QUERY:
            raise ToolError(f"a search takes 1 to {LONGEST_QUERY} characters, not {len(words):,}")
        cache, engine = fetcher.cache if fetcher else None, KEYS[key]
        if cache and (known := cache.search(engine, words, limit=limit)) is not None:
            return {"results": known}
        results = _results(_ask(key, words, environment[key].strip(), limit, fetcher))[:limit]
        if cache:
            cache.keep_search(results, engine, words, limit=limit)
        return {"results": results}

    return search_web


def _ask(key: str, words: str, secret: str, limit: int, fetcher: Fetcher | None) -> Any:
    """What CrewAI's tool makes of the engine's answer; every failure is one sentence without the key."""
    try:
        return _ENGINES[key](words, secret, limit, lambda url, **sent: _request(fetcher, url, **sent))
    except ToolError as error:
        status = re.search(r" answered (\d{3})", str(error))
        said = SAYS.get(int(status[1]) if status else 0, "").format(key=key)
        raise ToolError(f"the search failed: {hiding([secret])(said or str(error))}") from None
    except Exception as error:  # the answer has another shape than CrewAI's tool expects
        raise ToolError(f"the search failed: its answer cannot be read ({type(error).__name__})") from None


def _request(fetcher: Fetcher | None, url: str, **sent: Any) -> Any:
    from pilotage.web.fetch import Fetcher

    fetcher = fetcher or Fetcher(WebSpec(seconds=SECONDS, redirects=0))
    return loads(fetcher.fetch(url, accept=("application/json",), robots=False, **sent).body)


def _serper(words: str, secret: str, limit: int, request: Request) -> Any:
    from crewai_tools import SerperDevTool

    class Serper(SerperDevTool):
        def _make_api_request(self, search_query: str, search_type: str) -> Any:
            sent = {"q": search_query, "num": self.n_results}
            url = self._get_search_url(search_type)
            return request(url, method="POST", headers={"X-API-KEY": secret}, json=sent)

    return Serper(n_results=limit).run(search_query=words)["organic"]


def _brave(words: str, secret: str, limit: int, request: Request) -> Any:
    from crewai_tools import BraveWebSearchTool

    class Brave(BraveWebSearchTool):
        def _make_request(self, params: dict[str, Any], *, _max_retries: int = 1) -> Any:
            return request(f"{self.search_url}?{urlencode(params)}", headers=self.headers)

    brave: Any = Brave  # its signature is not pydantic's
    return brave(api_key=secret, n_results=min(limit, 20)).run(q=words)


_ENGINES = {"SERPER_API_KEY": _serper, "BRAVE_API_KEY": _brave}


def _results(found: Any) -> list[dict[str, str]]:
    results = []
    for item in found:
        link = str(item.get("link") or item.get("url") or "").strip()
        snippet = item.get("snippet") or " … ".join(map(str, item.get("snippets") or []))
        if _is_link(link):
            title = _line(item.get("title"), LONGEST_TITLE)
            results.append({"title": title, "link": link, "snippet": _line(snippet, LONGEST_SNIPPET)})
    return results


def _is_link(link: str) -> bool:
    try:
        parts = urlsplit(link)
        readable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
    return readable and len(link) <= LONGEST_LINK and link == clean(link) and not re.search(r"\s", link)


def _line(text: Any, longest: int) -> str:
    """Plain text in one line: the engines mark what they found with tags."""
    plain = html.unescape(re.sub(r"</?(?:strong|b|em|i)>", "", str(text or "")))
    line = " ".join(clean(plain).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
