"""A real Chromium whose every complaint is a fault: console errors, page errors, requests to another host."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
HERE = ("127.0.0.1", "localhost", "[::1]")
GRAVE = ("serious", "critical")


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser with a profile of its own. While it is open, this thread can run no other event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group dev)")
    if not shutil.which(CHROMIUM):
        pytest.skip(f"no {CHROMIUM} on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page and what went wrong on it so far; a test that provokes a fault takes it out of `faults` itself."""

    page: Page
    faults: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Watched]:
    """A page in a fresh context, such as `opened(browser, color_scheme="dark")`. Faults fail the test at its end."""
    with browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}) as context:
        watched = Watched(context.new_page())
        watch(context, watched)
        yield watched
    assert not watched.faults, watched.faults


def watch(context: BrowserContext, watched: Watched) -> None:
    def note(kind: str, text: str) -> None:
        watched.faults.append(f"{kind}: {text}")

    context.on("console", lambda message: note("console", message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: note("page", str(error.error)))
    context.on("request", lambda request: None if is_here(request.url) else note("request", request.url))


def is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("file", "data", "blob", "about") or parts.netloc.rpartition(":")[0] in HERE


def faults_of_access(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical: rule, help text and the first places."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']}: {[node['html'][:200] for node in fault['nodes'][:3]]}"
        for fault in found
        if fault["impact"] in GRAVE
    ]
