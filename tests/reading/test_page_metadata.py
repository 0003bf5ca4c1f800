"""Title, author, date and canonical address of a page, from the many places where they stand."""

from __future__ import annotations

import json

import pytest

from pilotage.reading.metadata import as_author, iso_date
from tests.reading.pages import STORY, page


def head(markup: str, body: str = "") -> tuple[str, str, str, str]:
    found = page(f"<html><head>{markup}</head><body>{body}{STORY}</body></html>")
    return found.title, found.author, found.published, found.canonical


def ld(**values: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(values)}</script>'


@pytest.mark.parametrize(
    ("markup", "body", "title"),
    [
        ("<title>The lamp</title>", "", "The lamp"),
        ("<title>The lamp | The Sea Times</title>", "", "The lamp"),
        ("<title>The lamp - Example</title>", "", "The lamp"),
        ("<title>Example: x - The lamp - at sea</title>", "", "Example: x - The lamp - at sea"),
        (
            "<title>The lamp at sea – Sea Times</title><meta property=og:site_name content='Sea Times'>",
            "",
            "The lamp at sea",
        ),
        ("<title>T</title><meta property='og:title' content='The lamp'>", "", "The lamp"),
        ("<title>The lamp of Skerryvore</title>", "<h1>The lamp of  Skerryvore</h1>", "The lamp of Skerryvore"),
        ("<title>The lamp of Skerryvore | Sea</title>", "<h1>Sea</h1>", "The lamp of Skerryvore"),
        ("", "<h1>Only here</h1>", "Only here"),
        ("", "", ""),
    ],
)
def test_title(markup: str, body: str, title: str) -> None:
    assert head(markup, body)[0] == title


@pytest.mark.parametrize(
    ("markup", "body", "author"),
    [
        ("<meta name=author content='Ann Lee'>", "", "Ann Lee"),
        ("<meta property='article:author' content='https://example.org/ann'>", "", ""),
        (ld(**{"@type": "NewsArticle", "author": {"@type": "Person", "name": "Ann Lee"}}), "", "Ann Lee"),
        (
            ld(**{"@graph": [{"@type": "WebSite"}, {"@type": "Article", "author": [{"name": "Ann Lee"}]}]}),
            "",
            "Ann Lee",
        ),
        ("", "<div class='post byline'>By Ann Lee | 3 May 2024</div>", "Ann Lee"),
        ("", "<a rel=author href=/ann>Ann Lee</a>", "Ann Lee"),
        ("<script type='application/ld+json'>{not json</script>", "", ""),
        (ld(author=7), "", ""),
    ],
)
def test_author(markup: str, body: str, author: str) -> None:
    assert head(markup, body)[1] == author


@pytest.mark.parametrize(
    ("markup", "body", "published"),
    [
        ("<meta property='article:published_time' content='2024-05-06T23:30:00-05:00'>", "", "2024-05-06"),
        (ld(**{"@type": "Article", "datePublished": "2024-05-06"}), "", "2024-05-06"),
        ("", "<time datetime='2024-05-06 10:00'>Monday</time>", "2024-05-06"),
        ("", "<time datetime='2020-01-01'>a</time><time pubdate datetime='2024-05-06'>b</time>", "2024-05-06"),
        ("", "<span itemprop=datePublished>May 6, 2024</span>", "2024-05-06"),
        ("<meta name=date content='yesterday'>", "", ""),
    ],
)
def test_published(markup: str, body: str, published: str) -> None:
    assert head(markup, body)[2] == published


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2019-11-19T08:41:00Z", "2019-11-19"),
        ("2019/11/9", "2019-11-09"),
        ("20191119", "2019-11-19"),
        ("Tue, 19 Nov 2019 08:41:00 GMT", "2019-11-19"),
        ("November 19th, 2019", "2019-11-19"),
        ("19 Nov. 2019", "2019-11-19"),
        ("2019-02-30", ""),
        ("0001-01-01", ""),
        ("Version 12.5", ""),
        ("", ""),
        ("9" * 10_000, ""),
    ],
)
def test_dates(text: str, found: str) -> None:
    assert iso_date(text) == found


def test_a_name_is_no_address_and_no_essay() -> None:
    assert as_author("  By  Ann\n Lee ") == "Ann Lee"
    assert as_author("Byron") == "Byron"
    assert as_author("@ann") == as_author("https://example.org/ann") == as_author("word " * 50) == ""


@pytest.mark.parametrize(
    ("href", "canonical"),
    [
        ("/a", "https://www.example.org/a"),
        ("https://example.org/a?b=1", "https://example.org/a?b=1"),
        ("https://evil.test/a", ""),
        ("javascript:go()", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_the_canonical_address_is_on_the_same_host(href: str, canonical: str) -> None:
    assert head(f"<link rel='canonical' href='{href}'>")[3] == canonical
