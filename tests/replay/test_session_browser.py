"""The page of a session in a real browser: the player by keyboard, pieces, recursive thought, growth, print, access."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, update

from pilotage.record.journal import list_runs
from pilotage.record.store import runs as listed
from pilotage.replay.fold import fold
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.support.browser import Watched, faults_of_access, opened
from tests.support.pages import serving
from tests.support.scripted import good
from tests.support.sessions import QUESTION, TRACE, Recorded, collected, hostile, long_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NUMBER = "document.querySelector('#stage').dataset.seq"


@pytest.fixture
def engine(runs: Recorded) -> Engine:
    """The store that is served; what a test adds to it has an id of its own."""
    return runs.engine


@pytest.fixture(scope="module")
def urls() -> Iterator[_Started]:
    """The server of this module, started by the first test."""
    with contextlib.ExitStack() as stack:
        yield _Started(stack)


class _Started(dict[str, str]):
    def __init__(self, stack: contextlib.ExitStack) -> None:
        super().__init__()
        self._stack = stack

    def of(self, settings: Settings) -> str:
        if not self:
            self["url"] = self._stack.enter_context(serving(settings))
        return f"{self['url']}/sessions"


@pytest.fixture
def url(runs: Recorded, urls: _Started) -> str:
    return urls.of(runs.settings)


def until(page: Page, script: str, seconds: float = 8) -> None:
    """Wait until `script` is true on the page. Playwright's own way needs eval, which the pages forbid."""
    over = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < over, script
        page.wait_for_timeout(20)


def is_at(page: Page, seq: int) -> None:
    until(page, f"{NUMBER} === '{seq}'")


def press(page: Page, key: str, seq: int) -> None:
    page.keyboard.press(key)
    is_at(page, seq)


def test_the_player_goes_by_keyboard_and_the_address_keeps_the_step(runs: Recorded, url: str, page: Page) -> None:
    run = runs.accepted.run
    last = runs.folded.last
    page.goto(f"{url}/{run}")
    is_at(page, 1)
    press(page, "ArrowRight", 2)
    press(page, "ArrowRight", 3)
    assert page.locator("#stage h3").inner_text() == "researcher asked reader"
    assert page.locator("#stage .block-label").first.inner_text() == "Prompt"
    assert page.url.endswith("#3")
    press(page, "ArrowLeft", 2)
    press(page, "End", last)
    assert page.locator("#to-next").is_disabled()
    press(page, "Home", 1)
    page.goto(f"{url}/{run}#4")
    page.reload()
    is_at(page, 4)
    assert page.locator(".row.at .what").inner_text() == "search_knowledge"
    assert page.locator("#told").inner_text() == "Step 4: researcher called search_knowledge"


def test_playing_goes_to_the_end_and_can_be_paused(runs: Recorded, url: str, page: Page) -> None:
    run = runs.accepted.run
    last = runs.folded.last
    page.goto(f"{url}/{run}")
    is_at(page, 1)
    page.select_option("#speed", "8")
    page.locator("#stage").focus()
    page.keyboard.press("Space")
    until(page, f"Number({NUMBER}) >= 3")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    page.keyboard.press("Space")
    assert page.locator("#play").get_attribute("aria-label") == "Play"
    paused = page.evaluate(NUMBER)
    page.wait_for_timeout(300)
    assert page.evaluate(NUMBER) == paused
    page.locator("#play").click()
    is_at(page, last)
    until(page, "document.querySelector('#play').ariaLabel === 'Play'")


def test_a_click_on_a_row_shows_its_step_and_its_texts(runs: Recorded, url: str, page: Page) -> None:
    run = runs.accepted.run
    page.goto(f"{url}/{run}")
    page.locator(".row.k-tool").first.click()
    is_at(page, 4)
    assert "27 requests" in page.locator("#stage").inner_text()
    page.locator(".row.k-llm").nth(1).click()
    page.locator("#stage summary", has_text="Earlier in the prompt (2)").click()
    assert page.locator("#stage details[open] .item-name").all_inner_texts() == ["system", "user"]
    page.locator(".cite").first.click()
    assert page.locator("#cite-1 mark").inner_text().startswith("With three owners")


def test_a_citation_opens_each_time_it_is_clicked(runs: Recorded, url: str, page: Page) -> None:
    page.goto(f"{url}/{runs.accepted.run}")
    for _ in range(2):
        page.locator(".cite").first.click()
        until(page, "document.querySelector('#cite-1').open")
        page.locator("#cite-1 summary").click()


def test_rows_are_chosen_by_arrows_and_enter(engine: Engine, url: str, page: Page) -> None:
    book = long_run(engine, 230)
    page.goto(f"{url}/{book.run}#196")
    is_at(page, 196)
    page.locator("#rows").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")  # the first row of the second piece
    until(page, "Number(document.activeElement.dataset.i) >= 200")
    step = int(str(page.evaluate("document.activeElement.dataset.step")))
    press(page, "Enter", step)
    assert page.evaluate("document.activeElement.dataset.step") == str(step)


