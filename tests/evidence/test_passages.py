"""Cutting documents: blocks, sentences, names and lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotage.evidence.passages import LENGTH, READERS, Cut, cut
from pilotage.evidence.sentences import sentences
from pilotage.reading.documents import LONGEST

MARKDOWN = """---
draft: true
---
# The title

First paragraph. It has two sentences.

The caps are:

- **iterations** per agent
- seconds per run,
  wrapped here
1. and a number. With a second sentence.

## Caps
### Seconds

| key | default |
|-----|---------|
| seconds | 120 |

```python
# not a heading
limit = 1

stop = 2
```
<!-- a hidden
note -->
Setext
------
Last paragraph
on two lines.
"""


def read(tmp_path: Path, name: str, text: str) -> list[Cut]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return cut(READERS[path.suffix](path), name)


def quotes(piece: Cut) -> list[str]:
    return [piece.passage.text[start:stop] for start, stop in piece.spans]


def test_markdown_blocks(tmp_path: Path) -> None:
    cuts = read(tmp_path, "a.md", MARKDOWN)
    assert {piece.passage.title for piece in cuts} == {"The title"}
    assert [piece.passage.where for piece in cuts] == [
        "line 6",
        "lines 8–13",
        "Caps > Seconds, lines 18–20",
        "Caps > Seconds, lines 22–27",
        "Setext, lines 32–33",
    ]
    assert quotes(cuts[0]) == ["First paragraph.", "It has two sentences."]
    assert quotes(cuts[1]) == [
        "The caps are:",
        "- **iterations** per agent",
        "- seconds per run,\n  wrapped here",
        "1. and a number.",
        "With a second sentence.",
    ]
    assert quotes(cuts[2]) == ["| key | default |", "| seconds | 120 |"]


def test_text_is_verbatim_and_lines_are_right(tmp_path: Path) -> None:
    lines = MARKDOWN.split("\n")
    for piece in read(tmp_path, "a.md", MARKDOWN):
        p = piece.passage
        assert p.text in MARKDOWN
        assert p.text in "\n".join(lines[p.first_line - 1 : p.last_line])
        assert all(quote in p.text for quote in quotes(piece))


def test_names_stay_when_something_else_changes(tmp_path: Path) -> None:
    before = [piece.passage.source for piece in read(tmp_path, "a.md", "One.\n\nTwo.\n\nOne.\n")]
    after = [piece.passage.source for piece in read(tmp_path, "a.md", "New.\n\nOne.\n\nTwo  \n\nOne.\n\nTwo.\n")]
    assert before[2] == before[0] + "-2"
    assert len(set(before)) == 3
    assert [after[1], after[4], after[3]] == before


def test_windows_line_ends_and_mark(tmp_path: Path) -> None:
    cuts = read(tmp_path, "a.txt", "\ufeffOne line\r\nand more.\r\n\r\nSecond.\r\n")
    assert [(p.passage.text, p.passage.first_line, p.passage.last_line) for p in cuts] == [
        ("One line\nand more.", 1, 2),
        ("Second.", 4, 4),
    ]


def test_long_paragraph_is_split_between_sentences(tmp_path: Path) -> None:
    text = " ".join(f"Sentence number {number} says something of its own." for number in range(100))
    cuts = read(tmp_path, "a.md", text)
    assert len(cuts) > 3
    assert all(len(piece.passage.text) <= LENGTH for piece in cuts)
    assert " ".join(piece.passage.text for piece in cuts) == text


def test_text_without_marks_is_still_cut(tmp_path: Path) -> None:
    for text in ("word " * 2000, "x" * 9000):
        cuts = read(tmp_path, "a.txt", text)
        assert all(len(piece.passage.text) <= LENGTH for piece in cuts)
        assert all(stop - start <= LONGEST for piece in cuts for start, stop in piece.spans)


def test_html(tmp_path: Path) -> None:
    page = """<html><head><title>Page</title><style>p {}</style></head><body><nav>Menu</nav>
    <h1>Page</h1><p>Some <b>bold</b>\n words. Second one.</p><h2>Part</h2><ul><li>One</li><li>Two</li></ul>
    <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><pre>x = 1\ny = 2</pre>
    <script>bad()</script></body></html>"""
    cuts = read(tmp_path, "a.html", page)
    assert [(piece.passage.heading, piece.passage.text) for piece in cuts] == [
        ("", "Some bold words. Second one."),
        ("Part", "One\nTwo"),
        ("Part", "a: 1 | b: 2"),
        ("Part", "x = 1\ny = 2"),
    ]
    assert {piece.passage.title for piece in cuts} == {"Page"}
    assert [piece.passage.first_line for piece in cuts] == [1, 3, 5, 6]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith went to Washington D.C. on Monday. He stayed.", 2),
        ("北京是中国的首都。人口很多！对吗？", 3),
        ("東京は日本の首都です。人口は多い。", 2),
        ("서울은 수도이다. 한강이 흐른다.", 2),
        ("दिल्ली राजधानी है। यमुना नदी है।", 2),
        ("القاهرة عاصمة مصر. هل تعلم؟", 2),
        ("Столица России. Вот г. Москва.", 2),
    ],
)
def test_sentences_of_many_languages(text: str, count: int) -> None:
    assert len(sentences(text)) == count
