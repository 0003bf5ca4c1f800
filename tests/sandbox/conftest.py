"""What the tests of the sandbox share: specs by mode, and the reason for skipping where bubblewrap does not work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilotage.sandbox import bubblewrap
from pilotage.spec import CodeSpec

needs_bubblewrap = pytest.mark.skipif(bool(bubblewrap.missing()), reason=bubblewrap.missing() or "bubblewrap works")
MODES = ["monty", pytest.param("bubblewrap", marks=needs_bubblewrap)]


def spec(mode: str, seconds: float = 2, **more: int) -> CodeSpec:
    return CodeSpec.model_validate({"sandbox": mode, "seconds": seconds, **more})


def processes(word: bytes = b"/inside.py") -> set[int]:
    """The processes of this machine whose command holds a word."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.add(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found
