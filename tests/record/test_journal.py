"""The journal: redacted before it is hashed and stored, each content once, safe from threads and processes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from pilotage.errors import ConfigError, StoreError
from pilotage.record.audit import audit
from pilotage.record.journal import (
    GENESIS,
    Event,
    Journal,
    canonical,
    digest,
    find_run,
    list_runs,
    new_run_id,
    read_events,
)
from pilotage.record.redact import MARK, Redactor
from pilotage.record.store import open_store, payloads

SECRET = "s3cr3t-value-0123"
KEY = "sk-proj-aB3dE6gH9jK2mN5pQ8sT1vW4"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(tmp_path / "runs" / "journal.sqlite")
    yield engine
    engine.dispose()


def begin(engine: Engine, run: str | None = None, **environment: str) -> Journal:
    journal = Journal(engine, Redactor(environment), run)
    journal.append("run_started", {"question": "Why?"}, model="reader")
    return journal


def raw_bytes(engine: Engine) -> bytes:
    """Everything that lies on disk: the database, its write-ahead log, its index of it."""
    path = Path(str(engine.url.database))
    files = sorted(path.parent.glob(f"{path.name}*"))
    assert any(file.name.endswith("-wal") for file in files), "the log is looked at before it is folded in"
    return b"".join(file.read_bytes() for file in files)


def test_what_was_appended_is_read_back_whole(store: Engine) -> None:
    journal = begin(store)
    appended = journal.append("note", {"text": "ünïcödé 한국어 🎉\n\0", "data": {"b": [1, None], "a": "x"}}, n=1, f=0.1)
    events = list(read_events(store, journal.run))
    assert events[1] == appended
    assert events[1].content == {"text": "ünïcödé 한국어 🎉\n\0", "data": '{"b": [1, null], "a": "x"}'}
    assert events[1].facts == {"n": 1, "f": 0.1}


def test_each_event_holds_the_hash_of_the_one_before(store: Engine) -> None:
    journal = begin(store)
    for n in range(5):
        journal.append("note", n=n)
    events = list(read_events(store, journal.run))
    assert [e.seq for e in events] == [1, 2, 3, 4, 5, 6]
    assert [e.previous for e in events] == [GENESIS, *(e.hash for e in events[:-1])]
    assert all(e.hash == e.compute_hash() for e in events)
    assert journal.seal == events[-1].hash


@pytest.mark.parametrize(
    "change",
    [
        {"run": "other"}, {"seq": 2}, {"at": 1.5}, {"kind": "other"}, {"facts": {"n": 2}}, {"facts": {}},
        {"digests": {"text": digest("y")}}, {"digests": {}}, {"previous": "1" * 64},
    ],
)  # fmt: skip
def test_every_part_of_an_event_is_in_its_hash(change: dict[str, Any]) -> None:
    parts: dict[str, Any] = {
        "run": "r", "seq": 1, "at": 1.0, "kind": "note", "facts": {"n": 1}, "digests": {"text": digest("x")}
    }  # fmt: skip
    assert Event(**parts).compute_hash() != Event(**{**parts, **change}).compute_hash()


def test_the_order_of_facts_does_not_change_the_hash() -> None:
    assert canonical({"a": 1, "b": [2, {"d": 1, "c": 2}]}) == canonical({"b": [2, {"c": 2, "d": 1}], "a": 1})


def test_secrets_are_gone_before_anything_is_stored(store: Engine) -> None:
    journal = begin(store, SOME_PASSWORD=SECRET)
    journal.append("note", {"text": f"a {SECRET} b", "tree": {"k": [SECRET, KEY]}}, fact=SECRET, deep={"x": [KEY]})
    journal.append("note", {"text": f"Bearer {KEY}", "url": f"postgresql://u:{SECRET}@h/d"})
    found = raw_bytes(store)
    assert b"run_started" in found
    assert SECRET.encode() not in found
    assert KEY.encode() not in found
    assert KEY[8:20].encode() not in found
    assert found.count(MARK.encode()) >= 4


def test_secrets_are_gone_before_anything_is_hashed(store: Engine) -> None:
    events = [
        begin(store, SOME_PASSWORD=secret).append("note", {"text": f"a {secret} b"}, fact=secret)
        for secret in (SECRET, "another-one-4567")
    ]
    assert events[0].digests == events[1].digests == {"text": digest(f"a {MARK} b")}
    assert events[0].facts == events[1].facts == {"fact": MARK}


def test_listeners_see_no_secret_either(store: Engine) -> None:
    journal = begin(store, SOME_PASSWORD=SECRET)
    seen: list[Event] = []
    journal.listen(seen.append)
    journal.append("note", {"text": SECRET}, fact=SECRET)
    assert SECRET not in str(seen)
    assert [e.kind for e in seen] == ["note"]


@pytest.mark.parametrize("secret", ['qu"oted-secret', "back\\slash-secret", "two\nlines-secret"])
def test_a_secret_that_json_escapes_is_gone_too(store: Engine, secret: str) -> None:
    journal = begin(store, SOME_PASSWORD=secret)
    noted = journal.append("note", {"tree": {"key": secret}})
    assert "secret" not in str(noted.content["tree"])


def test_the_same_content_is_stored_once(store: Engine) -> None:
    for _ in range(2):
        journal = begin(store)
        for n in range(10):
            journal.append("note", {"text": "the same", "other": "the same"}, n=n)
    with store.connect() as connection:
        total = connection.execute(select(func.count()).select_from(payloads)).scalar()
        same = connection.execute(select(payloads.c.body).where(payloads.c.digest == digest("the same"))).all()
    assert total == 2, "the question and the text"
    assert [bytes(row.body) for row in same] == [b"the same"]


def test_many_threads_make_one_chain(store: Engine) -> None:
    journal = begin(store)
    threads = [
        threading.Thread(target=lambda k=k: [journal.append("note", {"text": f"{k}"}, k=k, n=n) for n in range(15)])
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = audit(store, journal.run, journal.seal)
    assert report.ok, report
    assert report.events == 91
    by_thread = [[e.facts["n"] for e in read_events(store, journal.run) if e.facts.get("k") == k] for k in range(6)]
    assert by_thread == [list(range(15))] * 6


def write_run(path: Path, run: str, ready: Any, count: int) -> None:
    engine = open_store(path)
    ready.wait(20)
    journal = begin(engine, run)
    for n in range(count):
        journal.append("note", {"text": f"shared {n}", "own": f"{run} {n}"}, n=n)
    journal.append("run_ended", outcome="accepted", seconds=1.0, tokens=0, usd=0.0)
    engine.dispose()


def test_two_processes_write_different_runs_at_once(tmp_path: Path) -> None:
    path, names, count = tmp_path / "journal.sqlite", ["run-a", "run-b"], 60
    open_store(path).dispose()
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    processes = [spawn.Process(target=write_run, args=(path, name, ready, count)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    engine = open_store(path, create=False)
    for name in names:
        report = audit(engine, name)
        assert (report.ok, report.events) == (True, count + 2), report
    assert {row["run"] for row in list_runs(engine)} == set(names)
    engine.dispose()


def test_two_may_make_the_store_at_the_same_moment(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.sqlite"
        with ThreadPoolExecutor(4) as pool:
            for engine in pool.map(open_store, [path] * 4):
                assert list_runs(engine) == []
                engine.dispose()


def test_two_writers_of_one_run_cannot_both_go_on(store: Engine) -> None:
    first = begin(store, "the-run")
    second = Journal(store, Redactor({}), "the-run")
    with pytest.raises(StoreError, match="cannot be written"):
        second.append("run_started", {"question": "Why?"}, model="reader")
    first.append("note")
    assert audit(store, "the-run", first.seal).ok


def test_an_append_that_fails_leaves_the_chain_whole(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begin(store)
    with monkeypatch.context() as patch:
        patch.setattr("pilotage.record.journal.listed", lambda *_given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            journal.append("note", {"text": "lost"})
    journal.append("note", {"text": "kept"})
    assert audit(store, journal.run, journal.seal).ok
    assert [e.content.get("text") for e in read_events(store, journal.run)] == [None, "kept"]


def test_a_run_is_listed_with_how_it_ended(store: Engine) -> None:
    journal = begin(store)
    assert [(r["run"], r["outcome"], r["seal"]) for r in list_runs(store)] == [(journal.run, None, None)]
    journal.append("run_ended", outcome="accepted", seconds=1.5, tokens=7, usd=None)
    (row,) = list_runs(store)
    assert (row["question"], row["model"]) == ("Why?", "reader")
    assert (row["outcome"], row["seconds"], row["tokens"], row["usd"]) == ("accepted", 1.5, 7, None)
    assert row["seal"] == journal.seal


def test_the_newest_runs_come_first_and_no_more_than_asked_for(store: Engine) -> None:
    names = [begin(store, f"run-{n}").run for n in range(5)]
    assert [row["run"] for row in list_runs(store, 3)] == names[:1:-1]


def test_a_run_is_found_by_its_id_its_beginning_and_last(store: Engine) -> None:
    for name in ("20260101-000000-aaaaaa", "20260102-000000-bbbbbb", "20260102-000000-cccccc"):
        begin(store, name)
    assert find_run(store, "20260101-000000-aaaaaa") == "20260101-000000-aaaaaa"
    assert find_run(store, "20260101") == "20260101-000000-aaaaaa"
    assert find_run(store, "20260102-000000-b") == "20260102-000000-bbbbbb"
    assert find_run(store, "last") == "20260102-000000-cccccc"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("20260102", "Several runs begin"),
        ("", "Several runs begin"),
        ("2027", "No run begins"),
        ("2026%", "No run begins"),
        ("20260102-000000_", "No run begins"),
        ("' or 1=1 --", "No run begins"),
    ],
)
def test_a_name_that_fits_none_or_several_is_an_error(store: Engine, name: str, problem: str) -> None:
    for run in ("20260102-000000-bbbbbb", "20260102-000000-cccccc"):
        begin(store, run)
    with pytest.raises(ConfigError, match=problem) as caught:
        find_run(store, name)
    assert "sessions" in caught.value.hint


def test_last_of_no_runs_is_an_error(store: Engine) -> None:
    with pytest.raises(ConfigError, match="No run begins"):
        find_run(store, "last")


def test_run_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


def test_no_journal_yet_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no runs yet") as caught:
        open_store(tmp_path / "none.sqlite", create=False)
    assert "pilotage run" in caught.value.hint
    assert not (tmp_path / "none.sqlite").exists()


def test_a_store_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        open_store(tmp_path / "file" / "journal.sqlite")
    assert "record.store" in caught.value.hint


@pytest.mark.parametrize("create", [True, pytest.param(False)])  # fmt: skip
def test_a_file_that_is_no_database_is_an_error(tmp_path: Path, create: bool) -> None:
    (tmp_path / "journal.sqlite").write_text("this is no database, not at all, just some words in a file\n" * 100)
    with pytest.raises(StoreError):
        list_runs(open_store(tmp_path / "journal.sqlite", create=create))


@pytest.mark.parametrize("text", ["\ud83d lone surrogate", "caf\udce9"])
def test_content_that_is_no_valid_unicode_is_kept_and_verifies(store: Engine, text: str) -> None:
    journal = begin(store)
    journal.append("note", {"text": text})
    assert [e.content["text"] for e in read_events(store, journal.run) if e.kind == "note"] == [text]
    assert audit(store, journal.run, journal.seal).ok


def test_a_fact_that_is_no_valid_unicode_is_kept(store: Engine) -> None:
    journal = begin(store)
    journal.append("note", reason="caf\udce9")
    assert audit(store, journal.run, journal.seal).ok


def test_nothing_is_appended_behind_the_seal(store: Engine) -> None:
    journal = begin(store)
    journal.append("run_ended", outcome="limited", seconds=1.0, tokens=0, usd=0.0)
    with pytest.raises(StoreError, match="sealed"):
        journal.append("tool_call", tool="late")
    assert audit(store, journal.run, journal.seal).ok
