"""Everything that Pilotage raises on purpose, and the exit codes.

* PilotageError
  x ConfigError        the settings, the command line or the knowledge folder are not usable   exit 2
  x LimitExceeded      a cap was reached; carries kind, value, limit and key                    exit 3
  x StoreError         the journal cannot be written or read                                    exit 4
  x ToolError          a tool could not do what it was asked, or must not                       exit 4

Each error has a message that says what happened and, where one helps, a hint that names file and key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from decimal import Decimal

EXIT_OK = 0
EXIT_REJECTED = 1
EXIT_CONFIG = 2
EXIT_LIMITED = 3
EXIT_FAILED = 4
EXIT_INTERRUPTED = 130


class PilotageError(Exception):
    """Base of the tree. `str(error)` is one line; `error.hint` is one line or empty."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))

    def lines(self) -> str:
        """The message and its hint as they stand on the terminal."""
        return f"error: {self}" + (f"\nhint: {self.hint}" if self.hint else "")


class ConfigError(PilotageError):
    """Settings, command line or knowledge folder: nothing was started."""

    exit_code = EXIT_CONFIG


class LimitExceeded(PilotageError):
    """A cap was reached, or the next step would pass it.

    >>> LimitExceeded("seconds", 2.01, 2, key="limits.seconds").kind
    'seconds'
    """

    exit_code = EXIT_LIMITED

    def __init__(self, kind: str, value: float, limit: float, *, key: str, hint: str = "", said: str = "") -> None:
        said = said or f"{counted(value, kind)} against the limit of {figure(limit)} ({key})"
        super().__init__(f"Run stopped: {said}", hint=hint)
        self.kind, self.value, self.limit, self.key = kind, value, limit, key


class StoreError(PilotageError):
    """The journal cannot be written or read."""


class ToolError(PilotageError):
    """A tool could not do what it was asked, or must not; the message is the sentence that the agent gets."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "max_iter"?`, or the list of known names when nothing is near."""
    names = sorted(known)
    tails = {candidate.rsplit(".", 1)[-1] for candidate in names}  # what limits.* share says nothing
    close = difflib.get_close_matches(name.rsplit(".", 1)[-1], tails, n=1, cutoff=0.7 if "." in name else 0.6)
    of_tail = [candidate for candidate in names if candidate.rsplit(".", 1)[-1] in close]
    matches = difflib.get_close_matches
    found = matches(name, of_tail, n=1, cutoff=0) or matches(name, names, n=1, cutoff=0.8)
    return f'did you mean "{found[0]}"?' if found else "known: " + ", ".join(names)


def figure(value: float) -> str:
    """Two decimals, or four figures of a small amount: 27 · 2.01 · 0.0000752 · 1e+400"""
    if 0 < value < 1e-9 or value >= 1e15:
        return f"{Decimal(value):.4g}"
    if 0 < value < 1:
        return f"{Decimal(f'{value:.4g}'):f}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def counted(value: float, what: str) -> str:
    """1 model call · 2.01 seconds · 3 iterations of researcher"""
    noun, of, owner = what.partition(" of ")
    shown = figure(value)
    return f"{shown} {noun.removesuffix('s') if shown == '1' else noun}{of}{owner}"


def shortened(text: str, most: int = 80) -> str:
    """The text, or its beginning and its length."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _rebuild(kind: type[PilotageError], args: tuple[object, ...], state: dict[str, object]) -> PilotageError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error
