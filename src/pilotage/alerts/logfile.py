"""The alert log: a JSON line for each alert, one old file kept, whole lines whoever writes at the same time.

Nothing here waits: a full file that is locked is moved by a later alert, and what is no regular file (a pipe, a
device) is refused. What is not covered: a disk that hangs, and two machines that write to one file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST = 5_000_000  # bytes; then the file becomes alerts.log.1, in place of the one before


def append_line(path: Path, row: Mapping[str, Any], largest: int = LARGEST) -> None:
    """Add a line. OSError when it cannot be written."""
    line = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # a later alert moves it
        if path.is_file() and path.stat().st_size + len(line) > largest:
            _move(path)
    file = _opened(path)
    try:
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def _move(path: Path) -> None:
    """One process does it, by a lock on the file; where there are no such locks (Windows), without one."""
    old = path.with_name(path.name + ".1")
    try:
        import fcntl
    except ImportError:
        path.replace(old)
        return
    file = _opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), path.stat()):  # else another has moved it just now
            path.replace(old)
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    """The file, to append to. Opening does not wait for who reads a pipe, and each write goes to the end."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.open(path, flags, 0o666)
    except OSError as error:
        raise _refused() if error.errno == errno.ENXIO else error from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _refused()
    return file


def _refused() -> OSError:
    return OSError(errno.EINVAL, "it is no regular file")
