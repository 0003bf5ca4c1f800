from __future__ import annotations

import pytest

from pilotage.replay.charts import BOTTOM, HEIGHT, TOP, Chart, Series, Words, bars, lines, ticks
from pilotage.replay.export import environment

WORDS = Words(lambda value: f"{value:g} pieces", lambda value: f"{value:g}")
DAYS = ["Mon", "Tue", "Wed"]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(7.3, [0, 2, 4, 6, 8]), (10, [0, 2, 4, 6, 8, 10]), (0.043, [0, 0.01, 0.02, 0.03, 0.04, 0.05]), (0, [0, 1]),
     (1234, [0, 250, 500, 750, 1000, 1250])],
)  # fmt: skip
def test_ticks_are_round_and_reach_the_largest_figure(most: float, expected: list[float]) -> None:
    assert ticks(most) == expected


@pytest.mark.parametrize("most", [1, 2, 3, 7, 13, 99, 101])
def test_ticks_of_things_are_whole(most: int) -> None:
    marks = ticks(most, whole=True)
    assert all(mark == int(mark) for mark in marks)
    assert marks[-1] >= most
    assert len(marks) <= 8


def test_bars_are_stacked_and_as_high_as_their_figures() -> None:
    chart = bars("Pieces", DAYS, [Series("a", [1, 2, 0]), Series("b", [3, None, 0], 2)], WORDS)
    first, above, alone = chart.rects
    plot = HEIGHT - TOP - BOTTOM
    assert first.height == pytest.approx(plot * 1 / 4, abs=0.02)
    assert above.height == pytest.approx(plot * 3 / 4, abs=0.02)
    assert above.y + above.height == pytest.approx(first.y, abs=0.02)
    assert alone.x > first.x == above.x
    assert above.text == "Mon: b 3 pieces"


def test_a_line_is_broken_where_a_figure_is_missing() -> None:
    chart = lines("Time", DAYS, [Series("p50", [1, None, 3]), Series("p95", [2, 2, 4])], WORDS)
    assert chart.lines[0].path.count("M") == 2
    assert chart.lines[1].path.count("M") == 1
    assert [line.dashed for line in chart.lines] == [False, True]


def test_the_table_has_the_same_figures_and_leaves_out_empty_rows() -> None:
    chart = bars("Pieces", DAYS, [Series("a", [1, 0, 2.5]), Series("b", [0, 0, 1], 2)], WORDS)
    assert chart.head == ["", "a", "b"]
    assert chart.table == [["Mon", "1 pieces", "0 pieces"], ["Wed", "2.5 pieces", "1 pieces"]]
    assert chart.summary == "a at most 2.5 pieces (Wed); b at most 1 pieces (Wed)."


def test_without_figures_there_is_no_picture() -> None:
    assert bars("Pieces", DAYS, [Series("a", [0, 0, 0])], WORDS).is_empty
    assert lines("Time", DAYS, [Series("p50", [None, None, None])], WORDS).is_empty
    assert bars("Pieces", DAYS, [], WORDS).is_empty
    assert "Nothing in this time" in drawn(bars("Pieces", DAYS, [], WORDS))


def test_names_in_a_chart_stay_text() -> None:
    chart = bars("<b>Cost</b>", ["<i>Mon</i>"], [Series("<script>x</script>", [1]), Series("&", [1])], WORDS)
    html = drawn(chart)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html


def test_a_chart_has_a_name_a_description_and_no_inline_style() -> None:
    html = drawn(bars("Pieces", DAYS, [Series("a", [1, 2, 3])], WORDS))
    assert '<title id="c-title">Pieces</title>' in html
    assert '<desc id="c-desc">a at most 3 pieces (Wed).</desc>' in html
    assert "style=" not in html


def drawn(chart: Chart) -> str:
    template = environment().from_string('{% from "chart.html" import figure %}{{ figure(chart, "c") }}')
    return template.render(chart=chart)
