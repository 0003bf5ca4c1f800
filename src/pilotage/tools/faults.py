"""What is said of a call that failed: one sentence for the agent, and for the journal the traceback where one helps.

A refusal (PilotageError, a cap of ours) says all in its sentence. What is not covered: paths in the message itself.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

from pilotage.errors import PilotageError
from pilotage.guard.fence import clean
from pilotage.tools.isolate import Failed

SENTENCE = 300  # characters of an error that reach the agent; the journal has it whole
DETAIL = 20_000  # characters of a traceback that the journal keeps, from its end
ENGINE = Path(__file__).parents[1]
_FRAME = re.compile(r'^(\s*File ")([^"\n]+)(")', re.MULTILINE)
_INSTALLED = re.compile(r".*[/\\](?:site|dist)-packages[/\\]", re.DOTALL)


def sentence(error: Exception) -> str:
    """One line for the agent; the kind of error where the message alone may not say it ("KeyError: 'name'")."""
    try:
        text = clean(" ".join(str(error).split()))
    except Exception:  # its own __str__ is broken
        text = ""
    told = isinstance(error, PilotageError | TimeoutError | Failed)
    text = text if told else f"{type(error).__name__}: {text}"
    return text.removesuffix(": ")[:SENTENCE] or type(error).__name__


def detail(error: Exception, root: Path) -> str:
    """The traceback, from the process of the tool when it had one; "" for a refusal."""
    if isinstance(error, Failed):
        text = error.detail
    else:
        text = "" if _is_refusal(error) else "".join(traceback.format_exception(error))
    return _FRAME.sub(lambda found: found[1] + _short(found[2], root) + found[3], text)[-DETAIL:]


def _is_refusal(error: Exception) -> bool:
    """Said on purpose: by the tool in our words, or by a cap that stands in our code."""
    if not isinstance(error, TimeoutError):
        return isinstance(error, PilotageError)
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(ENGINE)


def _short(name: str, root: Path) -> str:
    """A file as the project, or the installed package, knows it; no folder of this machine."""
    path = Path(name)
    if _INSTALLED.match(name):
        return _INSTALLED.sub("", name).replace("\\", "/")
    if not path.is_absolute():
        return name
    known = [folder for folder in _folders(root) if path.is_relative_to(folder)]
    return path.relative_to(known[0]).as_posix() if known else path.name


def _folders(root: Path) -> Iterator[Path]:
    yield root
    yield ENGINE.parent
    yield Path(sysconfig.get_path("stdlib"))
    yield from sorted((Path(entry) for entry in sys.path if entry), key=lambda folder: -len(folder.parts))
