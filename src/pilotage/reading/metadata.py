"""What a page says about itself: title, author, date, canonical address, links.

The visible page is believed before its meta tags, and those before JSON-LD for the title; for author and date the
machine-readable forms come first. Not covered: dates in words of other languages than English, several authors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from pilotage.guard.fence import clean
from pilotage.reading.html import Piece
from pilotage.reading.tree import Tree

LONGEST_TITLE, LONGEST_AUTHOR, LONGEST_TEXT, LONGEST_URL = 300, 100, 200, 2_000
LINKS = 500
_NODES = 100  # of a headline, a link or a byline
_LONGEST_JSON, _MOST_OBJECTS = 500_000, 2_000

_TITLES = ("og:title", "twitter:title", "dc.title", "headline")
_AUTHORS = ("author", "article:author", "parsely-author", "dc.creator", "byl", "sailthru.author", "twitter:creator")
_DATES = (
    "article:published_time", "og:article:published_time", "datepublished", "parsely-pub-date", "sailthru.date",
    "pubdate", "publishdate", "publish-date", "publication_date", "dc.date", "dc.date.issued", "dcterms.created",
    "citation_publication_date", "citation_date", "date", "article.published",
)  # fmt: skip
_SITES = ("og:site_name", "application-name", "al:iphone:app_name")
_SEPARATOR = re.compile(r"\s+(?:[|·•»–—-]|::)\s+")
_BY = re.compile(r"^\s*(?:written\s+by|by|von|par|por|di)\b[\s:]*", re.IGNORECASE)
_BYLINE = re.compile(r"\b(?:byline|author)(?:[-_]*name)?\b", re.IGNORECASE)
_NUMERIC = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)|\b(\d{4})(\d{2})(\d{2})(?!\d)")
_WORDED = re.compile(r"\b(?:(\d{1,2})\.?\s+)?([A-Z][a-z]{2,8})\.?\s+(?:(\d{1,2})(?:st|nd|rd|th)?,?\s+)?(\d{4})\b")
_EARLIEST = 1600  # a year before is a default of the page's software
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class Link:
    """A link of the page: absolute, http or https."""

    text: str
    url: str


@dataclass(frozen=True)
class About:
    """Title, author, date as YYYY-MM-DD and canonical address; "" where the page does not say."""

    title: str
    author: str
    published: str
    canonical: str


def about(tree: Tree, url: str) -> About:
    """What the page says about itself."""
    meta, data = _meta(tree), list(_json_ld(tree))
    author = _first(_name(thing.get("author")) for thing in data) or _of(meta, _AUTHORS) or _byline(tree)
    dates = [day for thing in data if isinstance(day := thing.get("datePublished"), str)]
    published = _first(map(iso_date, [_of(meta, [name]) for name in _DATES] + dates + _times(tree)))
    return About(_title(tree, meta, url), as_author(author), published, _canonical(tree, meta, url))


def links(tree: Tree, found: Iterable[Piece], url: str) -> list[Link]:
    """The visible links, those of the main text first, each address once."""
    main = {number for piece in found for number in range(piece.first, piece.last + 1)}
    base = next((tree.nodes[n].attrs.get("href", "") for n, node in enumerate(tree.nodes) if node.name == "base"), "")
    start, here = _absolute(url, base) or url, urldefrag(url).url
    inside: dict[str, str] = {}
    outside: dict[str, str] = {}
    for number in tree.visible():
        node = tree.nodes[number]
        if node.name != "a" or not node.attrs.get("href"):
            continue
        address = _absolute(start, node.attrs["href"])
        if address and urldefrag(address).url != here and (text := clean(tree.text(number, _NODES))[:LONGEST_TEXT]):
            is_main = not main.isdisjoint(range(number, min(node.stop, number + _NODES)))
            (inside if is_main else outside).setdefault(address, text)
    return [Link(text, address) for address, text in (inside | (outside | inside)).items()][:LINKS]


def as_author(text: str) -> str:
    """A name without "By"; "" for addresses and handles."""
    name = clean(_BY.sub("", " ".join(text.split()))).split(" | ")[0]
    return "" if "://" in name or name.startswith("@") or len(name) > LONGEST_AUTHOR else name.strip(" ,|·")


def iso_date(text: str) -> str:
    """The first date in a text as YYYY-MM-DD, or "".

    >>> iso_date("Tue, 19 Nov 2019 08:41:00 GMT"), iso_date("Nov. 5, 2019"), iso_date("20191131")
    ('2019-11-19', '2019-11-05', '')
    """
    text = text[:200]
    if match := _NUMERIC.search(text):
        return _iso(*(part for part in match.groups() if part))
    if match := _WORDED.search(text):
        before, month, after, year = match.groups()
        if month[:3].lower() in _MONTHS and (before or after):
            return _iso(year, str(_MONTHS.index(month[:3].lower()) + 1), before or after)
    parsed = parsedate(text)
    return _iso(*map(str, parsed[:3])) if parsed else ""


def _iso(year: str, month: str, day: str) -> str:
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return ""
    return found.isoformat() if found.year >= _EARLIEST else ""


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


def _meta(tree: Tree) -> dict[str, str]:
    """Meta tags and itemprops with a content, by name in lower case; the first of a name counts."""
    found: dict[str, str] = {}
    for node in tree.nodes:
        if node.name == "meta" and node.attrs.get("content"):
            for key in ("property", "name", "itemprop"):
                if name := node.attrs.get(key):
                    found.setdefault(name.strip().lower(), " ".join(node.attrs["content"].split()))
    return found


def _of(meta: dict[str, str], names: Iterable[str]) -> str:
    return _first(meta.get(name, "") for name in names)


def _json_ld(tree: Tree) -> Iterator[dict[str, Any]]:
    """Objects of JSON-LD that have a date or an author, articles first."""
    found = list[dict[str, Any]]()
    for number, node in enumerate(tree.nodes):
        if node.name == "script" and "ld+json" in node.attrs.get("type", "").lower():
            text = "".join(inner.text for inner in tree.nodes[number + 1 : node.stop])
            found += _objects(text)
    return iter(sorted(found, key=lambda thing: not _is_article(thing)))


def _is_article(thing: dict[str, Any]) -> bool:
    kind = thing.get("@type")
    kinds = kind if isinstance(kind, list) else [kind]
    return any(isinstance(one, str) and one.endswith(("Article", "Posting", "Report")) for one in kinds)


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        waiting = [json.loads(text[:_LONGEST_JSON], strict=False)]
    except (ValueError, RecursionError):
        return []
    found = list[dict[str, Any]]()
    for _ in range(_MOST_OBJECTS):
        if not waiting:
            break
        thing = waiting.pop(0)
        if isinstance(thing, list):
            waiting += thing[:_MOST_OBJECTS]
        elif isinstance(thing, dict):
            waiting += [value for key, value in thing.items() if key in ("@graph", "mainEntity", "mainEntityOfPage")]
            if "datePublished" in thing or "author" in thing:
                found.append(thing)
    return found


def _name(author: Any) -> str:
    """The name in JSON-LD's many forms: a text, an object, a list of either."""
    if isinstance(author, list):
        return _first(_name(one) for one in author[:5] if not isinstance(one, list))
    name = author.get("name", "") if isinstance(author, dict) else author
    return name if isinstance(name, str) else ""


