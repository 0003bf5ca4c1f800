"""A session as one HTML file: the page with its player and waterfall, all data inside, nothing from anywhere else.

Equal texts are stored once. A text is cut at EACH characters, and when they come to ALL together the further ones at
BRIEF; the file says so where it happens, and `pilotage export RUN --jsonl` has everything. Facts are never cut.
"""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Engine

from pilotage.errors import ConfigError
from pilotage.replay.fold import Folded, fold
from pilotage.replay.formats import FILTERS, OUTCOMES
from pilotage.replay.view import for_script, page_context, page_data, rows_json, steps_json

HERE = Path(__file__).parent
STYLES = ("base.css", "session.css")
SCRIPTS = ("theme.js", "step.js", "waterfall.js", "record.js", "session.js")
EACH, BRIEF, ALL = 20_000, 200, 20_000_000  # characters
SMALL = 40  # characters of a text that is not worth storing apart
EARLIER = 20  # messages of before that are listed with a call
CHUNK = 500  # steps that are read at once


class Texts:
    """Each text once, by number, within the bounds of a file."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.left = ALL
        self._numbers: dict[str, int] = {}

    def put(self, text: str) -> dict[str, Any]:
        """What stands for `text` in an item: itself, or the number of it, and its length where it was cut."""
        if len(text) <= SMALL:
            return {"text": text}
        if text not in self._numbers:
            kept = text[: EACH if self.left > EACH else BRIEF]
            self.left -= len(kept)
            self._numbers[text] = len(self.texts)
            self.texts.append(kept)
        number = self._numbers[text]
        cut = len(text) if len(self.texts[number]) < len(text) else 0
        return {"ref": number} | ({"cut": cut} if cut else {})


def export_html(engine: Engine, run: str) -> str:
    """The whole session `run` as a page that opens without a server and without a network.

    Raises ConfigError when there is no such run.
    """
    folded = fold(engine, run)
    if not folded.events and folded.unreadable:
        raise ConfigError(f"The record of {run} cannot be read", hint=f"`pilotage audit {run}` says what is wrong")
    if not folded.events:
        raise ConfigError(f'There is no run "{run}"', hint="`pilotage sessions` lists them; `last` is the newest")
    now = time.time()
    context = page_context(engine, folded, now, whole=True)
    clock = now if context["head"].is_live else None
    texts = Texts()
    data = page_data(engine, folded, context, now) | {"live": False}
    data |= {
        "allRows": rows_json(engine, folded, 0, len(folded.rows), clock),
        "allSteps": _steps(engine, folded, texts),
    }
    data["texts"] = texts.texts
    style = "\n".join(_static(name) for name in STYLES)
    script = "\n".join(_static(name) for name in SCRIPTS)
    return environment().get_template("session_export.html").render(
        **context, data=for_script(data), style=style, script=script, policy=policy(style, script), exported=True,
        exported_at=now,
    )  # fmt: skip


def policy(style: str, script: str) -> str:
    """The content security policy of the file: its own style and script by their hashes, nothing else."""
    return f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"


def environment() -> Environment:
    """The templates: everything is escaped, a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= FILTERS
    made.globals["OUTCOMES"] = OUTCOMES
    return made


def _steps(engine: Engine, folded: Folded, texts: Texts) -> list[dict[str, Any]]:
    """All steps, their texts put aside."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(folded.events), CHUNK):
        found += [_lean(step, texts) for step in steps_json(engine, folded, start, CHUNK)]
    return found


def _lean(step: dict[str, Any], texts: Texts) -> dict[str, Any]:
    for block in step["blocks"]:
        if block["label"].startswith("Earlier"):
            block["items"] = block["items"][-EARLIER:]
        block["items"] = [_item(one, texts) for one in block["items"]]
    del step["previous"], step["clock"]
    return step


def _item(item: dict[str, Any], texts: Texts) -> dict[str, Any]:
    kept = {name: item[name] for name in ("head", "note") if item[name]} | {"form": item["form"]}
    return kept | ({"text": None} if item["text"] is None else texts.put(item["text"]))


def _static(name: str) -> str:
    return (HERE / "static" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
