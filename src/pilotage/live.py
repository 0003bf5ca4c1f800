"""A run on the terminal while it goes on: the plain lines of its steps, and under them a panel that ticks.

On a terminal the panel stands on stderr until the run has ended; off a terminal, and on one that cannot move its cursor
(TERM=dumb), there are the plain lines alone. What is printed meanwhile with `print` stands above the panel; stdout that
leads elsewhere is left alone. What is not covered: what a child process or a logger that was set up before writes to
the terminal by itself, which the next refresh may overwrite; and a terminal that wraps its lines anew when it is made
narrower, on which a torn piece of the panel stays.
"""

from __future__ import annotations

import atexit
import contextlib
import locale
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from pilotage.report import progress_lines, step_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pilotage.record.journal import Event

REFRESHES = 4  # times a second
WIDEST = 100  # cells
ECHO = 3  # cells to the right of the panel: a Ctrl-C shows as ^C behind it, and may not begin a new line
BORDERED = (60, 20)  # columns and lines from which the panel has a frame
LONGEST_LINE = 10_000  # characters that are held back until a line ends


class Progress(Protocol):
    """A journal listener that shows a run; `close` takes the panel away, and may be called twice."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


def progress(err: TextIO | None = None) -> Progress:
    """The panel on a terminal, plain lines elsewhere. rich is imported for the panel only."""
    stream = err or sys.stderr
    is_live = stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    return _Panel(stream) if is_live else _Plain(stream)


class _Plain:
    def __init__(self, stream: TextIO) -> None:
        self._show = progress_lines(stream)

    def __call__(self, event: Event) -> None:
        self._show(event)

    def close(self) -> None:
        pass


class _Panel:
    """Lines go by above, the panel stands below them from run_started to run_ended."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        from pilotage.board import Board

        self._stream, self._lines, self._board = stream, step_lines(), Board()
        self._is_plain = not _takes_unicode(stream)
        self._console = Console(file=stream, highlight=False, emoji=False, markup=False)
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=REFRESHES, transient=True,
            redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        self._lock = threading.RLock()
        self._replaced: list[tuple[str, _Above]] = []

    def __call__(self, event: Event) -> None:
        for line in self._lines(event):
            self._say(line)
        self._board.add(event)
        if event.kind == "run_started":
            self._open()
        elif event.kind == "run_ended":
            self.close()

    def close(self) -> None:
        with self._lock:
            for name, above in self._replaced:
                above.finish()
                if getattr(sys, name) is above:
                    setattr(sys, name, above.stream)
            self._replaced.clear()
            atexit.unregister(self.close)
            with contextlib.suppress(OSError):  # the terminal is gone
                self._live.stop()

    def _open(self) -> None:
        with self._lock:
            atexit.register(self.close)
            self._live.start(refresh=True)
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if _same_terminal(stream, self._stream):
                    above = _Above(stream, self._say)
                    setattr(sys, name, cast(TextIO, above))
                    self._replaced.append((name, above))

    def _say(self, line: str) -> None:
        if self._is_plain:
            line = line.encode("ascii", "replace").decode()
        self._console.out(line, highlight=False)

    def _render(self) -> RenderableType:
        from rich import box
        from rich.panel import Panel
        from rich.text import Text

        width, height = self._console.size
        width, has_frame = min(width - ECHO, WIDEST), width >= BORDERED[0] and height >= BORDERED[1]
        inner, room = (width - 4, height - height // 3 - 2) if has_frame else (max(1, width), max(1, height - 4))
        rows = self._board.rows(inner, room, plain=self._is_plain)
        text = Text("\n", no_wrap=True, overflow="crop", end="").join(Text(self._fit(r.text), r.style) for r in rows)
        if not has_frame:
            return text
        return Panel(text, box=box.ASCII if self._is_plain else box.ROUNDED, width=width, border_style="dim")

    def _fit(self, text: str) -> str:
        return text.encode("ascii", "replace").decode() if self._is_plain else text


class _Above:
    """Stands for sys.stdout or sys.stderr while the panel is up: whole lines go above it."""

    def __init__(self, stream: TextIO, say: Callable[[str], None]) -> None:
        self.stream, self._say = stream, say
        self._held, self._lock = "", threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            *whole, self._held = (self._held + text).split("\n")
            if len(self._held) > LONGEST_LINE:
                whole, self._held = [*whole, self._held], ""
            for line in whole:
                self._say(line)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """What is no whole line waits for its end: the panel stands below it."""

    def finish(self) -> None:
        with self._lock:
            if self._held:
                self._say(self._held)
            self._held = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _same_terminal(stream: Any, other: TextIO) -> bool:
    try:
        one, two = os.fstat(stream.fileno()), os.fstat(other.fileno())
        return bool(stream.isatty()) and (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
    except (OSError, ValueError, AttributeError):
        return False


def _takes_unicode(stream: TextIO) -> bool:
    """By the stream and by the locale: the command line writes UTF-8 whatever the terminal expects."""
    names = (stream.encoding or "", locale.getencoding())
    return all(name.lower().replace("-", "").startswith("utf") for name in names)
