"""The verdict: what passes, what fails and in which words, in both sandboxes; and which sandbox is taken."""

from __future__ import annotations

import threading

import pytest

from pilotage.sandbox import CodeRun, bubblewrap, monty, run_code
from tests.sandbox.conftest import MODES, needs_bubblewrap, spec

TOTAL = "def total(xs):\n    return sum(xs)\n"
WRONG = "def total(xs):\n    return sum(xs) - 1\n"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("code", "tests", "reason"),
    [
        ("y = 1\n\nprint(xs)", "", "line 3: NameError: name 'xs' is not defined"),
        ("\nprint((1, 2)", "", "line 2: SyntaxError: '(' was never closed"),
        ("x = 1\nreturn x", "", "line 2: SyntaxError: 'return' outside function"),
        ("def f():\n    return 1 / 0\n\nf()", "", "line 2: ZeroDivisionError: division by zero"),
        ("raise ValueError('no')", "", "line 1: ValueError: no"),
        ("raise ValueError", "", "line 1: ValueError"),
        (
            "import numpy", "",
            "line 1: ModuleNotFoundError: No module named 'numpy' (only the standard library is there)",
        ),
        (
            WRONG, "def test_total():\n    got = total([1, 2, 3])\n    assert got == 6, f'expected 6, got {got}'",
            "test_total failed on line 3: AssertionError: expected 6, got 5",
        ),
        (WRONG, "x = 1\nassert total([1]) == 1, 'one'", "the tests failed on line 2: AssertionError: one"),
        (
            "def total(xs):\n    return xs[9]\n", "def test_a():\n    total([1])\n    assert total([2])",
            "test_a failed on line 2: IndexError: list index out of range (line 2 of the code)",
        ),
        (TOTAL, "assert total([1] == 1", "line 1 of the tests: SyntaxError: '(' was never closed"),
        (TOTAL, "def test_a():\n    assert total([1])\n    return True",
         "test_a failed: AssertionError: it returned a value, but a test asserts"),
        (TOTAL, "async def test_a():\n    assert total([1]) == 2, 'async too'",
         "test_a failed on line 2: AssertionError: async too"),
        (TOTAL, "class TestTotal:\n    def test_a(self):\n        assert total([1]) == 2, 'in a class'",
         "TestTotal.test_a failed on line 3: AssertionError: in a class"),
        (TOTAL, "from solution import total\nassert total([]) == 0",
         "the tests failed on line 1: ModuleNotFoundError: No module named 'solution' "
         "(only the standard library is there, and the names of the code)"),
        (TOTAL + "def test_a():\n    assert total([1]) == 2, 'its own'", "",
         "test_a failed on line 4 of the code: AssertionError: its own"),
        (TOTAL, "def test_a(n):\n    assert total([n]) == n",
         "test_a takes arguments, but a test is called without any"),
        (TOTAL, "x = total([1])", "the tests hold no assertion"),
        (TOTAL, "assert True", "the tests hold no assertion"),
        (TOTAL, "def test_a():\n    total([1])", "the tests hold no assertion"),
        (TOTAL, "# nothing", "the tests hold no assertion"),
        (TOTAL, "def check():\n    assert total([1]) == 2",
         "the tests hold no assertion at their top level, no test_ function and no TestCase"),
        ("x = '\ud800'", "", "Python cannot read the text: 'utf-8' codec can't encode character '\\ud800' "
         "in position 5: surrogates not allowed"),
        ("x" * 100_001, "", "the text has 100,001 characters against the limit of 100,000"),
    ],
)  # fmt: skip
def test_a_failure_is_told_so_that_an_agent_can_act_on_it(mode: str, code: str, tests: str, reason: str) -> None:
    run = run_code(code, tests, spec=spec(mode))
    assert (run.outcome, run.reason) == ("failed", reason)


@pytest.mark.parametrize("mode", MODES)
def test_a_bare_assertion_is_told_with_its_line_or_its_values(mode: str) -> None:
    run = run_code(WRONG, "def test_total():\n    assert total([1, 2]) == 3", spec=spec(mode))
    shown = {"monty": "assert 2 == 3", "bubblewrap": "assert total([1, 2]) == 3"}[mode]
    assert run.reason == f"test_total failed on line 2: AssertionError: {shown}"
    assert run.source_line == "assert total([1, 2]) == 3"


@pytest.mark.parametrize("mode", MODES)
def test_the_tests_that_were_started_are_counted(mode: str) -> None:
    tests = (
        "assert total([]) == 0\nfor n in range(3):\n    assert total([n]) == n\ndef test_a():\n    assert total([1])\n"
    )
    assert run_code(TOTAL, tests, spec=spec(mode)).tests == 3
    failing = "assert total([]) == 0\nassert total([1]) == 9\nassert total([2]) == 2"
    assert run_code(TOTAL, failing, spec=spec(mode)).tests == 2
    assert run_code(TOTAL, "", spec=spec(mode)).tests == 0


