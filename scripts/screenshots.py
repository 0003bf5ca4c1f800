"""Makes the pictures of the pages in docs/ for the README: real runs of the crew, and made-up ones beside them.

uv run --group dev python scripts/screenshots.py

The session and the player are a real run of the built-in reader; the list, the loops and the statistics also show
sessions of benchmarks/replay_data.py, which need no provider and no money. Needs Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from pilotage.record.sessions import Search, find
from pilotage.record.store import open_store

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

ROOT = Path(__file__).parent.parent
SESSIONS, EVENTS = 240, 60
QUESTIONS = (
    "How can I stop infinite loops?", "What does a budget have to do before each call?",
    "How is a claim checked against its source?", "How much does prompt caching save?", "Who won the match yesterday?",
)  # fmt: skip
SIZE: ViewportSize = {"width": 1200, "height": 760}
LARGEST = 200_000  # bytes of a picture


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        project = Path(work)
        for name in ("config", "knowledge"):
            shutil.copytree(ROOT / name, project / name)
        record(project)
        with served(project) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            take(browser.new_page(viewport=SIZE, color_scheme="light"), url, project)
            browser.close()


def record(project: Path) -> None:
    """Real runs, and made-up ones older than they are."""
    data = str(ROOT / "benchmarks/replay_data.py")
    store = project / "runs/pilotage.sqlite"
    command = [sys.executable, data, str(store), "--sessions", str(SESSIONS), "--events", str(EVENTS)]
    subprocess.run(command, check=True)
    questions = project / "questions.jsonl"
    lines = [json.dumps({"id": str(number), "question": text}) for number, text in enumerate(QUESTIONS)]
    questions.write_text("\n".join(lines) + "\n", "utf-8")
    command = [sys.executable, "-m", "pilotage", "eval", "--questions", str(questions)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


@contextmanager
def served(project: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "pilotage", "replay", "--port", "0"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # it says where it is when it answers
        yield str(json.loads((project / "runs/replay.json").read_text("utf-8"))["url"])
        process.terminate()


def take(page: Page, url: str, project: Path) -> None:
    """One picture after the other; an element that is named is at the top of its picture."""
    real, looping = chosen(project)
    for name, path, element in (
        ("sessions", "/", ""),
        ("session", f"/sessions/{real}", ""),
        ("player", f"/sessions/{real}#4", "#timeline"),
        ("loops", f"/sessions/{looping}", "#thought"),
        ("statistics", "/statistics", ""),
    ):
        page.goto(url + path)
        page.wait_for_timeout(1_500)  # what the page loads behind its first view
        if element:
            page.evaluate("name => document.querySelector(name).scrollIntoView()", element)
            page.wait_for_timeout(300)
        file = ROOT / f"docs/{name}.png"
        page.screenshot(path=file)
        assert file.stat().st_size < LARGEST, f"{file.name} has {file.stat().st_size:,} bytes"
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")


def chosen(project: Path) -> tuple[str, str]:
    """A real run whose answer was accepted, and a made-up one that was stopped for a loop."""
    engine = open_store(project / "runs/pilotage.sqlite", create=False)
    real = find(engine, Search(model="reader", outcome="accepted", sort="tool_calls")).rows[0]["run"]
    looping = find(engine, Search(loop="repeat", origin="run", sort="loops")).rows[0]["run"]
    engine.dispose()
    return real, looping


if __name__ == "__main__":
    main()
