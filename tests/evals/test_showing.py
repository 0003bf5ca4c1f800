"""The scorecard for people: a table, the same in Markdown, one column a model."""

from __future__ import annotations

from pilotage.evals.comparing import compare
from pilotage.evals.score import Scorecard, count
from pilotage.evals.showing import lines_of
from tests.evals.made import attempt


def card(model: str = "m", times: int = 1, right: int = 3, of: int = 4, **more: object) -> Scorecard:
    tries = [attempt(f"q{n}", n < right, kind="plain", cited=True, **more) for n in range(of) for _ in range(times)]  # type: ignore[arg-type]
    return count(tries, model, times=times)


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name))


def test_each_figure_stands_with_its_interval_and_its_number() -> None:
    lines = lines_of([card(seconds=0.25)])
    assert row(lines, "right").split(None, 1)[1] == "75.0% [30.1, 95.4] of 4"
    assert row(lines, "wrong accepted").endswith("25.0% [4.6, 69.9] of 4")
    assert row(lines, "rightly unanswered").endswith("–")
    assert row(lines, "seconds, median").endswith("0.250 [0.250, 0.250]")
    assert row(lines, "usd  ").endswith("$2.0000")
    assert row(lines, "plain").startswith("plain  75.0% [30.1, 95.4] of 4")
    assert "Wilson for shares" in lines[-1]
    assert not [line for line in lines if "pass" in line]


def test_asked_more_than_once_it_says_how_often_all_were_right() -> None:
    lines = lines_of([card(times=5)])
    assert row(lines, "questions").endswith("4 × 5 = 20 runs")
    assert [line.split()[0] for line in lines if line.startswith("pass")] == ["pass^2", "pass^4", "pass^5", "pass@5"]
    assert "pass^5" in row(lines, "kind")
    assert "bootstrap over questions" in lines[-1]


def test_an_interrupted_card_shows_no_k_that_nobody_was_asked() -> None:
    cut = count([attempt("a", True), attempt("a", True)], "m", times=50, interrupted=True)
    lines = lines_of([cut])
    assert row(lines, "questions").endswith(", interrupted")
    assert [line.split()[0] for line in lines if line.startswith("pass")] == ["pass^2", "pass@2"]


def test_models_stand_side_by_side_with_what_changed_between_them() -> None:
    first, second = card("reader"), card("openai/gpt", right=1, usd=None)
    lines = lines_of([first, second], [compare(first.tallies, second.tallies, ("reader", "openai/gpt"))])
    assert lines[0].split() == ["reader", "openai/gpt"]
    assert row(lines, "usd  ").split()[-1] == "unpriced"
    assert row(lines, "right:") == "right: 0 up, 2 down, p = 0.5 (may be chance)"
    assert row(lines, "openai/gpt against") == "openai/gpt against reader, 4 questions"
    assert [line for line in lines if line.startswith("worse: ")] == ["worse: q1", "worse: q2"]
    assert row(lines, "kind, openai/gpt")


def test_a_long_list_of_what_was_not_compared_is_cut() -> None:
    first, second = card(of=40), card(of=1)
    lines = lines_of([second], [compare(first.tallies, second.tallies, ("a", "b"))])
    assert row(lines, "not compared").endswith("39 (q1, q10, q11, q12, q13, q14, q15, q16, q17, q18 …)")


def test_markdown_has_the_same_cells() -> None:
    first = card("a|b")
    lines = lines_of([first], [compare(first.tallies, first.tallies, ("a", "b"))], "markdown")
    assert lines[:2] == ["|  | a\\|b |", "| --- | --- |"]
    assert "| right | 75.0% [30.1, 95.4] of 4 |" in lines
    assert "- b against a, 4 questions" in lines
    tables = "\n".join(lines).split("\n\n")[:2]
    assert all(len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1 for table in tables)