@pytest.mark.parametrize("mode", MODES)
def test_output_is_kept_and_capped(mode: str) -> None:
    assert run_code("print('größe')\nprint(2)", spec=spec(mode)).output == "größe\n2\n"
    over = run_code("print('x' * 101)", spec=spec(mode, output_chars=100))
    assert (over.outcome, over.reason) == ("failed", "the output passed 100 characters (code.output_chars)")
    assert over.output == "x" * 100
    just = run_code("print('é' * 99)", spec=spec(mode, output_chars=100))
    assert (just.outcome, len(just.output)) == ("passed", 100)


@pytest.mark.parametrize("mode", MODES)
def test_limits_are_named_with_their_keys(mode: str) -> None:
    late = run_code("while True:\n    pass", spec=spec(mode, 0.3))
    assert (late.outcome, late.reason) == ("timeout", "the code did not end within 0.3 s (code.seconds)")
    big = run_code("x = [0] * 10 ** 10", spec=spec(mode, memory_mb=32))
    assert big.reason == "line 1: MemoryError: the code needs more than 32 MB (code.memory_mb)"


@pytest.mark.parametrize("mode", MODES)
def test_code_and_tests_share_one_deadline(mode: str) -> None:
    busy = "import time\nend = time.monotonic() + 0.4\nwhile time.monotonic() < end:\n    pass\n"
    tests = (
        f"{busy}\ndef test_a():\n    end = time.monotonic() + 9\n    while time.monotonic() < end:\n        assert end"
    )
    run = run_code(busy, tests, spec=spec(mode, 0.6))
    assert run.outcome == "timeout"
    assert run.seconds < 1.6


@pytest.mark.parametrize("mode", MODES)
def test_nothing_stays_for_the_next_run(mode: str) -> None:
    assert run_code("x = 1", spec=spec(mode)).outcome == "passed"
    assert "NameError" in run_code("print(x)", spec=spec(mode)).reason


@pytest.mark.parametrize("mode", MODES)
def test_runs_in_threads_do_not_mix(mode: str) -> None:
    runs: dict[int, CodeRun] = {}

    def one(n: int) -> None:
        runs[n] = run_code(f"print({n})", f"assert {n} % 2 == 0, 'odd {n}'", spec=spec(mode, 5))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: (run.output, run.outcome == "passed") for n, run in runs.items()} == {
        n: (f"{n}\n", n % 2 == 0) for n in range(8)
    }


# --- code that would get past its tests


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "trick",
    [
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os\nos._exit(0)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "print('passed')\nprint('C0\\n\\n1\\n\\n')",
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'RC' + b'0' * 32 + b'\\n\\n1\\n\\n')\n"
        "    except OSError: pass\nos._exit(0)",
        "import os\nos.closerange(3, 64)",
        "def test_total(): pass",
        "class AssertionError(Exception): pass",
        "import builtins\nbuiltins.AssertionError = Warning",
        "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None",
        "import builtins\nbuiltins.sum = lambda xs: 6",
        "import sys\nsys.modules['__main__'].__dict__.clear()",
        "import atexit, os\natexit.register(os._exit, 0)\nsys = __import__('sys')\nsys.exit(0)",
        "import sys\nsys.excepthook = lambda *a: None",
        "import threading, os\nthreading.Timer(0.05, os._exit, (0,)).start()\nimport time\ntime.sleep(0.2)",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\nunittest.TestCase.run = lambda *a: None",
        "import unittest\nunittest.TestLoader.loadTestsFromTestCase = lambda *a: unittest.TestSuite()",
        "del total",
    ],
)
def test_wrong_code_does_not_get_past_its_tests(mode: str, trick: str) -> None:
    tests = (
        "import unittest\nclass TestTotal(unittest.TestCase):\n    def test_total(self):\n"
        "        self.assertEqual(total([1, 2, 3]), 6)"
        if "unittest" in trick
        else "def test_total():\n    assert total([1, 2, 3]) == 6"
    )
    assert run_code(f"{WRONG}{trick}", tests, spec=spec(mode)).outcome in ("failed", "refused")


