"""A cache that is broken, locked, full, gone or killed under way: a miss, said once, and never an error."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotage.cache.figures import clear, stats
from pilotage.cache.file import TABLE, VERSION
from pilotage.cache.store import Store
from pilotage.errors import StoreError

Opened = Callable[..., Store]
OPEN = "from pathlib import Path; from pilotage.cache.store import Store; from pilotage.record.redact import Redactor"
FILLS = f"""
import os, sys
{OPEN}
store, number = Store(Path(sys.argv[1]), 200, Redactor({{}})), 0
while True:
    store.put("call", f"{{sys.argv[2]}}-{{number}}", os.urandom(3000))
    number += 1
    if number == 20:
        print("going", flush=True)
"""


def child(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def works(store: Store) -> bool:
    store.put("call", "works", b"body")
    entry = store.get("call", "works")
    return entry is not None and entry.body == b"body"


@pytest.mark.parametrize(
    "content", [b"no database at all, but text" * 100, os.urandom(10_000), b"SQLite format 3\0junk"]
)
def test_a_file_that_is_no_database_gives_way_and_it_is_said_once(
    path: Path, opened: Opened, said: list[str], content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("cache.sqlite-wal").write_bytes(content)
    with pytest.raises(StoreError, match=r"runs/cache\.sqlite is no database"):
        stats(path)
    store = opened()
    assert works(store)
    assert works(opened())
    assert said == ["The cache runs/cache.sqlite was no database and was replaced by an empty one"]


def test_a_file_that_breaks_while_it_is_in_use_gives_way(path: Path, store: Store, said: list[str]) -> None:
    for number in range(200):
        store.put("call", str(number), os.urandom(2000))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    again = Store(path, 10, store.redactor, warn=said.append)
    assert [again.get("call", str(number)) for number in range(200)] == [None] * 200
    assert works(again)
    again.close()
    assert len(said) == 1
    assert "replaced by an empty one" in said[0]


def test_clearing_replaces_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"text" * 2000)
    assert clear(path) == 0
    assert stats(path) == {}


@pytest.mark.parametrize("table", ["create table entries(a)", TABLE.replace("extra text not null, ", "")])
def test_a_table_of_another_version_is_emptied(path: Path, store: Store, said: list[str], table: str) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute(table)
    db.execute(f"pragma user_version={VERSION}")
    db.close()
    assert works(store)
    assert not said


def test_a_lock_of_another_process_is_a_miss_and_soon_over(path: Path, opened: Opened, said: list[str]) -> None:
    store = opened()
    store.put("call", "before", b"body")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    started = time.monotonic()
    results = [store.put("call", str(number), b"body") for number in range(50)]
    assert time.monotonic() - started < 1.5
    assert not any(results)
    assert store.get("call", "before") is not None, "reading goes on"
    other.execute("rollback")
    other.close()
    assert said == ["The cache runs/cache.sqlite is locked by another process and is not used meanwhile"]


def test_a_file_locked_for_good_when_it_is_opened_is_a_miss(path: Path, opened: Opened, said: list[str]) -> None:
    works(first := opened())
    first.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("pragma locking_mode=exclusive")
    other.execute("begin exclusive")
    started = time.monotonic()
    store = opened()
    assert [store.get("call", "works") for _ in range(20)] == [None] * 20
    assert not works(store)
    assert time.monotonic() - started < 8
    with pytest.raises(StoreError, match="locked by another process"):
        clear(path)
    other.close()
    assert len(said) == 1


def test_a_deleted_file_is_made_anew(path: Path, store: Store, said: list[str]) -> None:
    assert works(store)
    for file in path.parent.iterdir():
        file.unlink()
    assert store.get("call", "works") is None
    assert works(store)
    assert path.exists()
    assert not said


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path, store: Store, said: list[str]) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert not works(store)
    assert not works(store)
    store.flush()
    assert len(said) == 1
    assert "cannot be used" in said[0]


def test_a_full_disk_keeps_nothing_more_and_stays_readable(path: Path) -> None:
    program = f"""
import os, resource, signal, sys
{OPEN}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
said = []
store = Store(Path(sys.argv[1]), 100, Redactor({{}}), warn=said.append)
assert store.put("call", "first", b"body")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
kept = [store.put("call", str(n), os.urandom(20_000)) for n in range(30)]
assert not all(kept), kept
entry = store.get("call", "first")
assert entry is not None and entry.body == b"body"
assert len(said) == 1, said
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store._rests_until = dict.fromkeys(store._rests_until, 0.0)
assert store.put("call", "last", b"body")
store.close()
print(said[0])
"""
    with child(program, path) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.startswith("The cache runs/cache.sqlite cannot be used (")
    assert stats(path)["call"]["entries"] >= 2


def test_processes_that_are_killed_under_way_leave_a_whole_file(path: Path, opened: Opened, said: list[str]) -> None:
    for turn in range(2):
        processes = [child(FILLS, path, f"{turn}{name}") for name in "abc"]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
        time.sleep(0.1 * (turn + 1))
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
    store = opened(mb=200)
    assert works(store)
    found = stats(path)["call"]
    assert found["entries"] > 120
    keys = [f"{turn}{name}-{number}" for turn in range(2) for name in "abc" for number in range(20)]
    assert all(store.get("call", key) for key in keys)
    assert not said
    store.close()
    db = sqlite3.connect(path)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def test_many_processes_make_the_file_together(path: Path) -> None:
    program = f"""
import sys
{OPEN}
said = []
store = Store(Path(sys.argv[1]), 5, Redactor({{}}), warn=said.append)
for n in range(20):
    assert store.put("call", f"{{sys.argv[2]}}-{{n}}", b"body"), said
store.close()
assert not said, said
"""
    processes = [child(program, path, number) for number in range(4)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert stats(path)["call"]["entries"] == 80
