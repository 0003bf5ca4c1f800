"""Code under monty, an interpreter of a subset of Python in a worker process: no host, and a start under 1 ms.

Nothing is mounted and no function of ours can be called, so files, network, processes and environment are not there.
Time, memory, recursion and sleep are capped by the worker, output and the whole run from here, by killing the worker.
The verdict is the worker's answer to each step, which the code cannot write. Its type checker is not asked: it calls
honest code wrong (an `except ImportError`, a name that a loop sets) and costs 15 ms.
What is not covered: where monty passes what CPython would not.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pilotage.sandbox.plan import CodeRun, Frame, Plan
from pilotage.sandbox.subset import MEMORY, TIME, beyond, doubt
from pilotage.spec import CodeSpec

if TYPE_CHECKING:
    from pydantic_monty import Frame as MontyFrame
    from pydantic_monty import Monty, MontyError, MontySession, ResourceLimits

GRACE = 0.5  # seconds that a worker may take to notice its deadline before it is killed
WAIT = 30.0  # seconds that a run may wait for a free worker
WORKERS = 8
FILES: dict[str, Literal["code", "tests"]] = {
    "<python-input-0>": "code",
    "<python-input-1>": "tests",
}  # monty names each step by its number
CALL = "<python-input-2>"
ANNOTATION = re.compile(r"(?<=.)\nassert .*", re.DOTALL)  # what monty adds to a message of the code's own


@dataclass(frozen=True)
class Attempt:
    """A run under monty, and what of it only CPython can decide: "" when monty's word holds."""

    run: CodeRun
    needs: str = ""


class _Watch:
    """The output of a run, and the end of its worker when that or the time is over."""

    def __init__(self, spec: CodeSpec, worker: int | None) -> None:
        self.spec, self.worker, self.output = spec, worker, ""
        self.killed: Literal["", "output", "time"] = ""
        self._ours = threading.Lock()  # a worker that went back to the pool must not be killed

    def hear(self, _stream: str, text: str) -> None:
        room = self.spec.output_chars - len(self.output)
        self.output += text[:room]
        if len(text) > room:
            self.kill("output")

    def kill(self, why: Literal["output", "time"]) -> None:
        with self._ours:
            if self.worker and not self.killed:
                self.killed = why
                os.kill(self.worker, getattr(signal, "SIGKILL", signal.SIGTERM))

    def release(self) -> None:
        with self._ours:
            self.worker = None


_pool: tuple[int, Monty] | None = None  # with the process that made it
_making = threading.Lock()


def pool() -> Monty:
    """The workers of this process, started at the first call."""
    global _pool
    with _making:
        if _pool and _pool[0] != os.getpid():  # monty's threads are not in a fork: its first call would wait forever
            raise RuntimeError("it ran before this process was forked")
        if _pool is None:
            from pydantic_monty import Monty

            made = Monty(max_processes=WORKERS, checkout_timeout=WAIT, feed_duration_limit_grace=GRACE)
            _pool = (os.getpid(), made.__enter__())
        return _pool[1]


@atexit.register
def close() -> None:
    """End the workers; the next run starts new ones."""
    global _pool
    with _making:
        if _pool and _pool[0] == os.getpid():
            _pool[1].__exit__(None, None, None)
            _pool = None


def run(plan: Plan, spec: CodeSpec) -> Attempt:
    """Run a plan within spec.seconds."""
    if any(not call.statement for call in plan.calls):
        return _refuse("unittest is not in monty's subset")
    started = time.monotonic()
    try:
        attempt = _run(plan, spec, started + spec.seconds)
    except (OSError, ImportError, RuntimeError) as error:  # no worker to be had; TimeoutError is one of OSError
        attempt = _refuse(f"monty does not start: {error}")
    return replace(attempt, run=replace(attempt.run, seconds=time.monotonic() - started))


def _run(plan: Plan, spec: CodeSpec, deadline: float) -> Attempt:
    from pydantic_monty import MontyError

    calls = "\n".join(call.statement for call in plan.calls)
    limits: ResourceLimits = {
        "max_feed_duration_secs": spec.seconds,
        "max_total_sleep_secs": spec.seconds,
        "max_memory": spec.memory_mb << 20,
    }
    with pool().checkout(limits=limits) as session:
        watch = _Watch(spec, session.worker_pid)
        try:
            _feed(session, plan.code, watch)
            if plan.tests or calls:
                _feed_until(deadline, session, [plan.tests, calls], watch)
        except MontyError as error:
            return _judge(plan, watch, error)
        finally:
            watch.release()
    if watch.killed:
        return _stopped(watch)
    return Attempt(CodeRun("passed", "", watch.output, "monty", 0, plan.started("", (), len(plan.calls))))


def _feed(session: MontySession, text: str, watch: _Watch) -> None:
    session.feed_run(
        f"{text}\nNone", print_callback=watch.hear
    )  # None: no value of the code's is built in this process


def _feed_until(deadline: float, session: MontySession, texts: list[str], watch: _Watch) -> None:
    """The worker's own clock starts anew with each step; this one is the whole run's."""
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), watch.kill, ("time",))
    timer.daemon = True
    timer.start()
    try:
        for text in texts:
            _feed(session, text, watch)
    finally:
        timer.cancel()


def _judge(plan: Plan, watch: _Watch, error: MontyError) -> Attempt:
    from pydantic_monty import MontyCrashedError

    words = str(error)
    late = error.timed_out if isinstance(error, MontyCrashedError) else TIME.search(words)
    if late or watch.killed:
        return _stopped(watch)
    if isinstance(error, MontyCrashedError):
        crashed = CodeRun("failed", "the code crashed its interpreter", watch.output, "monty", 0, 0)
        return Attempt(crashed, "the code crashed monty's worker")
    frames, stage, called = _places(plan, error)
    if MEMORY.search(words):
        words = f"MemoryError: the code needs more than {watch.spec.memory_mb} MB (code.memory_mb)"
    elif needs := beyond(words, type(error).__name__):
        return _refuse(needs, watch.output)
    reason, line = plan.explain(stage, frames, ANNOTATION.sub("", words))
    tests = plan.started(stage, frames, called)
    return Attempt(CodeRun("failed", reason, watch.output, "monty", 0, tests, line), doubt(words))


def _stopped(watch: _Watch) -> Attempt:
    """A run whose output or time was over."""
    spec, late = watch.spec, watch.killed != "output"
    reason = f"the code did not end within {spec.seconds:g} s (code.seconds)"
    if not late:
        reason = f"the output passed {spec.output_chars:,} characters (code.output_chars)"
    return Attempt(CodeRun("timeout" if late else "failed", reason, watch.output, "monty", 0, 0))


def _places(plan: Plan, error: MontyError) -> tuple[list[Frame], str, int]:
    """The lines of code and tests that the exception passed, the stage it began in, and how many tests were called."""
    passed: list[MontyFrame] = getattr(error, "traceback", list)()
    frames = [Frame(FILES[frame.filename], frame.line) for frame in passed if frame.filename in FILES]
    if passed and passed[0].filename == CALL:
        return frames, plan.calls[passed[0].line - 1].name, passed[0].line
    return frames, frames[0].file if frames else "code", 0


def _refuse(needs: str, output: str = "") -> Attempt:
    return Attempt(CodeRun("refused", f"needs CPython: {needs}", output, "none", 0, 0), needs)
