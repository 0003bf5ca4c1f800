"""Code under CPython inside bubblewrap: namespaces of its own, no network, no host file but Python's own, read-only.

Seen inside: Python at /python (standard library only), the system's libraries, a /tmp of SCRATCH MB that goes with the
run, five devices; no /proc, no /etc, no environment, no other process. One process, capped in memory, CPU time, output
and files (inside.py), under a filter of system calls (seccomp.py), killed with its namespace at the deadline.
What is not covered: a hole in the kernel; code that attacks the tests, which run in its own process.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import math
import os
import platform
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from pilotage.sandbox.plan import CodeRun, Frame, Outcome, Plan, clip, make_plan
from pilotage.sandbox.seccomp import MACHINES, program
from pilotage.spec import CodeSpec

SCRATCH = 64  # MB of /tmp
START = 10.0  # seconds that the namespaces and the interpreter may take
INSIDE = Path(__file__).with_name("inside.py")
DEVICES = ("null", "zero", "full", "random", "urandom")
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo")
VERDICT = 1 << 16  # bytes; more than that on its pipe is not ours
CPU_SIGNAL = 24  # SIGXCPU


@functools.cache
def missing() -> str:
    """Why bubblewrap cannot be used here, "" when it can. Asked once in a process."""
    if not sys.platform.startswith("linux"):
        return "bubblewrap needs Linux"
    if platform.machine() not in MACHINES:
        return f"there is no filter of system calls for {platform.machine()}"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (package bubblewrap)"
    return run(make_plan("", ""), CodeSpec()).reason


@dataclass
class _Heard:
    """What came out so far: the prints, the verdict's pipe, and how the listening ended."""

    printed: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    end: Literal["closed", "time", "output"] = "closed"
    status: int = 0

    def output(self, limit: int) -> str:
        return self.printed[: 4 * limit].decode("utf-8", "replace")[:limit]

    def is_over(self, limit: int) -> bool:
        if len(self.said) > VERDICT:
            return True
        size = len(self.printed)
        return size > 4 * limit or (size > limit and len(self.printed.decode("utf-8", "replace")) > limit)