@pytest.mark.parametrize(("hash_", "step"), [("%E0%A4%A", 1), ("9999", 21), ("0", 1)])
def test_an_address_that_names_nothing_shows_a_step_all_the_same(
    runs: Recorded, url: str, page: Page, hash_: str, step: int
) -> None:
    step = runs.folded.last if step == 21 else step
    page.goto(f"{url}/{runs.accepted.run}#{hash_}")
    is_at(page, step)
    assert not hash_.isdigit() or page.url.endswith(f"#{step}")


def test_a_server_that_is_gone_is_said_to_be(engine: Engine, runs: Recorded, watched: Watched) -> None:
    book, page = long_run(engine, 2), watched.page
    with engine.begin() as connection:
        connection.execute(update(listed).where(listed.c.run == book.run).values(until=time.time() + 600))
    with serving(runs.settings) as address:
        page.goto(f"{address}/sessions/{book.run}")
        is_at(page, 4)
        assert page.locator("#lost-touch").inner_text() == ""
    until(page, "document.querySelector('#lost-touch').textContent.startsWith('Connection lost')")
    page.locator("#verify").click()
    until(page, "document.querySelector('#proof').textContent === 'The server did not answer.'")
    assert all("ERR_" in fault for fault in watched.faults), watched.faults
    watched.faults.clear()


def test_many_steps_scroll_as_one_and_any_can_be_reached(engine: Engine, url: str, page: Page) -> None:
    book = long_run(engine, 450)
    page.goto(f"{url}/{book.run}")
    assert page.locator(".row").count() == 200
    height = page.evaluate("document.querySelector('#rows').scrollHeight")
    assert height == 454 * 30
    page.evaluate("document.querySelector('#rows').scrollTop = 230 * 30")
    page.wait_for_selector('.row[data-i="230"]')
    assert page.evaluate("document.querySelector('#rows').scrollHeight") == height
    page.goto(f"{url}/{book.run}#430")
    is_at(page, 430)
    page.wait_for_selector('.row.at[data-step="430"]')
    assert page.locator(".row.at").is_visible()
    numbers = page.locator(".row").evaluate_all("rows => rows.map(row => Number(row.dataset.i))")
    assert numbers == sorted(set(numbers))


def test_the_script_writes_the_very_rows_of_the_template(engine: Engine, url: str, page: Page) -> None:
    run = hostile(engine).run
    collected(engine)
    for name in (run, TRACE):
        page.goto(f"{url}/{name}")
        same = page.evaluate(
            """async () => {
                const text = await (await fetch(location.pathname)).text();
                const written = [...new DOMParser().parseFromString(text, "text/html").querySelectorAll(".row")];
                const rows = await (await fetch(`${location.pathname}/rows.json`)).json();
                return rows.length && rows.map((r, i) => [written[i].outerHTML, pilotage.renderRow(r).outerHTML]);
            }"""
        )
        assert len(same) >= 6
        assert [written for written, _ in same] == [made for _, made in same]


def test_nothing_that_a_session_says_is_carried_out(engine: Engine, url: str, page: Page) -> None:
    book = hostile(engine)
    page.goto(f"{url}/{book.run}")
    is_at(page, 1)
    for seq in range(2, 12):
        press(page, "ArrowRight", seq)
        for fold_ in page.locator("#stage summary").all():
            fold_.click()
    page.locator("#raw > summary").click()
    page.locator("#raw details summary").first.click()
    page.locator("#verify").click()
    page.wait_for_selector(".proof.good")
    assert page.locator("img, #session script:not([type])").count() == 0
    assert page.title().startswith("<script>")


def test_recursive_thought_is_seen_side_by_side(runs: Recorded, url: str, page: Page) -> None:
    run = runs.circling.run
    page.goto(f"{url}/{run}#thought")
    stop = page.locator(".repetition.level-stop")
    assert stop.locator(".badge").inner_text() == "stopped"
    assert stop.locator(".column").count() == 5
    tops = stop.locator(".column").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    assert "who owns retries when nested retries multiply" in stop.locator("mark").first.inner_text()
    step = int(stop.locator(".column-head a").nth(1).inner_text())
    stop.locator(".column-head a").nth(1).click()
    is_at(page, step)
    assert page.locator("#controls").is_visible()


