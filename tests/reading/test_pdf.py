"""PDF files: paragraphs out of lines, pages in the names, nothing of headers and footers, and files made to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotage.evidence.passages import READERS, Cut, cut
from pilotage.reading import apart, pdf
from pilotage.reading.documents import Document
from pilotage.reading.pdf import read_pdf
from tests.support.knowledge import Opener

from ..support.pdf import LOCKED, Placed, paragraph, pdf_of_streams
from ..support.pdf import pdf as made_pdf

KEEPERS = [
    "The keepers of the tower lived ashore on the island",
    "of Tiree and rowed out when the sea was calm.",
]
LAMPS = ["Early keepers burned whale oil in the lamps, which gave", "a yellow light that was seen twelve miles away."]


def read(folder: Path, content: bytes, name: str = "report.pdf") -> Document:
    (folder / name).write_bytes(content)
    return read_pdf(folder / name)


def cuts_of(folder: Path, content: bytes) -> list[Cut]:
    return cut(read(folder, content), "report.pdf")


def texts(document: Document) -> list[str]:
    return [document.text[block.start : block.stop] for block in document.blocks]


def page(number: int, *lines: str) -> list[Placed]:
    """A page with a running head and a foot; what stands between differs."""
    return [(72, 760, 9, "ACME Annual Report"), *paragraph(*lines), (280, 30, 9, f"Page {number} of 4")]


def test_lines_become_paragraphs(tmp_path: Path) -> None:
    content = made_pdf([[*paragraph(*KEEPERS), *paragraph(*LAMPS, top=640), (72, 600, 11, "Total 12 5")]])
    document = read(tmp_path, content)
    assert texts(document) == [" ".join(KEEPERS), " ".join(LAMPS), "Total 12 5"]
    assert [block.kind for block in document.blocks] == ["prose", "prose", "table"]


def test_lines_of_a_table_stay_lines(tmp_path: Path) -> None:
    rows = ["Oil 120 barrels a year for one lamp", "Wicks 40", "Paraffin 310 barrels", "Glass 2"]
    assert texts(read(tmp_path, made_pdf([paragraph(*rows)]))) == ["\n".join(rows)]


def test_a_list_is_one_block_with_what_announces_it(tmp_path: Path) -> None:
    lines = ["The caps are:", "• seconds per run", "• tokens per run", "• calls"]
    document = read(tmp_path, made_pdf([paragraph(*lines)]))
    assert texts(document) == ["The caps are:\n- seconds per run\n- tokens per run\n- calls"]
    assert document.blocks[0].kind == "list"


def test_a_heading_stands_above_its_paragraph(tmp_path: Path) -> None:
    content = made_pdf([[(72, 730, 18, "Lamps"), *paragraph(*LAMPS)], paragraph(*KEEPERS)])
    document = read(tmp_path, content)
    assert texts(document) == ["Lamps\n\n" + " ".join(LAMPS), " ".join(KEEPERS)]
    assert [(block.heading, block.place) for block in document.blocks] == [("Lamps", "page 1"), ("Lamps", "page 2")]


def test_a_word_cut_at_the_end_of_a_line_is_put_together_where_that_is_safe(tmp_path: Path) -> None:
    lines = [
        "It is well-known that a light is seen and this is an exam-",
        "ple of the rule that is called long-term here; it is a well-",
        "known one, since COVID-",
        "19 came to the Anglo-",
        "Saxon state-of-the-",
        "art house.",
    ]
    (text,) = texts(read(tmp_path, made_pdf([paragraph(*lines)])))
    assert text == (
        "It is well-known that a light is seen and this is an example of the rule that is called long-term here; "
        "it is a well-known one, since COVID-19 came to the Anglo-Saxon state-of-the-art house."
    )


def test_headers_footers_and_page_numbers_are_dropped(tmp_path: Path) -> None:
    title = [(72.0, 500.0, 24.0, "Annual Report"), (72.0, 460.0, 14.0, "For the year 1844")]
    pages = [page(2, *KEEPERS), page(3, *LAMPS), page(4, "The tower stands 48 metres tall and was lit in 1844.")]
    found = texts(read(tmp_path, made_pdf([title, *pages])))
    assert found == ["Annual Report\nFor the year 1844", " ".join(KEEPERS), " ".join(LAMPS), found[-1]]
    assert found[-1] == "The tower stands 48 metres tall and was lit in 1844."


def test_what_stands_on_two_pages_only_is_no_header(tmp_path: Path) -> None:
    assert "ACME Annual Report" in read(tmp_path, made_pdf([page(1, *KEEPERS), page(2, *LAMPS)])).text


def test_names_have_the_page_and_stay_when_another_page_changes(tmp_path: Path) -> None:
    before = cuts_of(tmp_path, made_pdf([paragraph(*KEEPERS), paragraph(*LAMPS)]))
    after = cuts_of(tmp_path, made_pdf([paragraph("Another first page, about nothing."), paragraph(*LAMPS)]))
    assert before[1].passage.source == after[1].passage.source
    assert before[0].passage.source != after[0].passage.source
    assert before[1].passage.source.startswith("report.pdf#p2-")
    assert [piece.passage.where for piece in before] == ["page 1", "page 2"]


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("The Lighthouse Stevensons", "The Lighthouse Stevensons"),
        ("", "report"),
        ("Microsoft Word - draft.doc", "report"),
    ],
)
def test_title(tmp_path: Path, given: str, title: str) -> None:
    assert read(tmp_path, made_pdf([paragraph(*KEEPERS)], title=given)).title == title


def test_ligatures_and_invisible_characters(tmp_path: Path) -> None:
    to_unicode = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange "
        b"2 beginbfchar <41> <FB01> <42> <200B> endbfchar endcmap"
    )
    content = made_pdf([paragraph("Arst light Bof the tower.")]).replace(
        b"/WinAnsiEncoding >>", b"/WinAnsiEncoding /ToUnicode 99 0 R >>"
    )
    stream = b"99 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(to_unicode), to_unicode)
    content = content.replace(b"1 0 obj\n<< /Type /Catalog", stream + b"1 0 obj\n<< /Type /Catalog")  # table rebuilt
    assert texts(read(tmp_path, content)) == ["first light of the tower."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (made_pdf([paragraph(*KEEPERS)], trailer=LOCKED), "encrypted, needs a password"),
        (made_pdf([paragraph(*KEEPERS)])[:200], "damaged"),
        (b"This is no PDF.", "damaged"),
        (b"", "damaged"),
        (made_pdf([[]]), "no text (a scan?)"),
    ],
    ids=["encrypted", "cut short", "text", "empty", "scan"],
)
def test_unreadable_files_are_named_and_the_rest_is_read(
    folder: Path, opened: Opener, content: bytes, reason: str
) -> None:
    (folder / "x.pdf").write_bytes(content)
    knowledge = opened(folder)
    assert knowledge.warnings == [f"skipped x.pdf: {reason}"]
    assert "Stevenson" in knowledge.search("Who designed the tower of Skerryvore?").hits[0].quote


def test_no_more_than_so_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "PAGES", 2)
    document = read(tmp_path, made_pdf([paragraph(*KEEPERS), paragraph(*LAMPS), paragraph("Third page.")]))
    assert document.note == "read only the first 2 pages of 3"
    assert "Third" not in document.text


def test_search_finds_the_page(folder: Path, opened: Opener) -> None:
    pages = [paragraph("This report is about rope and tar."), paragraph("The harbour of Hynish was built in 1837.")]
    (folder / "harbour.pdf").write_bytes(made_pdf(pages))
    knowledge = opened(folder)
    best = knowledge.search("When was the harbour of Hynish built?").hits[0]
    assert knowledge.warnings == []
    assert best.quote == "The harbour of Hynish was built in 1837."
    assert best.passage.where == "page 2"
    assert best.passage.source.startswith("harbour.pdf#p2-")
    assert knowledge.passage(best.passage.source) == best.passage


# --- a process of its own


def test_a_reader_that_hangs_is_ended(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf_of_streams([b"BT /F 9 Tf 1 0 0 1 72 700 Tm (word ) Tj ET\n" * 3_000_000]))
    with pytest.raises(ValueError, match=r"takes longer than 0\.5 seconds to read"):
        apart.read(tmp_path / "a.pdf", seconds=0.5)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux caps the memory of a process")
def test_a_file_that_takes_too_much_memory_ends_only_its_reader(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf_of_streams([b"BT /F 9 Tf 1 0 0 1 72 700 Tm (word ) Tj ET\n" * 3_000_000]))
    with pytest.raises(ValueError, match=r"memory|too much for its reader"):
        apart.read(tmp_path / "a.pdf", memory=200_000_000)


def test_what_comes_back_is_what_the_reader_made(tmp_path: Path) -> None:
    document = read(tmp_path, made_pdf([paragraph(*KEEPERS), paragraph("Zürich costs 5 €.")], title="The Towers"))
    assert READERS[".pdf"](tmp_path / "report.pdf") == document


def test_the_reader_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-123")
    assert not any("sk-123" in value for value in apart._environment().values())
