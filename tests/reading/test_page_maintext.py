"""The main text among what surrounds it, and the measure of the benchmark."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.reading.pages import PROSE, STORY, page, story

bench = import_module("benchmarks.bench_pages")  # a script, which mypy knows by another name
WORDS = "Words that are no part of the story stand here, many of them, in a whole sentence of their own. "
AROUND = {
    "menu": f"<nav>{WORDS}</nav>",
    "foot": f"<footer><p>{WORDS}</p></footer>",
    "comments": f"<div id=comments>{f'<p>{WORDS}</p>' * 9}</div>",
    "related": f"<div class='box related-posts'><h3>Also</h3><p>{WORDS}</p></div>",
    "newsletter": f"<section class=newsletterSignup><p>{WORDS}</p></section>",
    "cookies": f"<div class=cookie-banner>{WORDS}</div>",
    "caption": f"<figure><img src=x><figcaption>{WORDS}</figcaption></figure>",
    "sharing": "<ul class=share><li><a href=/f>Post it</a><li><a href=/g>Mail it</a></ul>",
    "links": "<ul><li><a href=/1>Another story of another day</a><li><a href=/2>A third story of the sea</a></ul>",
    "teasers": f"<ul>{f'<li><h3><a href=/x>Another story</a></h3><p>{WORDS}</p></li>' * 3}</ul>",
    "another article": f"<article class=x><h3>Another</h3><p>{WORDS}</p></article>",
    "notice": "<p>Read more: <a href=/x>the lamps of the north</a></p>",
    "scraps": "<div>3 May 2024</div><div>Share</div>",
    "a heading of nothing": "<h3>What others read</h3>",
}


@pytest.mark.parametrize("kind", AROUND)
def test_what_surrounds_the_text_is_left_out(kind: str) -> None:
    found = page(f"<body><article><h1>S</h1>{STORY}{STORY}</article>{AROUND[kind]}</body>")
    assert found.text == "\n".join(PROSE + PROSE)


@pytest.mark.parametrize("kind", ["newsletter", "caption", "notice", "related", "links"])
def test_what_stands_between_paragraphs_is_left_out(kind: str) -> None:
    assert story(after=AROUND[kind] + STORY).text == "\n".join(PROSE + PROSE)


def test_what_belongs_to_the_text_stays() -> None:
    inside = """<h2>Lamps</h2><p>Oil.</p><ul><li>Whale oil<li>Paraffin</ul><blockquote>Let there be light.</blockquote>
    <pre>on\n  off</pre><table><tr><th>Year<th>Lamp<tr><td>1844<td>Oil</table>"""
    found = story(after=inside + STORY)
    lines = ["Lamps", "Oil.", "Whale oil", "Paraffin", "Let there be light.", "on", "  off", "Year: 1844 | Lamp: Oil"]
    assert found.text.split("\n") == [*PROSE, *lines, *PROSE]
    kinds = [(block.kind, block.heading) for block in found.document.blocks[3:8]]
    assert kinds == [("prose", "Lamps"), ("list", "Lamps"), ("prose", "Lamps"), ("code", "Lamps"), ("table", "Lamps")]


def test_a_name_does_not_drop_what_holds_the_text() -> None:
    found = page(f"<h1>S</h1><div class='with-sidebar tag-sea'>{STORY}</div><form id=aspnet><p>{PROSE[0]}</p></form>")
    assert PROSE[2] in found.text


def test_a_name_that_every_block_bears_says_nothing() -> None:
    blocks = "".join(f"<div class='builder-widget print:black'><p>{text}</p></div>" for text in PROSE * 2)
    assert page(f"<h1>S</h1>{blocks}").text == "\n".join(PROSE * 2)


def test_a_page_of_comments_is_read() -> None:
    found = page(f"<h1>S</h1><div id=comments>{STORY}{STORY}</div>")
    assert found.text == "\n".join(PROSE * 2)


def test_a_name_inside_a_sentence_does_not_tear_it() -> None:
    sentence = (
        "The tower, says <a class=author-link href=/x>Ann Lee</a>, is <span class=caption>very</span> tall indeed."
    )
    assert "The tower, says Ann Lee, is very tall indeed." in story(after=f"<p>{sentence}</p>{STORY}").text


def test_an_embedded_quote_stays() -> None:
    tweet = (
        "<div class=social-embed><blockquote>The lamp of Skerryvore is lit, says the keeper tonight.</blockquote></div>"
    )
    assert "says the keeper tonight" in story(after=tweet + STORY).text


def test_text_without_spaces_between_words_counts() -> None:
    text = "灯台は、船に海岸の場所を知らせるための塔です。夜になると強い光を放ち、船乗りたちを守ります。"
    menu = "<div><a href=/a>トップ</a> <a href=/b>会社</a> 電話 03-5809-2727 住所 東京都</div>"
    assert page(f"{menu}<h1>灯台</h1><div>{f'<p>{text}</p>' * 4}</div>{menu}").text == "\n".join([text] * 4)


def test_the_measure_counts_runs_of_four_words() -> None:
    assert bench.shares("a b c d e", "a b c d e") == (1.0, 1.0)
    assert bench.shares("a b c d e f", "x a b c d e") == (2 / 3, 2 / 3)  # abcd, bcde of abcd, bcde, cdef
    assert bench.shares("a b c d", "a b c d a b c d") == (1 / 5, 1.0)  # each run as often as it occurs
    assert bench.shares("a b", "a b") == (1.0, 1.0)  # a short text is one run
    assert bench.shares("a b c d", "") == (None, 0.0)
    assert bench.shares("A b c d", "a b c d") == (0.0, 0.0)  # letters count as they are written


def test_the_measure_averages_shares_and_not_scores() -> None:
    f1, precision, recall = bench.average([(1.0, 0.5), (0.5, 1.0), (None, 0.0)])
    assert (precision, recall) == (0.75, 0.5)
    assert f1 == pytest.approx(0.6)