def run(plan: Plan, spec: CodeSpec, seconds: float | None = None) -> CodeRun:
    """Run a plan within `seconds`, or spec.seconds; refused when the sandbox does not come up."""
    started = time.monotonic()
    word = secrets.token_hex(16).encode()
    with contextlib.ExitStack() as files:
        given = marshal.dumps((plan.code, plan.tests, [(call.name, call.statement) for call in plan.calls]))
        plan_file = files.enter_context(_memory_file(given))
        rules = files.enter_context(_memory_file(program(platform.machine())))
        hear, say = files.enter_context(_pipe())
        take, give = files.enter_context(_pipe())
        numbers = (
            plan_file,
            say.fileno(),
            take.fileno(),
            spec.memory_mb,
            math.ceil(min(spec.seconds, 86_400)),
            SCRATCH,
        )
        child = subprocess.Popen(
            [*command(rules), *map(str, numbers)], env={}, cwd="/", pass_fds=(rules, *numbers[:3]),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        say.close()
        take.close()
        try:
            heard = _listen(child, hear.fileno(), give.fileno(), word, spec, seconds or spec.seconds)
        finally:
            child.kill()  # the namespace goes with it (--die-with-parent), and all that is in it
            status = child.wait()
            child.stdout.close()  # type: ignore[union-attr]
    heard.status = heard.status or status
    return _judge(plan, spec, heard, word, time.monotonic() - started)


def command(rules: int) -> list[str]:
    """bwrap with everything that is seen inside, up to the arguments of inside.py."""
    return [
        str(shutil.which("bwrap")), "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534",
        "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox", "--seccomp", str(rules),
        *_libraries(), *_python(), "--ro-bind", str(INSIDE), "/inside.py",
        *(part for name in DEVICES for part in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")),
        "--size", str(SCRATCH << 20), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp",
        "--setenv", "HOME", "/tmp", "--setenv", "LANG", "C.UTF-8", "--setenv", "LD_LIBRARY_PATH", "/python/lib",
        "/python/bin/python", "-I", "-S", "-B", "-u", "-X", "utf8", "/inside.py",
    ]  # fmt: skip


def _libraries() -> Iterator[str]:
    for folder in LIBRARIES:
        if os.path.islink(folder):
            yield from ("--symlink", os.readlink(folder), folder)
        elif os.path.isdir(folder):
            yield from ("--ro-bind", folder, folder)


def _python() -> Iterator[str]:
    """The interpreter and its standard library under a neutral name; what others installed there is covered."""
    library = Path(sysconfig.get_path("stdlib"))
    name = f"/python/{sys.platlibdir}/{library.name}"
    binary = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    yield from ("--ro-bind", binary, "/python/bin/python")
    if sys.base_prefix == "/usr":  # its other libraries are among LIBRARIES
        yield from ("--ro-bind", str(library), name)
    else:
        yield from ("--ro-bind", str(library.parent), f"/python/{sys.platlibdir}")
    for installed in ("site-packages", "dist-packages"):
        if (library / installed).is_dir():
            yield from ("--tmpfs", f"{name}/{installed}", "--remount-ro", f"{name}/{installed}")


def _listen(
    child: subprocess.Popen[bytes], hear: int, give: int, word: bytes, spec: CodeSpec, seconds: float
) -> _Heard:
    """Read both pipes until they end, or the time or the output is over. The clock starts when the code does."""
    heard, deadline, started, given = _Heard(), time.monotonic() + START, False, False
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, heard.printed)  # type: ignore[arg-type]
        selector.register(hear, selectors.EVENT_READ, heard.said)
        while selector.get_map() and heard.end == "closed":
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                chunk = os.read(key.fd, 1 << 16)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
            if heard.said and not started:
                started, deadline = True, time.monotonic() + seconds
            if len(heard.said) > 1 and not given:
                given = bool(_give(give, word))
            if heard.is_over(spec.output_chars):
                heard.end = "output"
            elif time.monotonic() >= deadline:
                heard.end = "time"
    if heard.end == "closed":
        try:
            heard.status = child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            heard.end = "time"
    return heard


def _give(give: int, word: bytes) -> int:
    with contextlib.suppress(BrokenPipeError):
        return os.write(give, word)
    return 1


def _judge(plan: Plan, spec: CodeSpec, heard: _Heard, word: bytes, seconds: float) -> CodeRun:
    output = heard.output(spec.output_chars)

    def ended(outcome: Outcome, reason: str, tests: int = 0, line: str = "") -> CodeRun:
        mode: Literal["bubblewrap", "none"] = "none" if outcome == "refused" else "bubblewrap"
        return CodeRun(outcome, reason, output, mode, seconds, tests, line)

    if not heard.said:
        return ended("refused", f"bubblewrap does not work here: {clip(output) or 'it did not start in time'}")
    if heard.end == "output":
        return ended("failed", f"the output passed {spec.output_chars:,} characters (code.output_chars)")
    late = f"the code did not end within {spec.seconds:g} s (code.seconds)"
    if heard.end == "time" or heard.status == 128 + CPU_SIGNAL:
        return ended("timeout", late)
    fields = heard.said[2:].decode("utf-8", "replace").split("\n", 4)
    if len(fields) != 5 or fields[0] != word.decode() or not fields[2].isdecimal():
        return ended("failed", _vanished(heard, bool(plan.tests)))
    _, stage, called, places, error = fields
    frames = [_frame(place) for place in places.split()]
    tests = plan.started(stage, frames, int(called))
    if not stage and (tests or not plan.tests):
        return ended("passed", "", tests)
    if not stage:
        return ended("failed", "the tests hold no test that ran")
    if error.startswith("MemoryError"):
        error = f"MemoryError: the code needs more than {spec.memory_mb} MB (code.memory_mb)"
    reason, line = plan.explain(stage, frames, error)
    return ended("failed", reason, tests, line)


def _frame(place: str) -> Frame:
    file, _, line = place.partition(":")
    return Frame("code" if file == "code" else "tests", int(line) if line.isdecimal() else 0)


def _vanished(heard: _Heard, tested: bool) -> str:
    before = "its tests were judged" if tested else "it was done"
    if heard.status > 128:
        with contextlib.suppress(ValueError):
            return f"the code crashed its interpreter ({signal.Signals(heard.status - 128).name}) before {before}"
    return f"the code ended its process (exit status {heard.status}) before {before}"


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """A descriptor that reads `content` from its beginning and has no name."""
    with os.fdopen(os.memfd_create("sandbox"), "w+b", 0) as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as out, os.fdopen(writing, "wb", 0) as into:
        yield out, into
