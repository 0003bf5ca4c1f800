"""The user's Python by its name: what is wrong in it is one line, with a hint that says where to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotage import names
from pilotage.checks.data import load_schema
from pilotage.errors import ConfigError, LimitExceeded

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the module `users.mine` of the project and gives its name."""
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def module(text: str) -> str:
        (tmp_path / "users" / "mine.py").write_text(text, "utf-8")
        return "users.mine"

    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "users"]:
        del sys.modules[name]


def refused(name: str, key: str, root: Path) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        names.find(name, key, root)
    return str(caught.value), caught.value.hint


def test_a_module_and_what_is_in_it_are_found(tmp_path: Path, write: Write) -> None:
    name = write("answer = 42\n")
    assert names.find(name, "crew", tmp_path).answer == 42
    assert names.find(f"{name}:answer", "crew", tmp_path) == 42


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("a = 1\nimport nosuchmodule\n", "2: ModuleNotFoundError: No module named 'nosuchmodule'",
         "mend that line, or uv add nosuchmodule"),
        ("from nosuchmodule.part import x\n", "1: ModuleNotFoundError: No module named 'nosuchmodule'",
         "mend that line, or uv add nosuchmodule"),
        ("import users.nosuch\n", "1: ModuleNotFoundError: No module named 'users.nosuch'", "mend that line"),
        ("from json import nothing\n", "1: ImportError: cannot import name 'nothing' from 'json'", "mend that line"),
        ("a = 1 / 0\n", "1: ZeroDivisionError: division by zero", "mend that line"),
        ("a = (\n", "1: SyntaxError: '(' was never closed", "mend that line"),
        ("import sys\n\nsys.exit(5)\n", "3: SystemExit: 5", "mend that line"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["crew", "config/tasks.yaml:7"])
def test_what_is_wrong_in_the_users_file_names_its_line(
    tmp_path: Path, write: Write, key: str, text: str, problem: str, hint: str
) -> None:
    said, hinted = refused(write(text), key, tmp_path)
    assert said.startswith(f"users/mine.py:{problem}")
    assert hinted == hint


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("crew", "change crew in config/pilotage.yaml"), ("tools", "change tools in config/pilotage.yaml"),
        ("output_pydantic", "change output_pydantic in config/tasks.yaml"),
        ("config/tasks.yaml:7", "change {name}, which config/tasks.yaml:7 names"),
        ("--schema", "change {name}, which --schema names"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_mended_where_it_stands(tmp_path: Path, write: Write, key: str, hint: str) -> None:
    module = write("answer = 42\n")
    for name, problem in {
        f"{module}:Nope": f"{key}: {module} has no Nope",
        "users.other:Row": f"{key}: users.other:Row: ModuleNotFoundError: No module named 'users.other'",
        "nowhere_at_all:Row": f"{key}: nowhere_at_all:Row: ModuleNotFoundError: No module named 'nowhere_at_all'",
    }.items():
        assert refused(name, key, tmp_path) == (problem, hint.format(name=name))


def test_a_model_that_is_not_there_says_which_line_names_it(tmp_path: Path, write: Write) -> None:
    name = write("answer = 42\n") + ":Nope"
    with pytest.raises(ConfigError) as caught:
        load_schema(name, tmp_path, "config/tasks.yaml:7")
    assert caught.value.lines() == (
        "error: config/tasks.yaml:7: users.mine has no Nope\n"
        "hint: change users.mine:Nope, which config/tasks.yaml:7 names"
    )


def test_errors_of_our_own_and_an_interrupt_go_through(tmp_path: Path) -> None:
    for error in (LimitExceeded("seconds", 2, 1, key="limits.seconds"), KeyboardInterrupt()):

        def fails(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            names.calling(fails, "crew", tmp_path)
        assert caught.value is error
