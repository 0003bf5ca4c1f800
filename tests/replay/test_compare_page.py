"""Runs that go on from others, on the pages: links, marks of what was served, and two sessions side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from sqlalchemy import Engine

from pilotage.again import fork, resume
from pilotage.outcome import Result
from pilotage.record.store import open_store
from pilotage.replay.export import export_html
from pilotage.run import Runner
from pilotage.settings import Settings, load
from tests.conftest import lay_out
from tests.support.browser import Watched, faults_of_access, opened
from tests.support.pages import serving
from tests.support.scripted import Scripted, good
from tests.support.sessions import HOSTILE, QUESTION, hostile, long_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 720}


@dataclass(frozen=True)
class Line:
    """A run that reached a limit, its resume, and a fork of that."""

    settings: Settings
    stopped: Result
    resumed: Result
    forked: Result


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    root = lay_out(tmp_path_factory.mktemp("line") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotage.crew.Reader.for_question", lambda _question: Scripted(good).build())
        stopped = _run(load(root, {"limits.model_calls": "3"}))
        settings = load(root)
        resumed = _run(settings, stopped.run)
        forked = _run(settings, resumed.run, at=10)
    return Line(settings, stopped, resumed, forked)


def _run(settings: Settings, parent: str = "", at: int = 0) -> Result:
    runner = Runner(settings)
    try:
        again = fork(runner.engine, parent, at) if at else resume(runner.engine, parent) if parent else None
        return runner.answer(QUESTION, again=again, fresh=True)
    finally:
        runner.close()


@pytest.fixture(scope="module")
def store(line: Line) -> Iterator[Engine]:
    engine = open_store(line.settings.store)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def url(line: Line) -> Iterator[str]:
    with serving(line.settings) as address:
        yield address


def test_a_session_leads_to_its_parent_its_children_and_the_comparison(page: Page, url: str, line: Line) -> None:
    page.goto(f"{url}/sessions/{line.resumed.run}")
    about = page.locator(".about")
    assert "(resume)" in about.inner_text()
    assert "(fork at step 10)" in about.inner_text()
    about.get_by_role("link", name=line.stopped.run).click()
    page.wait_for_url(f"**/sessions/{line.stopped.run}*")
    assert f"gone on with in {line.resumed.run} (resume)" in page.locator(".about").inner_text()
    page.goto(f"{url}/sessions/{line.resumed.run}")
    page.get_by_role("link", name="compare with it").click()
    page.wait_for_url("**/compare?*")
    assert line.stopped.run in page.locator(".lead-compare").inner_text()


def test_what_was_served_is_marked_in_the_waterfall_and_in_the_player(page: Page, url: str, line: Line) -> None:
    page.goto(f"{url}/sessions/{line.resumed.run}")
    marks = page.locator(".row .chip-kept")
    assert marks.count() == 5  # three calls of models, two of tools
    assert set(marks.all_inner_texts()) == {"from tape"}
    page.locator(".row:has(.chip-kept)").first.click()
    page.get_by_text("answered from tape").first.wait_for()
    assert "saved" in page.locator("#stage").inner_text()


def test_the_list_says_what_goes_on_from_what(page: Page, url: str, line: Line) -> None:
    page.goto(url)
    row = page.locator(f"tr[data-run='{line.resumed.run}']")
    assert line.stopped.run in row.inner_text()
    assert "5 calls from memory" in row.inner_text()


@pytest.mark.parametrize("script", [True, False])
def test_two_that_are_ticked_are_compared(browser: Browser, url: str, line: Line, script: bool) -> None:
    with opened(browser, java_script_enabled=script) as watched:
        page = watched.page
        page.goto(url)
        for run in (line.resumed.run, line.stopped.run):
            page.locator(f"tr[data-run='{run}'] input[type=checkbox]").check()
        page.get_by_role("button", name="Compare the two").click()
        page.wait_for_url("**/compare?run=*&run=*")
        page.get_by_role("heading", name="Where they part").wait_for()
        assert page.locator("tr.first").count() == 1


def test_a_tick_stays_when_the_rows_are_drawn_again(page: Page, url: str, line: Line, store: Engine) -> None:
    page.goto(url)
    box = page.locator(f"tr[data-run='{line.stopped.run}'] input[type=checkbox]")
    box.check()
    before = page.locator("tr[data-run]").count()
    long_run(store, 2)
    page.locator("tr[data-run]").nth(before).wait_for()
    assert box.is_checked()


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_comparison_looks_right_and_can_be_used_by_all(
    browser: Browser, url: str, line: Line, viewport: dict[str, int], colours: str
) -> None:
    with opened(browser, viewport=viewport, color_scheme=colours) as watched:
        for pair in ((line.stopped.run, line.resumed.run), (line.resumed.run, line.forked.run)):
            watched.page.goto(f"{url}/compare?a={pair[0]}&b={pair[1]}")
            assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert not faults_of_access(watched.page)
        watched.page.goto(f"{url}/")
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not faults_of_access(watched.page)


def test_two_that_are_the_same_are_said_to_be(page: Page, url: str, line: Line) -> None:
    page.goto(f"{url}/compare?a={line.resumed.run}&b={line.forked.run}")
    assert "Nowhere: every step, the outcome and the answer are the same." in page.locator("#first").inner_text()
    assert page.locator("tr.first").count() == 0


def test_what_is_missing_is_asked_for(watched: Watched, url: str, line: Line) -> None:
    page = watched.page
    page.goto(f"{url}/compare")
    assert page.locator(".wrong").count() == 0
    page.fill("#a", line.stopped.run[:20])
    page.fill("#b", line.resumed.run)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Where they part").wait_for()
    page.goto(f"{url}/compare?a={line.stopped.run}")
    assert "one of them is not named" in page.locator(".wrong").inner_text()
    answer = page.goto(f"{url}/compare?a=nothing&b={line.stopped.run}")
    assert answer is not None
    assert answer.status == 404
    assert 'No run begins with "nothing"' in page.locator(".wrong").inner_text()
    watched.faults = [fault for fault in watched.faults if "404" not in fault]


def test_what_a_record_says_writes_nothing_into_the_page(page: Page, url: str, line: Line, store: Engine) -> None:
    book = hostile(store)
    page.goto(f"{url}/compare?a={book.run}&b={line.resumed.run}")
    assert page.title() == "Compare · Pilotage"
    page.goto(f"{url}/sessions/{book.run}")
    link = page.get_by_role("link", name="compare with it").get_attribute("href") or ""
    assert quote(HOSTILE, safe="")[:20] in link


def test_the_export_says_it_in_words(store: Engine, line: Line) -> None:
    page = export_html(store, line.resumed.run)
    assert f"goes on from {line.stopped.run}" in page
    assert "/compare" not in page
    assert "from tape" in page
