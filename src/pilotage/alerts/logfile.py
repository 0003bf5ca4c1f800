"""The alert log: a JSON line for each alert, one old file kept, whole lines whoever writes at the same time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LARGEST = 5_000_000  # bytes; then the file becomes alerts.log.1, in place of the one before


def append_line(path: Path, row: Mapping[str, Any], largest: int = LARGEST) -> None:
    """Add a line. OSError when it cannot be written."""
    line = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if path.exists() and path.stat().st_size + len(line) > largest:
            path.replace(path.with_name(path.name + ".1"))
        with open(path, "ab", buffering=0) as file:
            file.write(line)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time, by a lock on the folder; where there are no such locks (Windows), without one."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
