"""Twenty honest snippets: which sandbox runs which, and that all of them pass where bubblewrap works."""

from __future__ import annotations

import pytest

from pilotage.sandbox import run_code
from tests.sandbox.conftest import needs_bubblewrap, spec

MONTY, CPYTHON = "monty", "bubblewrap"

# name: (the sandbox that runs it under `auto`, code, tests)
SNIPPETS = {
    "functions": (MONTY, "def double(x):\n    return 2 * x", "assert double(4) == 8"),
    "test functions": (
        MONTY, "def total(xs):\n    return sum(xs)",
        "def test_total():\n    assert total([1, 2, 3]) == 6\n\ndef test_empty():\n    assert total([]) == 0",
    ),
    "dataclasses": (
        MONTY,
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    y: int = 0\n"
        "    def norm(self):\n        return self.x ** 2 + self.y ** 2",
        "assert Point(3, 4).norm() == 25\nassert Point(1) == Point(1, 0)",
    ),
    "json": (
        MONTY, "import json\ndef load(text):\n    return json.loads(text)['a']",
        "assert load('{\"a\": [1, 2]}') == [1, 2]\nassert json.dumps({'b': 1}) == '{\"b\": 1}'",
    ),
    "re": (
        MONTY, "import re\ndef words(text):\n    return re.findall(r'\\w+', text.lower())",
        "assert words('One, two') == ['one', 'two']\nassert re.sub(r'(\\d+)', r'<\\1>', 'a1') == 'a<1>'",
    ),
    "csv": (
        CPYTHON, "import csv, io\ndef rows(text):\n    return list(csv.DictReader(io.StringIO(text)))",
        "assert rows('a,b\\n1,2\\n') == [{'a': '1', 'b': '2'}]",
    ),
    "classes": (
        MONTY,
        "class Counter:\n    def __init__(self):\n        self.n = 0\n    def up(self, by=1):\n        self.n += by\n"
        "        return self",
        "assert Counter().up().up(by=4).n == 5",
    ),
    "inheritance": (
        CPYTHON,
        "class Animal:\n    def speak(self):\n        return '...'\nclass Dog(Animal):\n    def speak(self):\n"
        "        return super().speak() + 'woof'",
        "assert Dog().speak() == '...woof'\nassert isinstance(Dog(), Animal)",
    ),
    "generators": (
        CPYTHON, "def naturals(n):\n    for i in range(n):\n        yield i",
        "assert list(naturals(3)) == [0, 1, 2]",
    ),
    "comprehensions": (
        MONTY, "squares = {n: n * n for n in range(5) if n % 2}",
        "assert squares == {1: 1, 3: 9}\nassert [x for row in [[1], [2]] for x in row] == [1, 2]",
    ),
    "datetime": (
        MONTY, "from datetime import date, timedelta\ndef next_day(day):\n    return day + timedelta(days=1)",
        "assert next_day(date(2024, 2, 28)) == date(2024, 2, 29)",
    ),
    "collections": (
        MONTY,
        "from collections import Counter, defaultdict\ndef common(text):\n    return Counter(text).most_common(1)[0]",
        "assert common('abca') == ('a', 2)\nd = defaultdict(list)\nd['x'].append(1)\nassert d == {'x': [1]}",
    ),
    "itertools": (
        MONTY, "import itertools\npairs = list(itertools.combinations('abc', 2))",
        "assert pairs == [('a', 'b'), ('a', 'c'), ('b', 'c')]",
    ),
    "math": (
        MONTY, "import math\ndef hypotenuse(a, b):\n    return math.sqrt(a * a + b * b)",
        "assert hypotenuse(3, 4) == 5",
    ),
    "decimal": (
        MONTY, "from decimal import Decimal\ndef price(text):\n    return Decimal(text) * 2",
        "assert price('0.10') == Decimal('0.20')",
    ),
    "textwrap": (CPYTHON, "import textwrap", "assert textwrap.shorten('one two three', 9) == 'one [...]'"),
    "statistics": (CPYTHON, "import statistics", "assert statistics.median([3, 1, 2]) == 2"),
    "functools": (
        MONTY, "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef fib(n):\n"
        "    return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "assert fib(50) == 12586269025",
    ),
    "exceptions": (
        MONTY,
        "def parse(text):\n    try:\n        return int(text)\n    except ValueError as error:\n"
        "        raise RuntimeError(f'no number: {text}') from error",
        "def test_parse():\n    assert parse('7') == 7\n\ndef test_fault():\n    try:\n        parse('x')\n"
        "    except RuntimeError as error:\n        assert 'no number: x' in str(error)\n    else:\n"
        "        raise AssertionError('no error')",
    ),
    "f-strings": (
        MONTY, "def line(name, value):\n    return f'{name:<6}|{value:>8.2f}'",
        "assert line('a', 1) == 'a     |    1.00'",
    ),
    "unittest": (
        CPYTHON, "def add(a, b):\n    return a + b",
        "import unittest\n\nclass TestAdd(unittest.TestCase):\n    def setUp(self):\n        self.one = 1\n\n"
        "    def test_add(self):\n        self.assertEqual(add(self.one, 2), 3)\n\n    def test_text(self):\n"
        "        with self.assertRaises(TypeError):\n            add('a', 1)\n\n"
        "if __name__ == '__main__':\n    unittest.main()",
    ),
    "typing": (
        MONTY,
        "from __future__ import annotations\nfrom typing import Optional\ndef first(xs: list[int]) -> Optional[int]:\n"
        "    return xs[0] if xs else None",
        "assert first([]) is None\nassert first([2]) == 2",
    ),
    "asyncio": (
        MONTY, "import asyncio\nasync def double(x):\n    return 2 * x",
        "async def test_double():\n    assert await double(2) == 4",
    ),
    "enum": (CPYTHON, "from enum import Enum\nclass Colour(Enum):\n    RED = 1", "assert Colour(1) is Colour.RED"),
    "a file of its own": (
        CPYTHON, "import tempfile, pathlib\nwith tempfile.TemporaryDirectory() as folder:\n"
        "    path = pathlib.Path(folder, 'a.txt')\n    path.write_text('hi')\n    text = path.read_text()",
        "assert text == 'hi'",
    ),
    "a script with a main": (
        MONTY, "def main():\n    print('hello')\n\nif __name__ == '__main__':\n    main()", "",
    ),
}  # fmt: skip
IN_SUBSET = [name for name, (mode, _, _) in SNIPPETS.items() if mode == MONTY]
BEYOND = [name for name in SNIPPETS if name not in IN_SUBSET]


