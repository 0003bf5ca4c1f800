"""The house: arrows go one way, the engine knows nothing of the user's crew, modules are short and say what they do."""

from __future__ import annotations

import ast
import importlib
import subprocess
from pathlib import Path

import pytest

import pilotage

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
ENGINE = sorted((SOURCE / "pilotage").rglob("*.py"))
MODULES = ENGINE + sorted((SOURCE / "my_crew").rglob("*.py"))
LONGEST = 400  # lines

FLOORS = {
    "settings": 0, "spec": 0, "prompts": 0, "yamlfile": 0, "errors": 0, "names": 0, "record": 1, "guard": 2,
    "tape": 2, "cache": 2, "web": 3, "sandbox": 3, "model": 3, "language": 2, "checks": 3, "reading": 3, "evidence": 3,
}  # fmt: skip
TOP = 4  # run, crew, tools, outcome, report, views, doctor, cli, evals and whatever is new


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """ "guard" of "pilotage.guard.limits"; "" of the package itself."""
    return [*module.split("."), ""][1]


def floor(module: str) -> int:
    return FLOORS.get(room(module), TOP)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(path: Path) -> set[str]:
    """Every module that `path` imports when it runs, at the top or inside a function."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if is_type_checking(node):
            waiting += node.orelse  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by a relative name"
            module = str(node.module)
            for alias in node.names:
                inner = SOURCE / module.replace(".", "/") / alias.name
                is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
                found.add(f"{module}.{alias.name}" if is_module else module)
        waiting += ast.iter_child_nodes(node)
    return found


def ids(path: Path) -> str:
    return name_of(path)


@pytest.mark.parametrize("path", ENGINE, ids=ids)
def test_the_engine_never_imports_the_users_crew(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] == "my_crew"]


@pytest.mark.parametrize("path", ENGINE, ids=ids)
def test_a_module_imports_only_from_its_own_floor_or_below(path: Path) -> None:
    own = name_of(path)
    above = {name for name in imports(path) if name.startswith("pilotage.") and floor(name) > floor(own) and room(name)}
    assert not above, f"{own} (floor {floor(own)}) imports {above}"


def test_rooms_of_one_floor_do_not_import_each_other_in_circles() -> None:
    arrows: dict[str, set[str]] = {}
    for path in ENGINE:
        own = room(name_of(path))
        if own in FLOORS:
            arrows.setdefault(own, set()).update(
                room(name) for name in imports(path) if name.startswith("pilotage.") and room(name) in FLOORS
            )
    order: list[str] = []
    while arrows:
        free = [own for own, targets in arrows.items() if not (targets - {own} - set(order))]
        assert free, f"a circle among {sorted(arrows)}"
        for own in free:
            order.append(own)
            del arrows[own]
    assert order.index("errors") < order.index("record") < order.index("guard") < order.index("model")


def test_the_test_of_floors_would_see_an_arrow_that_goes_up(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import allowed\n"
        "def f():\n    from pilotage.guard import limits\n    from pilotage import tools\n    import my_crew.crew\n"
    )
    found = imports(wrong)
    assert {"pilotage.guard.limits", "pilotage.tools", "my_crew.crew"} <= found
    assert "allowed" not in found
    assert floor("pilotage.guard.limits") > floor("pilotage.record.journal")


@pytest.mark.parametrize("path", [p for p in MODULES if p.read_text("utf-8").strip()], ids=ids)
def test_every_module_says_what_it_does(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text
    assert len(text.splitlines()[0]) > 20


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_every_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < LONGEST


def test_the_users_code_is_short() -> None:
    assert sum(len(p.read_text("utf-8").splitlines()) for p in (SOURCE / "my_crew").rglob("*.py")) < 200


# --- the public names


def test_every_public_name_is_there_and_comes_from_where_it_is_said_to() -> None:
    for home, names in pilotage._HOMES.items():
        for name in names:
            assert getattr(pilotage, name) is getattr(importlib.import_module(home), name)
            assert getattr(getattr(pilotage, name), "__module__", home) == home


def test_the_list_of_public_names_is_the_one_that_getattr_gives() -> None:
    assert sorted(pilotage.__all__) == sorted(name for names in pilotage._HOMES.values() for name in names)
    assert len(set(pilotage.__all__)) == len(pilotage.__all__)


def test_type_checkers_see_the_same_public_names() -> None:
    tree = ast.parse((SOURCE / "pilotage" / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if is_type_checking(node)]
    assert isinstance(block, ast.If)
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == {name: home for home, names in pilotage._HOMES.items() for name in names}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pilotage.nonsense


# --- what the repository must not hold

FORBIDDEN = {
    "a path of one machine": ["/" + "work/", "/" + "root/", "/" + "home/"],
    "the host of a package registry": ["pypi" + ".org", "python" + "hosted.org"],
}


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("no repository here")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_text_of_the_repository_names(what: str) -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {words}" for words in FORBIDDEN[what] if words in text]
    assert not found


def test_no_secret_and_no_record_of_a_run_is_in_the_repository() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in tracked()]
    assert not [name for name in names if name == ".env" or name.startswith("runs/") or name.endswith(".sqlite")]
