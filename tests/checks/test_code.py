"""The check on code in a result: what is taken for code and for tests, and the faults that go back to the agent."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from pilotage.checks.citations import Fault
from pilotage.checks.code import blocks, check_code
from pilotage.checks.results import Citation, Explanation, Statement
from pilotage.sandbox import CodeRun
from pilotage.spec import CodeSpec

SPEC = CodeSpec(sandbox="monty", seconds=2)


class Answer(BaseModel):
    text: str
    notes: list[str] = []
    more: dict[str, str] = {}


class Solution(BaseModel):
    code: str
    tests: str = ""
    language: str = "python"


class Sheet(BaseModel):
    title: str
    solutions: list[Solution]


def check(result: BaseModel) -> tuple[list[Fault], list[CodeRun]]:
    runs: list[CodeRun] = []
    return check_code(result, SPEC, runs.append), runs


def fence(body: str, info: str = "python") -> str:
    return f"Some words.\n\n```{info}\n{body}\n```\n\nMore words.\n"


# --- blocks


@pytest.mark.parametrize("info", ["python", "Python", "py", "python3", " python ", "python title=a.py", "{python}"])
def test_a_python_block_is_code_however_it_is_marked(info: str) -> None:
    assert blocks(fence("x = 1", info)) == (("x = 1", "") if info != "{python}" else ("", ""))


@pytest.mark.parametrize("info", ["", "text", "bash", "pythonic", "pycon", "json"])
def test_other_blocks_are_not_code(info: str) -> None:
    assert blocks(fence("x = 1", info)) == ("", "")


@pytest.mark.parametrize("info", ["python test", "python tests", "py test", "python  Tests", "python,test"])
def test_a_block_that_is_marked_as_a_test_is_one(info: str) -> None:
    assert blocks(fence("x = 1", info)) == ("", "x = 1")


@pytest.mark.parametrize(
    "body",
    [
        "assert f(1) == 2",
        "def test_f():\n    assert f(1) == 2",
        "async def test_f():\n    assert f(1) == 2",
        "import unittest\n\nclass TestF(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 2)",
        "'''About.'''\nfrom math import pi\nassert pi\n\nif __name__ == '__main__':\n    test_f()",
        "def test_f(n):\n    assert f(n) == 2",
    ],
)
def test_a_block_of_nothing_but_tests_is_a_test(body: str) -> None:
    assert blocks(fence(body)) == ("", body)


@pytest.mark.parametrize(
    "body", ["import math", "def f(x):\n    return x\n\nassert f(1)", "print(1)", "assert (", "'''x'''"]
)
def test_a_block_that_does_more_than_test_is_code(body: str) -> None:
    assert blocks(fence(body)) == (body, "")


def test_blocks_are_joined_in_order() -> None:
    text = fence("x = 1") + fence("assert x == 2") + fence("x = 2", "py") + fence("y = 3", "python test")
    assert blocks(text) == ("x = 1\n\nx = 2", "assert x == 2\n\ny = 3")


def test_fences_nest_indent_and_may_stay_open() -> None:
    assert blocks("````python\ns = '''\n```\nno end\n```\n'''\n````") == ("s = '''\n```\nno end\n```\n'''", "")
    assert blocks("- step\n\n  ```python\n  if 1:\n      x = 1\n  ```\n") == ("if 1:\n    x = 1", "")
    assert blocks("~~~python\nx = 1\n~~~") == ("x = 1", "")
    assert blocks("```python\nx = 1") == ("x = 1", "")
    assert blocks("```text\n```\n```python\nx = 1\n```") == ("x = 1", "")
    assert blocks("Use `python` or ```python``` inline.") == ("", "")
    assert blocks("") == ("", "")


# --- the check


def test_a_result_without_code_is_not_run() -> None:
    for result in (
        Answer(text="plain"),
        Answer(text=fence("ls", "bash")),
        Solution(code="  "),
        Answer(text=fence(" ")),
    ):
        assert check(result) == ([], [])


def test_code_that_passes_has_no_fault_and_its_run_is_told() -> None:
    faults, (run,) = check(Answer(text=fence("def f(x):\n    return x + 1") + fence("assert f(1) == 2")))
    assert faults == []
    assert (run.outcome, run.tests) == ("passed", 1)


def test_a_fault_holds_the_line_and_the_reason() -> None:
    faults, (run,) = check(Answer(text=fence("x = 1\nprint(xs)")))
    assert faults == [Fault("print(xs)", "line 2: NameError: name 'xs' is not defined")]
    assert run.outcome == "failed"


def test_a_test_that_fails_is_a_fault_with_its_name() -> None:
    text = fence("def total(xs):\n    return len(xs)") + fence(
        "def test_total():\n    assert total([6]) == 6, 'expected 6'"
    )
    assert check(Answer(text=text))[0] == [
        Fault("assert total([6]) == 6, 'expected 6'", "test_total failed on line 2: AssertionError: expected 6")
    ]


def test_blocks_of_all_fields_are_one_program() -> None:
    answer = Answer(text=fence("x = 1"), notes=["none", fence("y = x + 1")], more={"a": fence("assert y == 3")})
    faults, runs = check(answer)
    assert len(runs) == 1
    assert faults == [Fault("assert y == 3", "the tests failed on line 1: AssertionError: assert 2 == 3")]


def test_code_in_an_explanation_is_found() -> None:
    statements = [Statement(text=fence("x = ("), cites=[1])]
    explanation = Explanation(statements=statements, citations=[Citation(n=1, source="s", quote="q")])
    assert [fault.reason for fault in check(explanation)[0]] == ["line 1: SyntaxError: '(' was never closed"]


def test_fields_named_code_and_tests_need_no_fences() -> None:
    assert check(Solution(code="def f():\n    return 1", tests="assert f() == 1"))[0] == []
    assert check(Solution(code=fence("def f():\n    return 1"), tests=fence("assert f() == 1")))[0] == []
    faults, _ = check(Solution(code="def f():\n    return 1", tests="assert f() == 2"))
    assert [fault.reason for fault in faults] == ["the tests failed on line 1: AssertionError: assert 1 == 2"]
    faults, _ = check(Solution(code="def f():\n    return 1", tests="f()"))
    assert [fault.reason for fault in faults] == ["the tests hold no assertion"]


def test_each_solution_is_a_run_of_its_own() -> None:
    sheet = Sheet(
        title="two",
        solutions=[
            Solution(code="def solve():\n    return 1", tests="assert solve() == 1"),
            Solution(code="def solve():\n    return 2", tests="assert solve() == 2"),
            Solution(code="def solve():\n    return 3", tests="assert solve() == 4"),
        ],
    )
    faults, runs = check(sheet)
    assert [run.outcome for run in runs] == ["passed", "passed", "failed"]
    assert [fault.reason for fault in faults] == ["the tests failed on line 1: AssertionError: assert 3 == 4"]


def test_what_could_not_be_run_is_a_fault() -> None:
    (fault,), (run,) = check(Answer(text=fence("import string")))
    assert run.outcome == "refused"
    assert fault.reason.startswith("needs CPython: import string is not in monty's subset")


def test_what_does_not_end_is_a_fault() -> None:
    runs: list[CodeRun] = []
    faults = check_code(Answer(text=fence("while True: pass")), CodeSpec(sandbox="monty", seconds=0.2), runs.append)
    assert [fault.reason for fault in faults] == ["the code did not end within 0.2 s (code.seconds)"]
