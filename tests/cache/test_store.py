"""The cache file: what is kept, what goes when it is full, and what never enters."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotage.cache import store as module
from pilotage.cache.figures import clear, listed, stats
from pilotage.cache.store import Store
from tests.cache.conftest import SECRET

Opened = Callable[..., Store]


def noise(number: int, size: int) -> bytes:
    """Bytes that do not compress, and hold no secret."""
    return random.Random(number).randbytes(size)


def test_what_is_put_is_got_back_by_another_process_too(store: Store, opened: Opened) -> None:
    assert store.put("call", "k", "Grüße\0".encode() * 1000, extra={"model": "m"})
    for one in (store, opened()):
        entry = one.get("call", "k")
        assert entry is not None
        assert entry.body == "Grüße\0".encode() * 1000
        assert entry.extra == {"model": "m"}
        assert time.time() - entry.made < 5
    assert store.get("call", "other") is None
    assert store.get("page", "k") is None


def test_an_entry_is_replaced_and_deleted(store: Store) -> None:
    store.put("call", "k", b"first")
    store.put("call", "k", b"second")
    entry = store.get("call", "k")
    assert entry is not None
    assert entry.body == b"second"
    store.delete("call", "k")
    assert store.get("call", "k") is None


def test_what_has_expired_is_a_miss_and_can_still_be_asked_about(store: Store) -> None:
    store.put("page", "k", b"old", expires=time.time() - 1)
    assert store.get("page", "k") is None
    assert store.get("page", "k", stale=True) is not None
    store.renew("page", "k", expires=time.time() + 60, extra={"etag": "2"})
    entry = store.get("page", "k")
    assert entry is not None
    assert (entry.body, entry.extra) == (b"old", {"etag": "2"})


def test_an_entry_from_the_future_is_a_miss(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600)  # a clock that is set right later
    store.put("call", "k", b"body", expires=now + 7200)
    monkeypatch.setattr("time.time", lambda: now)
    assert store.get("call", "k") is None


@pytest.mark.parametrize(
    "body",
    [
        f"the key is {SECRET}".encode(),
        f"the key is {SECRET}".encode("utf-16"),
        b"Authorization: Bearer abcdefgh12345678XYZ",
        b"https://user:password@example.org/",
        json.dumps({"answer": json.dumps({"line": f'say "{SECRET}"'})}).encode(),
    ],
)
def test_what_holds_a_secret_is_not_kept(store: Store, path: Path, body: bytes) -> None:
    assert not store.put("call", "k", body)
    assert not store.put("call", "k", b"body", extra={"query": body.decode("utf-8", "replace").replace("\0", "")})
    assert store.get("call", "k") is None


def test_no_byte_of_a_secret_reaches_the_file(store: Store, path: Path) -> None:
    store.put("call", "k", f"the key is {SECRET}".encode())
    store.put("call", "other", b"harmless")
    store.close()
    assert SECRET.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_what_was_not_used_for_longest_goes_first(opened: Opened, path: Path) -> None:
    store = opened(mb=0.5)
    for number in range(40):
        assert store.put("call", str(number), noise(number, 30_000))
        assert store.get("call", "0") is not None, number
    assert path.stat().st_size <= 600_000
    kept = [number for number in range(40) if store.get("call", str(number))]
    assert kept[0] == 0
    assert kept[1:] == list(range(40 - len(kept) + 1, 40))
    assert 10 <= len(kept) <= 16


def test_what_is_out_of_date_goes_before_what_is_good(opened: Opened) -> None:
    store = opened(mb=0.5)
    store.put("call", "good", noise(0, 60_000))
    for number in range(5):
        store.put("call", f"old{number}", noise(number, 60_000), expires=time.time() + 0.05)
    time.sleep(0.1)
    for number in range(5):
        store.put("call", f"new{number}", noise(number, 60_000))
    assert store.get("call", "good") is not None
    assert stats(store.path)["call"]["entries"] == 6


def test_an_entry_that_is_larger_than_the_cache_is_not_kept(opened: Opened, said: list[str]) -> None:
    store = opened(mb=0.1)
    store.put("call", "small", b"small")
    assert not store.put("call", "large", noise(0, 400_000))
    assert store.get("call", "small") is not None
    assert not said


def test_a_lower_cap_shrinks_the_file(opened: Opened, path: Path) -> None:
    store = opened(mb=10)
    for number in range(60):
        store.put("call", str(number), noise(number, 100_000))
    store.close()
    assert path.stat().st_size > 2_500_000
    lower = opened(mb=1)
    lower.put("call", "another", b"small")
    lower.close()
    assert path.stat().st_size <= 1_000_000


def test_a_body_that_the_disk_has_changed_is_a_miss_and_goes(store: Store, path: Path, said: list[str]) -> None:
    store.put("call", "k", b"body" * 100)
    with sqlite3.connect(path) as db:
        db.execute("update entries set body = x'789c00' where key = 'k'")
    db.close()
    assert store.get("call", "k") is None
    assert stats(path) == {}
    assert not said


def test_hits_are_counted_when_the_store_is_closed(store: Store, path: Path) -> None:
    store.put("call", "a", b"body")
    for _ in range(3):
        store.get("call", "a")
    store.get("call", "b")
    store.close()
    assert stats(path)["call"]["hits"] == 3


def test_hits_are_written_by_and_by(store: Store, path: Path) -> None:
    for number in range(module.TOUCHES):
        store.put("call", str(number), b"body")
    for number in range(module.TOUCHES):
        store.get("call", str(number))
    assert stats(path)["call"]["hits"] == module.TOUCHES


def test_several_threads_use_one_store(store: Store, said: list[str]) -> None:
    wrong = []

    def work(own: int) -> None:
        for number in range(100):
            store.put("call", f"{own}-{number}", f"{own}-{number}".encode())
            entry = store.get("call", f"{own}-{number}")
            if entry is None or entry.body != f"{own}-{number}".encode():
                wrong.append((own, number))

    threads = [threading.Thread(target=work, args=(own,)) for own in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not said
    assert stats(store.path)["call"]["entries"] == 800


# --- what the command line shows of it


def test_no_file_is_an_empty_cache(path: Path) -> None:
    assert stats(path) == {}
    assert listed(path) == []
    assert clear(path) == 0
    assert not path.exists()


def test_figures_by_kind(store: Store, path: Path) -> None:
    for number in range(3):
        store.put("call", str(number), noise(number, 1000), extra={"model": "m"})
    store.put("page", "p", b"body")
    found = stats(path)
    assert {kind: facts["entries"] for kind, facts in found.items()} == {"call": 3, "page": 1}
    assert 1500 < found["call"]["bytes"] < 4000
    assert time.time() - found["call"]["oldest"] < 5


def test_the_list_begins_with_what_was_used_last(store: Store, path: Path) -> None:
    for name in "abc":
        store.put("call", name, b"body", extra={"model": name})
    store.get("call", "a")
    store.flush()
    entries = listed(path, "call")
    assert [entry["about"]["model"] for entry in entries] == ["a", "c", "b"]
    assert entries[0]["hits"] == 1
    assert len(listed(path, limit=2)) == 2
    assert listed(path, "page") == []


def test_clearing_by_kind_and_by_age(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now - 100)
    store.put("call", "old", noise(0, 500_000))
    monkeypatch.setattr("time.time", lambda: now)
    store.put("call", "new", b"body")
    store.put("page", "p", b"body")
    assert clear(path, older_than=50) == 1
    assert clear(path, "page") == 1
    assert path.stat().st_size < 100_000
    assert store.get("call", "new") is not None, "a store that is open goes on"
    assert clear(path) == 1
    assert stats(path) == {}
