"""What is to be run: the code, its tests in the order in which they are called, and how a failure is told.

Python's own compiler reads both here, without running anything; a text that it does not take never reaches a sandbox.
What is not covered: whether an assertion says anything about the code (`assert 1 == 1` is one).
"""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

Outcome = Literal["passed", "failed", "timeout", "refused"]
Mode = Literal["monty", "bubblewrap", "none"]
Function = ast.FunctionDef | ast.AsyncFunctionDef

LONGEST = 100_000  # characters of the code, and of its tests: the parser runs in this process
SHOWN = 300  # characters of an error
_parsing = threading.Lock()  # the filters of `warnings` belong to the whole process


@dataclass(frozen=True)
class CodeRun:
    """How one run ended. `tests` counts the test functions, methods and top-level assertions that were started."""

    outcome: Outcome
    reason: str
    output: str
    mode: Mode
    seconds: float
    tests: int
    source_line: str = ""  # the line that the reason speaks of


@dataclass(frozen=True)
class Call:
    """One test: the statement that runs it, or "" for a class of which unittest knows how to run it."""

    name: str
    statement: str


@dataclass(frozen=True)
class Frame:
    """A line of the code or of the tests that an exception passed."""

    file: Literal["code", "tests"]
    line: int


@dataclass(frozen=True)
class Plan:
    """Code and tests that parse, what is called after them, and the lines of the tests' top-level assertions."""

    code: str
    tests: str
    calls: tuple[Call, ...]
    asserts: tuple[int, ...]

    def explain(self, stage: str, frames: Sequence[Frame], error: str) -> tuple[str, str]:
        """The sentence for a failure, and the line it speaks of. `stage` is "code", "tests" or a test's name."""
        last = frames[-1] if frames else None
        shown = last
        if stage != "code":
            shown = next((frame for frame in reversed(frames) if frame.file == "tests"), last)
        line = self._line(shown)
        if error == "AssertionError" and line:
            error = f"AssertionError: {line}"
        error = clip(error) + _advice(error, stage)
        if stage == "code":
            return f"line {last.line}: {error}" if last else error, line
        who = "the tests" if stage == "tests" else stage
        if shown is None:
            return f"{who} failed: {error}", line
        where = f"line {shown.line}" + ("" if shown.file == "tests" else " of the code")
        cause = f" (line {last.line} of the code)" if last and shown != last and last.file == "code" else ""
        return f"{who} failed on {where}: {error}{cause}", line

    def started(self, stage: str, frames: Sequence[Frame], called: int) -> int:
        """How many tests were started when `stage` failed, or ended well with an empty stage."""
        if stage == "code":
            return 0
        if stage == "tests":
            line = next((frame.line for frame in frames if frame.file == "tests"), 0)
            return sum(start <= line for start in self.asserts)
        return len(self.asserts) + called

    def _line(self, frame: Frame | None) -> str:
        return _line(self.code if frame.file == "code" else self.tests, frame.line) if frame else ""


class Rejected(Exception):
    """The text is not worth a run: why, and the line in question."""

    def __init__(self, reason: str, source_line: str = "") -> None:
        super().__init__(reason)
        self.reason, self.source_line = reason, source_line


def make_plan(code: str, tests: str) -> Plan:
    """Read code and tests; Rejected when either is no Python, or the tests hold no assertion."""
    code, tests = (text.replace("\r\n", "\n").replace("\r", "\n") for text in (code, tests))
    tree = parse(code, "")
    if not tests.strip():
        return Plan(code, "", tuple(_calls(tree)), ())
    tested = parse(tests, " of the tests")
    if not any(map(_asserts, ast.walk(tested))):
        raise Rejected("the tests hold no assertion")
    if taking := next(_taking_arguments(tested), None):
        raise Rejected(f"{taking.name} takes arguments, but a test is called without any", _line(tests, taking.lineno))
    calls = {call.name: call for call in (*_calls(tree), *_calls(tested))}  # the tests' own definitions win
    groups = [node.lineno for node in tested.body if _is_group(node)]
    if not groups and not any(_calls(tested)):
        raise Rejected("the tests hold no assertion at their top level, no test_ function and no TestCase")
    return Plan(code, tests, tuple(calls.values()), tuple(groups))


