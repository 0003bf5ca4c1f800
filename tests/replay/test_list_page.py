"""The list of sessions, statistics and alerts in a real browser: keys, filters, live rows, themes, narrow screens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pilotage.collector.tokens import Tokens
from pilotage.record.journal import Journal
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.settings import Settings
from tests.support.browser import Watched, faults_of_access, is_here, opened
from tests.support.pages import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS = "tr[data-run]"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 740}
PAGES = {
    "sessions": "/?per_page=12", "none": "/?q=nothing+at+all&tag=nightly", "statistics": "/statistics?range=day",
    "alerts": "/alerts",
}  # fmt: skip


@pytest.fixture(scope="module")
def locked(demo: Settings) -> Iterator[str]:
    with serving(demo, Tokens(read="the token of this test")) as url:
        yield url


def run_of(page: Page) -> str:
    return str(page.locator("tr.at").get_attribute("data-run"))


# --- keys


def test_slash_searches_and_escape_leaves_the_field(page: Page, url: str) -> None:
    page.goto(url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("looping")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=looping")
    assert page.locator(ROWS).count() > 0
    assert all("looping" in text for text in page.locator(".question a").all_inner_texts())
    page.locator("#q").press("Escape")
    page.keyboard.press("j")
    assert page.locator("tr.at").count() == 1


def test_j_and_k_move_and_enter_opens(page: Page, url: str) -> None:
    page.goto(url)
    runs = [row.get_attribute("data-run") for row in page.locator(ROWS).all()]
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert run_of(page) == runs[1]
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert run_of(page) == runs[0]  # it does not leave the list
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/sessions/{runs[0]}*")


def test_who_comes_back_finds_the_mark_where_it_was(page: Page, url: str) -> None:
    page.goto(url)
    for _ in range(3):
        page.keyboard.press("j")
    run = run_of(page)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/sessions/{run}*")
    page.get_by_role("link", name="Sessions").first.click()
    page.wait_for_url(url + "/")
    assert run_of(page) == run
    assert page.evaluate("document.activeElement.closest('tr').dataset.run") == run
    page.keyboard.press("j")
    assert run_of(page) != run


def test_long_names_stay_in_their_place(browser: Browser, load: Callable[..., Settings]) -> None:
    settings, long = load(), "W" * 400
    engine = open_store(settings.store)
    journal = start(engine, long)
    for agent in (long, ""):
        journal.append("model_call", {"answer": long}, agent=agent, model=long, task=long, usd=0.0000752, seconds=102)
    journal.append(
        "run_ended", {"reason": long, "answer": long}, outcome=long[:16], seconds=1.0, tokens=5, usd=0.0000752
    )
    with serving(settings) as url:
        for viewport in (WIDE, NARROW):
            with opened(browser, viewport=viewport) as watched:
                for path in ("/", "/?agent=" + long, "/statistics?range=day", f"/sessions/{journal.run}"):
                    watched.page.goto(url + path)
                    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
                    assert not faults_of_access(watched.page), path
                watched.page.goto(url)
                assert watched.page.locator("td[data-name=cost] .figure").inner_text() == "<$0.0001"
                assert watched.page.locator("#f-agent option").count() == 2  # any, and the one with a name
    engine.dispose()


def test_a_click_anywhere_on_a_row_opens_it(page: Page, url: str) -> None:
    page.goto(url)
    row = page.locator(ROWS).nth(4)
    run = row.get_attribute("data-run")
    row.locator("td").nth(6).click()
    page.wait_for_url(f"**/sessions/{run}*")


# --- filters, order, pages


def test_a_filter_applies_at_once_and_leaves_a_clean_address(page: Page, url: str) -> None:
    page.goto(url)
    page.select_option("#f-outcome", "limited")
    page.wait_for_url(f"{url}/?outcome=limited")
    assert set(page.locator(".badge").all_inner_texts()) == {"limited"}
    page.go_back()
    assert page.locator("#q").is_enabled()


def test_a_heading_sorts(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="Tokens").click()
    page.wait_for_url("**/?sort=tokens&order=down")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Tokens")
    page.get_by_role("link", name="Tokens").click()
    page.wait_for_url("**/?sort=tokens&order=up")
    assert page.locator("th[aria-sort=ascending]").count() == 1


def test_pages_follow_each_other(page: Page, url: str) -> None:
    page.goto(url)
    first = page.locator(ROWS).first.get_attribute("data-run")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**/?page=2")
    assert page.locator(ROWS).first.get_attribute("data-run") != first
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url("**/?page=1")
    assert page.locator(ROWS).first.get_attribute("data-run") == first


def test_filters_work_without_javascript(browser: Browser, url: str) -> None:
    with opened(browser, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(url)
        page.select_option("#f-outcome", "failed")
        page.get_by_role("button", name="Search").click()
        assert "outcome=failed" in page.url
        assert set(page.locator(".badge").all_inner_texts()) == {"failed"}
        assert page.get_by_role("columnheader", name="Started (UTC)").is_visible()


# --- live


def test_new_and_growing_runs_appear_without_a_reload(page: Page, load: Callable[..., Settings]) -> None:
    settings = load()
    engine = open_store(settings.store)
    with serving(settings) as url:
        page.goto(url)
        assert page.get_by_role("heading", name="No sessions yet").is_visible()
        journal = start(engine, "the first question")
        page.get_by_role("link", name="the first question").wait_for()  # the page was loaded again, once
        page.evaluate("window.kept = true")
        page.keyboard.press("j")
        start(engine, "a second question")
        page.get_by_role("link", name="a second question").wait_for()
        assert run_of(page) == journal.run  # the mark and the focus stay where they were
        assert page.evaluate("document.activeElement.closest('tr').dataset.run") == journal.run
        journal.append("run_ended", {"reason": "x"}, outcome="failed", seconds=1.0, tokens=5, usd=0.0)
        page.locator(f"tr[data-run='{journal.run}'] .badge-failed").wait_for()
        assert page.evaluate("window.kept")
        assert page.locator("#total").inner_text() == "2"
    engine.dispose()


def start(engine: Any, question: str) -> Journal:
    journal = Journal(engine, Redactor())
    journal.append("run_started", {"question": question}, model="m", crew="c", until=time.time() + 60)
    return journal


def test_a_live_run_counts_its_seconds(page: Page, url: str) -> None:
    page.goto(url)
    figure = page.locator("[data-since]").first
    before = figure.inner_text()
    assert re.fullmatch(r"\d+ s|\d+ min \d\d s", before)
    page.wait_for_function("text => document.querySelector('[data-since]').textContent !== text", arg=before)


# --- looks


def test_the_theme_is_kept(browser: Browser, url: str) -> None:
    with opened(browser, color_scheme="light") as watched:
        page = watched.page
        page.goto(url)
        light = ground(page)
        button = page.locator("#theme")
        assert button.get_attribute("aria-label") == "Colours: as the system"
        button.click()
        assert ground(page) == light
        button.click()
        dark = ground(page)
        assert dark != light
        page.goto(f"{url}/statistics")
        assert ground(page) == dark
        page.emulate_media(color_scheme="dark")
        page.locator("#theme").click()
        assert page.locator("#theme").get_attribute("aria-label") == "Colours: as the system"
        assert ground(page) == dark


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_grave_fault_of_access_and_nothing_too_wide(
    browser: Browser, url: str, colours: str, viewport: dict[str, int]
) -> None:
    with opened(browser, color_scheme=colours, viewport=viewport) as watched:
        for name, path in PAGES.items():
            watched.page.goto(url + path)
            assert not faults_of_access(watched.page), name
            assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_form_and_the_error_page_have_no_grave_fault(browser: Browser, locked: str, colours: str) -> None:
    with opened(browser, color_scheme=colours, viewport=NARROW) as watched:
        sign_in(watched, locked)
        watched.page.goto(f"{locked}/nothing")
        assert not faults_of_access(watched.page)
        assert watched.faults.pop().startswith("console: Failed to load resource")  # the 404 that was asked for


def sign_in(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(f"{url}/statistics")
    assert not faults_of_access(page)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    assert not faults_of_access(page)
    assert watched.faults.pop().startswith("console: Failed to load resource")  # 403
    page.get_by_label("Token").fill("the token of this test")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Statistics").wait_for()
    assert page.get_by_role("button", name="Sign out").is_visible()


def test_narrow_screens_show_cards(browser: Browser, url: str) -> None:
    with opened(browser, viewport=NARROW) as watched:
        watched.page.goto(url)
        row = watched.page.locator(ROWS).nth(5)
        box = row.bounding_box()
        assert box is not None
        assert box["width"] > 330
        assert box["height"] > 90
        assert "cost" in str(row.locator("td[data-name=cost]").evaluate("e => getComputedStyle(e, '::before').content"))


def test_paper_shows_the_figures_and_not_the_controls(page: Page, url: str) -> None:
    page.emulate_media(media="print")
    page.goto(f"{url}/statistics")
    assert page.locator("figure table").first.is_visible()
    assert not page.locator("nav.segments").is_visible()
    page.goto(url)
    assert not page.locator("#filters").is_visible()
    assert page.locator(ROWS).first.is_visible()


def test_a_request_to_another_host_fails_its_test(browser: Browser, url: str) -> None:
    with pytest.raises(AssertionError, match="violates the following Content Security Policy"):
        ask_elsewhere(browser, url)
    assert not is_here("http://192.0.2.1/x")
    assert not is_here("https://127.0.0.1.example.org:80/")


def ask_elsewhere(browser: Browser, url: str) -> None:
    with opened(browser) as watched:
        watched.page.goto(url)
        watched.page.evaluate("fetch('http://192.0.2.1/x').catch(() => {})")