@needs_bubblewrap
@pytest.mark.parametrize("name", SNIPPETS)
def test_every_honest_snippet_passes_by_default_in_the_sandbox_that_the_table_names(name: str) -> None:
    mode, code, tests = SNIPPETS[name]
    run = run_code(code, tests, spec=spec("auto", 5))
    assert (run.outcome, run.reason, run.mode) == ("passed", "", mode)
    assert run.tests >= bool(tests)


@needs_bubblewrap
@pytest.mark.parametrize("name", SNIPPETS)
def test_every_honest_snippet_passes_under_bubblewrap(name: str) -> None:
    _, code, tests = SNIPPETS[name]
    run = run_code(code, tests, spec=spec("bubblewrap", 5))
    assert (run.outcome, run.reason) == ("passed", "")


@pytest.mark.parametrize("name", IN_SUBSET)
def test_what_is_in_its_subset_passes_in_monty_alone(name: str) -> None:
    _, code, tests = SNIPPETS[name]
    run = run_code(code, tests, spec=spec("monty", 5))
    assert (run.outcome, run.reason, run.mode) == ("passed", "", "monty")


@pytest.mark.parametrize("name", BEYOND)
def test_what_monty_cannot_do_is_refused_with_the_reason(name: str) -> None:
    _, code, tests = SNIPPETS[name]
    run = run_code(code, tests, spec=spec("monty", 5))
    assert (run.outcome, run.mode) == ("refused", "none")
    assert run.reason.startswith("needs CPython: ")
    assert run.reason.endswith("; bubblewrap is not used (code.sandbox)")


def test_there_are_enough_snippets_and_most_need_no_more_than_monty() -> None:
    assert len(SNIPPETS) >= 20
    assert len(IN_SUBSET) > len(SNIPPETS) / 2