@needs_bubblewrap
def test_code_that_leaves_early_is_still_tested() -> None:
    left = run_code(f"import sys\n{TOTAL}sys.exit(0)", "assert total([1]) == 1", spec=spec("bubblewrap"))
    assert (left.outcome, left.tests) == ("passed", 1)
    killed = run_code(f"import os\n{TOTAL}os._exit(0)", "assert total([1]) == 1", spec=spec("bubblewrap"))
    assert killed.reason == "the code ended its process (exit status 0) before its tests were judged"
    assert run_code("import sys\nsys.exit(3)", spec=spec("bubblewrap")).reason == "line 2: SystemExit: 3"


@needs_bubblewrap
def test_unittest_is_told_by_test_and_line() -> None:
    tests = (
        "import unittest\nclass Base(unittest.TestCase):\n    n = 5\nclass TestTotal(Base):\n"
        "    def test_good(self):\n        self.assertEqual(total([self.n]), 5)\n{}"
    )
    wrong = tests.format("    def test_sum(self):\n        self.assertEqual(total([1]), 2)")
    run = run_code(TOTAL, wrong, spec=spec("bubblewrap"))
    assert (run.reason, run.tests) == ("TestTotal.test_sum failed on line 8: AssertionError: 1 != 2", 2)
    skipped = tests.format("    @unittest.skip('later')\n    def test_sum(self):\n        self.fail()")
    assert run_code(TOTAL, skipped, spec=spec("bubblewrap")).reason.endswith("test_sum failed: it was skipped: later")
    sub = tests.format(
        "    def test_sum(self):\n        with self.subTest(n=1):\n            self.assertTrue(total([0]))"
    )
    assert "TestTotal.test_sum failed on line 9" in run_code(TOTAL, sub, spec=spec("bubblewrap")).reason
    assert run_code(TOTAL, tests.format(""), spec=spec("bubblewrap")).outcome == "passed"


@needs_bubblewrap
def test_a_class_of_tests_without_a_test_is_a_failure() -> None:
    tests = (
        "import unittest\nclass TestA(unittest.TestCase):\n    def check(self):\n        self.assertTrue(total([1]))"
    )
    assert run_code(TOTAL, tests, spec=spec("bubblewrap")).reason == "the tests hold no test that ran"


# --- which sandbox


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ("x = 1", "monty"),
        ("print(nothing)", "monty"),
        ("assert 1 == 2", "monty"),
        ("raise ValueError('x')", "monty"),
        ("x = [][1]", "monty"),
        ("while True:\n    pass", "monty"),
        ("x = [0] * 10 ** 10", "monty"),
        ("import csv, io\nio.StringIO()", "bubblewrap"),
        ("import string", "bubblewrap"),
        ("x = (1).bit_length()", "bubblewrap"),
        ("class E(Exception):\n    pass", "bubblewrap"),
        ("raise ValueError(1, 2)", "bubblewrap"),
        ("x = 1\ndel x", "bubblewrap"),
        ("from collections import ChainMap", "bubblewrap"),
        ("open('/tmp/a', 'w').close()", "bubblewrap"),
    ],
)
def test_monty_is_taken_unless_the_code_needs_cpython(code: str, mode: str) -> None:
    assert run_code(code, spec=spec("auto", 0.5)).mode == mode


@needs_bubblewrap
def test_an_error_that_monty_may_have_made_is_decided_by_cpython() -> None:
    run = run_code("x = sorted([2, 1], foo=1)", spec=spec("auto"))
    assert (run.outcome, run.mode) == ("failed", "bubblewrap")
    assert run_code("x = 'a' + 1", spec=spec("monty")).outcome == "failed"


def test_without_bubblewrap_auto_refuses_what_needs_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "missing", lambda: "bubblewrap is not installed (package bubblewrap)")
    run = run_code("import string", spec=spec("auto"))
    assert (run.outcome, run.mode) == ("refused", "none")
    assert run.reason == (
        "needs CPython: import string is not in monty's subset; bubblewrap is not installed (package bubblewrap)"
    )
    assert run_code("x = 'a' + 1", spec=spec("auto")).reason.startswith("line 1: TypeError: ")
    alone = run_code("x = 1", spec=spec("bubblewrap"))
    assert (alone.outcome, alone.reason) == ("refused", "bubblewrap is not installed (package bubblewrap)")


def test_bubblewrap_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    bubblewrap.missing.cache_clear()
    try:
        assert bubblewrap.missing() in ("bubblewrap is not installed (package bubblewrap)", "bubblewrap needs Linux")
    finally:
        bubblewrap.missing.cache_clear()


def test_monty_that_does_not_start_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monty.close()
    monkeypatch.setenv("MONTY_BIN", "/nowhere/monty")
    run = run_code("x = 1", spec=spec("monty"))
    monty.close()
    assert (run.outcome, run.mode) == ("refused", "none")
    assert "monty does not start" in run.reason
