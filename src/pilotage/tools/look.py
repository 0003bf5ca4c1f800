"""One page by itself, for `pilotage page`: the reader, the guard and the policy of a run, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotage.errors import ConfigError
from pilotage.guard.fence import suspects
from pilotage.guard.policy import PAGES, Policy, hosts_in
from pilotage.reading.page import Page, check_sites, fetch_page, read_file
from pilotage.settings import Settings
from pilotage.web.fetch import Fetcher


def look(target: str, settings: Settings) -> dict[str, Any]:
    """What the page reader makes of an address or an HTML file.

    ToolError when it is refused or cannot be read, ConfigError when there is no such file.
    """
    check_sites(settings.engine.web)
    page = _fetched(target, settings) if "://" in target else _from_file(Path(target), settings)
    return {
        "url": page.url, "title": page.title, "author": page.author, "published": page.published,
        "canonical": page.canonical, "text": page.text,
        "links": [{"text": link.text, "url": link.url} for link in page.links],
        "fields": page.fields, "sha256": page.sha256, "extractor": page.extractor,
        "suspicious": [excerpt for text in (page.text, *page.hidden) for excerpt in suspects(text)],
    }  # fmt: skip


def _fetched(url: str, settings: Settings) -> Page:
    spec = settings.engine
    policy = Policy(spec.policy, settings.root, {}, [*hosts_in(url), *spec.web.sites])
    fetcher = Fetcher(spec.web, private_hosts=spec.policy.allow_private_hosts)
    return fetch_page(url, fetcher, spec.web, lambda hop: policy.denies_url(PAGES, hop))


def _from_file(path: Path, settings: Settings) -> Page:
    if not path.is_file():
        raise ConfigError(f"{path} is no file", hint="name an .html or .html.gz file, or an address with https://")
    return read_file(path, settings.engine.web)
