"""Finding the nearest questions: the mapped file and the tail, dead entries, and whoever dies while it is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotage.answers import nearest
from pilotage.answers.nearest import Nearest, clear, padded
from pilotage.answers.store import Store
from pilotage.evidence.vectors import Vectors
from tests.answers.kept import entry, vector

SCOPE = "s" * 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "answers.sqlite")
    yield made
    made.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "TAIL", 5)


def put(store: Store, number: int, row: Any = None, **more: Any) -> int:
    row = vector(number) if row is None else row
    return store.put(entry(number, **more), f"form {number}", padded(row).tobytes())


def numbered(found: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(number, round(cosine, 4)) for number, cosine in found]


def test_the_nearest_come_first_with_their_cosines(store: Store) -> None:
    numbers = [put(store, n) for n in range(20)]
    index = Nearest(store, SCOPE, 384)
    found = index.find(vector(7), 3)
    assert found[0][0] == numbers[7]
    cosines = sorted((float(vector(n) @ vector(7)) for n in range(20)), reverse=True)
    assert [cosine for _, cosine in found] == pytest.approx(cosines[:3], abs=1e-5)


@pytest.mark.usefixtures("short")
def test_file_and_tail_together_find_what_a_full_look_finds(store: Store) -> None:
    index = Nearest(store, SCOPE, 384)
    for n in range(9):
        put(store, n)
    index.tidy()
    assert index.path.exists()
    assert len(index.find(vector(0), 50)) == 9
    for n in range(9, 12):
        put(store, n)
    index.tidy()
    assert Vectors.open(index.path) is not None
    assert len(Vectors.open(index.path) or ()) == 9, "three more are tail"
    for n in range(12):
        assert index.find(vector(n), 1)[0][1] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.usefixtures("short")
def test_an_answer_that_is_gone_is_not_found_though_the_file_has_it(store: Store) -> None:
    numbers = [put(store, n) for n in range(9)]
    index = Nearest(store, SCOPE, 384)
    index.tidy()
    store.drop(numbers[4])
    assert numbers[4] not in dict(index.find(vector(4), 9))
    for n in range(6):
        store.drop(numbers[n])
    index.tidy()
    assert len(Vectors.open(index.path) or ()) == 3, "many are gone: written anew"


@pytest.mark.usefixtures("short")
def test_scopes_do_not_see_each_other(store: Store) -> None:
    for n in range(9):
        put(store, n, scope=("s" if n % 2 else "t") * 64)
    odd, even = Nearest(store, "s" * 64, 384), Nearest(store, "t" * 64, 384)
    odd.rebuild()
    assert (len(odd.find(vector(0), 50)), len(even.find(vector(0), 50))) == (4, 5)


@pytest.mark.parametrize("size", [100, 1536])
def test_vectors_of_another_size_are_compared_among_themselves(store: Store, size: int) -> None:
    put(store, 1)
    own = put(store, 2, vector(2, size))
    index = Nearest(store, SCOPE, size)
    assert [number for number, _ in index.find(vector(2, size), 5)] == [own]
    index.rebuild()
    assert numbered(index.find(vector(2, size), 5)) == [(own, 1.0)]
    assert len(Nearest(store, SCOPE, 384).find(vector(1), 5)) == 1


def test_a_file_that_is_cut_off_counts_as_none(store: Store) -> None:
    number = put(store, 1)
    index = Nearest(store, SCOPE, 384)
    index.rebuild()
    index.path.write_bytes(index.path.read_bytes()[:-7])
    assert numbered(Nearest(store, SCOPE, 384).find(vector(1), 1)) == [(number, 1.0)]


def test_a_file_from_before_the_store_was_deleted_serves_nothing(store: Store) -> None:
    for n in range(5):
        put(store, n)
    index = Nearest(store, SCOPE, 384)
    index.rebuild()
    store.close()
    for file in store.path.parent.glob("answers.sqlite*"):
        file.unlink()
    time.sleep(0.01)
    number = put(store, 99)
    assert numbered(index.find(vector(0), 5)) == [(number, round(float(vector(0) @ vector(99)), 4))]


def test_one_process_at_a_time_writes_the_file(store: Store) -> None:
    put(store, 1)
    index = Nearest(store, SCOPE, 384)
    with store.claim(SCOPE) as is_ours:
        assert is_ours
        index.rebuild()
        assert not index.path.exists()
    index.rebuild()
    assert index.path.exists()


WRITER = """
import sys
from pathlib import Path
from pilotage.answers.nearest import Nearest
from pilotage.answers.store import Store
from pilotage.evidence import vectors

def pause(pairs, size):
    print("writing", flush=True)
    import time; time.sleep(60)
vectors._chunks = pause
Nearest(Store(Path(sys.argv[1])), "s" * 64, 384).rebuild()
"""


def test_who_is_killed_while_it_writes_leaves_the_old_file_and_is_swept_up_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    index = Nearest(store, SCOPE, 384)
    index.rebuild()
    before = index.path.read_bytes()
    put(store, 2)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=20)
    assert index.path.read_bytes() == before
    assert len(index.find(vector(2), 5)) == 2
    index.rebuild()
    assert index.path.read_bytes() == before, "its claim holds for a while"
    monkeypatch.setattr(nearest, "CLAIM", -1.0)
    monkeypatch.setattr("pilotage.answers.store.CLAIM", -1.0)
    index.rebuild()
    assert len(Vectors.open(index.path) or ()) == 2
    assert list(index.path.parent.glob("*.new")) == []


def test_clearing_takes_the_vectors_along(store: Store) -> None:
    for n in range(6):
        put(store, n, at=100.0 + n)
    index = Nearest(store, SCOPE, 384)
    index.rebuild()
    assert clear(store, 104.0) == 4
    assert len(Vectors.open(index.path) or ()) == 2
    assert clear(store, time.time()) == 2
    assert not index.path.exists()
    assert clear(store, time.time()) == 0


def test_a_vector_of_zeros_does_no_harm(store: Store) -> None:
    number = put(store, 1, np.zeros(384, np.float32))
    assert Nearest(store, SCOPE, 384).find(vector(3), 1) == [(number, 0.0)]
