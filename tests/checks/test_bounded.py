"""A check that would never end is ended: by a pattern, elements that are compared, references, a model's `re`."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pilotage.checks import bounded
from pilotage.checks.bounded import may_take_long
from pilotage.checks.data import DataFault, check_text, check_value
from pilotage.errors import ConfigError, ToolError

WORST = "^(a+)+$"
ENDLESS = "a" * 45 + "b"
OBJECTS = [{"a": number} for number in range(20_000)]


class ByRust(BaseModel):
    a: str = Field(pattern=WORST)


class ByRe(BaseModel):
    model_config = ConfigDict(regex_engine="python-re")
    a: str = Field(pattern=WORST)


class Compiled(BaseModel):
    a: Annotated[str, Field(pattern=re.compile(WORST))]


class Outer(BaseModel):
    parts: list[ByRe] = []


class Watched(BaseModel):
    a: str

    @field_validator("a")
    @classmethod
    def _here(cls, a: str) -> str:
        raise ValueError(f"process {os.getpid()}")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "SECONDS", 0.5)


def doubling() -> dict[str, Any]:
    """A schema that holds a nested value against itself twice at each level."""
    child = {"properties": {"c": {"$ref": "#/$defs/n"}}}
    return {"$defs": {"n": {"anyOf": [{"required": ["x"]} | child, {"required": ["y"]} | child]}}, "$ref": "#/$defs/n"}


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (ENDLESS, {"pattern": WORST}),
        ({"a": {"b": [ENDLESS]}}, {"properties": {"a": {"properties": {"b": {"items": {"pattern": WORST}}}}}}),
        ({ENDLESS: 1}, {"patternProperties": {WORST: {}}}),
        ({ENDLESS: 1}, {"propertyNames": {"pattern": WORST}}),
        (OBJECTS, {"type": "array", "uniqueItems": True}),
        (nested(40), doubling()),
        ({"a": ENDLESS}, ByRe),
        ({"a": ENDLESS}, Compiled),
        ({"parts": [{"a": ENDLESS}]}, Outer),
    ],
    ids=["pattern", "nested", "keys", "names", "unique", "references", "model", "compiled", "outer"],
)
@pytest.mark.usefixtures("short")
def test_what_would_never_end_is_one_fault_at_the_deadline(value: Any, schema: Any) -> None:
    began = time.monotonic()
    assert check_value(value, schema) == [
        DataFault("$", "a value that could not be judged within 0.5 s", "one that takes less time")
    ]
    assert 0.5 < time.monotonic() - began < 5


@pytest.mark.usefixtures("short")
def test_a_column_of_a_csv_is_ended_too_and_other_threads_go_on() -> None:
    ticks: list[float] = []
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.02):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    found = check_text(f"a\n{ENDLESS}\n", "csv", {"type": "object", "properties": {"a": {"pattern": WORST}}})
    over.set()
    thread.join()
    assert str(found[0]).startswith("$: found a value that could not be judged within 0.5 s")
    assert max(later - earlier for earlier, later in itertools.pairwise(ticks)) < 0.4


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_while_it_checks(number: signal.Signals) -> None:
    program = (
        "from pilotage.checks.data import check_value\nprint('begun', flush=True)\n"
        f"check_value({ENDLESS!r}, {{'pattern': {WORST!r}}})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(3) == -number


@pytest.mark.parametrize("schema", [{"pattern": "^[ab]+$"}, {"type": "string", "format": "regex", "maxLength": 3}])
def test_a_verdict_is_the_same_in_the_other_process(schema: dict[str, Any]) -> None:
    assert may_take_long(schema)
    assert check_value("aba", schema) == []
    (fault,) = check_value("[cde", schema | {"maxLength": 9})
    assert (fault.path, fault.found) == ("$", '"[cde"')


@pytest.mark.parametrize("model", [ByRe, Compiled])
def test_a_model_of_the_users_is_found_by_the_other_process(model: type[BaseModel]) -> None:
    assert check_text('[{"a": "aaa"}]', "json", model) == []
    (fault,) = check_text('[{"a": "aaa"}, {"a": "b"}]', "json", model)
    assert (fault.path, fault.found) == ("$[1].a", '"b"')


def test_what_is_not_json_crosses_too() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"pattern": "é"}, "b": {"const": date(2024, 5, 1)}}}
    assert check_value({"a": "\ud800é日"}, schema) == []
    assert [fault.path for fault in check_value({"a": "\ud800", "b": "2024-05-01"}, schema)] == ["$.a", "$.b"]


def test_a_model_that_has_no_name_to_be_found_by_is_checked_here() -> None:
    class Inner(BaseModel):
        a: str = Field(pattern=re.compile("^a$"))

    hidden = type("Hidden", (Inner,), {"__module__": "nowhere_to_be_found"})
    main = type("Mine", (Inner,), {"__module__": "__main__"})
    for model in (Inner, hidden, main):
        assert may_take_long(model)
        assert [fault.path for fault in check_value({"a": "b"}, model)] == ["$.a"]


def test_a_module_that_is_not_found_there_is_checked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import re\nfrom pydantic import BaseModel, Field\nclass Row(BaseModel):\n"
    (tmp_path / "passing_models.py").write_text(text + "    a: str = Field(pattern=re.compile('^a$'))\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        import passing_models  # type: ignore[import-not-found]
    try:
        assert [fault.path for fault in check_value({"a": "b"}, passing_models.Row)] == ["$.a"]
    finally:
        sys.modules.pop("passing_models")


def test_a_module_that_prints_does_not_spoil_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import re\nfrom pydantic import BaseModel, Field\nprint('{}', flush=True)\nclass Row(BaseModel):\n"
    (tmp_path / "loud_models.py").write_text(text + "    a: str = Field(pattern=re.compile('^a$'))\n")
    monkeypatch.syspath_prepend(tmp_path)
    import loud_models  # type: ignore[import-not-found]

    try:
        assert [fault.path for fault in check_value({"a": "b"}, loud_models.Row)] == ["$.a"]
    finally:
        sys.modules.pop("loud_models")


@pytest.mark.parametrize(
    "schema",
    [
        {}, {"type": "object", "required": ["a"], "properties": {"a": {"enum": [1, 2], "minimum": 1}}},
        {"format": "date"}, {"anyOf": [{"type": "string", "format": "uri"}, {"items": {"maxLength": 3}}]},
        ByRust, Watched,
    ],
)  # fmt: skip
def test_what_is_quick_is_not_given_away(schema: Any) -> None:
    assert not may_take_long(schema)


def test_the_quick_and_a_models_own_validators_run_in_this_process() -> None:
    (fault,) = check_value({"a": "x"}, Watched)
    assert fault.expected == f"process {os.getpid()}"


def test_a_schema_that_holds_itself_is_walked_once() -> None:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"a": schema}
    assert not may_take_long(schema)
    schema["pattern"] = "a"
    assert may_take_long(schema)


def test_an_error_of_the_schema_comes_back_as_it_was_raised() -> None:
    with pytest.raises(ConfigError, match=r"is no valid JSON Schema: \$\.pattern") as caught:
        check_value("a", {"pattern": "("})
    assert caught.value.hint == "mend the schema"


def test_a_process_that_fails_is_an_error_not_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.path.exists("/bin/false") else "/usr/bin/false")
    with pytest.raises(ToolError, match="the data check's process ended with code 1 and left no result"):
        check_value("a", {"pattern": "a"})


def test_a_process_that_does_not_start_in_time_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(bounded, "STARTS", 0.2)
    monkeypatch.setattr(bounded, "SECONDS", 0.2)
    with pytest.raises(ToolError, match=r"did not start within 0\.2 s"):
        check_value("a", {"pattern": "a"})


class _Odd:
    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("not foreseen")

    __hash__ = None  # type: ignore[assignment]


def test_an_error_that_nobody_foresaw_says_what_it_was() -> None:
    with pytest.raises(ToolError, match="the data check failed: ArithmeticError: not foreseen"):
        check_value({"a": _Odd()}, {"properties": {"a": {"enum": [[1]]}, "b": {"pattern": "a"}}})


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are listed in /proc")
def test_a_check_does_not_outlive_its_parent_by_long() -> None:
    program = (
        "from pilotage.checks import bounded\nbounded.SECONDS = 1.0\nprint('begun', flush=True)\n"
        f"bounded.check({ENDLESS!r}, {{'pattern': {WORST!r}}}, False)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        child = wait_for(lambda: children(process.pid))[0]
        time.sleep(0.5)
        process.kill()
    assert Path(f"/proc/{child}").exists()
    wait_for(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])


def children(parent: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait_for(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 8
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found
