"""The README is executed: its commands run in a fresh clone, its settings and files exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pilotage.reading.page import check_sites
from pilotage.settings import known_keys
from pilotage.spec import EngineSpec
from pilotage.tools.service import check_service
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project as it stands, changes not yet committed included."""
    folder = tmp_path_factory.mktemp("clone") / "pilotage"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.splitlines()):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the environment of these tests: uv is there already, and neither syncs nor asks an index."""
    environment = {
        **os.environ,
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
        "UV_NO_SYNC": "1",
        "UV_OFFLINE": "1",
    }
    command = command.replace("pip install uv && ", "")
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_first_command_answers_and_leaves_the_tree_clean(clone: Path) -> None:
    done = shell(BLOCKS[0], clone)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1].startswith("outcome: accepted · "), done.stdout
    assert "[1] loops.md" in done.stdout
    assert "built-in reader" in done.stderr
    noise = [
        line
        for line in done.stderr.splitlines()
        if line and not line.startswith(("model: ", "loading", "[", "session: "))
    ]
    assert not noise, noise
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout == ""


def test_the_test_command_finds_the_tests(clone: Path) -> None:
    (block,) = [block for block in BLOCKS if "pytest" in block]
    done = shell(f"{block.strip()} --collect-only tests/test_readme.py", clone)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "test_readme.py" in done.stdout


def test_the_other_commands_work_as_they_stand(clone: Path) -> None:
    (block,) = [block for block in BLOCKS if "pilotage show" in block]
    for command in block.strip().splitlines():
        done = shell(command.split("  #")[0], clone)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("script", ["train", "replay"])
def test_scripts_that_are_not_used_say_what_is(clone: Path, script: str) -> None:
    done = shell(f"uv run {script}", clone)
    assert done.returncode == 1
    assert "`pilotage " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_file_and_setting_that_is_named_exists() -> None:
    assert not re.search(r"\b[A-Z]{6,}$", README, re.MULTILINE), "a placeholder was left"
    for path in re.findall(r"`((?:config|src|knowledge|benchmarks|docs|tests)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path
    for key in re.findall(r"`((?:limits|model|evidence|checks|record)\.\w+)`", README):
        assert key in known_keys(), key


def test_every_key_stands_in_the_yaml_and_has_a_comment() -> None:
    text = (ROOT / "config/pilotage.yaml").read_text("utf-8")
    for key in known_keys():
        assert re.search(rf"^ *{key.split('.')[-1]}:.* # \w", text, re.MULTILINE), key


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
def test_every_setting_that_is_shown_is_one(block: str) -> None:
    spec = EngineSpec.model_validate(yaml.safe_load(block))
    for name, service in spec.services.items():
        check_service(name, service, {"RATES_KEY": "a"})
    check_sites(spec.web)
