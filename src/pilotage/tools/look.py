"""One page by itself, for `pilotage page`: the reader, the guard and the policy of a run, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotage.errors import ConfigError
from pilotage.guard.fence import suspects
from pilotage.guard.hosts import read_host
from pilotage.guard.policy import PAGES, Policy, hosts_in
from pilotage.reading.documents import READERS
from pilotage.reading.page import NAMING, SAVED, Page, check_sites, fetch_page, read_file
from pilotage.settings import Settings
from pilotage.web.address import literal
from pilotage.web.fetch import Fetcher


def look(target: str, settings: Settings) -> dict[str, Any]:
    """What the page reader makes of an address or an HTML file.

    ToolError when it is refused or cannot be read, ConfigError when there is no such file.
    """
    if not target.strip():
        raise ConfigError("no address and no file is named", hint=NAMING)
    check_sites(settings.engine.web)
    page = _fetched(target, settings) if "://" in target else _from_file(target, settings)
    return {
        "url": page.url, "title": page.title, "author": page.author, "published": page.published,
        "canonical": page.canonical, "text": page.text,
        "links": [{"text": link.text, "url": link.url} for link in page.links],
        "fields": page.fields, "sha256": page.sha256, "extractor": page.extractor,
        "suspicious": [excerpt for text in (page.text, *page.hidden) for excerpt in suspects(text)],
        "notes": page.notes,
    }  # fmt: skip


def _fetched(url: str, settings: Settings) -> Page:
    spec = settings.engine
    policy = Policy(spec.policy, settings.root, {}, [*hosts_in(url), *spec.web.sites])
    fetcher = Fetcher(spec.web, private_hosts=spec.policy.allow_private_hosts)
    return fetch_page(url, fetcher, spec.web, lambda hop: policy.denies_url(PAGES, hop))


def _from_file(target: str, settings: Settings) -> Page:
    path = Path(target)
    if not path.is_file():
        raise ConfigError(f"{target} is no file", hint=_meant(target) or NAMING)
    return read_file(path, settings.engine.web)


def _meant(target: str) -> str:
    """The hint for an address without its scheme: `example.org/a`, not `page.html` and not `notes/page`."""
    host, name = read_host(target), target.partition("/")[0]
    if not host or Path(name).suffix.lower() in (*SAVED, *READERS, ".gz"):
        return ""
    inside = literal(host.name) is not None or host.name == "localhost"
    if not (inside or hosts_in(name)):
        return ""
    return f"for an address write {'http' if inside else 'https'}://{target}"
