"""The file of kept answers: entered, found, forgotten, by several at once, and what happens when it cannot be used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotage.answers.store import Store
from pilotage.errors import StoreError
from tests.answers.kept import entry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "answers.sqlite")
    yield made
    made.close()


def test_an_entry_comes_back_as_it_was(store: Store) -> None:
    number = store.put(entry(1), "question 1", b"\0" * 16)
    found = store.same("s" * 64, "question 1")
    assert found is not None
    assert (found.id, found.question, found.hits) == (number, "Question 1?", 0)
    assert found.sources == entry(1).sources
    assert found.citations == entry(1).citations
    assert store.same("t" * 64, "question 1") is None


def test_the_same_question_is_entered_in_place_of_the_old_one_under_a_new_number(store: Store) -> None:
    first = store.put(entry(1), "form", None)
    second = store.put(entry(2), "form", None)
    assert second > first
    assert [found.run for found in store.listed()] == ["run-2"]


def test_a_hit_is_counted_with_what_it_saves(store: Store) -> None:
    number = store.put(entry(1), "form", None)
    store.count_hit(number, "e.1.2")
    store.count_hit(number, "e.1.3")
    found = store.stats()
    assert (found["entries"], found["hits"], found["saved_usd"], found["saved_seconds"]) == (1, 2, 1.0, 4.0)
    assert found["bytes"] > 0
    assert store.listed()[0].edition == "e.1.3"


def test_old_answers_and_those_of_a_run_are_forgotten(store: Store) -> None:
    store.put(entry(1, at=100.0), "one", None)
    store.put(entry(2, at=200.0), "two", None)
    store.put(entry(3, at=300.0), "three", None)
    assert store.drop_before(150.0) == ["s" * 64]
    assert store.drop_run("run-3") == 1
    assert [found.run for found in store.listed()] == ["run-2"]


def test_the_list_is_of_one_scope_by_its_beginning(store: Store) -> None:
    store.put(entry(1), "one", None)
    store.put(entry(2, scope="t" * 64), "two", None)
    assert [found.run for found in store.listed("tt")] == ["run-2"]
    assert len(store.listed()) == 2
    assert store.listed("%") == []


def test_numbers_of_a_file_that_was_deleted_do_not_come_again(tmp_path: Path) -> None:
    path, numbers = tmp_path / "answers.sqlite", []
    for round in range(2):
        store = Store(path)
        numbers += [store.put(entry(n), f"form {n}", None) for n in range(3)]
        store.close()
        for file in tmp_path.iterdir():
            file.unlink()
        time.sleep(0.01 * (1 - round))
    assert numbers == sorted(set(numbers))


def test_a_file_that_is_no_database_gives_way_to_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"this is no database at all, but it is long enough to be looked at" * 50)
    store = Store(path)
    with pytest.raises(StoreError, match="begun anew"):
        store.listed()
    assert store.listed() == []
    store.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("citations", "{broken"), ("citations", "[1]"), ("citations", "[" * 100_000), ("sources", "[1]"),
        ("sources", "[[1, 2]]"), ("known", "3"), ("known", "null"), ("answer", b"\xff"), ("at", "x"), ("at", 9e18),
        ("seconds", "x"), ("usd", "x"), ("edition", b"5"),
    ],
)  # fmt: skip
def test_a_damaged_row_is_deleted_and_the_others_are_listed(store: Store, column: str, value: object) -> None:
    number = store.put(entry(1), "one", None)
    store.put(entry(2), "two", None)
    with sqlite3.connect(store.path) as other:
        other.execute(f"update answer set {column} = ? where id = ?", (value, number))
    other.close()
    assert store.same("s" * 64, "one") is None
    assert [found.run for found in store.listed()] == ["run-2"]
    assert store.stats()["entries"] == 1


@pytest.mark.parametrize("change", ["drop table answer", "drop table claim", "alter table answer drop column known"])
def test_a_file_that_has_lost_a_table_gets_it_again(store: Store, change: str) -> None:
    first = store.put(entry(1), "one", None)
    with sqlite3.connect(store.path) as other:
        other.execute(change)
    other.close()
    with pytest.raises(StoreError, match="begun anew"), store.claim("s"):
        store.listed()
    assert store.put(entry(2), "two", None) > first
    assert [found.run for found in store.listed()] == ["run-2"]


def test_a_locked_file_is_said_in_one_sentence_and_soon(store: Store) -> None:
    store.put(entry(1), "one", None)
    with sqlite3.connect(store.path, isolation_level=None) as other:
        other.execute("begin immediate")
        started = time.monotonic()
        with pytest.raises(StoreError, match="locked by another process"):
            store.put(entry(2), "two", None)
        assert time.monotonic() - started < 3
        assert store.same("s" * 64, "one") is not None, "who reads does not wait"
        other.execute("rollback")
    other.close()
    assert store.put(entry(2), "two", None)


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "runs" / "answers.sqlite").listed()


def test_threads_share_one_store(store: Store) -> None:
    failures: list[BaseException] = []

    def work(base: int) -> None:
        try:
            for n in range(base, base + 20):
                store.put(entry(n), f"form {n}", None)
                assert store.same("s" * 64, f"form {n}") is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(base,)) for base in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(store.listed()) == 60


WRITER = """
import sys
from pathlib import Path
from tests.answers.kept import entry
from pilotage.answers.store import Store
store = Store(Path(sys.argv[1]))
base = int(sys.argv[2])
for n in range(base, base + 40):
    store.put(entry(n), f"form {n}", b"\\0" * 1536)
print("done", flush=True)
"""


def test_processes_that_begin_the_file_together_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(base)], stdout=subprocess.PIPE, text=True)
        for base in (0, 1000, 2000)
    ]
    assert [process.communicate(timeout=50)[0] for process in started] == ["done\n"] * 3
    store = Store(path)
    assert len(store.listed()) == 120
    store.close()