def parse(text: str, whose: str) -> ast.Module:
    """The tree of a Python text, or Rejected with the line and Python's words."""
    if len(text) > LONGEST:
        raise Rejected(f"the text{whose} has {len(text):,} characters against the limit of {LONGEST:,}")
    try:
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            compile(tree, "<text>", "exec", dont_inherit=True)  # a `return` at the top level parses
            return tree
    except SyntaxError as error:
        number = error.lineno or 1
        reason = f"line {number}{whose}: {type(error).__name__}: {clip(error.msg)}"
        raise Rejected(reason, _line(text, number)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Rejected(f"Python cannot read the text{whose}: {clip(str(error)) or type(error).__name__}") from None


def is_test(node: ast.stmt) -> bool:
    """A top-level statement that only tests: an assertion, a test function, a class of tests."""
    return isinstance(node, ast.Assert) or _is_test_function(node) or any(_calls(ast.Module([node], [])))


def is_scaffold(node: ast.stmt) -> bool:
    """A top-level statement that tests may stand on: an import, a docstring, `if __name__ == …`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Import | ast.ImportFrom) or _is_main_guard(node)


def clip(text: str) -> str:
    """One line of at most SHOWN characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _calls(tree: ast.Module) -> Iterator[Call]:
    cases: set[str] = set()  # classes derived from unittest.TestCase, as far as their names tell
    for node in tree.body:
        if _is_test_function(node) and not _required(node.args):
            yield _call(node.name, f"{node.name}()", node)
        elif isinstance(node, ast.ClassDef) and _is_test_case(node, cases):
            cases.add(node.name)
            yield Call(node.name, "")
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not node.bases:
            for method in _methods(node):
                yield _call(f"{node.name}.{method.name}", f"{node.name}().{method.name}()", method)


def _call(name: str, expression: str, node: Function) -> Call:
    before = ""
    if isinstance(node, ast.AsyncFunctionDef):
        before, expression = "import asyncio; ", f"asyncio.run({expression})"
    # a test that returns is one that forgot to assert, or a generator that never ran
    return Call(name, f"{before}assert {expression} is None, 'it returned a value, but a test asserts'")


def _is_test_function(node: ast.stmt) -> TypeGuard[Function]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def _methods(node: ast.ClassDef) -> Iterator[Function]:
    return (method for method in node.body if _is_test_function(method) and _required(method.args) == 1)


def _is_test_case(node: ast.ClassDef, known: set[str]) -> bool:
    bases = [ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases]
    return any(base.endswith("TestCase") or base in known for base in bases)


def _required(arguments: ast.arguments) -> int:
    plain = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return plain + sum(default is None for default in arguments.kw_defaults)


def _taking_arguments(tree: ast.Module) -> Iterator[Function]:
    return (node for node in tree.body if _is_test_function(node) and _required(node.args))


def _is_group(node: ast.stmt) -> bool:
    """A top-level statement of the tests that asserts when it runs: `assert …`, `for …: assert …`."""
    if isinstance(node, Function | ast.ClassDef) or _is_main_guard(node):
        return False
    return any(map(_asserts, ast.walk(node)))


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rsplit(".", 1)[-1]
        return name.startswith(("assert", "fail"))
    return isinstance(node, ast.Raise)


def _advice(error: str, stage: str) -> str:
    module = re.match(r"ModuleNotFoundError: No module named '(\w+)", error)
    if not module or module[1] in sys.stdlib_module_names:
        return ""
    return " (only the standard library is there" + ("" if stage == "code" else ", and the names of the code") + ")"


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip()[:SHOWN] if 0 < number <= len(lines) else ""