def test_the_page_grows_while_the_run_goes_on(
    runs: Recorded, scripted: Any, engine: Engine, url: str, page: Page
) -> None:
    go_on = threading.Semaphore(0)

    def slow(turn: Any) -> Any:
        go_on.acquire(timeout=20)
        return good(turn)

    scripted(slow)
    crew = threading.Thread(target=run_crew, args=(QUESTION,), kwargs={"settings": runs.settings})
    known = {row["run"] for row in list_runs(engine)}
    crew.start()
    try:
        while not (new := [row["run"] for row in list_runs(engine) if row["run"] not in known]):
            time.sleep(0.05)
        run = new[0]
        page.goto(f"{url}/{run}")
        assert page.locator("#lead .badge").inner_text() == "live"
        before = page.locator(".row").count()
        go_on.release()
        until(page, f"document.querySelectorAll('.row').length > {before + 1}")
        until(page, "document.querySelector('[data-figure=model_calls]').textContent === '1'")
        seen = fold(engine, run).last
        until(page, f"Number({NUMBER}) >= {seen}")  # the player follows: it was at the end
        press(page, "Home", 1)
        for _ in range(10):
            go_on.release()
        until(page, "document.querySelector('#lead .badge').textContent === 'accepted'", 20)
    finally:
        for _ in range(10):
            go_on.release()
        crew.join(30)
    folded = fold(engine, run)
    assert page.evaluate(NUMBER) == "1"  # who looks at an earlier step stays there
    assert page.locator(".row").count() == len(folded.rows)
    assert page.locator(".row.open").count() == 0
    assert page.locator("[data-figure=tokens]").inner_text() == "600"
    assert page.locator("#place").inner_text() == f"1 / {folded.last}"
    assert "27 requests" in page.locator("#answer .said").inner_text()
    assert page.locator("#told").inner_text() == "The session has ended: accepted."
    until(page, f"document.querySelectorAll('.step').length === {folded.last}")  # for print
    widths = page.locator(".row rect").evaluate_all(
        "all => all.map(r => parseFloat(r.getAttribute('x')) + parseFloat(r.getAttribute('width')))"
    )
    assert max(widths) <= 100.01


def test_spans_that_come_in_between_take_their_place(engine: Engine, url: str, page: Page) -> None:
    trace = "d" * 32
    collected(engine, run=trace)
    folded = fold(engine, trace)
    page.goto(f"{url}/{trace}")
    page.evaluate(
        """async () => {
            const rows = await (await fetch(`${location.pathname}/rows.json`)).json();
            const place = document.createElement("div");
            place.innerHTML = '<div class="piece" data-from="0"></div>';
            document.body.append(place);
            const fetchRows = async () => rows;
            const fall = new pilotage.Waterfall(place, { count: 0, size: 200, total: 10, fetchRows });
            fall.change([{ ...rows[2], i: 0 }], 1, 10);
            fall.change(rows, rows.length, 10);
            await new Promise((done) => setTimeout(done, 300));
            window.found = [...place.querySelectorAll(".row")].map((row) => row.querySelector(".what").textContent);
        }"""
    )
    assert page.evaluate("window.found") == [row.span.name for row in folded.rows]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_everybody_can_use_the_page(runs: Recorded, url: str, browser: Browser, scheme: str, width: int) -> None:
    run = (runs.circling if scheme == "dark" else runs.accepted).run
    with opened(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as watched:
        page = watched.page
        page.goto(f"{url}/{run}#3")
        is_at(page, 3)
        for one in page.locator("main summary:visible").all():
            one.click()
        assert faults_of_access(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_can_be_reached_by_keyboard_alone(runs: Recorded, url: str, page: Page) -> None:
    run = runs.accepted.run
    page.goto(f"{url}/{run}")
    is_at(page, 1)
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # once around
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert {"play", "to-next", "slider", "speed", "rows", "stage", "verify", "cite"} <= reached
    assert not {name for name in reached if name.startswith("row ")}  # the arrows go there: not 20,000 stops


def test_paper_has_everything_unfolded(runs: Recorded, url: str, page: Page) -> None:
    run = runs.accepted.run
    page.goto(f"{url}/{run}")
    is_at(page, 1)
    assert not page.locator(".steps").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".steps").is_visible()
    assert page.locator("#controls").is_hidden()
    until(page, "document.querySelectorAll('#answer details:not([open])').length === 0")
    assert page.locator("#cite-1 mark").is_visible()
    assert page.locator(".step").count() == runs.folded.last
    page.emulate_media(media="screen")
    until(page, "document.querySelectorAll('#answer details[open]').length === 0")


def test_the_page_is_whole_without_script(runs: Recorded, url: str, browser: Browser) -> None:
    run = runs.accepted.run
    with opened(browser, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(f"{url}/{run}")
        assert page.locator("#controls").is_hidden()
        assert page.locator(".step").first.is_visible()
        page.locator(".row.k-tool").first.click()
        assert page.url.endswith("#4")
        page.locator("#verify").click()
        assert "whole" in page.locator(".proof").inner_text()
