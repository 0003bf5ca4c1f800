"""The alert log waits for nobody: not for a lock, not for a reader, and a run goes on."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotage.alerts.logfile import append_line
from pilotage.run import run_crew
from pilotage.settings import Settings
from tests.alerts.receiver import QUESTION, set_alerts
from tests.support.scripted import good

ROW = {"n": 1, "text": "x" * 50}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("held", [".", "alerts.log"])
def test_a_lock_of_another_process_is_not_waited_for(tmp_path: Path, held: str) -> None:
    path = tmp_path / "alerts.log"
    append_line(path, ROW)
    began = time.monotonic()
    with locked(tmp_path / held):
        append_line(path, ROW)
    assert time.monotonic() - began < 0.5
    assert lines(path) == [ROW, ROW]


def test_a_full_file_that_is_locked_is_moved_by_a_later_alert(tmp_path: Path) -> None:
    path, old = tmp_path / "alerts.log", tmp_path / "alerts.log.1"
    append_line(path, ROW)
    with locked(path):
        append_line(path, ROW, largest=100)
    assert (len(lines(path)), old.exists()) == (2, False)
    append_line(path, ROW, largest=100)
    assert (len(lines(path)), len(lines(old))) == (1, 2)


def refusal(path: Path) -> str | None:
    began = time.monotonic()
    with pytest.raises(OSError, match=r"regular|directory") as raised:
        append_line(path, ROW)
    assert time.monotonic() - began < 0.5
    return raised.value.strerror


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert refusal(tmp_path / "pipe") == "it is no regular file"
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert refusal(tmp_path / "pipe") == "it is no regular file"
    assert os.read(reader, 10) == b""
    os.close(reader)
    assert refusal(Path("/dev/null")) == "it is no regular file"
    assert refusal(tmp_path / "folder") == "Is a directory"


def test_a_pipe_in_the_place_of_the_log_does_not_hold_a_run_up(
    project: Path, load: Callable[..., Settings], scripted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(good)
    set_alerts(project, calls={"when": "model_calls", "above": 1, "to": ["log"]})
    (project / "runs").mkdir()
    os.mkfifo(project / "runs" / "alerts.log")
    with locked(project / "runs"):
        result = run_crew(QUESTION, settings=load())
    assert result.outcome == "accepted"
    assert result.seconds < 5
    said = "warning: an alert of calls was not delivered: log: runs/alerts.log cannot be written: it is no regular file"
    assert said in capsys.readouterr().err