def _title(tree: Tree, meta: dict[str, str], url: str) -> str:
    headlines = [tree.text(number, _NODES) for number in tree.visible() if tree.nodes[number].name == "h1"]
    in_head = _first(tree.raw(number) for number, node in enumerate(tree.nodes) if node.name == "title")
    given = _without_site((_of(meta, _TITLES) or in_head)[: 2 * LONGEST_TITLE], _of(meta, _SITES), url)
    fitting = (text for text in headlines if 2 * len(_same(text)) > len(_same(given)))  # a shorter one is the site's
    shown = _first(text for text in fitting if _same(text) in _same(f"{given} {in_head}"))
    return clean(shown or given or _first(headlines))[:LONGEST_TITLE]


def _without_site(title: str, site: str, url: str) -> str:
    """The title without the name of the site at its end or its start."""
    names = {_same(site), *(_same(label) for label in (urlsplit(url).hostname or "").split(".")[-3:-1]), _host(url)}
    parts = _SEPARATOR.split(title)
    while len(parts) > 1 and (_same(parts[-1]) in names or " | " in title):
        title = title[: title.rindex(parts.pop())].rstrip(" |·•»–—-:")
    if len(parts) > 1 and _same(parts[0]) in names:
        title = title[len(parts[0]) :].lstrip(" |·•»–—-:")
    return title


def _same(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _byline(tree: Tree) -> str:
    for number in tree.visible():
        attrs = tree.nodes[number].attrs
        if attrs and (
            "author" in attrs.get("rel", "").split() or attrs.get("itemprop") == "author" or _is_byline(attrs)
        ):
            text = tree.text(number, _NODES)
            if 3 <= len(text) <= LONGEST_AUTHOR:
                return re.split(r"\s+[|•·]\s+|,?\s+(?:on|am|le)\s+\d|\d{1,2}[:/.]\d", text)[0]
    return ""


def _is_byline(attrs: Any) -> bool:
    return any(_BYLINE.fullmatch(name) for name in attrs.get("class", "").split())


def _times(tree: Tree) -> list[str]:
    """Dates of <time>, of itemprop=datePublished first."""
    found = [(node.attrs, tree.text(number, _NODES)) for number, node in enumerate(tree.nodes)
             if node.name == "time" or node.attrs.get("itemprop") == "datePublished"]  # fmt: skip
    found.sort(key=lambda one: "pubdate" not in one[0] and one[0].get("itemprop") != "datePublished")
    return [attrs.get("datetime", "") or text for attrs, text in found[:10]]


def _canonical(tree: Tree, meta: dict[str, str], url: str) -> str:
    rel = [
        node.attrs.get("href", "") for node in tree.nodes if "canonical" in node.attrs.get("rel", "").lower().split()
    ]
    address = _absolute(url, _first(rel) or meta.get("og:url", ""))
    return address if address and (not url or _host(address) == _host(url)) else ""


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _absolute(base: str, href: str) -> str:
    """The address, or "" when it is none that can be fetched."""
    try:
        address = urljoin(base, href.strip()) if href.strip() else ""
        parts = urlsplit(address)
        return address if parts.scheme in ("http", "https") and parts.hostname and len(address) <= LONGEST_URL else ""
    except ValueError:
        return ""
