"""Charts as plain SVG shapes: stacked bars and lines with sane ticks, a legend, and the same figures as a table.

The geometry is made here, the markup in templates/chart.html; colours are classes, told apart by text as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 10, 26  # around the plot, for the labels
NICE = (1, 2, 2.5, 5, 10)
MOST_TICKS, MOST_LABELS = 5, 7
GAP = 0.22  # share of a bar's place that stays free

Shown = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """One row of figures; None where there is none. `colour` is a number of the palette, 1 to 8."""

    name: str
    values: Sequence[float | None]
    colour: int = 1


@dataclass(frozen=True)
class Words:
    """How figures are written: in the table, and shorter on the axis."""

    shown: Shown
    axis: Shown


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    colour: int
    text: str


@dataclass(frozen=True)
class Line:
    """A path with gaps where figures are missing; every second line is dashed. `dots` are x, y and text."""

    path: str
    colour: int
    dashed: bool
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Chart:
    """What templates/chart.html draws. `table` has a row for each label; empty ones are left out there."""

    title: str
    note: str
    summary: str
    ticks: list[tuple[float, str]]
    labels: list[tuple[float, str]]
    legend: list[tuple[int, str]]
    head: list[str]
    table: list[list[str]]
    rects: list[Rect] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM

    @property
    def is_empty(self) -> bool:
        return not self.rects and not any(line.dots for line in self.lines)


def ticks(most: float, *, whole: bool = False) -> list[float]:
    """Round figures from 0 to at least `most`: ticks(7.3) is [0, 2, 4, 6, 8]. `whole`: no halves of things."""
    if most <= 0 or not math.isfinite(most):
        return [0, 1]
    size = 10 ** math.floor(math.log10(most / MOST_TICKS))
    step = next(size * nice for nice in NICE if most / (size * nice) <= MOST_TICKS)
    step = max(1, round(step)) if whole else step
    count = math.ceil(round(most / step, 9))
    return [float(f"{step * number:.10g}") for number in range(count + 1)]


def bars(
    title: str, labels: Sequence[str], series: Sequence[Series], words: Words, *, note: str = "", whole: bool = False,
    most: float | None = None,
) -> Chart:  # fmt: skip
    """Bars, stacked in the order of `series`. `most` is the top of the axis, where the figures do not decide it."""
    totals = [sum(one.values[place] or 0 for one in series) for place in range(len(labels))]
    marks = ticks(max(totals, default=0) if most is None else most, whole=whole)
    step = _plot_width() / max(1, len(labels))
    rects = []
    for place, label in enumerate(labels):
        below = 0.0
        for one in series:
            value = one.values[place] or 0
            if value > 0:
                low, high = _y(below, marks[-1]), _y(below + value, marks[-1])
                x = LEFT + step * (place + GAP / 2)
                text = f"{label}: {one.name} {words.shown(value)}"
                rects.append(Rect(_r(x), _r(high), _r(step * (1 - GAP)), _r(low - high), one.colour, text))
                below += value
    return _chart(title, note, labels, series, words, marks, rects=rects)


def lines(title: str, labels: Sequence[str], series: Sequence[Series], words: Words, *, note: str = "") -> Chart:
    """A line for each series, broken where a figure is missing."""
    marks = ticks(max((value for one in series for value in one.values if value is not None), default=0))
    step = _plot_width() / max(1, len(labels))
    drawn = []
    for number, one in enumerate(series):
        parts, dots, pen_up = [], [], True
        for place, value in enumerate(one.values):
            if value is None:
                pen_up = True
                continue
            x, y = _r(LEFT + step * (place + 0.5)), _r(_y(value, marks[-1]))
            parts.append(f"{'M' if pen_up else 'L'}{x} {y}")
            dots.append((x, y, f"{labels[place]}: {one.name} {words.shown(value)}"))
            pen_up = False
        drawn.append(Line(" ".join(parts), one.colour, number % 2 == 1, dots))
    return _chart(title, note, labels, series, words, marks, lines=drawn)


def _chart(
    title: str, note: str, labels: Sequence[str], series: Sequence[Series], words: Words, marks: list[float],
    rects: list[Rect] | None = None, lines: list[Line] | None = None,
) -> Chart:  # fmt: skip
    step = _plot_width() / max(1, len(labels))
    every = max(1, math.ceil(len(labels) / MOST_LABELS))
    shown = words.shown
    rows = [[label, *(_cell(one.values[place], shown) for one in series)] for place, label in enumerate(labels)]
    return Chart(
        title, note, _summary(labels, series, shown), [(_r(_y(mark, marks[-1])), words.axis(mark)) for mark in marks],
        [(_r(LEFT + step * (place + 0.5)), label) for place, label in enumerate(labels) if place % every == 0],
        [(one.colour, one.name) for one in series] if len(series) > 1 else [], ["", *(one.name for one in series)],
        [row for row in rows if any(cell not in ("", shown(0)) for cell in row[1:])], rects or [], lines or [],
    )  # fmt: skip


def _summary(labels: Sequence[str], series: Sequence[Series], shown: Shown) -> str:
    """In a sentence, for who does not see the picture."""
    parts = []
    for one in series:
        values = [value for value in one.values if value is not None]
        if values and max(values) > 0:
            peak = labels[list(one.values).index(max(values))]
            parts.append(f"{one.name} at most {shown(max(values))} ({peak})")
    return "; ".join(parts) + "." if parts else "No figures in this time."


def _cell(value: float | None, shown: Shown) -> str:
    return "" if value is None else shown(value)


def _plot_width() -> float:
    return WIDTH - LEFT - RIGHT


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _r(value: float) -> float:
    return round(value, 2)
