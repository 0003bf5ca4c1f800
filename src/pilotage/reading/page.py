"""Reading a page: its main text, what it says about itself, its links, and what it hides from its readers.

Nothing is executed and nothing is fetched besides the page itself. A site profile (web.sites) says where things stand
on the pages of one domain; where it does not fit, the general reader goes on.
Not covered: text that a script draws, text in pictures, pages behind a login.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pilotage.errors import ConfigError, ToolError
from pilotage.guard.fence import clean
from pilotage.guard.hosts import read_host
from pilotage.reading import extractor, hidden, maintext
from pilotage.reading.charset import decode
from pilotage.reading.documents import READERS, Block, Document, squeeze
from pilotage.reading.html import Piece, compose, pieces
from pilotage.reading.metadata import About, Link, about, as_author, iso_date, links
from pilotage.reading.tree import BLOCKS, Tree, parse
from pilotage.spec import SiteSpec, WebSpec
from pilotage.web.content import is_binary

if TYPE_CHECKING:
    from pilotage.web.fetch import Fetcher

__all__ = ["ACCEPT", "Link", "Page", "check_sites", "fetch_page", "read", "read_file"]

ACCEPT = ("text/html", "application/xhtml+xml", "text/plain")
_MARKUP = re.compile(
    rf"<(?:!doctype|head|meta|title|link|script|style|span|a|b|i|br|img|{'|'.join(BLOCKS)})\b[^<>]*>", re.I
)
_PARAGRAPH = re.compile(r"[^\n]*\S[^\n]*(?:\n[^\n]*\S[^\n]*)*")
WHOLE = 0.6  # trafilatura's text counts when it is at least so long against our own; it drops parts of some pages
LONGEST_TITLE = 100  # characters of a title made of an address or a line
SAVED = (".html", ".htm", ".xhtml", ".txt")  # endings of saved pages
NAMING = "name an .html or .html.gz file, or an address with https://"
_HINT = "correct it in config/pilotage.yaml"


@dataclass(frozen=True)
class Page:
    """A page as it was read. `text` is that of `document`; `sha256` is that of the bytes; `hidden` did not reach it.

    `notes` say what of the site's profile did not fit. `read_at` is when it was fetched, in seconds since 1970.
    """

    url: str
    title: str
    author: str
    published: str
    canonical: str
    text: str
    links: list[Link]
    sha256: str
    fields: dict[str, str]
    hidden: list[str]
    document: Document
    extractor: str
    notes: list[str] = field(default_factory=list)
    read_at: float = 0.0


def fetch_page(url: str, fetcher: Fetcher, spec: WebSpec, allow: Callable[[str], str]) -> Page:
    """Fetch and read a page. ToolError in one sentence when it may not, cannot or need not be read."""
    found = fetcher.fetch(url, accept=ACCEPT, allow=allow, cached=True)
    try:
        page = read(found.body, found.url, content_type=found.content_type, charset=found.charset, spec=spec)
    except ToolError:
        fetcher.forget(found)
        raise
    return replace(page, read_at=found.read_at)


def read_file(path: Path, spec: WebSpec) -> Page:
    """Read a saved page, FILE.html or FILE.html.gz; its address is the canonical one that it names.

    ToolError for a file that is no page, by its ending or its bytes.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in READERS and ending not in SAVED:
        raise _no_html(path, ending)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            body = file.read(spec.bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ToolError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if is_binary(body):
        raise _no_html(path, ending)
    if len(body) > spec.bytes:
        raise ToolError(f"{path} is larger than {spec.bytes:,} bytes (web.bytes)")
    page = read(body, "", spec=spec, name=str(path))
    return page if not page.canonical else read(body, page.canonical, spec=spec, name=str(path))


def read(body: bytes, url: str, *, content_type: str = "", charset: str = "", spec: WebSpec, name: str = "") -> Page:
    """Read HTML or plain text; `name` stands in errors for an address. ToolError when there is nothing to read."""
    text = decode(body, charset)
    if not _is_markup(text, content_type):
        page = _plain(text, url, body, name)
    else:
        try:
            page = _Reader(parse(text), url, spec).page(body)
        except ValueError as error:
            raise ToolError(f"{name or url} {error}") from None
    if not page.text.strip():
        raise ToolError(f"{name or url} has no text to read; it may be drawn by a script")
    return page


def check_sites(spec: WebSpec) -> None:
    """ConfigError when a key of web.sites is no host or a selector no CSS, or the extractor is not installed."""
    for domain, site in spec.sites.items():
        _check_domain(domain)
        single = [(key, getattr(site, key)) for key in ("content", "title", "author", "published")]
        several = [("drop", selector) for selector in site.drop]
        fields = [(f"fields.{key}", selector) for key, selector in site.fields.items()]
        for key, selector in [*single, *several, *fields]:
            if selector is not None:
                _check_selector(selector, f"web.sites.{domain}.{key}")
    if spec.extractor == "trafilatura" and not extractor.installed():
        raise ConfigError("web.extractor is trafilatura, which is not installed", hint="uv sync --extra pages, or bs4")


def _check_domain(domain: str) -> None:
    """A key that is written as no address has its host would never be found."""
    host = read_host(f"[{domain}]" if domain.count(":") > 1 and "/" not in domain and "[" not in domain else domain)
    if host and host.name == domain.lower():
        return
    meant = read_host(domain.removeprefix("*."))
    hint = f'write "{meant.name}": it counts for every port and path and for what is below' if meant else _HINT
    raise ConfigError(f'web.sites: "{domain}" is no bare host', hint=hint)


def _no_html(path: Path, ending: str) -> ToolError:
    return ToolError(
        f"{path} is no HTML", hint="put it into knowledge/" if ending in READERS.keys() - SAVED else NAMING
    )


def _check_selector(selector: str, key: str) -> None:
    import soupsieve

    try:
        soupsieve.compile(selector)
    except (soupsieve.SelectorSyntaxError, NotImplementedError, RecursionError):
        raise ConfigError(f'"{selector}" is no CSS selector ({key})', hint=_HINT) from None


def _is_markup(text: str, content_type: str) -> bool:
    if "html" in content_type or "xml" in content_type:
        return True
    return not content_type.startswith("text/plain") and bool(_MARKUP.search(text[:5_000]))


def _plain(text: str, url: str, body: bytes, name: str) -> Page:
    text = clean(text)
    blocks = [Block("prose", "", *match.span()) for match in _PARAGRAPH.finditer(text)]
    title = _name(url) or squeeze(Path(name).name) or text.strip().partition("\n")[0]
    title = title[:LONGEST_TITLE]
    digest = hashlib.sha256(body).hexdigest()
    return Page(url, title, "", "", "", text, [], digest, {}, [], Document(title, text, blocks), "text")


def _name(url: str) -> str:
    """The last part of an address, or its host: what a text without a title is called."""
    parts = urlsplit(url)
    return squeeze(unquote(parts.path.rstrip("/").rpartition("/")[2])) or parts.netloc


@dataclass
class _Reader:
    """One page while it is read."""

    tree: Tree
    url: str
    spec: WebSpec
    notes: list[str] = field(default_factory=list)

    def page(self, body: bytes) -> Page:
        hidden.mark(self.tree)
        unseen = hidden.texts(self.tree)
        facts, site = about(self.tree, self.url), _site(self.url, self.spec)
        self._drop(site)
        found, by = self._pieces(site)
        text, blocks = compose(found)
        facts = self._corrected(facts, site)
        fields = {
            name: value for name, selector in site.fields.items() if (value := self._value(selector, f"fields.{name}"))
        }
        return Page(
            self.url, facts.title, facts.author, facts.published, facts.canonical, text,
            links(self.tree, found, self.url), hashlib.sha256(body).hexdigest(), fields, unseen,
            Document(facts.title, text, blocks), by, self.notes,
        )  # fmt: skip

    def _drop(self, site: SiteSpec) -> None:
        for selector in site.drop:
            for number in self._select(selector, "drop"):
                self.tree.nodes[number].hidden = "dropped"

    def _pieces(self, site: SiteSpec) -> tuple[list[Piece], str]:
        if site.content:
            if found := self._of_profile(site.content):
                return found, "profile"
            self._note("content", site.content)
        own = maintext.choose(self.tree)
        other = extractor.extract(self.tree) if self.spec.extractor != "bs4" else []
        is_whole = _length(other) >= WHOLE * _length(own)
        return (other, "trafilatura") if other and is_whole else (own, "bs4")

    def _of_profile(self, selector: str) -> list[Piece]:
        found, stop = list[Piece](), 0
        for number in self._select(selector, "content"):
            if number >= stop:  # not inside the one before
                found += pieces(self.tree, number)
                stop = self.tree.nodes[number].stop
        return found

    def _corrected(self, facts: About, site: SiteSpec) -> About:
        title, author, published = (self._value(getattr(site, key), key) for key in ("title", "author", "published"))
        return About(
            title or facts.title,
            as_author(author) or facts.author,
            iso_date(published) or facts.published,
            facts.canonical,
        )

    def _value(self, selector: str | None, key: str) -> str:
        """The text of the first element that matches, or what a <meta> or <time> of that name says."""
        if not selector:
            return ""
        visible = self._select(selector, key)
        tag = self.tree.soup.select_one(selector)
        if visible:
            attrs = self.tree.nodes[visible[0]].attrs
            return clean(attrs.get("datetime", "") or self.tree.text(visible[0]))
        if tag is not None and tag.name == "meta":
            return clean(str(tag.get("content", "")))
        self._note(key, selector)
        return ""

    def _note(self, key: str, selector: str) -> None:
        self.notes.append(f'web.sites.{_domain(self.url, self.spec)}.{key} "{selector}" matches nothing here')

    def _select(self, selector: str, key: str) -> list[int]:
        _check_selector(selector, f"web.sites.{_domain(self.url, self.spec)}.{key}")
        return self.tree.select(selector)


def _domain(url: str, spec: WebSpec) -> str:
    """The key of web.sites that the address falls under; the longest one counts."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    fitting = [name for name in spec.sites if host == name.lower() or host.endswith("." + name.lower())]
    return max(fitting, key=len, default="")


def _site(url: str, spec: WebSpec) -> SiteSpec:
    return spec.sites.get(_domain(url, spec), SiteSpec())


def _length(found: list[Piece]) -> int:
    return sum(len(piece.text) for piece in found)
