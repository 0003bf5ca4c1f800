"""What the panel of a run says: who is at what, how much of each cap is used, and what went wrong.

It is a fold of the journal's events into rows of text, cut to a width and a height; the most important rows stay.
What is not covered: a call shows in the journal when it has ended, so what goes on now is what the last event leads to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from pilotage.errors import counted, figure
from pilotage.record.tally import Tally
from pilotage.report import money, one_line, printable

if TYPE_CHECKING:
    from pilotage.record.journal import Event

WIDEST_BAR, NARROWEST_BAR = 24, 4
NEAR = 0.8  # share of a cap from which its row is marked
ASKS = "asks the model"


@dataclass(frozen=True)
class Row:
    """A line of the panel. `rank` says which rows stay when there is no room: the lowest. `style` is rich's."""

    text: str
    rank: int
    style: str = ""


@dataclass(frozen=True)
class _Task:
    agent: str
    state: str = "waits"  # now, done
    began: float = 0.0
    seconds: float = 0.0


@dataclass
class Board:
    """The state of one run. `clock` gives seconds since 1970, as events have them. Safe from several threads."""

    clock: Callable[[], float] = time.time
    question: str = ""
    _limits: dict[str, Any] = field(default_factory=dict)
    _tasks: dict[str, _Task] = field(default_factory=dict)
    _tally: Tally = field(default_factory=Tally)
    _notes: dict[str, str] = field(default_factory=dict)  # the last of each kind
    _warnings: int = 0
    _doubts: int = 0  # grades that are not "supported"
    _agent: str = ""
    _doing: str = "begins"
    _began: float | None = None
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, event: Event) -> None:
        """Take an event in."""
        with self._lock:
            self._began = event.at if self._began is None else self._began
            self._tally.add(event)
            self._note(event)
            match event.kind:
                case "run_started":
                    self._begin(event)
                case "task_started":
                    self._tasks[event.facts["task"]] = _Task(event.facts["agent"], "now", event.at)
                case "task_ended":
                    self._end_task(event)
            if doing := _doing(event):
                self._agent, self._doing, self._since = event.facts["agent"], doing, event.at

    def rows(self, width: int, height: int, *, plain: bool = False) -> list[Row]:
        """At most `height` rows, none wider than `width` cells; `plain` draws bars in ASCII."""
        with self._lock:
            found = [Row(f"“{self.question}”" if not plain else f'"{self.question}"', 2, "bold"), *self._task_rows()]
            found += [self._now(), *self._bars(width, "#-" if plain else "█░"), *self._note_rows()]
        keep = sorted(range(len(found)), key=lambda n: (found[n].rank, n))[: max(1, height)]
        cut = "..." if plain else "…"
        return [replace(row, text=_cut(printable(row.text), width, cut)) for n, row in enumerate(found) if n in keep]

    def _begin(self, event: Event) -> None:
        self.question, self._since = one_line(event.content.get("question") or ""), event.at
        settings = json.loads(event.content.get("settings") or "{}")
        self._limits = settings.get("engine", {}).get("limits", {})
        tasks: dict[str, Any] = settings.get("tasks", {})
        self._tasks = {name: _Task(spec.get("agent", "")) for name, spec in tasks.items()}

    def _end_task(self, event: Event) -> None:
        task = self._tasks.get(event.facts["task"], _Task(event.facts["agent"]))
        self._tasks[event.facts["task"]] = replace(task, state="done", seconds=event.at - (task.began or event.at))

    def _note(self, event: Event) -> None:
        facts, content = event.facts, event.content
        if event.kind == "run_started":
            warnings = json.loads(content.get("warnings") or "[]")
            self._warnings = len(warnings)
            self._notes |= {"warning": warnings[-1]} if warnings else {}
        elif event.kind == "loop":
            stopped = "stopped" if facts["level"] == "stop" else "nudged"
            self._notes["loop"] = f"{facts['rule']} of {facts['agent']}, {stopped}"
        elif event.kind == "alert":
            self._notes["alert"] = content.get("text") or facts["rule"]
        elif event.kind == "round" and "to_task" in facts:
            self._notes["round"] = f"{facts['number']}, from {facts['to_task']} on"
        elif event.kind == "grade" and facts["verdict"] != "supported":
            self._doubts += 1
            self._notes["grade"] = f"{facts['verdict']}: {content.get('claim') or ''}"
        elif event.kind == "limit":
            self._notes["limit"] = f"{facts.get('key', facts.get('limit'))} reached"

    def _task_rows(self) -> list[Row]:
        """`done   research  researcher  3.2 s`; the task at hand is the last one to go."""
        names = _padded(self._tasks)
        agents = _padded([task.agent for task in self._tasks.values()])
        rows = []
        for name, agent, task in zip(names, agents, self._tasks.values(), strict=True):
            seconds = {"done": task.seconds, "now": self.clock() - task.began}.get(task.state)
            shown = "" if seconds is None else _seconds(seconds)
            style = {"now": "bold cyan", "done": "green"}.get(task.state, "dim")
            rows.append(
                Row(f"{task.state:<5}  {name}  {agent}  {shown}".rstrip(), 1 if task.state == "now" else 5, style)
            )
        return rows

    def _now(self) -> Row:
        waited = _seconds(max(0.0, self.clock() - self._since)) if self._since else ""
        who = f"{self._agent} {self._doing}" if self._agent else self._doing
        return Row(f"{who}, {waited}" if waited else who, 0, "cyan")

    def _bars(self, width: int, marks: str) -> list[Row]:
        tally = self._tally
        elapsed = 0.0 if self._began is None else max(0.0, self.clock() - self._began)
        cost = f", {counted(tally.unpriced, 'calls')} unpriced" if tally.unpriced else ""
        used = [  # label, key, used, written, rank
            ("time", "seconds", elapsed, _seconds, 1), ("cost", "usd", tally.usd, money, 3),
            ("tokens", "tokens", tally.tokens, figure, 4), ("model", "model_calls", tally.model_calls, figure, 4),
            ("tools", "tool_calls", tally.tool_calls, figure, 6),
        ]  # fmt: skip
        served = f", {tally.served:,} calls from memory" if tally.served else ""
        after = {"usd": cost, "model_calls": f" calls{served}", "tool_calls": " calls"}
        written = [_of(value, self._limits.get(key), write) + after.get(key, "") for _, key, value, write, _ in used]
        longest = max(map(len, written))
        room = min(WIDEST_BAR, width - 7 - 1 - longest)
        rows = []
        for (label, key, value, _, rank), text in zip(used, written, strict=True):
            share = value / self._limits[key] if self._limits.get(key) else 0.0
            bar = _bar(share, room, marks) + " " if room >= NARROWEST_BAR else ""
            rows.append(Row(f"{label:<7}{bar}{text}", rank, "yellow" if share >= NEAR else ""))
        return rows

    def _note_rows(self) -> list[Row]:
        counts = {
            "limit": 1, "round": 1, "grade": self._doubts, "alert": self._tally.alerts, "loop": self._tally.loops,
            "warning": self._warnings,
        }  # fmt: skip
        styles = {
            "round": (3, "cyan"),
            "grade": (4, "yellow"),
            "warning": (5, "yellow"),
            "loop": (2, "yellow"),
            "alert": (2, "bold yellow"),
            "limit": (1, "bold red"),
        }
        rows = []
        for kind, text in self._notes.items():
            head = kind if counts[kind] == 1 else f"{counts[kind]} {kind}s, last"
            rows.append(Row(f"{head}: {one_line(text)}", *styles[kind]))
        return rows


