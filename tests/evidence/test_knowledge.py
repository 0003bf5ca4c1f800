"""Indexing and searching a folder."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pilotage.errors import ConfigError, StoreError
from pilotage.evidence.choose import choose
from pilotage.evidence.knowledge import Knowledge
from tests.support.knowledge import Opener


def test_finds_and_quotes_verbatim(folder: Path, opened: Opener) -> None:
    knowledge = opened(folder)
    found = knowledge.search("Who designed the tower of Skerryvore?")
    assert knowledge.warnings == []
    assert "Alan Stevenson" in found.hits[0].quote
    assert len({hit.quote for hit in found.hits}) == len(found.hits) <= 8
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    for hit in found.hits:
        assert hit.quote in hit.passage.text
        assert hit.passage.text in (folder / hit.passage.path).read_text(encoding="utf-8")
        assert knowledge.passage(hit.passage.source) == hit.passage
    assert knowledge.passage("lighthouse.md#00000000") is None


def test_chooses_an_answer_or_nothing(folder: Path, opened: Opener) -> None:
    knowledge = opened(folder)
    assert any("1844" in hit.quote for hit in choose(knowledge.search("When was Skerryvore first lit?").hits))
    assert choose(knowledge.search("Who won the football world cup in 1998?").hits) == []


@pytest.mark.parametrize("question", ["", "?!", "the of and", '"', "a" * 5000, "NEAR( OR *", "\0"])
def test_strange_questions_find_nothing_and_do_not_fail(folder: Path, opened: Opener, question: str) -> None:
    assert choose(opened(folder).search(question).hits) == []


def test_same_question_same_result(folder: Path, tmp_path: Path) -> None:
    results = []
    for name in ("one.db", "two.db"):
        knowledge = Knowledge.open(folder, tmp_path / name)
        results.append(knowledge.search("How hot is the oven?"))
        knowledge.close()
    assert results[0] == results[1]


def test_only_what_changed_is_read_again(folder: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)
    (folder / "bread.md").write_text("# Bread\n\nRye bread is dark because of bran.\n", encoding="utf-8")
    read: list[str] = []
    monkeypatch.setattr("pilotage.evidence.sync.cut", _noting(read))
    knowledge = opened(folder)
    assert read == ["bread.md"]
    assert "bran" in knowledge.search("Why is rye bread dark?").hits[0].quote
    assert not any("yeast" in hit.quote for hit in knowledge.search("wild yeast sourdough").hits)
    opened(folder)
    assert read == ["bread.md"]


def test_touched_file_keeps_its_passages(folder: Path, opened: Opener) -> None:
    before = opened(folder).search("whale oil").hits[0].passage
    os.utime(folder / "lighthouse.md", (1, 1))
    assert opened(folder).search("whale oil").hits[0].passage == before


def test_deleted_file_is_forgotten(folder: Path, opened: Opener) -> None:
    source = opened(folder).search("wild yeast").hits[0].passage.source
    (folder / "bread.md").unlink()
    knowledge = opened(folder)
    assert knowledge.passage(source) is None
    assert {hit.passage.path for hit in knowledge.search("wild yeast sourdough").hits} <= {"lighthouse.md"}


def test_unreadable_files_are_named(folder: Path, opened: Opener) -> None:
    (folder / "picture.md").write_bytes(b"\x89PNG\0\0")
    (folder / "old.txt").write_bytes("Zürich".encode("latin-1"))
    (folder / "nothing.md").write_text("\n", encoding="utf-8")
    (folder / ".hidden.md").write_text("Secret.", encoding="utf-8")
    expected = [
        "skipped nothing.md: empty",
        "skipped old.txt: not UTF-8, first wrong byte at 1",
        "skipped picture.md: binary",
    ]
    assert opened(folder).warnings == expected
    assert opened(folder).warnings == expected


def test_folder_that_cannot_serve(tmp_path: Path, opened: Opener) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    file = tmp_path / "file.md"
    file.write_text("Text.", encoding="utf-8")
    for folder, part in ((tmp_path / "absent", "does not exist"), (file, "is a file"), (empty, "no readable document")):
        with pytest.raises(ConfigError, match=part) as caught:
            opened(folder)
        assert "evidence.knowledge" in caught.value.hint
        assert "--knowledge" in caught.value.hint
    (empty / "a.md").write_bytes(b"\0\0")
    with pytest.raises(ConfigError, match=r"skipped a\.md: binary"):
        opened(empty)


def test_index_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"this is no database, but long enough to be looked at" * 100)
    for index in (tmp_path, tmp_path / "other.db"):
        with pytest.raises(StoreError, match="cannot be used"):
            Knowledge.open(folder, index)


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path, opened: Opener) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("The password is swordfish.", encoding="utf-8")
    (folder / "link.md").symlink_to(outside)
    assert not any("swordfish" in hit.quote for hit in opened(folder).search("What is the password?").hits)


def test_without_embedder(folder: Path, opened: Opener, without_embedder: None) -> None:
    knowledge = opened(folder)
    assert len(knowledge.warnings) == 1
    assert "full text alone" in knowledge.warnings[0]
    found = knowledge.search("Who designed the tower of Skerryvore?")
    assert "Alan Stevenson" in choose(found.hits)[0].quote
    assert found.notes == ["no sentence vectors: full text alone"]
    assert knowledge.embed_missing() == 0


def test_wrong_weights_are_refused(folder: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.evidence.embedder.wrong_file", lambda place: "onnx/model.onnx_data")
    assert "onnx/model.onnx_data is not the pinned one" in opened(folder).warnings[0]


def test_vectors_may_follow(folder: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.evidence.knowledge.SMALL", 0)
    knowledge = opened(folder)
    assert knowledge.search("whale oil lamps of the keepers").notes == [
        "10 of 10 sentences have no vector yet: full text for those"
    ]
    assert knowledge.embed_missing(budget_seconds=0) == 10
    calls: list[tuple[int, int]] = []
    assert knowledge.embed_missing(progress=lambda what, done, total: calls.append((done, total))) == 0
    assert calls == [(10, 10)]
    assert knowledge.search("whale oil lamps of the keepers").notes == []


def test_another_folder_needs_no_new_vectors(
    folder: Path, tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(folder)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "renamed.md").write_text((folder / "lighthouse.md").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("pilotage.evidence.embedder.Embedder.embed", _never)
    knowledge = Knowledge.open(copy, tmp_path / "index.db")
    assert knowledge.embed_missing() == 0
    knowledge.close()


def test_several_processes_at_once(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pilotage.evidence.knowledge import Knowledge\n"
        "k = Knowledge.open(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(k.search('Who designed the tower of Skerryvore?').hits[0].passage.source); k.close()"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(folder), str(tmp_path / "shared.db")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(printed) == 1
    assert "lighthouse.md#" in printed.pop()
    with sqlite3.connect(tmp_path / "shared.db") as db:
        assert db.execute("select count(*) from file").fetchone() == (2,)
        assert db.execute("select count(*), count(distinct source) from passage").fetchone() == (5, 5)
    db.close()


def _noting(read: list[str]) -> object:
    from pilotage.evidence.passages import cut

    def noting(document: object, path: str) -> object:
        read.append(path)
        return cut(document, path)  # type: ignore[arg-type]

    return noting


def _never(*arguments: object) -> None:
    raise AssertionError("nothing should be embedded")
