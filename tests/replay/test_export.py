"""The exported file: one page that opens without a server, within its bounds, and that no text can break out of."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine

from pilotage.errors import ConfigError
from pilotage.record.store import open_store
from pilotage.replay import export
from pilotage.replay.export import EACH, Texts, export_html
from pilotage.replay.view import for_script
from pilotage.settings import Settings
from tests.support.browser import faults_of_access, opened
from tests.support.sessions import Recorded, collected, hostile, journal, long_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Load = Callable[..., Settings]


@pytest.fixture
def engine(load: Load) -> Iterator[Engine]:
    made = open_store(load().store)
    yield made
    made.dispose()


def data_of(html: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="session-data">(.*?)</script>', html, re.DOTALL)
    assert len(found) == 1
    read: dict[str, Any] = json.loads(found[0])
    return read


def texts_of(data: dict[str, Any]) -> list[str]:
    items = [item for step in data["allSteps"] for block in step["blocks"] for item in block["items"]]
    return [data["texts"][item["ref"]] if "ref" in item else item["text"] for item in items]


def test_the_file_opens_alone_with_player_and_waterfall(runs: Recorded, browser: Browser, tmp_path: Path) -> None:
    file, folded = tmp_path / "run.html", runs.in_circles
    file.write_text(export_html(runs.engine, folded.run), "utf-8")
    asked: list[str] = []
    with opened(browser) as watched:
        page = watched.page
        page.context.set_offline(True)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#stage h3")
        assert page.locator(".row").count() == len(folded.rows)
        page.keyboard.press("End")
        page.wait_for_selector(f'#stage[data-seq="{folded.last}"]')
        page.keyboard.press("ArrowLeft")
        page.locator("#raw > summary").click()
        assert page.locator("#raw-list details").count() == folded.last
        assert page.locator(".repetition.level-stop .column").count() == 5
        assert page.locator("#verify").count() == 0
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        assert faults_of_access(page) == []
    assert asked == [file.as_uri()]


def test_the_figures_and_texts_of_the_file_are_the_journals(runs: Recorded) -> None:
    result, folded = runs.accepted, runs.folded
    html = export_html(runs.engine, result.run)
    data = data_of(html)
    assert [step["seq"] for step in data["allSteps"]] == [event.seq for event in folded.events]
    assert [step["hash"] for step in data["allSteps"]] == [event.hash for event in folded.events]
    assert len(data["allRows"]) == len(folded.rows)
    assert any("one fault makes 27 requests" in text for text in texts_of(data))
    assert result.seal in html
    assert f'data-figure="tokens">{result.tokens}<' in html


def test_nothing_is_asked_of_any_host_and_only_its_own_script_may_run(engine: Engine) -> None:
    html = export_html(engine, collected(engine).run)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert "@import" not in html
    assert "url(" not in html
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    said = policy[1].replace("&#39;", "'")
    for kind, found in (("script", re.search(r"<script>(.*?)</script>", html, re.DOTALL)),
                        ("style", re.search(r"<style>(.*?)</style>", html, re.DOTALL))):  # fmt: skip
        assert found
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in said
    assert said.startswith("default-src 'none'")
    assert "unsafe" not in said


def test_no_text_breaks_out_of_the_file(engine: Engine, browser: Browser, tmp_path: Path) -> None:
    book = hostile(engine)
    html = export_html(engine, book.run)
    assert html.count("</script>") == 2
    file = tmp_path / "hostile.html"
    file.write_text(html, "utf-8")
    with opened(browser) as watched:
        page = watched.page
        page.goto(file.as_uri())
        for _ in range(11):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(30)
            for one in page.locator("#stage summary").all():
                one.click()
        assert page.locator("img").count() == 0
        assert page.title().startswith("<script>")


def test_equal_texts_are_stored_once_and_long_ones_are_cut_and_say_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = journal(engine)
    book.append("run_started", {"question": "q", "settings": {}, "warnings": []}, model="m", crew="c")
    for number in range(30):
        long = "long text " * 3000
        book.append("tool_call", {"arguments": {"n": number}, "result": long}, tool="read", agent="a")
    data = data_of(export_html(engine, book.run))
    assert sum(len(text) for text in data["texts"]) < EACH + 30 * 100
    result = data["allSteps"][1]["blocks"][1]["items"][0]
    assert result["cut"] == 30_000
    assert len(data["texts"][result["ref"]]) == EACH
    monkeypatch.setattr(export, "ALL", 1000)
    data = data_of(export_html(engine, book.run))
    assert max(len(text) for text in data["texts"]) == export.BRIEF
    assert len(data["allSteps"]) == 31


def test_a_short_text_stands_where_it_is_used() -> None:
    texts = Texts()
    assert texts.put("short") == {"text": "short"}
    assert texts.put("x" * 50) == texts.put("x" * 50) == {"ref": 0}
    assert texts.texts == ["x" * 50]


def test_a_long_session_stays_within_reason(engine: Engine) -> None:
    book = long_run(engine, 300)
    html = export_html(engine, book.run)
    assert len(for_script(data_of(html))) / 302 < 1500  # characters for each step
    assert len(data_of(html)["allSteps"]) == 302


def test_an_unknown_run_is_an_error(engine: Engine) -> None:
    with pytest.raises(ConfigError, match='There is no run "nobody"'):
        export_html(engine, "nobody")


def test_exporting_needs_no_server() -> None:
    code = (
        "import sys, pilotage.replay.export; print([m for m in ('uvicorn', 'starlette', 'crewai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
