"""Two runs side by side on a terminal: a table where there is one, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilotage.report import money, printable

if TYPE_CHECKING:
    from pilotage.compare import Comparison, Difference, Side

MOST_SETTINGS = 20
CLIP = 60  # characters of a setting's value
ENDS = "how they ended"


def lines(found: Comparison) -> Iterator[str]:
    """Everything, as plain lines."""
    rows = list(figures(found))
    widest = max(len(a) for _, a, _ in rows)
    for name, a, b in rows:
        yield printable(f"{name:<14} {a:<{widest}}  {b}")
    for key, a, b in found.settings[:MOST_SETTINGS]:
        yield printable(f"{key}: {_clip(a)} → {_clip(b)}")
    if (more := len(found.settings) - MOST_SETTINGS) > 0:
        yield f"… {more} more settings"
    yield ""
    yield from map(printable, parting(found))


def figures(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """The rows of the table: a name, and its value in each run."""
    a, b = _texts(found.a), _texts(found.b)
    for name in a:
        yield name, a[name], b[name]


def parting(found: Comparison) -> Iterator[str]:
    """Where they part and the difference there; then that of the answers."""
    first = found.first
    if first is None:
        yield "the runs are the same: every step, the outcome and the answer"
        return
    yield f"first difference: {place(first)}"
    yield from first.diff
    if found.answer_diff and found.answer_diff != first.diff:
        yield ""
        yield "answers:"
        yield from found.answer_diff


def place(first: Difference) -> str:
    """`request of model_call, researcher at research (event 7 of a, event 9 of b)`"""
    if first.a is None and first.b is None:
        return f"{first.what}, {ENDS}"
    at = " at ".join(part for part in (first.agent, first.task) if part)
    events = ", ".join(f"event {n} of {name}" for name, n in (("a", first.a), ("b", first.b)) if n is not None)
    return f"{first.what}: {first.kind}{', ' + at if at else ''} ({events})"


def print_table(found: Comparison) -> None:
    """The same in colour."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False, markup=False)
    table = Table("", "a", "b", box=None, pad_edge=False)
    for name, a, b in figures(found):
        table.add_row(
            *(Text(printable(text), "" if a == b or not n else "bold") for n, text in enumerate((name, a, b)))
        )
    for key, a, b in found.settings[:MOST_SETTINGS]:
        table.add_row(*(Text(printable(text)) for text in (key, _clip(a), _clip(b))))
    console.print(table)
    console.print()
    for line in parting(found):
        console.print(Text(printable(line), {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")))


def _texts(side: Side) -> dict[str, str]:
    usd = money(side.usd) + (f", {money(side.saved_usd)} saved" if side.saved_usd else "")
    tools = ", ".join(f"{name} {times}" for name, times in sorted(side.tools.items()))
    return {
        "run": side.run, "goes on from": f"{side.parent} ({side.how})" if side.parent else "-",
        "question": _clip(" ".join(side.question.split())), "model": side.model, "outcome": side.outcome or "no end",
        "seconds": f"{side.seconds:.1f}", "model calls": f"{side.model_calls:,}", "tool calls": f"{side.tool_calls:,}",
        "from memory": f"{side.served:,}", "tools": tools or "-", "tokens": f"{side.tokens:,}", "cost": usd,
    }  # fmt: skip


def _clip(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[: CLIP - 1]}…"
