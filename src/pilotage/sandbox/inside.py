"""Runs in the sandbox, as its only process: sets the limits, runs the code, then its tests, and tells the verdict.

Arguments: the descriptors of plan, verdict and nonce, then memory (MB), seconds and scratch (MB). On the verdict's
pipe go "R" (the code starts), "C" (it ended, and the nonce may come), and after the tests the nonce with the result.
Everything here is at hand before the code runs, so that a replaced `os.write` or a print of "passed" changes nothing.
What is not covered: code that reads this frame or its memory while it is tested. It needs only the standard library.
"""

from __future__ import annotations

import builtins
import marshal
import os
import resource
import sys
import types
from collections.abc import Callable
from typing import Any

INTERPRETER = 96  # MB of address space that Python itself needs
OPEN_FILES, THREADS = 64, 256
_exec, _compile = exec, compile


def main() -> None:
    plan, verdict, nonce, memory, seconds, scratch = map(int, sys.argv[1:])
    write, read, leave, text = os.write, os.read, os._exit, _text
    code, tests, calls = marshal.loads(_read_all(plan))
    os.closerange(max(plan, verdict, nonce) + 1, 1 << 16)
    _limit(memory, seconds, scratch)
    space = _namespace()
    restore = _remember(unittest=not all(statement for _, statement in calls))
    write(verdict, b"R")
    failure = _attempt("code", code, space)
    restore()
    write(verdict, b"C")
    word = read(nonce, 64)
    called = 0
    if not failure and tests:
        space["__name__"] = "tests"
        failure = _attempt("tests", tests, space)
    for name, statement in () if failure else calls:
        if not failure:
            ran, failure = (1, _attempt(name, statement, space)) if statement else _run_class(name, space)
            called += ran
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:  # the code may have closed or replaced it
            continue
    stage, frames, error = failure or ("", "", "")
    write(verdict, word + text("\n".join(("", stage, str(called), frames, error))))
    leave(0)


def _text(words: str) -> bytes:
    return words.encode("utf-8", "replace")


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _limit(memory: int, seconds: int, scratch: int) -> None:
    """Hard caps, which no later call can raise."""
    caps = {
        resource.RLIMIT_AS: (memory + INTERPRETER) << 20,
        resource.RLIMIT_CPU: seconds + 2,
        resource.RLIMIT_FSIZE: scratch << 20,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_NPROC: THREADS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, cap in caps.items():
        resource.setrlimit(kind, (cap, cap))


def _namespace() -> dict[str, Any]:
    """The names of a new main module, which the tests see too."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = sys.modules["tests"] = module
    sys.argv[:] = ["code.py"]
    return module.__dict__


def _remember(unittest: bool) -> Callable[[], None]:
    """What puts the built-in names, and the assertions of unittest, back to what they are now."""
    kept: list[tuple[Any, dict[str, Any]]] = [(builtins, dict(vars(builtins)))]
    if unittest:
        from unittest import TestCase, TestLoader, TestResult, TestSuite

        kept += [(owner, dict(vars(owner))) for owner in (TestCase, TestLoader, TestResult, TestSuite)]
    put, known = setattr, vars

    def restore() -> None:
        for owner, names in kept:
            for name, value in names.items():
                if known(owner).get(name) is not value:
                    put(owner, name, value)

    return restore


def _attempt(stage: str, source: str, space: dict[str, Any]) -> tuple[str, str, str] | None:
    """Run one text; (stage, frames, error) when it fails. `sys.exit(0)` in the code ends the code, and no more."""
    file = f"<{stage}>" if stage in ("code", "tests") else "<call>"
    try:
        _exec(_compile(source, file, "exec", dont_inherit=True), space)
    except SystemExit as error:
        return None if stage == "code" and not error.code else (stage, _frames(error), _describe(error))
    except BaseException as error:
        return stage, _frames(error), _describe(error)
    return None


def _run_class(name: str, space: dict[str, Any]) -> tuple[int, tuple[str, str, str] | None]:
    """The tests of a unittest.TestCase: how many were started, and the first that failed or was skipped."""
    import unittest

    found = space.get(name)
    if not (isinstance(found, type) and issubclass(found, unittest.TestCase)):
        return 0, (name, "", "it is not a unittest.TestCase, so nothing of it was run")
    failures: list[tuple[str, str, str]] = []

    def note(test: unittest.TestCase, frames: str, error: str) -> None:
        failures.append((".".join(test.id().split(".")[-2:]), frames, error))

    class Result(unittest.TestResult):
        def addError(self, test: Any, err: Any) -> None:
            super().addError(test, err)
            note(test, _frames(err[1]), _describe(err[1]))

        def addFailure(self, test: Any, err: Any) -> None:
            self.addError(test, err)

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err:
                self.addError(test, err)

        def addSkip(self, test: Any, reason: str) -> None:
            note(test, "", f"it was skipped: {reason}")

        def addUnexpectedSuccess(self, test: Any) -> None:
            note(test, "", "it passed, though it is marked as an expected failure")

    result = Result()
    result.failfast = True
    unittest.defaultTestLoader.loadTestsFromTestCase(found).run(result)
    return result.testsRun, failures[0] if failures else None


def _frames(error: BaseException) -> str:
    """ "code:3 tests:12": the lines that the exception passed, outermost first."""
    lines = []
    if isinstance(error, SyntaxError) and error.filename in ("<code>", "<tests>"):
        lines.append(f"{error.filename.strip('<>')}:{error.lineno or 1}")
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if file in ("<code>", "<tests>"):
            lines.append(f"{file.strip('<>')}:{step.tb_lineno}")
        step = step.tb_next
    return " ".join(lines[:3] + lines[-3:])


def _describe(error: BaseException) -> str:
    try:
        words = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # a __str__ of the code's own
        words = ""
    return type(error).__name__ + (f": {words[:1000]}" if words else "")


if __name__ == "__main__":
    main()
