"""Reading PDF and Office files in a process of its own: a file made to do harm ends that process and nothing else.

The process has a cap on seconds everywhere and on memory where the system has one (Linux; not macOS, not Windows),
sees no secret of the environment, and answers in JSON. Not covered: it is no sandbox, as it may read and write files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pilotage.reading.documents import Block, Document

SECONDS = 60.0  # for one file
MEMORY = 1_000_000_000  # bytes of address space

_NEEDED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TEMP", "TMP", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
_CHILD = "from pilotage.reading.apart import answer; answer()"


def read(path: Path, seconds: float | None = None, memory: int | None = None) -> Document:
    """The document; ValueError with a short reason when it cannot be read, whatever that is."""
    seconds, memory = seconds or SECONDS, memory or MEMORY
    command = [sys.executable, "-P", "-X", "utf8", "-c", _CHILD, str(path), str(seconds), str(memory)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"takes longer than {seconds:g} seconds to read") from None
    if done.returncode:
        raise ValueError("damaged, or too much for its reader, which broke off")
    answered: dict[str, Any] = json.loads(done.stdout)
    if "error" in answered:
        raise ValueError(answered["error"])
    return Document(**{**answered, "blocks": [Block(**block) for block in answered["blocks"]]})


def answer() -> None:
    """What the other process does: read the file that it was named, and write the document or the reason."""
    path, seconds, memory = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not stand in the answer
    _cap(seconds, memory)
    try:
        made = asdict(_reader(path.suffix.lower())(path))
    except MemoryError:
        made = {"error": f"needs more than {memory:,} bytes of memory to read"}
    except RecursionError:
        made = {"error": "damaged: nested too deeply"}
    except ValueError as error:  # the readers' own sentences, and those of a few libraries
        made = {"error": _short(str(error)) or "damaged"}
    except Exception as error:
        made = {"error": f"damaged: {_short(str(error)) or type(error).__name__}"}
    with out:
        json.dump(made, out)


def _reader(suffix: str) -> Callable[[Path], Document]:
    if suffix == ".pdf":
        from pilotage.reading.pdf import read_pdf

        return read_pdf
    sys.modules["numpy"] = None  # type: ignore[assignment]  # openpyxl imports it when it is there: 0.3 seconds
    if suffix == ".docx":
        from pilotage.reading.docx import read_docx

        return read_docx
    from pilotage.reading.xlsx import read_xlsx

    return read_xlsx


def _cap(seconds: float, memory: int) -> None:
    """Caps that hold even when the process that waits is gone."""
    try:
        import resource
    except ImportError:  # Windows
        return
    caps = {resource.RLIMIT_CPU: int(seconds) + 1, resource.RLIMIT_AS: memory, resource.RLIMIT_CORE: 0}
    for what, limit in caps.items():
        try:
            hard = resource.getrlimit(what)[1]
            resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
