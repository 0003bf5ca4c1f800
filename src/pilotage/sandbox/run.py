"""Running code that an agent wrote, and its tests: monty first, bubblewrap for what needs CPython, never on the host.

`sandbox: auto` is monty, then bubblewrap where there is one; with `monty` or `bubblewrap` it is that one alone.
"""

from __future__ import annotations

import time

from pilotage.sandbox import bubblewrap, monty
from pilotage.sandbox.plan import CodeRun, Plan, Rejected, make_plan
from pilotage.spec import CodeSpec

LEAST = 1.0  # seconds that CPython gets, however long monty took to find out that it cannot do it


def run_code(code: str, tests: str = "", *, spec: CodeSpec) -> CodeRun:
    """Run the code, then its tests; "passed" only when every test ran and passed. Never raises for what the code does.

    >>> run_code("def double(x): return x + x", "assert double(2) == 5", spec=CodeSpec()).reason
    'the tests failed on line 1: AssertionError: assert 4 == 5'
    """
    started = time.monotonic()
    try:
        plan = make_plan(code, tests)
    except Rejected as error:
        return CodeRun("failed", error.reason, "", "none", time.monotonic() - started, 0, error.source_line)
    if spec.sandbox == "bubblewrap":
        return _in_bubblewrap(plan, spec)
    attempt = monty.run(plan, spec)
    if not attempt.needs:
        return attempt.run
    missing = "bubblewrap is not used (code.sandbox)" if spec.sandbox == "monty" else bubblewrap.missing()
    if not missing:
        return bubblewrap.run(plan, spec, max(LEAST, spec.seconds - attempt.run.seconds))
    if attempt.run.outcome != "refused":
        return attempt.run
    return CodeRun("refused", f"{attempt.run.reason}; {missing}", attempt.run.output, "none", attempt.run.seconds, 0)


def _in_bubblewrap(plan: Plan, spec: CodeSpec) -> CodeRun:
    if missing := bubblewrap.missing():
        return CodeRun("refused", missing, "", "none", 0, 0)
    return bubblewrap.run(plan, spec)
