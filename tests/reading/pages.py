"""Pages to read in tests."""

from __future__ import annotations

from typing import Any

from pilotage.reading.page import Page, read
from pilotage.spec import WebSpec

URL = "https://www.example.org/news/lighthouse.html"
PROSE = (
    "The lighthouse of Skerryvore was designed by Alan Stevenson, and its lamp was first lit in the year 1844.",
    "Its tower of granite stands forty-eight metres tall, on a rock that the sea covers in every winter storm.",
    "The keepers lived ashore on the island of Tiree, and were rowed out to their tower when the weather allowed.",
)
STORY = "".join(f"<p>{text}</p>" for text in PROSE)


def page(markup: str | bytes, url: str = URL, *, content_type: str = "", charset: str = "", **spec: Any) -> Page:
    """The page of this markup, read by beautifulsoup4 alone unless the spec says otherwise."""
    body = markup if isinstance(markup, bytes) else markup.encode()
    settings = WebSpec.model_validate({"extractor": "bs4"} | spec)
    return read(body, url, content_type=content_type, charset=charset, spec=settings)


def story(before: str = "", after: str = "", head: str = "") -> Page:
    """A page with three paragraphs under a headline, and what stands around them."""
    return page(f"<html><head>{head}</head><body>{before}<h1>Skerryvore</h1>{STORY}{after}</body></html>")