def _doing(event: Event) -> str:
    """What its agent does from this event on; "" when the event says nothing about that."""
    facts = event.facts
    if not facts.get("agent"):
        return ""
    match event.kind:
        case "task_started":
            return ASKS
        case "tool_call":
            return f"{ASKS} (after {facts['tool']})"
        case "model_call" if facts.get("failed"):
            return f"{ASKS} again"
        case "model_call":
            tools = _tools_in(event.content.get("answer"))
            return f"uses {', '.join(tools)}" if tools else "has answered"
        case "check" if not facts["passed"]:
            return f"is corrected ({facts['check']})"
        case _:
            return ""


def _tools_in(answer: str | None) -> list[str]:
    """The tools that a model's answer calls."""
    if not (answer or "").startswith("["):
        return []
    try:
        return list(dict.fromkeys(one_line(str(call["function"]["name"])) for call in json.loads(answer or "")))
    except (ValueError, KeyError, TypeError):
        return []


def _of(value: float, cap: float | None, write: Callable[[Any], str]) -> str:
    return f"{write(value)} of {write(cap)}" if cap else write(value)


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def _bar(share: float, width: int, marks: str) -> str:
    full = min(width, round(share * width))
    return marks[0] * full + marks[1] * (width - full)


def _padded(texts: Sequence[str] | dict[str, Any]) -> list[str]:
    """The texts, each as wide as the widest; wide letters count two cells."""
    plain = [one_line(text) for text in texts]
    widest = max(map(cell_len, plain), default=0)
    return [set_cell_size(text, widest) for text in plain]


def _cut(text: str, width: int, mark: str) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - len(mark))) + mark[:width]
