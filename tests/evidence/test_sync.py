"""Which files of the folder are read."""

from __future__ import annotations

from pathlib import Path

from tests.support.knowledge import Opener


def test_lock_files_of_office_are_passed_over_without_a_word(folder: Path, opened: Opener) -> None:
    (folder / "~$manual.docx").write_bytes(b"\x05Tester" + b" " * 155)
    (folder / "sub").mkdir()
    (folder / "sub" / "~$prices.xlsx").write_bytes(b"\x05Tester" + b" " * 158)
    (folder / "~notes.md").write_text("# Notes\n\nThe zeppelin landed on a Tuesday.\n", "utf-8")
    knowledge = opened(folder)
    assert knowledge.warnings == []
    assert "Tuesday" in knowledge.search("When did the zeppelin land?").hits[0].quote
