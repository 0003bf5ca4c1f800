"""A run leaves nothing in the home folder, phones nobody, and says nothing but what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WATCH = '''
"""Runs the command line with every socket and every lookup written down."""
import json, socket, sys

tried = []
connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

def watched(real):
    def call(self, address):
        if self.family != socket.AF_UNIX:
            tried.append(str(address))
            if not str(address[0]).startswith(("127.", "::1", "localhost")):
                raise OSError(f"blocked: {address}")
        return real(self, address)
    return call

socket.socket.connect, socket.socket.connect_ex = watched(connect), watched(connect_ex)
socket.getaddrinfo = lambda host, *rest, **more: (tried.append(str(host)), lookup(host, *rest, **more))[1]

from pilotage import cli
code = cli.invoke(json.loads(sys.argv[1]))
import os, threading
others = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
report = {"code": code, "tried": tried, "threads": others, "crewai": "crewai" in sys.modules,
          "home": os.environ["HOME"]}
print(json.dumps(report), file=open(sys.argv[2], "w"))
'''
SWITCHES = (
    "CREWAI_DISABLE_TELEMETRY", "CREWAI_TRACING_ENABLED", "CREWAI_DISABLE_VERSION_CHECK", "CREWAI_STORAGE_DIR",
    "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "LITELLM_LOCAL_MODEL_COST_MAP", "OTEL_SDK_DISABLED",
)  # fmt: skip


def bare_environment(home: Path) -> dict[str, str]:
    """A user's first day: a home folder with nothing in it, no switch set."""
    kept = {k: v for k, v in os.environ.items() if k not in SWITCHES and not k.startswith(("XDG_", "CREWAI_", "OTEL_"))}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """One run in a process of its own, from a fresh home; everything that the tests below look at."""

    from tests.conftest import lay_out

    base = tmp_path_factory.mktemp("quiet")
    home, project = base / "home", base / "project"
    home.mkdir()
    lay_out(project)
    (base / "watch.py").write_text(WATCH)
    before = set(project.rglob("*"))
    question = "How many requests can one fault make when retries are nested?"
    done = subprocess.run(
        [sys.executable, str(base / "watch.py"), json.dumps(["run", question]), str(base / "report.json")],
        cwd=project, env=bare_environment(home), capture_output=True, text=True, timeout=28, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads((base / "report.json").read_text())
    return report | {
        "own_home": str(home), "left_at_home": sorted(str(p.relative_to(home)) for p in home.rglob("*")),
        "left": sorted(p.relative_to(project).as_posix() for p in set(project.rglob("*")) - before),
        "out": done.stdout, "err": done.stderr,
    }  # fmt: skip


def test_a_run_leaves_nothing_in_the_home_folder(quiet_run: dict[str, object]) -> None:
    assert quiet_run["crewai"] is True, "it was a real run"
    assert quiet_run["code"] == 0
    assert quiet_run["left_at_home"] == []


def test_everything_that_a_run_leaves_lies_in_runs(quiet_run: dict[str, object]) -> None:
    left = quiet_run["left"]
    assert isinstance(left, list)
    assert "runs/pilotage.sqlite" in left
    assert [name for name in left if name != "runs" and not name.startswith("runs/")] == []


def test_a_run_with_the_reader_reaches_for_no_other_machine(quiet_run: dict[str, object]) -> None:
    assert quiet_run["tried"] == []


def test_the_home_folder_is_the_users_again_after_the_import(quiet_run: dict[str, object]) -> None:
    assert quiet_run["home"] == quiet_run["own_home"]


def test_no_thread_keeps_the_process_from_ending(quiet_run: dict[str, object]) -> None:
    assert quiet_run["threads"] == []


def test_crewai_says_nothing_on_the_terminal(quiet_run: dict[str, object]) -> None:
    out, err = str(quiet_run["out"]), str(quiet_run["err"])
    assert out.strip().splitlines()[-1].startswith("outcome: accepted")
    for stream in (out, err):
        assert not [word for word in ("crewai", "CrewAI", "Trace", "trace", "Warning", "╭", "\x1b[") if word in stream]


def test_the_watch_itself_sees_a_connection(tmp_path: Path) -> None:
    """Without this, the test above could not fail."""
    script = WATCH.replace(
        "code = cli.invoke(json.loads(sys.argv[1]))",
        "code = 0\ntry:\n    socket.create_connection(('192.0.2.1', 9), timeout=1)\nexcept OSError:\n    pass",
    )
    (tmp_path / "watch.py").write_text(script)
    subprocess.run(
        [sys.executable, str(tmp_path / "watch.py"), "[]", str(tmp_path / "report.json")], timeout=20, check=True
    )
    assert "192.0.2.1" in json.loads((tmp_path / "report.json").read_text())["tried"]


def python(code: str, home: Path, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare_environment(home) | more, capture_output=True, text=True, timeout=20,
        check=True, cwd=home,
    )  # fmt: skip
    return done.stdout.strip()


def test_importing_the_package_switches_telemetry_off_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import os, sys, json, pilotage; heavy = {'crewai', 'onnxruntime', 'sqlalchemy', 'numpy', 'yaml'}\n"
        f"print(json.dumps([{{n: os.environ.get(n) for n in {SWITCHES}}}, sorted(heavy & set(sys.modules))]))"
    )
    switches, heavy = json.loads(python(code, tmp_path))
    assert heavy == []
    assert switches == {
        "CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false", "CREWAI_DISABLE_VERSION_CHECK": "true",
        "ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OTEL_SDK_DISABLED": None, "CREWAI_STORAGE_DIR": None,
    }  # fmt: skip


def test_the_users_own_switch_wins(tmp_path: Path) -> None:
    code = "import os, pilotage; print(os.environ['CREWAI_DISABLE_TELEMETRY'])"
    assert python(code, tmp_path, CREWAI_DISABLE_TELEMETRY="false") == "false"


def test_the_telemetry_switches_stand_before_crewai_is_imported(tmp_path: Path) -> None:
    """Whatever public name is asked for first: at the first import of crewai the switches are set."""
    code = (
        "import os, sys, json\nseen = []\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'crewai':\n"
        "            seen.append(os.environ.get('CREWAI_DISABLE_TELEMETRY'))\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import pilotage\n"
        "for name in pilotage.__all__:\n"
        "    try: getattr(pilotage, name)\n"
        "    except ImportError: pass\n"
        "print(json.dumps(seen))"
    )
    seen = json.loads(python(code, tmp_path))
    assert seen
    assert set(seen) == {"true"}
