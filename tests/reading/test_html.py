"""HTML as lines and blocks: tables, lists, breaks, and the documents of the knowledge folder."""

from __future__ import annotations

import pytest

from pilotage.reading.html import extract
from pilotage.reading.tree import squeeze


def lines(markup: str) -> list[str]:
    return extract(f"<body>{markup}</body>")[1].split("\n")


TABLES = {
    "header row": (
        "<table><tr><th>Country<th>Capital<tr><td>France<td>Paris<tr><td>Italy<td>Rome</table>",
        ["Country: France | Capital: Paris", "Country: Italy | Capital: Rome"],
    ),
    "head and body": (
        "<table><thead><tr><td>A<td>B</thead><tbody><tr><td>1<td>2</tbody></table>",
        ["A: 1 | B: 2"],
    ),
    "first column": ("<table><tr><th>Born:<td>1912<tr><th>Died<td>1954</table>", ["Born: 1912", "Died: 1954"]),
    "corner": ("<table><tr><td><th>2023<th>2024<tr><th>Lamps<td>3<td>4</table>", ["Lamps | 2023: 3 | 2024: 4"]),
    "no header": ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", ["a | b", "c | d"]),
    "caption": (
        "<table><caption>Lamps</caption><tr><th>A<th>B<tr><td>1<td>2</table>",
        ["Lamps", "A: 1 | B: 2"],
    ),
    "wide header": (
        "<table><tr><th colspan=2>Name<th>Age<tr><td>Ann<td>Lee<td>5</table>",
        ["Name: Ann | Name: Lee | Age: 5"],
    ),
    "empty cells": ("<table><tr><th>A<th>B<th>C<tr><td>1<td> <td>3</table>", ["A: 1 | C: 3"]),
    "header only": ("<table><tr><th>A<th>B</table>", ["A | B"]),
    "cell of blocks": ("<table><tr><td><p>a</p><p>b</p><td>H<sub>2</sub>O<br>c</table>", ["a b | H2O c"]),
    "layout by nesting": ("<table><tr><td><p>One.</p><table><tr><td>a<td>b</table></table>", ["One.", "a | b"]),
    "layout by role": ("<table role=presentation><tr><td><p>One.</p><td><p>Two.</p></table>", ["One.", "Two."]),
    "layout by length": (f"<table><tr><td>Menu<td>{'long ' * 200}</table>", ["Menu", ("long " * 200).strip()]),
    "odd spans": ("<table><tr><th colspan=x>A<th colspan=-3>B<tr><td>1<td>2</table>", ["A: 1 | B: 2"]),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_become_lines_that_can_be_quoted_alone(kind: str) -> None:
    markup, expected = TABLES[kind]
    assert lines(markup) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>one<br>two<br><br>three</p>", ["one", "two", "three"]),
        ("a<p>b</p>c", ["a", "b", "c"]),
        ("<p>a <b>b</b>\n\n c</p>", ["a b c"]),
        ("<pre>x\n\n  y\n</pre>", ["x", "", "  y"]),
        ("<pre>x<br>y</pre>", ["x", "y"]),
        ("<ul><li>a<ul><li>b</ul><li><p>c</p></ul>", ["a", "b", "c"]),
        ("<p>a &amp; b &lt; c&nbsp;d</p>", ["a & b < c d"]),
        ("<p>a<!-- no --><?php no ?><script>no</script>b</p>", ["ab"]),
    ],
)
def test_lines(markup: str, expected: list[str]) -> None:
    assert lines(markup) == expected


def test_headings_are_in_the_text_and_name_the_blocks() -> None:
    title, text, blocks = extract(
        "<title>T</title><h1>T</h1><p>a</p><h2>One</h2><p>b</p><h3>Two</h3><ul><li>c<li>d</ul><h2>Three</h2><p>e</p>"
    )
    assert title == "T"
    assert text.split("\n") == ["a", "One", "b", "Two", "c", "d", "Three", "e"]
    found = [(block.heading, text[block.start : block.stop]) for block in blocks]
    assert found == [("", "a"), ("One", "b"), ("One > Two", "c\nd"), ("Three", "e")]


def test_a_heading_stands_between_lists_that_would_be_one() -> None:
    _title, text, blocks = extract("<ul><li>a</ul><h2>H</h2><ul><li>b</ul><h2>H</h2><ul><li>c</ul>")
    assert [text[block.start : block.stop] for block in blocks] == ["a", "b", "c"]


def test_a_document_is_read_whole_but_for_what_nobody_sees() -> None:
    title, text, _blocks = extract(
        "<nav>menu</nav><div class=sidebar><p>Kept.</p></div><p style='display:none'>Dropped.</p><p>Short</p>"
        "<figure><figcaption>A caption.</figcaption></figure><footer>foot</footer>"
    )
    assert (title, text) == ("", "Kept.\nShort\nA caption.")


def test_a_deep_document_is_read() -> None:
    assert extract("<div>" * 30_000 + "deep")[1] == "deep"


def test_a_document_of_too_many_tags_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match=r"^has 300,000 tags against a bound of 200,000$"):
        extract("<b>" * 300_000)


def test_markup_that_looks_like_xml_is_read_without_a_warning() -> None:
    assert extract('<?xml version="1.0"?><feed><title>T</title><p>a</p></feed>')[1].endswith("a")


def test_a_long_text_is_squeezed_like_a_short_one() -> None:
    words = "word \n\t é " * 200_000
    assert squeeze(words) == "word é " * 199_999 + "word é"
    assert squeeze(" " * 2_000_000 + "x" * 99_999) == "x" * 99_999
