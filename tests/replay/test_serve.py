"""`pilotage replay` as a process: the address, runs/replay.json, its end by a signal, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from pilotage.errors import ConfigError
from pilotage.record.journal import find_run
from pilotage.record.store import open_store
from pilotage.replay.serve import Place, address_of, listen
from pilotage.settings import Settings

COMMAND = [sys.executable, "-m", "pilotage", "replay"]


@contextmanager
def started(root: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the first line that it says."""
    command = [*COMMAND, "--port", "0", *arguments]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    ) as process:
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline()
        finally:
            process.terminate()
            process.wait(10)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=10)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_though_somebody_listens(demo: Settings, number: signal.Signals) -> None:
    file = demo.runs / "replay.json"
    with started(demo.root) as (process, line):
        url = json.loads(file.read_text("utf-8"))["url"]
        assert line == f"replay: {url}/ (Ctrl-C ends it)\n"
        with requests.get(f"{url}/events/sessions", stream=True, timeout=5) as stream:
            assert next(stream.iter_lines())
            before = time.monotonic()
            process.send_signal(number)
            assert ended(process) == (0, "", "")
            assert time.monotonic() - before < 3
    assert not file.exists()


def test_replay_json_says_where_who_and_what(demo: Settings) -> None:
    with started(demo.root) as (process, _line):
        place = json.loads((demo.runs / "replay.json").read_text("utf-8"))
        assert place["pid"] == process.pid
        assert place["store"] == str(demo.store.resolve())
        assert requests.get(f"{place['url']}/healthz", timeout=5).json()["ok"] is True


def test_the_named_run_is_in_the_address(demo: Settings) -> None:
    engine = open_store(demo.store)
    run = find_run(engine, "last")
    engine.dispose()
    with started(demo.root, "last") as (_process, line):
        assert f"/sessions/{run} " in line


def test_an_unknown_run_is_refused_before_anything_is_served(demo: Settings) -> None:
    done = subprocess.run([*COMMAND, "nonsense"], cwd=demo.root, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert 'No run begins with "nonsense"' in done.stderr


def test_other_machines_are_not_let_in_without_a_token(demo: Settings) -> None:
    done = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0", "--port", "0"], cwd=demo.root, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "replay.token_env" in done.stderr
    assert "hint: put REPLAY_TOKEN=" in done.stderr
    assert not (demo.runs / "replay.json").exists()


def test_with_a_token_it_listens_everywhere_and_never_shows_it(demo: Settings) -> None:
    with started(demo.root, "--host", "0.0.0.0", REPLAY_TOKEN="a-token-of-the-test") as (process, line):
        url = json.loads((demo.runs / "replay.json").read_text("utf-8"))["url"]
        assert url.startswith("http://127.0.0.1:")
        assert "sign in with the read token" in line
        assert requests.get(f"{url}/", timeout=5).status_code == 401
        process.terminate()
        assert "a-token-of-the-test" not in line + "".join(ended(process)[1:])


def test_a_port_that_is_taken_is_said_with_a_way_out(demo: Settings) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        Place("http://127.0.0.1:1", 1, "").write(demo.runs / "replay.json")
        with pytest.raises(ConfigError, match=rf"Port {port} on 127.0.0.1 is taken \(replay.port\)") as raised:
            listen("127.0.0.1", port, demo)
    assert "http://127.0.0.1:1" in raised.value.hint
    assert "--port 0" in raised.value.hint
    (demo.runs / "replay.json").unlink()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"replay.host"):
        listen(host, 0)


def test_the_address_of_all_addresses_is_the_one_of_this_machine() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")


def test_the_file_of_another_server_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "replay.json"
    Place("http://127.0.0.1:1", 1, "s").write(file)
    Place("http://127.0.0.1:2", 2, "s").remove(file)
    assert json.loads(file.read_text("utf-8"))["pid"] == 1
    Place("http://127.0.0.1:1", 1, "s").remove(file)
    assert not list(file.parent.iterdir())


def test_the_command_answers_without_the_web_server_until_it_is_used() -> None:
    code = (
        "import sys, pilotage.cli\n"
        "print([name for name in ('uvicorn', 'starlette', 'jinja2', 'crewai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"
