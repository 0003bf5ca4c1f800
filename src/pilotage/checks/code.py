"""The check on code in a result: it is run, with its tests, and what fails goes back to the agent line by line.

Code is what stands in fenced Python blocks of any text, and in fields named `code` and `tests`. An object with a field
`code` of its own is one run; all other blocks of the result are one run together. No code, no run, no fault.
What is not covered: whether the tests ask enough of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from pilotage.checks.citations import Fault
from pilotage.checks.fences import fences
from pilotage.sandbox.plan import CodeRun, Rejected, is_scaffold, is_test, parse
from pilotage.sandbox.run import run_code
from pilotage.spec import CodeSpec

PYTHON = ("python", "python3", "py")
TESTS = ("test", "tests")


@dataclass
class _Program:
    """What is run together."""

    code: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        for into, found in zip((self.code, self.tests), blocks(text), strict=True):
            into += [found] if found else []


def check_code(result: BaseModel, spec: CodeSpec, on_run: Callable[[CodeRun], None]) -> list[Fault]:
    """A fault for each program of the result that did not pass: the line in question, and why."""
    faults = []
    for program in _programs(result):
        run = run_code("\n\n".join(program.code), "\n\n".join(program.tests), spec=spec)
        on_run(run)
        if run.outcome != "passed":
            faults.append(Fault(run.source_line, run.reason))
    return faults


def blocks(text: str) -> tuple[str, str]:
    """The Python of the fenced blocks, joined in order, and that of the blocks of tests.

    >>> blocks("```python\\nx = 1\\n```\\nand\\n```python test\\nassert x == 1\\n```")
    ('x = 1', 'assert x == 1')
    """
    code: list[str] = []
    tests: list[str] = []
    for fence in fences(text):
        if fence.language in PYTHON and fence.body.strip():
            (tests if set(fence.words[1:]) & set(TESTS) or _only_tests(fence.body) else code).append(fence.body)
    return "\n\n".join(code), "\n\n".join(tests)


def _only_tests(body: str) -> bool:
    """Whether a block holds tests and what they stand on (imports, a docstring, a main guard), and nothing else."""
    try:
        tree = parse(body, "")
    except Rejected:
        return False
    rest = [node for node in tree.body if not is_scaffold(node)]
    return bool(rest) and all(map(is_test, rest))


def _is_python(text: str) -> bool:
    """Whether a field is code as it stands; a fence may then stand in its docstring."""
    try:
        parse(text, "")
    except Rejected:
        return False
    return True


def _programs(result: BaseModel) -> Iterator[_Program]:
    shared = _Program()
    yield from _own(result, shared)
    if shared.code or shared.tests:
        yield shared


def _own(value: Any, shared: _Program) -> Iterator[_Program]:
    """The programs of the objects that hold `code`; blocks elsewhere are added to `shared`."""
    if isinstance(value, str):
        shared.add(value)
    elif isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        if isinstance(fields.get("code"), str):
            shared = _Program()
        for name, inner in fields.items():
            if name in ("code", "tests") and isinstance(inner, str) and (not any(blocks(inner)) or _is_python(inner)):
                (shared.code if name == "code" else shared.tests).extend([inner] if inner.strip() else [])
            else:
                yield from _own(inner, shared)
        if isinstance(fields.get("code"), str) and (shared.code or shared.tests):
            yield shared
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _own(inner, shared)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _own(inner, shared)
